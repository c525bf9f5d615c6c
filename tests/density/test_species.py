"""Alchemical channels: the plain expansion mixed by hand, gradients, selections, and where elements stand."""

import ase.data
import metatensor
import numpy as np
import pytest
import torch
from ketmap_core import UnknownTypesError, check, info
from ketmap_density import AlchemicalChannels, Species, SphericalExpansion
from ketmap_density.base import DensityCalculator
from ketmap_density.periodic_table import Elements
from ketmap_testing import default_systems
from metatensor import Labels

from ..labels import labels
from ..structures import torch_system
from .test_torch import contraction

GRADIENTS = ["positions", "strain", "cell"]
U = np.array([[0.3, -1.1], [0.8, 0.4], [-0.2, 0.9]])
TYPES = (1, 6, 8)


@pytest.fixture
def mixed(hypers):
    return SphericalExpansion(**hypers(), species=AlchemicalChannels(TYPES, U))


def densely(tensor, key, gradient=None):
    """Values by (system, atom), and for gradients by (system, atom, moved atom); zeros where there is no row."""
    found = {}
    if key not in tensor.keys:
        return found
    block = tensor.block(key)
    rows = block.samples.values
    if gradient is None:
        return dict(zip(map(tuple, rows.tolist()), block.values))
    derivative = block.gradient(gradient)
    for (sample, *moved), values in zip(derivative.samples.values.tolist(), derivative.values):
        found[(*rows[sample].tolist(), *moved)] = values
    return found


def test_is_the_plain_expansion_mixed_by_hand(hypers, mixed):
    """Values and every gradient: c[channel] = Σ_type u[type, channel] c[type]."""
    systems = default_systems()
    ours, plain = (
        mixed.compute(systems, gradients=GRADIENTS),
        SphericalExpansion(**hypers()).compute(systems, gradients=GRADIENTS),
    )
    assert ours.keys.names == ["o3_lambda", "o3_sigma", "center_type", "neighbor_channel"]
    assert len(ours.keys) == 4 * 3 * 2
    for key, block in ours.items():
        l, sigma, center, channel = map(int, key.values)
        types = np.concatenate([atoms.numbers for atoms in systems])
        assert len(block.samples) == np.sum(types == center)  # all centres
        for gradient in (None, *GRADIENTS):
            got, expected = densely(ours, key, gradient), {}
            for t, weights in zip(TYPES, U):
                where = Labels(list(plain.keys.names), np.array([[l, sigma, center, t]]))[0]
                for place, values in densely(plain, where, gradient).items():
                    expected[place] = expected.get(place, 0.0) + weights[channel] * values
            assert set(expected) <= set(got)
            for place, values in got.items():
                np.testing.assert_allclose(values, expected.get(place, 0.0), rtol=0, atol=1e-11)


def test_unit_mixing_of_one_type_is_the_plain_expansion(hypers, nacl):
    species = AlchemicalChannels((11, 17), np.eye(2))
    ours = SphericalExpansion(**hypers(), species=species).compute(nacl)
    plain = SphericalExpansion(**hypers()).compute(nacl)
    for key, block in plain.items():
        l, _sigma, center, neighbor = map(int, key.values)
        other = ours.block(dict(o3_lambda=l, center_type=center, neighbor_channel=(11, 17).index(neighbor)))
        np.testing.assert_allclose(other.values, block.values, atol=1e-13)


def test_all_channels_of_an_atom_alone(mixed):
    tensor = mixed.compute(ase.Atoms("O"), gradients=["positions"])
    assert check(tensor) and len(tensor.keys) == 8
    own = [tensor.block(dict(o3_lambda=0, neighbor_channel=q)).values[0, 0] for q in (0, 1)]
    np.testing.assert_allclose(own[0] / U[2, 0], own[1] / U[2, 1], rtol=1e-12)
    for block in tensor.blocks():
        assert np.all(block.gradient("positions").values == 0)
    assert len(mixed.compute([]).keys) == 0


def test_what_made_it_says_the_mixing(hypers, mixed, tmp_path):
    tensor = mixed.compute(default_systems()[0])
    species = info(tensor)["hypers"]["species"]
    assert species == {"type": "AlchemicalChannels", "types": [1, 6, 8], "mixing": U.tolist()}
    again = SphericalExpansion.from_dict(info(tensor)["hypers"])
    assert again.species == mixed.species and hash(again.species) == hash(mixed.species)
    assert metatensor.equal(again.compute(default_systems()[0]), tensor)
    assert "species" not in SphericalExpansion(**hypers()).to_dict()
    assert again.species != AlchemicalChannels(TYPES, 2 * U) and again.species != "mixed"


KEYS = ["o3_lambda", "o3_sigma", "center_type", "neighbor_channel"]


@pytest.mark.parametrize(
    "selection",
    [
        {"selected_keys": labels(["neighbor_channel"], [1])},
        {"selected_keys": labels(["center_type", "o3_lambda"], [8, 2], [6, 0])},
        {"selected_keys": labels(KEYS, [2, 1, 8, 1], [0, 1, 6, 0])},
        {"selected_samples": labels(["atom"], [1], [0])},
        {"selected_samples": labels(["system", "atom"], [2, 0], [0, 2])},
        {"selected_properties": labels(["n"], [2], [0])},
        {
            "selected_keys": labels(["center_type", "neighbor_channel"], [1, 1]),
            "selected_samples": labels(["system"], [2]),
            "selected_properties": labels(["n"], [1]),
        },
    ],
)
def test_selections_give_parts_of_the_whole(mixed, selection):
    systems = default_systems()
    whole, part = (mixed.compute(systems, gradients=GRADIENTS, **given) for given in ({}, selection))
    assert len(part.keys) > 0
    for key, block in part.items():
        full = whole.block(key)
        columns = [full.properties.position(entry) for entry in block.properties]
        for gradient in (None, *GRADIENTS):
            got, expected = densely(part, key, gradient), densely(whole, key, gradient)
            for place, values in got.items():
                np.testing.assert_allclose(values, expected[place][..., columns], rtol=0, atol=1e-12)
        if gradient == "positions":
            wanted = {place for place in expected if place[:2] in {tuple(s) for s in block.samples.values.tolist()}}
            assert set(got) == wanted


def test_selected_channels_save_work(mixed, monkeypatch):
    made = []
    expand = mixed.expansion.coefficients
    monkeypatch.setattr(mixed.expansion, "coefficients", lambda *a: made.append(expand(*a)) or made[-1])
    mixed.compute(default_systems()[0], selected_keys=labels(["neighbor_channel"], [1]))
    assert made[0].shape[1] == 1


def test_samples_and_properties_from_a_tensor(mixed):
    systems = default_systems()
    some = mixed.compute(systems, selected_samples=labels(["atom"], [1]), selected_properties=labels(["n"], [2]))
    again = mixed.compute(systems, selected_samples=some, selected_properties=some, selected_keys=some.keys)
    assert metatensor.allclose(again, some, atol=1e-13)


def test_types_that_do_not_occur_give_empty_blocks(mixed):
    keys = labels(KEYS, [1, 1, 14, 0])
    tensor = mixed.compute(default_systems()[0], selected_keys=keys, gradients=GRADIENTS)
    assert tensor.keys == keys and tensor.block(0).shape == (0, 3, 5)


def test_gradients_of_the_mixing(hypers):
    """Through a torch TensorMap, twice: u is learned like any parameter."""
    structures = [torch_system(atoms, grad=False) for atoms in default_systems()[:2]]
    u = torch.tensor(U, requires_grad=True)

    def scalar(mixing):
        rho = SphericalExpansion(**hypers(max_radial=1), species=AlchemicalChannels(TYPES, mixing))
        return contraction(rho.compute(structures))

    assert torch.autograd.gradcheck(scalar, u)
    assert torch.autograd.gradgradcheck(scalar, u)


def test_mixing_and_positions_together(hypers):
    """Forces of what is learned: ∂²/∂r∂u."""
    structure = torch_system(default_systems()[1], grad=True)
    u = torch.tensor(U, requires_grad=True)
    rho = SphericalExpansion(**hypers(max_radial=1), species=AlchemicalChannels(TYPES, u))
    (forces,) = torch.autograd.grad(contraction(rho.compute(structure)), structure.positions, create_graph=True)
    (both,) = torch.autograd.grad((forces**2).sum(), u)
    step, direction = 1e-5, np.array([[0.2, -0.4], [0.5, 0.1], [-0.3, 0.6]])
    ends = []
    for sign in (1, -1):
        species = AlchemicalChannels(TYPES, U + sign * step * direction)
        shifted = SphericalExpansion(**hypers(max_radial=1), species=species)
        (f,) = torch.autograd.grad(contraction(shifted.compute(structure)), structure.positions)
        ends.append(float((f**2).sum()))
    assert (ends[0] - ends[1]) / (2 * step) == pytest.approx(float(np.sum(both.numpy() * direction)), rel=1e-6)


def test_errors(hypers):
    rho = SphericalExpansion(**hypers(), species={"type": "AlchemicalChannels", "types": [1, 6], "mixing": [[1], [2]]})
    with pytest.raises(UnknownTypesError, match="types 8, which AlchemicalChannels does not mix; it knows 1, 6"):
        rho.compute(ase.Atoms("OH", positions=[[0, 0, 0], [0, 0, 1]]))
    with pytest.raises(ValueError, match="there are 1: 0 … 0"):
        rho.compute(ase.Atoms("H"), selected_keys=labels(["neighbor_channel"], [1]))
    with pytest.raises(ValueError, match="did you mean 'neighbor_channel'"):
        rho.compute(ase.Atoms("H"), selected_keys=labels(["neighbor_chanel"], [0]))
    with pytest.raises(ValueError, match="did you mean 'species'"):
        SphericalExpansion(**hypers(), specis=rho.species)
    with pytest.raises(ValueError, match="keeps neighbour types apart"):
        DensityCalculator(**hypers(), species=rho.species)
    with pytest.raises(ValueError, match=r"must be atomic numbers, each once; got \(1, 1\)"):
        AlchemicalChannels((1, 1), np.eye(2))
    with pytest.raises(ValueError, match=r"a row for each of the 2 types .* got shape \[3, 2\]"):
        AlchemicalChannels((1, 6), U)
    with pytest.raises(ValueError, match="mixing must be finite"):
        AlchemicalChannels((1,), [[np.nan]])
    with pytest.raises(ValueError, match="did you mean 'AlchemicalChannels'"):
        Species.from_dict({"type": "AlchemicalChanels", "types": [1], "mixing": [[1.0]]})


def test_places_in_the_periodic_table():
    """Periods and groups as ASE's table of ground-state configurations and textbooks have them."""
    symbols = "H He Li C Ne Na Cl Ca Sc Fe Zn Ga Kr Y Pd I Xe Ba La Ce Lu Hf Au Tl Rn U".split()
    found = Elements.of([ase.data.atomic_numbers[s] for s in symbols])
    period = [1, 1, 2, 2, 2, 3, 3, 4, 4, 4, 4, 4, 4, 5, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 6, 7]
    group = [1, 18, 1, 14, 18, 1, 17, 2, 3, 8, 12, 13, 18, 3, 10, 17, 18, 2, 3, 3, 3, 4, 11, 13, 18, 3]
    assert found.period.tolist() == period and found.group.tolist() == group
    chi = dict(zip(symbols, found.electronegativity))
    assert (chi["H"], chi["C"], chi["Cl"], chi["Fe"], chi["Au"], chi["U"]) == (2.20, 2.55, 3.16, 1.83, 2.54, 1.38)
    assert chi["He"] == chi["H"] and chi["Ne"] == 3.98 and chi["Rn"] == 2.20
    with pytest.raises(ValueError, match=r"types \[96\] have no place in the table"):
        Elements.of((1, 96))


def test_channels_of_the_periodic_table():
    """All eigenvectors reproduce the kernel; fewer of them lose the smallest eigenvalues, and no less can be lost."""
    types = (3, 9, 11, 17, 19, 26, 35)
    full = AlchemicalChannels.from_periodic_table(types, len(types)).mixing
    kernel = full @ full.T
    chi, period, group = (getattr(Elements.of(types), name) for name in ("electronegativity", "period", "group"))
    i, j = 1, 5  # fluorine and iron
    exponent = ((period[i] - period[j]) / 2) ** 2 + ((group[i] - group[j]) / 4) ** 2 + (chi[i] - chi[j]) ** 2
    assert float(kernel[i, j]) == pytest.approx(np.exp(-exponent / 2), rel=1e-12)
    torch.testing.assert_close(kernel.diagonal(), torch.ones(7).double(), rtol=0, atol=1e-13)
    values = torch.linalg.eigvalsh(kernel)
    for n in (1, 3, 6):
        some = AlchemicalChannels.from_periodic_table(types, n).mixing
        lost = torch.linalg.matrix_norm(kernel - some @ some.T)
        assert float(lost) == pytest.approx(float(values[: 7 - n].norm()), rel=1e-9)
    with pytest.raises(ValueError, match="n_channels=8, but there are 7 types"):
        AlchemicalChannels.from_periodic_table(types, 8)
    with pytest.raises(ValueError, match="width of the group must be positive"):
        AlchemicalChannels.from_periodic_table(types, 2, group=0.0)
