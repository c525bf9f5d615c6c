"""Symmetry functions against dscribe, against the sums that they stand for, and their derivatives."""

import itertools

import ase
import ase.build
import ase.io
import metatensor.torch
import numpy as np
import pytest
import torch
from dscribe.descriptors import ACSF
from ketmap_core import CoincidentAtomsWarning, check, info
from ketmap_density import Cutoff, ShiftedCosine, Step
from ketmap_descriptors import G1, G2, G3, G4, G5, AngularSymmetryFunctions, RadialSymmetryFunctions
from metatomic.torch import System

RADIUS = 3.5
BEHLER = Cutoff(RADIUS, smoothing=ShiftedCosine(RADIUS))
G2S = [(1.0, 0.0), (0.7, 2.0), (12.0, 1.1)]
G3S = [1.3, 0.2]
G4S = [(0.05, 1, 1), (0.05, 1, -1), (0.1, 4, 1), (0.02, 2.5, -1)]
G5S = [(0.05, 1, 1), (0.2, 3, -1)]


def radial(cutoff=BEHLER):
    return RadialSymmetryFunctions(
        cutoff=cutoff, functions=[G1(), *(G2(*given) for given in G2S), *(G3(kappa) for kappa in G3S)]
    )


def angular(cutoff=BEHLER):
    return AngularSymmetryFunctions(cutoff=cutoff, functions=[*(G4(*g) for g in G4S), *(G5(*g) for g in G5S)])


def dscribes(atoms) -> np.ndarray:  # -> [atom, feature]
    acsf = ACSF(
        r_cut=RADIUS,
        g2_params=G2S,
        g3_params=G3S,
        g4_params=G4S,
        g5_params=G5S,
        species=sorted(set(atoms.numbers.tolist())),
        periodic=bool(atoms.pbc.any()),
    )
    return acsf.create(atoms)


def as_dscribes(atoms) -> np.ndarray:  # -> [atom, feature]
    """Our blocks in dscribe's order: by type, then by pairs of types (0, 0), (1, 0), (1, 1), (2, 0) …"""
    species = sorted(set(atoms.numbers.tolist()))
    n_radial, n_angular = 1 + len(G2S) + len(G3S), len(G4S) + len(G5S)
    pairs = [(a, b) for a in species for b in species if b <= a]
    result = np.zeros((len(atoms), len(species) * n_radial + len(pairs) * n_angular))
    for key, block in radial().compute(atoms).items():
        start = species.index(key["neighbor_type"]) * n_radial
        result[block.samples.column("atom"), start : start + n_radial] = block.values
    for key, block in angular().compute(atoms).items():
        start = pairs.index((key["neighbor_2_type"], key["neighbor_1_type"])) * n_angular + len(species) * n_radial
        result[block.samples.column("atom"), start : start + n_angular] = block.values
    return result


def test_dscribe(systems, slab):
    """Molecules, crystals with many images of a small cell, a slab: the same numbers."""
    for atoms in [*systems[:-1], slab]:
        theirs = dscribes(atoms)
        assert np.abs(as_dscribes(atoms) - theirs).max() < 1e-12 * max(1.0, np.abs(theirs).max())


def test_dscribe_on_real_data(data):
    systems = ase.io.read(data("qm9_sample/qm9_100.xyz"), "::25") + ase.io.read(
        data("carbon_gap17/carbon_bulk_amo_64at_20.xyz.gz"), ":1"
    )
    for atoms in systems:
        theirs = dscribes(atoms)
        assert np.abs(as_dscribes(atoms) - theirs).max() < 1e-11 * np.abs(theirs).max()


def test_dscribe_misses_neighbours_of_atoms_outside(systems):
    """Of a crystal whose atoms lie far outside the cell; ours do not change when atoms are wrapped."""
    inside = systems[1].copy()
    inside.wrap()
    outside = inside.copy()
    outside.positions[0] += 2 * outside.cell.array[0]
    assert np.allclose(as_dscribes(inside), as_dscribes(outside), atol=1e-12)
    assert np.allclose(as_dscribes(inside), dscribes(inside), atol=1e-12)
    assert np.abs(dscribes(outside) - dscribes(inside)).max() > 1e-3


def test_sums(systems):
    """The formulas, in loops, for any cutoff function."""
    atoms, cutoff = systems[0], Cutoff(2.6, smoothing=ShiftedCosine(0.7))
    vectors = atoms.positions[None] - atoms.positions[:, None]
    r, f = np.linalg.norm(vectors, axis=2), cutoff.function(np.linalg.norm(vectors, axis=2))
    ours = radial(cutoff).compute(atoms).block(dict(center_type=6, neighbor_type=1))
    for i, row in zip(ours.samples.column("atom"), ours.values):
        others = [j for j in range(len(atoms)) if atoms.numbers[j] == 1]
        expected = [sum(f[i, j] for j in others)]
        expected += [sum(f[i, j] * np.exp(-eta * (r[i, j] - shift) ** 2) for j in others) for eta, shift in G2S]
        expected += [sum(f[i, j] * np.cos(kappa * r[i, j]) for j in others) for kappa in G3S]
        assert np.allclose(row, expected, rtol=1e-12)
    ours = angular(cutoff).compute(atoms).block(dict(center_type=6, neighbor_1_type=1, neighbor_2_type=6))
    for i, row in zip(ours.samples.column("atom"), ours.values):
        expected = np.zeros(len(row))
        for j, k in itertools.product(range(len(atoms)), repeat=2):
            if atoms.numbers[j] == 1 and atoms.numbers[k] == 6 and i not in (j, k):
                cosine = vectors[i, j] @ vectors[i, k] / r[i, j] / r[i, k]
                two = r[i, j] ** 2 + r[i, k] ** 2
                for n, (eta, zeta, lam) in enumerate(G4S + G5S):
                    closed = n < len(G4S)
                    square = two + closed * r[j, k] ** 2
                    term = 2 ** (1 - zeta) * (1 + lam * cosine) ** zeta * np.exp(-eta * square) * f[i, j] * f[i, k]
                    expected[n] += term * (f[j, k] if closed else 1)
        assert np.allclose(row, expected, rtol=1e-12, atol=1e-15)


def test_number_of_neighbours(systems):
    """With a step, G¹ counts neighbours and G⁵ with η = 0 and ζ = 1 adds up 1 + cos θ."""
    fcc = ase.build.bulk("Al", "fcc", 4.05)
    step = Cutoff(3.0, smoothing=Step())
    count = RadialSymmetryFunctions(cutoff=step, functions=[G1()]).compute(fcc).block(0).values
    assert count.tolist() == [[12.0]]
    g5 = AngularSymmetryFunctions(cutoff=step, functions=[G5(0.0, 1, 1), G4(0.0, 1, 1)]).compute(fcc).block(0).values
    # 66 pairs; the 12 vectors add up to zero, so Σ_{j<k} cos θ = −12/2
    assert np.allclose(g5[0, 0], 66 - 6)
    # 24 pairs of neighbours are neighbours of each other, at 60°
    assert np.allclose(g5[0, 1], 24 * 1.5)


def test_many_chunks(systems, monkeypatch):
    """The sums do not depend on how many triplets are computed at once."""
    import ketmap_descriptors.triplets

    whole = angular().compute(systems[2:4], gradients=["positions", "cell"])
    monkeypatch.setattr(ketmap_descriptors.triplets, "CHUNK", 7)
    pieces = angular().compute(systems[2:4], gradients=["positions", "cell"])
    for a, b in zip(whole.blocks(), pieces.blocks()):
        assert np.allclose(a.values, b.values, rtol=1e-13, atol=1e-15)
        for name in ("positions", "cell"):
            assert np.allclose(a.gradient(name).values, b.gradient(name).values, rtol=1e-12, atol=1e-13)


def test_third_atom_leaves(systems):
    """Triplets fade out as d² where a neighbour, or the side between two, comes to the cutoff."""
    calculator = AngularSymmetryFunctions(
        cutoff=Cutoff(3.0, smoothing=ShiftedCosine(0.5)), functions=[G4(0.01, 1, 1), G5(0.01, 1, 1)]
    )

    def values(place):
        atoms = ase.Atoms("CHH", positions=[[0, 0, 0], [1.9, 0, 0], place])
        found = [b.values.sum(0) for key, b in calculator.compute(atoms).items() if key["center_type"] == 6]
        return sum(found, np.zeros(2))

    neighbor = np.array([1.9, 0, 0])
    # the centre sees it leave for G⁵; its neighbour sees it leave for G⁴
    side = neighbor + 3.0 * np.array([-np.cos(0.5), np.sin(0.5), 0])
    for place, seen_from, n in (([0, 3.0, 0], np.zeros(3), 1), (side, neighbor, 0)):
        direction = (place - seen_from) / 3.0
        near, nearer = (values(place - d * direction)[n] for d in (1e-3, 5e-4))
        assert 0 < nearer < near < 1e-5
        assert np.isclose(near / nearer, 4.0, rtol=0.02)
    assert values([0, 3.0 + 1e-9, 0]).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("make", [radial, angular])
def test_selections(systems, labels, make):
    """What is selected has the values of the whole."""
    whole = make().compute(systems, gradients=["positions"])
    selected = make().compute(
        systems,
        gradients=["positions"],
        selected_keys=labels(["center_type"], [6], [1]),
        selected_samples=labels(["atom"], [1], [4]),
        selected_properties=labels(["n"], [3], [0]),
    )
    assert len(selected) == len(whole.keys.select(labels(["center_type"], [6], [1])))
    for key, block in selected.items():
        full = whole.block(key)
        assert block.properties.column("n").tolist() == [0, 3]
        rows = np.flatnonzero(np.isin(full.samples.column("atom"), [1, 4]))
        assert np.array_equal(block.samples.values, full.samples.values[rows])
        assert np.array_equal(block.values, full.values[rows][:, [0, 3]])
        here = np.flatnonzero(np.isin(full.gradient("positions").samples.column("sample"), rows))
        gradient = full.gradient("positions").values[here][..., [0, 3]]
        assert np.allclose(block.gradient("positions").values, gradient, atol=1e-14)


def test_selected_keys_in_full(systems, labels):
    """Types that do not occur give empty blocks; the lower neighbour type comes first."""
    names = ["center_type", "neighbor_1_type", "neighbor_2_type"]
    chosen = labels(names, [8, 1, 6], [8, 6, 1], [6, 1, 99], [6, 1, 1])
    tensor = angular().compute(systems, selected_keys=chosen, gradients=["positions", "strain"])
    assert tensor.keys == chosen and check(tensor)
    assert [len(block.samples) > 0 for block in tensor.blocks()] == [True, False, False, True]
    assert np.array_equal(tensor.block(0).values, angular().compute(systems).block(tensor.keys[0]).values)
    nothing = angular().compute(systems, selected_properties=labels(["g"], [17]), gradients=["positions"])
    assert all(block.values.shape[1] == 0 for block in nothing.blocks())


def test_second_derivatives(systems):
    """Through autograd, twice; linear molecules too, where 1 − cos θ is at its end."""
    atoms = systems[4]  # CO2
    types, pbc, cell = torch.tensor(atoms.numbers, dtype=torch.int32), torch.tensor([False] * 3), torch.zeros(3, 3)

    def total(calculator):
        def function(positions):
            tensor = calculator.compute(System(types=types, positions=positions, cell=cell.to(positions), pbc=pbc))
            return sum((block.values.sin()).sum() for block in tensor.blocks())

        return function

    for calculator in (
        radial(),
        AngularSymmetryFunctions(cutoff=BEHLER, functions=[G4(0.05, 1, 1), G4(0.05, 2, -1), G5(0.1, 4, 1)]),
    ):
        positions = torch.tensor(atoms.positions + 0.03 * np.arange(9).reshape(3, 3) ** 0.5, requires_grad=True)
        assert torch.autograd.gradgradcheck(total(calculator), positions, atol=1e-6, rtol=1e-6)
        straight = torch.tensor(atoms.positions, requires_grad=True)
        (slope,) = torch.autograd.grad(total(calculator)(straight), straight, create_graph=True)
        (curvature,) = torch.autograd.grad(slope.square().sum(), straight)
        assert torch.isfinite(slope).all() and torch.isfinite(curvature).all()


def test_float32(systems):
    atoms = systems[0]
    single = System(
        types=torch.tensor(atoms.numbers, dtype=torch.int32),
        positions=torch.tensor(atoms.positions, dtype=torch.float32),
        cell=torch.zeros(3, 3),
        pbc=torch.tensor([False] * 3),
    )
    for calculator in (radial(), angular()):
        tensor = calculator.compute(single, gradients=["positions"])
        assert isinstance(tensor, torch.ScriptObject)
        assert all(block.values.dtype == torch.float32 for block in tensor.blocks())
        double = calculator.compute(atoms, gradients=["positions"])
        for a, b in zip(tensor.blocks(), double.blocks()):
            assert np.allclose(a.gradient("positions").values.numpy(), b.gradient("positions").values, atol=1e-4)
        assert len(metatensor.torch.sum_over_samples(tensor, "atom").block(0).values) == 1


def test_provenance_holds_parameters(systems):
    for calculator in (radial(), angular()):
        found = info(calculator.compute(systems))
        again = type(calculator).from_dict(found["hypers"])
        assert again.to_dict() == calculator.to_dict() and again.functions == calculator.functions


def test_coincident_atoms():
    atoms = ase.Atoms("OHH", positions=[[0, 0, 0], [0.9, 0, 0], [0.9, 0, 0]])
    for calculator in (radial(), angular()):
        with pytest.warns(CoincidentAtomsWarning, match="atoms 1 and 2 of system 0"):
            assert check(calculator.compute(atoms, gradients=["positions", "strain"]))


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: G2(etta=1.0), "G2 'etta'; did you mean 'eta'"),
        (lambda: G2(eta=-1.0), "G2 eta must be at least 0, got -1"),
        (lambda: G4(eta=1.0, zeta=0.5, lambda_=1), "G4 zeta must be at least 1, got 0.5"),
        (lambda: G5(eta=1.0, zeta=1, lambda_=2), "G5 lambda_ must be between -1 and 1"),
        (lambda: RadialSymmetryFunctions(cutoff=BEHLER, functions=[]), "at least one of G1, G2, G3"),
        (lambda: RadialSymmetryFunctions(cutoff=BEHLER), "missing: functions"),
        (lambda: RadialSymmetryFunctions(cutof=BEHLER, functions=[G1()]), "'cutof'; did you mean 'cutoff'"),
        (lambda: AngularSymmetryFunctions(cutoff=BEHLER, functions=[G1()]), "expected AngularFunction"),
        (
            lambda: AngularSymmetryFunctions(cutoff=BEHLER, functions=[{"type": "G44", "eta": 1}]),
            "AngularFunction type 'G44'; did you mean 'G4'",
        ),
    ],
)
def test_bad_hypers(make, message):
    with pytest.raises(ValueError, match=message):
        make()
