"""Power spectra of one density and of two, equivariant and invariant, by atom and by pair."""

import math

import ase.build
import featomic
import numpy as np
import pytest
import torch
from featomic import clebsch_gordan as theirs
from ketmap_cg import EquivariantPowerSpectrum, EquivariantPowerSpectrumByPair, PowerSpectrum
from ketmap_core import check, info
from ketmap_soap import SoapPowerSpectrum
from metatensor import Labels
from metatomic.torch import systems_to_torch

from .conftest import assert_same, expansion, hypers


def peer(**given):
    return featomic.SphericalExpansion(**hypers(**given))


class ByPair:
    """featomic's pairs with the arguments that our calculators take."""

    def __init__(self, **given):
        self.calculator, self.given = featomic.SphericalExpansionByPair(**hypers(**given)), given

    def compute(self, systems, **options):
        return self.calculator.compute(systems, **options)

    def to_dict(self):
        return self.given


@pytest.mark.parametrize("in_properties", [False, True])
@pytest.mark.parametrize("types", [None, [1, 6, 8]])
def test_featomic_one_density(molecules, in_properties, types):
    options = {"neighbors_to_properties": in_properties}
    ours = EquivariantPowerSpectrum(expansion(), neighbor_types=types).compute(molecules, **options)
    assert_same(ours, theirs.EquivariantPowerSpectrum(peer(), neighbor_types=types).compute(molecules, **options), 1e-8)
    assert check(ours), check(ours)
    assert info(ours)["calculator"] == "EquivariantPowerSpectrum"
    assert info(ours)["hypers"]["calculator_1"]["type"] == "SphericalExpansion"


def test_two_densities_keep_all_l(molecules):
    """featomic keeps only l_1 ≤ l_2; for two densities the others are other numbers."""
    wide, narrow = {"max_angular": 2}, {"radius": 2.0, "max_angular": 1, "max_radial": 2}
    ours = EquivariantPowerSpectrum(expansion(**wide), expansion(**narrow)).compute(molecules)
    expected = theirs.EquivariantPowerSpectrum(peer(**wide), peer(**narrow)).compute(molecules)
    lost = 0
    for key, block in expected.items():
        mine = ours.block(key)
        columns = [mine.properties.position(entry) for entry in block.properties]
        rows = [mine.samples.position(entry) for entry in block.samples]
        np.testing.assert_allclose(mine.values[rows][..., columns], block.values, atol=1e-9)
        lost += len(mine.properties) - len(block.properties)
    assert lost > 0
    # (2, 1) → λ = 1 is no function of what featomic keeps: it differs from (1, 2) → 1 of the same densities
    block = ours.block({"o3_lambda": 1, "o3_sigma": 1, "center_type": 8, "neighbor_1_type": 1, "neighbor_2_type": 1})
    l_1, l_2 = block.properties.column("l_1"), block.properties.column("l_2")
    assert np.abs(block.values[..., (l_1 == 2) & (l_2 == 1)]).max() > 1e-3


def test_invariants_are_the_power_spectrum(molecules):
    soap = SoapPowerSpectrum(**expansion().to_dict()).compute(molecules)
    zero = EquivariantPowerSpectrum(expansion()).compute(
        molecules, selected_keys=Labels(["o3_lambda"], np.array([[0]]))
    )
    for key, block in soap.items():
        a, b = key["neighbor_1_type"], key["neighbor_2_type"]
        scale = 1.0 if a == b else math.sqrt(2)
        for first, second in {(a, b), (b, a)}:
            mine = zero.block({"center_type": key["center_type"], "neighbor_1_type": first, "neighbor_2_type": second})
            rows = [mine.samples.position(sample) for sample in block.samples]
            n = block.values.reshape(len(rows), 3, 2, 2)  # -> [sample, l, n1, n2]
            n = n if (first, second) == (a, b) else n.transpose(0, 1, 3, 2)
            np.testing.assert_allclose(scale * mine.values[rows, 0], n.reshape(len(rows), -1), atol=1e-13)


@pytest.mark.parametrize("name", ["positions", "strain", "cell"])
def test_gradients_of_invariants(name):
    """λ = 0 has the explicit gradients of the power spectrum."""
    atoms = ase.build.bulk("NaCl", "rocksalt", 5.0)
    atoms.rattle(0.2, seed=3)
    soap = SoapPowerSpectrum(**expansion().to_dict()).compute(atoms, gradients=[name])
    selected = Labels(["o3_lambda", "o3_sigma"], np.array([[0, 1]]))
    mine = EquivariantPowerSpectrum(expansion()).compute(atoms, gradients=[name], selected_keys=selected)
    for key, block in soap.items():
        other = {name: key[name] for name in key.names}
        scale = 1.0 if key["neighbor_1_type"] == key["neighbor_2_type"] else math.sqrt(2)
        found, expected = mine.block(other).gradient(name), block.gradient(name)
        assert found.samples == expected.samples
        np.testing.assert_allclose(scale * found.values[..., 0, :], expected.values, atol=1e-12)


def test_selections(molecules):
    calculator = EquivariantPowerSpectrum(expansion())
    every = calculator.compute(molecules)
    keys = Labels(["o3_lambda", "neighbor_1_type"], np.array([[2, 1]]))
    properties = Labels(["l_1", "n_2"], np.array([[1, 0], [2, 1]]))
    samples = Labels(["system"], np.array([[2]]))
    some = calculator.compute(molecules, selected_keys=keys, selected_properties=properties, selected_samples=samples)
    assert len(some.keys) == len([key for key in every.keys.select(keys)])
    for key, block in some.items():
        full = every.block(key)
        columns = [full.properties.position(entry) for entry in block.properties]
        rows = [full.samples.position(entry) for entry in block.samples]
        assert set(zip(block.properties.column("l_1"), block.properties.column("n_2"))) <= {(1, 0), (2, 1)}
        np.testing.assert_allclose(block.values, full.values[rows][..., columns], atol=1e-14)
    by_l = calculator.compute(molecules, selected_keys=Labels(["l_1", "l_2"], np.array([[1, 1]])))
    assert all(set(block.properties.column("l_1")) == {1} for block in by_l.blocks())
    order = Labels(every.keys.names, every.keys.values[::-5].copy())
    exact = calculator.compute(molecules, selected_keys=order)
    assert exact.keys == order


def test_torch_is_numpy(molecules):
    calculator = EquivariantPowerSpectrum(expansion())
    ours = calculator.compute(systems_to_torch(molecules, dtype=torch.float64), neighbors_to_properties=True)
    for key, block in calculator.compute(molecules, neighbors_to_properties=True).items():
        mine = ours.block({name: int(key[name]) for name in key.names})
        np.testing.assert_allclose(mine.values.numpy(), block.values, atol=1e-14)
        assert mine.properties.values.tolist() == block.properties.values.tolist()


def test_invariants_of_two_densities(molecules):
    """featomic's, which wants the same l_max and the same samples of both."""
    atoms = [molecules[0], molecules[2]]
    wide, narrow = {}, {"radius": 3.0, "max_radial": 2}
    ours = PowerSpectrum(expansion(**wide), expansion(**narrow)).compute(atoms, gradients=["positions"])
    expected = theirs.PowerSpectrum(peer(**wide), peer(**narrow)).compute(atoms, gradients=["positions"])
    assert ours.keys.names == expected.keys.names
    for key, block in expected.items():
        mine = ours.block(key)
        columns = [mine.properties.position(entry) for entry in block.properties]
        assert sorted(columns) == list(range(len(mine.properties)))
        assert mine.samples == block.samples and mine.components == block.components
        np.testing.assert_allclose(mine.values[:, columns], block.values, atol=1e-9)
        gradient, reference = mine.gradient("positions"), block.gradient("positions")
        rows = [gradient.samples.position(entry) for entry in reference.samples]
        np.testing.assert_allclose(gradient.values[rows][..., columns], reference.values, atol=1e-8)


def test_invariants_are_those_of_the_equivariant_spectrum(molecules):
    two = expansion(), expansion(radius=2.0, max_angular=1)
    selected = Labels(["o3_lambda"], np.array([[0]]))
    zero = EquivariantPowerSpectrum(*two).compute(molecules, selected_keys=selected, neighbors_to_properties=True)
    for key, block in PowerSpectrum(*two).compute(molecules).items():
        expected = zero.block({"center_type": key["center_type"]}).values[:, 0]
        np.testing.assert_allclose(block.values, expected, atol=1e-15)
        assert set(block.properties.column("l")) == {0, 1}
    chosen = PowerSpectrum(*two).compute(molecules, selected_properties=Labels(["l", "n_1"], np.array([[1, 0]])))
    assert set(map(tuple, chosen.block(0).properties.values[:, [0, 2]].tolist())) == {(1, 0)}


@pytest.mark.parametrize("in_properties", [False, True])
def test_by_pair(molecules, in_properties):
    """featomic's numbers, and those with l_1 > l_2 that it leaves out."""
    atoms = [molecules[0], molecules[2]]
    first, second = {"max_angular": 2}, {"radius": 3.0, "max_angular": 1}
    ours = EquivariantPowerSpectrumByPair(expansion(**first), ByPair(**second))
    ours = ours.compute(atoms, neighbors_to_properties=in_properties)
    expected = theirs.EquivariantPowerSpectrumByPair(
        peer(**first), featomic.SphericalExpansionByPair(**hypers(**second))
    )
    expected = expected.compute(atoms, neighbors_to_properties=in_properties)
    assert ours.keys.names == expected.keys.names and len(ours.keys) > len(expected.keys)
    more = 0
    for key, block in expected.items():
        mine = ours.block(key)
        columns = [mine.properties.position(entry) for entry in block.properties]
        rows = [mine.samples.position(entry) for entry in block.samples]
        others = np.setdiff1d(np.arange(len(mine.samples)), rows)  # the atom itself, which has only l_2 = 0
        np.testing.assert_allclose(mine.values[rows][..., columns], block.values, atol=1e-9)
        assert (mine.values[others][..., columns] == 0).all()
        more += len(mine.properties) - len(block.properties)
    assert more > 0
    chosen = EquivariantPowerSpectrumByPair(expansion(**first), ByPair(**second)).compute(
        atoms, selected_samples=Labels(["system", "atom"], np.array([[1, 2]]))
    )
    for block in chosen.blocks():
        assert set(map(tuple, block.samples.values[:, :2].tolist())) <= {(1, 2)}


def test_empty():
    calculator = EquivariantPowerSpectrum(expansion())
    for nothing in ([], ase.Atoms()):
        tensor = calculator.compute(nothing)
        assert len(tensor.keys) == 0
        assert tensor.keys.names == ["o3_lambda", "o3_sigma", "center_type", "neighbor_1_type", "neighbor_2_type"]
    assert len(PowerSpectrum(expansion()).compute([]).keys) == 0


def test_errors(molecules):
    with pytest.raises(ValueError, match="multiplies calculators of densities, got 3"):
        EquivariantPowerSpectrum(3)
    calculator = EquivariantPowerSpectrum(expansion())
    with pytest.raises(ValueError, match="did you mean 'positions'"):
        calculator.compute(molecules, gradients=["position"])
    with pytest.raises(ValueError, match="did you mean 'o3_lambda'"):
        calculator.compute(molecules, selected_keys=Labels(["o3_lamda"], np.array([[0]])))
    with pytest.raises(ValueError, match="did you mean 'l_1'"):
        calculator.compute(molecules, selected_properties=Labels(["l1"], np.array([[0]])))
    with pytest.raises(ValueError, match=r"NaN|finite"):
        broken = molecules[0].copy()
        broken.positions[0, 0] = np.nan
        calculator.compute(broken)
