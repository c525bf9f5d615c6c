"""SoapRadialSpectrum against featomic, and against the expansion that it is a part of."""

import ase
import ase.build
import featomic
import numpy as np
import pytest
import torch
from ketmap_core import info
from ketmap_density import Gto, LaplacianEigenstate, SphericalExpansion, TensorProduct
from ketmap_soap import SoapRadialSpectrum
from metatensor import Labels, TensorBlock, TensorMap

from ..labels import labels
from ..structures import torch_system

GRADIENTS = ["positions", "strain", "cell"]
KEYS = ["center_type", "neighbor_type"]


@pytest.fixture
def given(hypers):
    def make(max_radial=5, **more):
        basis = {"radial": {"type": "Gto", "max_radial": max_radial}, "spline_accuracy": None}
        return hypers(**more) | {"basis": basis}

    return make


def compare(ours, theirs, gradients):
    """Values to 1e-8 and gradients to 1e-7 of each block's maximum; labels in the same order."""
    assert ours.keys == theirs.keys

    def near(a, b, limit):
        assert a.shape == b.shape
        scale = np.abs(b).max(initial=0.0)
        assert np.abs(a - b).max(initial=0.0) <= limit * (scale if scale > 1e-12 else 1.0)

    for a, b in zip(ours.blocks(), theirs.blocks()):
        assert a.samples == b.samples and a.properties == b.properties and not a.components
        near(a.values, b.values, 1e-8)
        for name in gradients:
            x, y = a.gradient(name), b.gradient(name)
            assert x.samples == y.samples and x.properties == y.properties
            near(x.values, y.values, 1e-7)


@pytest.mark.parametrize("width", [0.0, 0.5], ids=["Step", "ShiftedCosine"])
@pytest.mark.parametrize("weight", [0.0, 0.5])
def test_featomic(systems, given, width, weight):
    gradients = GRADIENTS if all(atoms.pbc.all() for atoms in systems) else GRADIENTS[:2]
    hypers = given(width=width, weight=weight)
    ours = SoapRadialSpectrum(**hypers).compute(systems, gradients=gradients)
    compare(ours, featomic.SoapRadialSpectrum(**hypers).compute(systems, gradients=gradients), gradients)


@pytest.mark.parametrize("chosen", range(8))
def test_selections(given, mixed, chosen):
    selection = [
        {"selected_keys": labels(["neighbor_type"], [1])},
        {"selected_keys": labels(KEYS, [8, 1], [1, 6], [17, 92], [92, 1])},
        {"selected_keys": labels(["center_type"], [50])},
        {"selected_samples": labels(["system"], [1])},
        {"selected_samples": labels(["system", "atom"], [2, 0], [0, 1], [7, 7])},
        {"selected_properties": labels(["n"], [4], [0])},
        {"selected_properties": labels(["n"], [17])},
        {"selected_keys": labels(["center_type"], [6]), "selected_properties": labels(["n"], [1])},
    ][chosen]
    ours = SoapRadialSpectrum(**given()).compute(mixed, gradients=GRADIENTS[:2], **selection)
    theirs = featomic.SoapRadialSpectrum(**given()).compute(mixed, gradients=GRADIENTS[:2], **selection)
    compare(ours, theirs, GRADIENTS[:2])


def test_selection_by_tensor_map(given, mixed):
    names = (["system", "atom"], ["n"])
    wanted = {(6, 1): ([[1, 0], [2, 0]], [[3], [1]]), (1, 8): ([[1, 5], [1, 2]], [[0]])}
    blocks = [
        TensorBlock(np.zeros((len(s), len(p))), Labels(names[0], np.array(s)), [], Labels(names[1], np.array(p)))
        for s, p in wanted.values()
    ]
    chosen = TensorMap(Labels(KEYS, np.array(list(wanted))), blocks)
    selection = {"selected_keys": chosen.keys, "selected_samples": chosen, "selected_properties": chosen}
    ours = SoapRadialSpectrum(**given()).compute(mixed, gradients=GRADIENTS[:2], **selection)
    compare(
        ours, featomic.SoapRadialSpectrum(**given()).compute(mixed, gradients=GRADIENTS[:2], **selection), ["strain"]
    )


def test_the_part_of_the_expansion_without_angles(given, mixed):
    hypers = given()
    radial = SoapRadialSpectrum(**hypers).compute(mixed, gradients=["positions"])
    basis = TensorProduct(max_angular=2, radial=Gto(max_radial=5))
    expansion = SphericalExpansion(**hypers | {"basis": basis}).compute(mixed, gradients=["positions"])
    for key, block in radial.items():
        whole = expansion.block({"o3_lambda": 0, "center_type": key[0], "neighbor_type": key[1]})
        assert np.allclose(block.values, whole.values[:, 0], atol=1e-12)
        assert np.allclose(block.gradient("positions").values, whole.gradient("positions").values[:, :, 0], atol=1e-12)


def test_torch_systems(given):
    calculator = SoapRadialSpectrum(**given())
    atoms = ase.build.molecule("CH3OH")
    system = torch_system(atoms, grad=True)
    tensor, numpy = calculator.compute(system), calculator.compute(atoms, gradients=["positions"])
    total, slopes = 0.0, torch.zeros(len(atoms), 3, dtype=torch.float64)
    for block, theirs in zip(tensor.blocks(), numpy.blocks()):
        assert np.allclose(block.values.detach(), theirs.values, atol=1e-14)
        total = total + block.values.sum()
        gradient = theirs.gradient("positions")
        rows = torch.from_numpy(np.array(gradient.samples["atom"])).long()
        slopes.index_add_(0, rows, torch.from_numpy(gradient.values.sum(axis=-1)))
    (found,) = torch.autograd.grad(total, system.positions)
    assert torch.allclose(found, slopes, atol=1e-11)


def test_hyper_parameters(given):
    calculator = SoapRadialSpectrum(**given())
    hypers = info(calculator.compute(ase.Atoms("N")))["hypers"]
    assert hypers["basis"] == {"radial": {"type": "Gto", "max_radial": 5, "radius": None}, "spline_accuracy": None}
    assert SoapRadialSpectrum.from_dict(hypers).to_dict() == calculator.to_dict()
    for basis in (Gto(5), TensorProduct(max_angular=0, radial=Gto(5)), given()["basis"] | {"type": "TensorProduct"}):
        assert SoapRadialSpectrum(**given() | {"basis": basis}).to_dict() == calculator.to_dict()


@pytest.mark.parametrize(
    "basis, message",
    [
        (LaplacianEigenstate(3), "has l = 0 only; the basis has l = 0, 1, 2"),
        (TensorProduct(max_angular=1, radial=Gto(2)), "has l = 0 only; the basis has l = 0, 1: give its radial"),
        ({"radial": Gto(2), "spline_acuracy": 1e-6}, "did you mean 'spline_accuracy'"),
        (None, "SoapRadialSpectrum needs cutoff, density, basis; missing: basis"),
    ],
)
def test_bad_bases(given, basis, message):
    with pytest.raises(ValueError, match=message):
        SoapRadialSpectrum(**given() | {"basis": basis})


def test_empty(given):
    calculator = SoapRadialSpectrum(**given())
    assert calculator.compute([]).keys.names == KEYS
    tensor = calculator.compute([ase.Atoms(), ase.Atoms("He")], gradients=["positions"])
    assert tensor.block(0).samples.values.tolist() == [[1, 0]]
