"""Neighbour pairs of a batch, by vesin."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain

import numpy as np
import torch
import vesin

from .structures import Batch

COINCIDENT = 1e-6  # Å: nearer than this is one point


@dataclass(frozen=True)
class Pairs:
    """A half list: of a pair and its mirror image, one. Indices are those of the batch, lengths in Å.

    ``vectors`` are detached from autograd; under it, write
    ``positions[second] - positions[first] + shifts @ cell``.
    """

    first: torch.Tensor  # -> [pair] int32
    second: torch.Tensor  # -> [pair] int32
    shifts: torch.Tensor  # -> [pair, 3] int32, in cell vectors
    vectors: torch.Tensor  # -> [pair, 3] r_second - r_first + shift @ cell, shorter than the cutoff

    def __len__(self) -> int:
        """Number of pairs."""
        return len(self.first)


def find_pairs(batch: Batch, cutoff: float) -> Pairs:
    """All pairs of atoms nearer than ``cutoff`` (Å), periodic images included.

    The order of the pairs is free. Many systems are searched in parallel, and so is one alone.

    :raises ValueError: if the cutoff is not a positive number.
    """
    if not (cutoff > 0 and np.isfinite(cutoff)):
        raise ValueError(f"cutoff must be a positive number of Å, got {cutoff}")
    starts = batch.starts.tolist()
    pbc = batch.pbc.cpu().numpy()
    cells = _searchable(batch.cells.detach().to("cpu", torch.float64).numpy(), pbc)
    positions = np.ascontiguousarray(batch.positions.detach().to("cpu", torch.float64).numpy())
    filled = [system for system in range(len(batch)) if starts[system + 1] > starts[system]]

    threads = torch.get_num_threads()
    share = max(1, threads // max(1, len(filled)))  # of each system

    def search(systems: np.ndarray) -> list[tuple]:
        return [_search(cutoff, share, positions[starts[s] : starts[s + 1]], cells[s], pbc[s]) for s in systems]

    if share == threads:
        found = search(filled)
    else:
        parts = np.array_split(filled, min(len(filled), 4 * threads))
        with ThreadPoolExecutor(threads) as pool:  # vesin runs without the interpreter's lock
            found = list(chain.from_iterable(pool.map(search, parts)))
    return _concatenate(batch, found, [starts[system] for system in filled])


def _search(cutoff: float, threads: int, points: np.ndarray, box: np.ndarray, pbc: np.ndarray) -> tuple:
    search = vesin.NeighborList(cutoff=cutoff, full_list=False, n_threads=threads)
    return *search.compute(points, box, pbc, "PSD", copy=False), search  # which owns the memory of the arrays


def _searchable(cells: np.ndarray, pbc: np.ndarray) -> np.ndarray:
    """Cells that can be inverted: rows without periodicity become unit vectors across the periodic ones."""
    cells = cells.copy()
    for system in np.nonzero(pbc.any(axis=1) & ~pbc.all(axis=1))[0]:
        kept = cells[system][pbc[system]]  # -> [periodic, 3]
        across = np.linalg.svd(kept)[2][len(kept) :]  # -> [3 - periodic, 3]
        cells[system][~pbc[system]] = across
    cells[~pbc.any(axis=1)] = 0.0
    return cells


def _concatenate(batch: Batch, found: list[tuple], offsets: list[int]) -> Pairs:
    counts = [len(pairs) for pairs, *_ in found]
    n_pairs = sum(counts)
    indices = np.empty((2, n_pairs), dtype=np.int32)
    shifts = np.empty((n_pairs, 3), dtype=np.int32)
    vectors = np.empty((n_pairs, 3), dtype=np.float64)
    end = 0
    for (pair, shift, vector, _), offset, count in zip(found, offsets, counts):
        here = slice(end, end := end + count)
        np.add(pair.T, offset, out=indices[:, here], casting="unsafe")
        shifts[here], vectors[here] = shift, vector
    device = batch.positions.device
    return Pairs(
        first=torch.from_numpy(indices[0]).to(device),
        second=torch.from_numpy(indices[1]).to(device),
        shifts=torch.from_numpy(shifts).to(device),
        vectors=torch.from_numpy(vectors).to(device, batch.positions.dtype),
    )


def coincident(batch: Batch, pairs: Pairs) -> list[tuple[int, int, int]]:
    """Atoms at one point (nearer than 1e-6 Å): system, and the two atoms as counted within it."""
    near = torch.nonzero(pairs.vectors[:, 0].abs() < COINCIDENT)[:, 0]  # cheap, and leaves few
    near = near[(pairs.vectors[near] ** 2).sum(dim=1) < COINCIDENT**2]
    first, second = pairs.first[near].long(), pairs.second[near].long()
    system = batch.system[first].long()
    start = batch.starts[system]
    return list(zip(system.tolist(), (first - start).tolist(), (second - start).tolist()))
