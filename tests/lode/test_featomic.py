"""Crystals against featomic: every exponent, labels, values, gradients; and the SOAP limit."""

import featomic
import featomic.density
import metatensor
import numpy as np
import pytest
from ketmap_density import Cutoff, Gaussian, SphericalExpansion
from ketmap_lode import LodeSphericalExpansion


def right_handed(crystals):
    """featomic finds no wave vectors in left-handed cells: the same lattices spanned the other way."""
    turned = [atoms.copy() for atoms in crystals]
    for atoms in turned:
        if np.linalg.det(atoms.cell.array) < 0:
            atoms.set_cell(atoms.cell.array[[1, 0, 2]])
    return turned


@pytest.mark.parametrize("exponent", range(10))
def test_values_and_gradients(hypers, crystals, exponent):
    """Values to 1e-8, gradients to 1e-7 of each block's maximum, and the same labels in the same order."""
    given = hypers(exponent)
    ours = LodeSphericalExpansion(**given).compute(crystals, gradients=["positions"])
    given["density"] = featomic.density.SmearedPowerLaw(smearing=1.0, exponent=exponent)
    theirs = featomic.LodeSphericalExpansion(**given).compute(right_handed(crystals), gradients=["positions"])
    assert ours.keys == theirs.keys
    for a, b in zip(ours.blocks(), theirs.blocks()):
        assert a.samples == b.samples and a.components == b.components and a.properties == b.properties
        least = 1e-6 * max(np.abs(block.values).max() for block in theirs.blocks())  # blocks that are zero by symmetry
        scale = max(np.abs(b.values).max(), least)
        assert np.abs(a.values - b.values).max() < 1e-8 * scale
        x, y = a.gradient("positions"), b.gradient("positions")
        assert x.samples == y.samples and x.components == y.components
        assert np.abs(x.values - y.values).max() < 1e-7 * max(np.abs(y.values).max(), least)


@pytest.mark.parametrize(
    "given",
    [
        {"smearing": 0.5, "max_radial": 5, "max_angular": 6, "radius": 4.0},
        {"smearing": 1.5, "max_radial": 0, "max_angular": 0, "radius": 2.0},
        {"k_cutoff": 2.8, "max_angular": 1},
    ],
)
def test_hypers(hypers, crystals, given):
    given = hypers(**given)
    ours = LodeSphericalExpansion(**given).compute(crystals)
    given["density"] = featomic.density.SmearedPowerLaw(smearing=given["density"]["smearing"], exponent=1)
    theirs = featomic.LodeSphericalExpansion(**given).compute(right_handed(crystals))
    assert ours.keys == theirs.keys
    for a, b in zip(ours.blocks(), theirs.blocks()):
        least = 1e-6 * max(np.abs(block.values).max() for block in theirs.blocks())
        assert np.abs(a.values - b.values).max() < 1e-8 * max(np.abs(b.values).max(), least)


def test_featomics_objects(hypers, crystals):
    """A dictionary that featomic's objects make of themselves."""
    given = hypers()
    density = featomic.density.SmearedPowerLaw(smearing=1.0, exponent=1)
    given["density"] = {**density.get_hypers(), "center_atom_weight": 1.0, "scaling": None}
    assert metatensor.allclose(
        LodeSphericalExpansion(**given).compute(crystals), LodeSphericalExpansion(**hypers()).compute(crystals)
    )


def test_several_exponents(hypers, crystals, slab):
    """A list adds a last key; every block is that of the exponent alone."""
    systems = [crystals[0], crystals[1], slab, crystals[0][:1]]
    together = LodeSphericalExpansion(**hypers([1, 4, 6], max_angular=2, max_radial=1)).compute(
        systems, gradients=["strain"]
    )
    assert together.keys.names == ["o3_lambda", "o3_sigma", "center_type", "neighbor_type", "exponent"]
    for exponent in (1, 4, 6):
        alone = LodeSphericalExpansion(**hypers(exponent, max_angular=2, max_radial=1)).compute(
            systems, gradients=["strain"]
        )
        scale = max(np.abs(block.values).max() for block in alone.blocks())
        for key, block in alone.items():
            same = together.block({**dict(zip(key.names, key.values.tolist())), "exponent": exponent})
            assert same.samples == block.samples
            assert np.abs(same.values - block.values).max() < 1e-9 * scale
            slopes = same.gradient("strain").values - block.gradient("strain").values
            assert np.abs(slopes).max() < 1e-8 * scale


def test_soap_limit(hypers, crystals, slab):
    """p = 0 is SOAP's density without a cutoff: 1e-6 at k_cutoff σ = 6, for every periodicity."""
    molecule = crystals[0][:2].copy()
    molecule.pbc = False
    systems = [crystals[0], crystals[1], molecule, slab]
    given = hypers(0, max_angular=2, max_radial=2)
    errors = {}
    for k_cutoff in (3.0, 4.0, 5.0, 6.0):
        field = LodeSphericalExpansion(**{**given, "k_cutoff": k_cutoff}).compute(systems)
        soap = SphericalExpansion(cutoff=Cutoff(18.0), density=Gaussian(1.0), basis=given["basis"])
        density = soap.compute(systems, selected_keys=field.keys)
        scale = max(np.abs(block.values).max() for block in density.blocks())
        errors[k_cutoff] = 0.0
        for key, block in density.items():
            a, b = block.values, field.block(key)
            here = [b.samples.position(sample) for sample in block.samples]
            errors[k_cutoff] = max(errors[k_cutoff], np.abs(a - b.values[here]).max() / scale)
    assert errors[6.0] < 1e-6
    ratios = [errors[k] / np.exp(-(k**2) / 2) for k in errors]  # what is cut off is exp(−k²σ²/2)
    assert max(ratios) < 100 * min(ratios), errors
