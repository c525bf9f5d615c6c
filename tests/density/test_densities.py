"""Densities other than one Gaussian for all: δ functions, radial scaling, widths by type."""

import ase
import featomic
import numpy as np
import pytest
import torch
from featomic.splines import SoapSpliner
from ketmap_core import UnknownTypesError, as_batch
from ketmap_density import (
    AlchemicalChannels,
    DiracDelta,
    Expansion,
    Gaussian,
    Gto,
    LaplacianEigenstate,
    SphericalExpansion,
    TensorProduct,
    Willatt2018,
)
from ketmap_testing import check_calculator

SCALING = {"type": "Willatt2018", "scale": 1.8, "rate": 0.7, "exponent": 3}


def gradients_of(systems):
    return ["positions", "strain", "cell"] if all(atoms.cell.rank == 3 for atoms in systems) else ["positions"]


@pytest.mark.parametrize("exponent, weight", [(2, 1.0), (3, 0.4), (7, 1.0)])
def test_scaling_against_featomic(hypers, nacl, same, exponent, weight):
    given = hypers(weight=weight)
    given["density"]["scaling"] = SCALING | {"exponent": exponent}
    systems, gradients = [nacl], gradients_of([nacl])
    ours = SphericalExpansion(**given).compute(systems, gradients=gradients)
    theirs = featomic.SphericalExpansion(**given).compute(systems, gradients=gradients)
    values, slopes = same(ours, theirs, gradients)
    assert values < 1e-8 and slopes < 1e-7


@pytest.mark.parametrize("kind", ["Monomials", "SphericalBessel"])
@pytest.mark.parametrize("scaling", [None, SCALING], ids=["plain", "scaled"])
def test_delta_against_featomic(hypers, nacl, same, scaling, kind):
    """featomic has it for splined functions: with so many points that its cubic pieces are good to 1e-9."""
    from featomic import basis, cutoff, density

    scaled = None if scaling is None else density.Willatt2018(exponent=3, rate=0.7, scale=1.8)
    theirs = SoapSpliner(
        cutoff=cutoff.Cutoff(3.5, cutoff.ShiftedCosine(width=0.5)),
        density=density.DiracDelta(center_atom_weight=0.6, scaling=scaled),
        basis=basis.TensorProduct(
            max_angular=3, radial=getattr(basis, kind)(angular_channel=1, max_radial=3, radius=3.5)
        ),
        n_spline_points=1500,
    ).get_hypers()
    ours = hypers() | {"density": {"type": "DiracDelta", "center_atom_weight": 0.6, "scaling": scaling}}
    ours["basis"]["radial"] = {"type": kind, "angular_channel": 1, "max_radial": 3}
    systems, gradients = [nacl, ase.Atoms("Na")], ["positions"]
    ours = SphericalExpansion(**ours).compute(systems, gradients=gradients)
    values, slopes = same(ours, featomic.SphericalExpansion(**theirs).compute(systems, gradients=gradients), gradients)
    assert values < 1e-8 and slopes < 1e-7


@pytest.mark.parametrize("basis", [TensorProduct(3, Gto(4, 3.5)), LaplacianEigenstate(4, 3.5)], ids=["gto", "bessel"])
def test_delta_is_the_limit_of_narrow_gaussians(basis):
    """R_nl → φ_nl as σ → 0, after ∫ g d³r = 2^(3/2) (πσ²)^(3/4) is divided out: an error of order σ²."""
    r = np.array([0.9, 1.7, 2.8])
    exact = DiracDelta().radial_integrals(r, basis)
    errors = []
    for sigma in (0.02, 0.01):
        narrow = Gaussian(sigma).radial_integrals(r, basis) / (2**1.5 * (np.pi * sigma**2) ** 0.75)
        errors.append(np.abs(narrow - exact).max())
    assert errors[0] < 0.02 * np.abs(exact).max() and errors[0] / errors[1] == pytest.approx(4, rel=0.02)


def test_scaling_and_its_derivative():
    scaling, r, h = Willatt2018(1.8, 0.7, 3), np.linspace(0, 4, 9), 1e-5
    formula = 0.7 / (0.7 + (r / 1.8) ** 3)
    np.testing.assert_allclose(scaling.compute(r), formula, rtol=1e-14)
    slope = (scaling.compute(r + h) - scaling.compute(r - h)) / (2 * h)
    np.testing.assert_allclose(scaling.compute(r, derivative=True), slope, atol=1e-9)
    for m in (1, 2, 3, 6):
        scaling, r = Willatt2018(1.8, 0.7, m), np.linspace(0.1, 4, 9)
        second = (scaling.compute(r + h, derivative=True) - scaling.compute(r - h, derivative=True)) / (2 * h)
        np.testing.assert_allclose(scaling.second_derivative(r), second, atol=1e-8)
    with pytest.raises(ValueError, match="rate must be greater than 0"):
        Willatt2018(1.8, 0.0, 3)


WIDTHS = Gaussian({11: 0.25, 17: 0.45, 6: 0.6}, center_atom_weight=0.8)


@pytest.mark.parametrize("gradients", [[], ["positions", "strain", "cell"]], ids=["values", "gradients"])
def test_widths_by_type(hypers, nacl, gradients):
    """Each block is that of a calculator with its neighbours' width for all."""
    both = SphericalExpansion(**hypers() | {"density": WIDTHS}).compute(nacl, gradients=gradients)
    for neighbor in (11, 17):
        density = Gaussian(WIDTHS.width[neighbor], center_atom_weight=0.8)
        one = SphericalExpansion(**hypers() | {"density": density}).compute(nacl, gradients=gradients)
        for key, block in one.items():
            if key["neighbor_type"] == neighbor:
                np.testing.assert_allclose(both.block(key).values, block.values, atol=1e-9)
                for name in gradients:
                    ours, theirs = both.block(key).gradient(name), block.gradient(name)
                    assert ours.samples == theirs.samples
                    np.testing.assert_allclose(ours.values, theirs.values, atol=1e-8)


def test_widths_by_type_and_channels(hypers, nacl):
    """Mixed types keep their widths, in values and in gradients."""
    species = AlchemicalChannels((11, 17), [[1.0, 0.3], [-0.5, 0.8]])
    given = hypers() | {"density": WIDTHS}
    gradients = ["positions", "strain"]
    mixed = SphericalExpansion(**given, species=species).compute(nacl, gradients=gradients)
    apart = SphericalExpansion(**given).compute(nacl)
    for key, block in apart.items():
        if key["neighbor_type"] == 11:
            other = apart.block(o3_lambda=key["o3_lambda"], center_type=key["center_type"], neighbor_type=17)
            found = mixed.block(o3_lambda=key["o3_lambda"], center_type=key["center_type"], neighbor_channel=1)
            np.testing.assert_allclose(found.values, 0.3 * block.values + 0.8 * other.values, atol=1e-12)
    check_calculator(
        SphericalExpansion(**given, species=species), systems=[nacl], laws=["positions_gradient", "strain_gradient"]
    )


def test_unknown_types(hypers):
    rho = SphericalExpansion(**hypers() | {"density": WIDTHS})
    with pytest.raises(UnknownTypesError, match="neighbours of types 8 is not known: Gaussian has 6, 11, 17"):
        rho.compute(ase.Atoms("CO", positions=[[0, 0, 0], [1.2, 0, 0]]))


def test_tables_by_type(hypers, nacl):
    expansion = Expansion(**hypers() | {"density": WIDTHS})
    batch = as_batch(nacl)
    table = expansion.radial(expansion.environments(batch))[0]
    assert table.shape == (2, *expansion.table.shape[1:]) and expansion.table.shape[0] == 3
    assert torch.equal(table, expansion.table[[1, 2]]) and table.is_contiguous()


def test_dictionaries():
    density = Gaussian({8: 0.3, 1: 0.2}, scaling=Willatt2018(1.8, 0.7, 3))
    written = density.to_dict()
    assert written == {
        "type": "Gaussian",
        "width": {1: 0.2, 8: 0.3},
        "center_atom_weight": 1.0,
        "scaling": SCALING,
    }
    assert Gaussian.from_dict({**written, "width": {"1": 0.2, "8": 0.3}}) == density
    assert hash(Gaussian({1: 0.2, 8: 0.3}, scaling=Willatt2018(1.8, 0.7, 3))) == hash(density)
