"""The neighbour search: against vesin and against the grouping of half lists, to the bit for any number of threads."""

import os
import subprocess
import sys

import ketmap_ops as ops
import numpy as np
import pytest
import torch
from ketmap_ops import backend, reference

pytestmark = pytest.mark.skipif(not backend().startswith("native"), reason=f"no native kernels: {backend()}")


def system(seed, n_atoms, pbc=(True, True, True), length=None, skew=0.25):
    """Atoms in and outside a skewed cell, 0.1 per Å³ or in a cell of some length: positions, cell, pbc."""
    random = np.random.default_rng(seed)
    length = (max(n_atoms, 1) / 0.1) ** (1 / 3) if length is None else length
    cell = np.diag(length * random.uniform(0.7, 1.4, 3)) + random.normal(0, skew * length, (3, 3))
    if seed % 2:
        cell[0] *= -1  # left-handed
    return random.uniform(-2, 3, (n_atoms, 3)) @ cell, cell, pbc


def batch(*systems, dtype=torch.float64):
    """Positions, cells, periodicity and starts of the systems."""
    positions, cells, pbc = zip(*systems)
    starts = np.cumsum([0, *map(len, positions)])
    return (
        torch.tensor(np.concatenate(positions)).to(dtype),
        torch.tensor(np.array(cells)).to(dtype),
        torch.tensor(np.array(pbc, dtype=bool)),
        torch.tensor(starts),
    )


def rows(half):
    first, second, shifts, _ = half
    return torch.column_stack([first, second, shifts]).numpy()


def by_rows(half):
    order = np.lexsort(rows(half).T[::-1])
    return rows(half)[order], half[3].numpy()[order]


def places(positions, seed=0, share=0.7):
    """Centres and channels of atoms of three types, of which the last is no neighbour; not all atoms are centres."""
    generator = torch.Generator().manual_seed(seed)
    types = torch.randint(0, 3, (len(positions),), generator=generator)
    centers = torch.nonzero(torch.rand(len(positions), generator=generator) < share)[:, 0]
    centers = centers[torch.argsort(types[centers], stable=True)]
    rank = torch.full((len(positions),), -1, dtype=torch.int32)
    rank[centers] = torch.arange(len(centers), dtype=torch.int32)
    channel = torch.where(types == 2, -1, types).int()
    return rank, channel, len(centers), 2


CASES = {
    "crystal": (batch(system(0, 60)), 4.0),
    "left-handed": (batch(system(1, 30)), 5.0),
    "very skewed": (batch(system(2, 30, skew=1.0)), 3.0),
    "slab": (batch(system(3, 40, pbc=(True, False, True))), 4.5),
    "wire": (batch(system(4, 40, pbc=(False, True, False))), 4.5),
    "molecule": (batch(system(5, 40, pbc=(False, False, False))), 4.5),
    "cutoff of three cells": (batch(system(6, 3, length=2.0, skew=0.1)), 6.0),
    "one atom, many images": (batch(system(7, 1, length=2.5, skew=0.1)), 12.0),
    "one atom alone": (batch(system(8, 1, pbc=(False, False, False))), 5.0),
    "no atoms": (batch(system(9, 0)), 5.0),
    "thousands": (batch(system(10, 3000)), 4.0),
    "a large slab": (batch(system(11, 2500, pbc=(False, True, True))), 3.5),
    "all at once": (batch(*[system(s, s % 4 * 9, pbc=(s % 2, s % 3 > 0, s % 5 > 1)) for s in range(40)]), 4.0),
}


@pytest.mark.parametrize("name", CASES)
def test_same_half_list_as_vesin(name):
    arguments, cutoff = CASES[name]
    got, expected = ops.half_pairs(*arguments, cutoff), reference.half_pairs(*arguments, cutoff)
    np.testing.assert_array_equal(by_rows(got)[0], by_rows(expected)[0])
    scale = 1.0 + float(arguments[0].abs().sum(dim=1).max()) if len(arguments[0]) else 1.0
    np.testing.assert_allclose(by_rows(got)[1], by_rows(expected)[1], rtol=0, atol=1e-13 * scale)
    np.testing.assert_array_equal(rows(got), by_rows(got)[0])  # sorted


@pytest.mark.parametrize("name", CASES)
def test_neighbors_are_the_grouped_half_list(name):
    arguments, cutoff = CASES[name]
    around = places(arguments[0])
    expected = ops.group(*ops.half_pairs(*arguments, cutoff), *around)
    got = ops.neighbors(*arguments, *around, cutoff)
    for one, other in zip(got, expected, strict=True):
        assert torch.equal(one, other)
    *same, nothing = ops.neighbors(*arguments, *around, cutoff, reverse=False)
    assert all(torch.equal(one, other) for one, other in zip(same, expected)) and len(nothing) == 0


def test_neighbors_of_the_reference():
    arguments, cutoff = CASES["all at once"]
    around = places(arguments[0])
    got, expected = ops.neighbors(*arguments, *around, cutoff), reference.neighbors(*arguments, *around, cutoff)
    for one, other in zip(got, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


def test_the_same_bits_for_any_number_of_threads():
    threads, results = torch.get_num_threads(), []
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            for name in ("all at once", "thousands", "a large slab"):
                arguments, cutoff = CASES[name]
                results.append(ops.half_pairs(*arguments, cutoff))
                results.append(ops.neighbors(*arguments, *places(arguments[0]), cutoff))
    finally:
        torch.set_num_threads(threads)
    first, *others = (results[k : k + 6] for k in range(0, 18, 6))
    for other in others:
        assert all(torch.equal(a, b) for x, y in zip(first, other) for a, b in zip(x, y, strict=True))


def test_a_pair_at_the_cutoff_is_beyond_it():
    """3² + 4² = 5² in all precisions; its neighbours in floating point decide."""
    apart = (np.array([[0.0, 0, 0], [3, 4, 0]]), np.zeros((3, 3)), (False,) * 3)
    cutoffs = (np.nextafter(5, 0), 5.0, np.nextafter(5, 6))
    for dtype in (torch.float32, torch.float64):
        for one in (apart, (apart[0], 7 * np.eye(3), (False, True, True))):
            below, at, above = (len(ops.half_pairs(*batch(one, dtype=dtype), cutoff)[0]) for cutoff in cutoffs)
            assert below == at == above - 1


def test_images_at_the_cutoff():
    """A simple cubic lattice has 6, 12, 8, 6 neighbours at 1, √2, √3, 2 lattice constants."""
    arguments = batch((np.array([[0.3, 0.1, 0.7]]), 2 * np.eye(3), (True,) * 3))
    for cutoff, count in ((2.0, 0), (2.0 + 1e-12, 6), (4.0, 6 + 12 + 8), (4.0 + 1e-12, 32)):
        assert 2 * len(ops.half_pairs(*arguments, cutoff)[0]) == count


def test_shifts_are_those_of_atoms_where_they_stand():
    """Moving atoms by cell vectors changes shifts, not vectors."""
    positions, cell, pbc = system(12, 50)
    moved = np.random.default_rng(0).integers(-1000, 1000, (50, 3))
    one, other = batch((positions, cell, pbc)), batch((positions + moved @ cell, cell, pbc))
    first, second, shifts, vectors = ops.half_pairs(*one, 4.0)
    expected = shifts.numpy() + moved[first] - moved[second]
    found = torch.ops.ketmap.half_pairs(*other, 4.0)
    assert len(found[0]) == len(first)
    np.testing.assert_array_equal(by_rows((first, second, torch.from_numpy(expected), vectors))[0], by_rows(found)[0])
    v = by_rows((first, second, torch.from_numpy(expected), vectors))[1]
    np.testing.assert_allclose(v, by_rows(found)[1], rtol=0, atol=1e-9)


@pytest.mark.parametrize("apart", [1e3, 1e6, 1e9])
def test_clusters_far_apart(apart):
    """What lies far away in vacuum changes nothing, and needs no memory for the vacuum."""
    random = np.random.default_rng(3)
    cluster, none = random.integers(0, 2**20, (1200, 3)) / 2**16, (np.zeros((3, 3)), (False,) * 3)
    both = np.concatenate([cluster, cluster + np.array([0.0, apart, 0])])  # exact in binary
    alone = ops.half_pairs(*batch((cluster, *none)), 2.0)
    for got, expected in zip(ops.half_pairs(*batch((both, *none)), 2.0), alone, strict=True):
        assert torch.equal(got[: len(expected)], expected) and len(got) == 2 * len(expected)


def test_single_precision_finds_what_double_precision_does():
    arguments = batch(system(13, 400), dtype=torch.float32)
    double = [part.double() if part.is_floating_point() else part for part in arguments]
    *got, vectors = ops.half_pairs(*arguments, 4.0)
    *expected, exact = ops.half_pairs(*double, 4.0)
    assert all(torch.equal(a, b) for a, b in zip(got, expected)) and torch.equal(vectors, exact.float())


INSTRUCTION_SET = """
import sys, torch
sys.path.insert(0, sys.argv[1])
from test_search import CASES, places
import ketmap_ops as ops
found = []
for arguments, cutoff in CASES.values():
    found += [*ops.half_pairs(*arguments, cutoff), *ops.neighbors(*arguments, *places(arguments[0]), cutoff)]
torch.save([ops.backend(), found], sys.argv[2])
"""


@pytest.mark.parametrize("name", ["generic", "avx2", "avx512"])
def test_instruction_sets_find_the_same_bits(name, tmp_path):
    file = tmp_path / "results.pt"
    command = [sys.executable, "-c", INSTRUCTION_SET, os.path.dirname(__file__), str(file)]
    run = subprocess.run(command, env={**os.environ, "KETMAP_ISA": name}, capture_output=True, text=True)
    if run.returncode and f"KETMAP_ISA is '{name}', but this machine serves" in run.stderr:
        pytest.skip(f"this machine has no {name}")
    assert run.returncode == 0, run.stderr
    used, found = torch.load(file, weights_only=True)
    assert used == f"native ({name})"
    here = []
    for arguments, cutoff in CASES.values():
        here += [*ops.half_pairs(*arguments, cutoff), *ops.neighbors(*arguments, *places(arguments[0]), cutoff)]
    assert all(torch.equal(a, b) for a, b in zip(found, here, strict=True))


def test_searches_keep_torchs_rules():
    arguments, cutoff = CASES["slab"]
    torch.library.opcheck(torch.ops.ketmap.half_pairs, (*arguments, cutoff))
    torch.library.opcheck(torch.ops.ketmap.neighbors, (*arguments, *places(arguments[0]), cutoff, True))


def test_impossible_searches_are_refused():
    positions, cell, pbc = system(14, 5)
    periodic, single = batch((positions, cell, pbc)), batch(system(0, 2), (positions, cell, pbc))
    away = positions.copy()
    away[3] += 2e9 * cell[1]
    for bad in (away, np.where(np.arange(15).reshape(5, 3) == 10, np.nan, positions)):
        message = "atom 3 of system 1 is not at a finite place within 10\\^9 cells of the origin"
        with pytest.raises(RuntimeError, match=message):
            ops.half_pairs(*batch(system(0, 2), (bad, cell, pbc)), 3.0)
    with pytest.raises(RuntimeError, match="the cutoff reaches too many images of the cell: more than 2\\^31"):
        ops.half_pairs(*periodic, 1e4)
    with pytest.raises(RuntimeError, match="the cutoff must be a positive number"):
        ops.half_pairs(*periodic, -1.0)
    with pytest.raises(RuntimeError, match="'pbc' must be a contiguous tensor of shape"):
        ops.half_pairs(*periodic[:2], periodic[2].int(), periodic[3], 3.0)
    with pytest.raises(RuntimeError, match="'starts' must end with the number of pairs"):
        ops.half_pairs(*periodic[:3], periodic[3] * 2, 3.0)
    rank, channel, n_centers, n_channels = places(single[0], share=1.0)
    with pytest.raises(RuntimeError, match="'rank' must not repeat"):
        ops.neighbors(*single, rank.clamp(max=2), channel, n_centers, n_channels, 3.0)
    with pytest.raises(RuntimeError, match=r"'rank' must be in \[-1, 6\); got 6"):
        ops.neighbors(*single, rank, channel, 6, n_channels, 3.0)
