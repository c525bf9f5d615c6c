"""Pairs against ASE's neighbour list: skewed, small, mixed-periodic and left-handed cells."""

import ase
import ase.build
import numpy as np
import pytest
import torch
from ase.neighborlist import neighbor_list
from ketmap_core import as_batch, coincident, find_pairs
from metatomic.torch import systems_to_torch


def full_list(batch, cutoff):
    """Both directions of every pair, as rows (i, j, shift), sorted; and vectors in the same order."""
    pairs = find_pairs(batch, cutoff)
    rows = torch.column_stack([pairs.first, pairs.second, pairs.shifts])
    rows = torch.cat([rows, torch.column_stack([pairs.second, pairs.first, -pairs.shifts])]).numpy()
    vectors = torch.cat([pairs.vectors, -pairs.vectors]).numpy()
    order = np.lexsort(rows.T[::-1])
    return rows[order], vectors[order]


def ase_list(atoms, cutoff):
    i, j, shifts, vectors = neighbor_list("ijSD", atoms, cutoff)
    rows = np.column_stack([i, j, shifts])
    order = np.lexsort(rows.T[::-1])
    return rows[order], vectors[order]


def random_structure(seed):
    random = np.random.default_rng(seed)
    n_atoms = random.integers(1, 12)
    cell = np.diag(random.uniform(1.5, 6.0, 3)) + random.normal(0, 0.6, (3, 3))
    if seed % 3 == 0:
        cell[0] *= -1  # turns a right-handed cell into a left-handed one
    positions = random.uniform(-2, 3, (n_atoms, 3)) @ cell  # far outside, too
    return ase.Atoms(f"H{n_atoms}", positions=positions, cell=cell, pbc=random.integers(0, 2, 3))


@pytest.mark.parametrize("seed", range(40))
def test_same_pairs_as_ase(seed):
    atoms = random_structure(seed)
    rows, vectors = full_list(as_batch(atoms), 3.5)
    expected_rows, expected_vectors = ase_list(atoms, 3.5)
    np.testing.assert_array_equal(rows, expected_rows)
    np.testing.assert_allclose(vectors, expected_vectors, atol=1e-12)


@pytest.mark.parametrize("pbc", [(1, 0, 0), (0, 1, 0), (1, 1, 0), (0, 1, 1)])
def test_rows_without_periodicity_do_not_matter(pbc):
    atoms = random_structure(7)
    atoms.pbc = pbc
    rows, vectors = full_list(as_batch(atoms), 4.0)
    for replacement in (0.0, atoms.cell[np.nonzero(pbc)[0][0]]):  # nothing, or along a periodic direction
        changed = atoms.copy()
        changed.cell[~atoms.pbc] = replacement
        other_rows, other_vectors = full_list(as_batch(changed), 4.0)
        np.testing.assert_array_equal(rows, other_rows)
        np.testing.assert_allclose(vectors, other_vectors, atol=1e-12)


def test_vectors_follow_from_shifts():
    structures = [random_structure(seed) for seed in range(10)] + [ase.Atoms()]
    batch = as_batch(structures)
    pairs = find_pairs(batch, 4.0)
    first, second = pairs.first.long(), pairs.second.long()
    cells = batch.cells[batch.system[first].long()]
    shift = torch.einsum("pa,pax->px", pairs.shifts.double(), cells)
    torch.testing.assert_close(
        pairs.vectors, batch.positions[second] - batch.positions[first] + shift, rtol=0, atol=1e-12
    )
    assert torch.equal(batch.system[first], batch.system[second])
    assert (pairs.vectors.norm(dim=1) < 4.0).all()


def test_batch_holds_the_pairs_of_each_structure():
    structures = [ase.Atoms(), *[random_structure(seed) for seed in range(5)]]
    parts = [len(find_pairs(as_batch(atoms), 3.0)) for atoms in structures]
    assert len(find_pairs(as_batch(structures), 3.0)) == sum(parts)


def test_any_number_of_threads():
    structures = [random_structure(seed) for seed in range(8)] + [ase.build.bulk("Si", cubic=True) * 4]
    threads = torch.get_num_threads()
    lists = []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            lists.append(full_list(as_batch(structures), 4.0))
    finally:
        torch.set_num_threads(threads)
    np.testing.assert_array_equal(lists[0][0], lists[1][0])
    np.testing.assert_array_equal(lists[0][1], lists[1][1])


def test_coordination_of_silicon():
    """Diamond: 4, 12, 12 neighbours in the first shells, at √3/4, √2/2 and √11/4 of the lattice constant."""
    batch = as_batch(ase.build.bulk("Si", a=5.43))
    counts = [2 * len(find_pairs(batch, 5.43 * shell)) / 2 for shell in (0.5, 0.75, 0.85)]
    assert counts == [4, 16, 28]


def test_single_precision():
    atoms = random_structure(3)
    atoms.cell[~atoms.pbc] = 0.0
    pairs = find_pairs(as_batch(systems_to_torch(atoms, dtype=torch.float32)), 3.5)
    assert pairs.vectors.dtype == torch.float32 and 2 * len(pairs) == len(ase_list(atoms, 3.5)[0])


def test_nothing_to_find():
    for systems in ([], [ase.Atoms()], [ase.Atoms("H"), ase.Atoms("H")]):
        pairs = find_pairs(as_batch(systems), 5.0)
        assert len(pairs) == 0 and pairs.vectors.shape == (0, 3) and pairs.shifts.shape == (0, 3)


@pytest.mark.parametrize("cutoff", [-1.0, 0.0, np.nan, np.inf])
def test_cutoff_must_be_a_positive_number(cutoff):
    with pytest.raises(ValueError, match="cutoff must be a positive number of Å"):
        find_pairs(as_batch(ase.Atoms("H")), cutoff)


def test_coincident_atoms_are_found():
    good = ase.build.molecule("H2O")
    bad = ase.Atoms("H3", positions=[[0, 0, 0], [0, 0, 1], [0, 3, 1]], cell=[3, 3, 3], pbc=True)
    batch = as_batch([good, bad])  # atoms 1 and 2 meet through the boundary
    assert [(s, {i, j}) for s, i, j in coincident(batch, find_pairs(batch, 2.0))] == [(1, {1, 2})]
    assert coincident(as_batch(good), find_pairs(as_batch(good), 2.0)) == []
