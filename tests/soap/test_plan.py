"""A plan says what compute gives: the same blocks, rows and bytes, with gradients and selections."""

import math

import ase
import ase.build
import numpy as np
import pytest
from ketmap_cg import EquivariantPowerSpectrum, EquivariantPowerSpectrumByPair, PowerSpectrum
from ketmap_core import plan
from ketmap_density import (
    AlchemicalChannels,
    Gto,
    LaplacianEigenstate,
    SphericalExpansion,
    SphericalExpansionByPair,
    TensorProduct,
)
from ketmap_lode import LodeSphericalExpansion, SmearedPowerLaw
from ketmap_soap import SoapBispectrum, SoapPowerSpectrum, SoapRadialSpectrum

from ..labels import labels
from ..structures import torch_system

SYSTEMS = [ase.build.molecule("CH3OH"), ase.Atoms("N"), ase.build.bulk("Si", "diamond", 5.4), ase.build.molecule("H2O")]
CHANNELS = AlchemicalChannels([1, 6, 7, 8, 14], np.random.default_rng(0).normal(size=(5, 2)))
FIELD = TensorProduct(max_angular=1, radial=Gto(max_radial=1, radius=2.0))
PRODUCTS = (EquivariantPowerSpectrum, EquivariantPowerSpectrumByPair, PowerSpectrum)
GRADIENTS = [None, ["positions"], ["strain", "cell", "positions"]]


NAMES = [
    *("SphericalExpansion", "SphericalExpansionByPair", "SoapRadialSpectrum", "SoapPowerSpectrum"),
    *("SphericalExpansion, channels", "SoapPowerSpectrum, channels"),
    *("SphericalExpansion, sizes", "SphericalExpansionByPair, sizes", "SoapPowerSpectrum, sizes"),
    *("EquivariantPowerSpectrum", "EquivariantPowerSpectrum, two", "EquivariantPowerSpectrumByPair"),
    *(
        "SoapBispectrum",
        "PowerSpectrum",
        "PowerSpectrum, types",
        "LodeSphericalExpansion",
        "LodeSphericalExpansion, exponents",
    ),
]


@pytest.fixture(params=NAMES)
def calculator(request, hypers):
    given = hypers(max_radial=2, max_angular=2)
    name, _, more = request.param.partition(", ")
    small = hypers(max_radial=1, max_angular=1)
    density, pairs = SphericalExpansion(**small), SphericalExpansionByPair(**small)
    fields = [LodeSphericalExpansion(density=SmearedPowerLaw(1.0, exponent=p), basis=FIELD) for p in (1, [1, 3])]
    if request.param in (
        made := {
            "EquivariantPowerSpectrum": EquivariantPowerSpectrum(density),
            "EquivariantPowerSpectrum, two": EquivariantPowerSpectrum(density, fields[0]),
            "EquivariantPowerSpectrumByPair": EquivariantPowerSpectrumByPair(density, pairs),
            "PowerSpectrum": PowerSpectrum(density, fields[0]),
            "PowerSpectrum, types": PowerSpectrum(density, neighbor_types=[1, 6, 7, 8, 14]),
            "LodeSphericalExpansion": fields[0],
            "LodeSphericalExpansion, exponents": fields[1],
        }
    ):
        return made[request.param]
    kinds = (SphericalExpansion, SphericalExpansionByPair, SoapRadialSpectrum, SoapPowerSpectrum)
    if name == "SoapBispectrum":
        return SoapBispectrum(**small)
    if name == "SoapRadialSpectrum":
        given["basis"] = {"radial": given["basis"]["radial"]}
    if more == "channels":
        given["species"] = CHANNELS
    if more == "sizes":
        given["basis"] = LaplacianEigenstate(max_radial=2)
    return next(kind for kind in kinds if kind.__name__ == name)(**given)


def same(plan, tensor):
    names, total = tensor.keys.names, 0
    shapes = {tuple(block.key[name] for name in names): block for block in plan.blocks}
    assert len(shapes) == len(plan.blocks) == len(tensor)
    for key, block in tensor.items():
        shape = shapes[tuple(map(int, key.values))]
        assert shape.values == block.values.shape
        assert shape.gradients == {name: gradient.values.shape for name, gradient in block.gradients()}
        size = block.values.nbytes + sum(gradient.values.nbytes for _, gradient in block.gradients())
        assert shape.nbytes == size
        total += size
    assert plan.nbytes == total
    assert plan.samples == sum(len(block.samples) for block in tensor.blocks())
    assert plan.features == sum(math.prod(block.values.shape[1:]) for block in tensor.blocks())


@pytest.mark.parametrize("gradients", GRADIENTS)
def test_exact(calculator, gradients):
    same(plan(calculator, SYSTEMS, gradients=gradients, trial=0), calculator.compute(SYSTEMS, gradients=gradients))


@pytest.mark.parametrize(
    "selection",
    [
        {"selected_samples": labels(["system"], [0], [2])},
        {"selected_properties": labels(["n"], [1])},
        {"selected_keys": labels(["center_type"], [1], [92])},
    ],
)
def test_exact_for_selections(calculator, selection):
    if "n" in getattr(selection.get("selected_properties"), "names", ()) and isinstance(calculator, SoapPowerSpectrum):
        selection = {"selected_properties": labels(["l", "n_2"], [1, 0], [0, 1])}
    elif "selected_properties" in selection and isinstance(calculator, (*PRODUCTS, SoapBispectrum)):
        selection = {"selected_properties": labels(["n_1"], [1])}
    by_pair = (SphericalExpansionByPair, EquivariantPowerSpectrumByPair)
    if "selected_keys" in selection and isinstance(calculator, by_pair):
        selection = {"selected_keys": labels(["second_atom_type"], [6], [92])}
    found = plan(calculator, SYSTEMS, gradients=["positions", "strain"], trial=0, **selection)
    same(found, calculator.compute(SYSTEMS, gradients=["positions", "strain"], **selection))


def test_tensor_maps(calculator):
    whole = calculator.compute(SYSTEMS)
    if isinstance(calculator, PRODUCTS):
        with pytest.raises(ValueError, match="selected samples must be Labels, got TensorMap"):
            plan(calculator, SYSTEMS, selected_samples=whole)
        return
    selection = {"selected_samples": whole, "selected_properties": whole, "selected_keys": whole.keys}
    found = plan(calculator, SYSTEMS, gradients=["positions"], trial=0, **selection)
    same(found, calculator.compute(SYSTEMS, gradients=["positions"], **selection))


def test_many_systems_are_counted_in_parts(hypers, monkeypatch):
    calculator = SphericalExpansion(**hypers())
    monkeypatch.setattr("ketmap_core.planning.CHUNK", 7)
    same(
        plan(calculator, SYSTEMS * 3, gradients=["positions"]), calculator.compute(SYSTEMS * 3, gradients=["positions"])
    )


@pytest.mark.parametrize("types", [None, [1, 6, 7, 8, 14]])
@pytest.mark.parametrize("in_properties", [True, False])
def test_parts_with_other_types(hypers, monkeypatch, types, in_properties):
    """Where the types that occur are properties, those of all systems together are counted."""
    calculator = EquivariantPowerSpectrum(
        SphericalExpansion(**hypers(max_radial=1, max_angular=1)), neighbor_types=types
    )
    monkeypatch.setattr("ketmap_core.planning.CHUNK", 7)
    options = {"neighbors_to_properties": in_properties}
    same(plan(calculator, SYSTEMS, trial=0, **options), calculator.compute(SYSTEMS, **options))


def test_time_is_measured_on_some_of_the_systems(hypers):
    found = plan(SoapPowerSpectrum(**hypers()), SYSTEMS * 20, gradients=["positions"], trial=1_000_000)
    assert 0 < found.measured_on < 80
    assert 0 < found.seconds < 60
    text = str(found)
    assert text.startswith(f"SoapPowerSpectrum: 80 systems, {20 * 12} atoms")
    assert f"measured on {found.measured_on} of the systems" in text
    assert "positions gradient" in text


def test_nothing(calculator):
    for nothing in ([], ase.Atoms()):
        found = plan(calculator, nothing, gradients=["positions"])
        assert (len(found.blocks), found.nbytes, found.seconds) == (0, 0, None)
        assert "0 blocks" in str(found)


def test_float32(hypers):
    import torch

    calculator = SphericalExpansion(**hypers())
    single = plan(calculator, [torch_system(SYSTEMS[0], dtype=torch.float32)], trial=0)
    assert 2 * single.nbytes == plan(calculator, SYSTEMS[:1], trial=0).nbytes


def test_calculators_that_do_not_say():
    with pytest.raises(TypeError, match="int cannot be planned: it has no method `shapes`"):
        plan(1, SYSTEMS)
