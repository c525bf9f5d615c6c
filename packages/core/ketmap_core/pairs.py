"""Neighbour pairs of a batch, by vesin."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
import vesin

from .structures import Batch

COINCIDENT = 1e-6  # Å: nearer than this is one point
#: Å, for lists that only serve to find such atoms: with much less, large cells are divided into very many parts
NEAR = 1.0
WORTH_THREADS = 50  # atoms of a system that keep several threads busy


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

    The order of the pairs is free. Systems are searched one after the other, each by all threads.

    :raises ValueError: if the cutoff is not a positive number.
    """
    if not (cutoff > 0 and np.isfinite(cutoff)):
        raise ValueError(f"cutoff must be a positive number of Å, got {cutoff}")
    starts = batch.starts.tolist()
    pbc = batch.pbc.cpu().numpy()
    cells = _searchable(batch.cells.detach().to("cpu", torch.float64).numpy(), pbc)
    positions = np.ascontiguousarray(batch.positions.detach().to("cpu", torch.float64).numpy())
    # one system after the other, threads inside vesin: it runs one call at a time, and its memory serves the next
    threads = torch.get_num_threads()
    searches = [vesin.NeighborList(cutoff=cutoff, full_list=False, n_threads=n) for n in (1, threads)]
    found = []
    for system, (start, stop) in enumerate(pairwise(starts)):
        if stop > start:
            search = searches[stop - start >= WORTH_THREADS]
            pairs, shifts, vectors = search.compute(
                positions[start:stop], cells[system], pbc[system], "PSD", copy=False
            )
            numbered = pairs.astype(np.int32)
            numbered += start
            found.append((numbered, shifts.copy(), vectors.copy()))
    return _concatenate(batch, found)


def _searchable(cells: np.ndarray, pbc: np.ndarray) -> np.ndarray:
    """Cells that can be inverted: rows without periodicity become unit vectors across the periodic ones."""
    cells = cells.copy()
    for system in np.nonzero(pbc.any(axis=1) & ~pbc.all(axis=1))[0]:
        kept = cells[system][pbc[system]]  # -> [periodic, 3]
        across = np.linalg.svd(kept)[2][len(kept) :]  # -> [3 - periodic, 3]
        cells[system][~pbc[system]] = across
    cells[~pbc.any(axis=1)] = 0.0
    return cells


def _concatenate(batch: Batch, found: list[tuple[np.ndarray, ...]]) -> Pairs:
    nothing = (np.empty((0, 2), np.int32), np.empty((0, 3), np.int32), np.empty((0, 3), np.float64))
    pairs, shifts, vectors = (np.concatenate(parts) for parts in zip(*found)) if found else nothing
    first, second = np.ascontiguousarray(pairs.T)
    device = batch.positions.device
    return Pairs(
        first=torch.from_numpy(first).to(device),
        second=torch.from_numpy(second).to(device),
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
