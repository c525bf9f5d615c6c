"""Reference of the neighbour search, by vesin."""

from itertools import pairwise

import numpy as np
import torch
import vesin

from .group import group

WORTH_THREADS = 50  # atoms of a system that keep several threads busy


def half_pairs(positions, cells, pbc, systems, cutoff: float):
    """See :func:`ketmap_ops.half_pairs`, but for the order of the pairs, which is free.

    Systems are searched one after the other, each by all threads.
    """
    starts = systems.tolist()
    periodic = pbc.cpu().numpy()
    searchable = _searchable(cells.to("cpu", torch.float64).numpy(), periodic)
    points = np.ascontiguousarray(positions.to("cpu", torch.float64).numpy())
    # one system after the other, threads inside vesin: it runs one call at a time, and its memory serves the next
    threads = torch.get_num_threads()
    searches = [vesin.NeighborList(cutoff=cutoff, full_list=False, n_threads=n) for n in (1, threads)]
    found = []
    for system, (start, stop) in enumerate(pairwise(starts)):
        if stop > start:
            search = searches[stop - start >= WORTH_THREADS]
            pairs, shifts, vectors = search.compute(
                points[start:stop], searchable[system], periodic[system], "PSD", copy=False
            )
            numbered = pairs.astype(np.int32)
            numbered += start
            found.append((numbered, shifts.copy(), vectors.copy()))
    return _concatenate(positions, found)


def neighbors(
    positions, cells, pbc, systems, rank, channel, n_centers: int, n_channels: int, cutoff: float, reverse: bool = True
):
    """See :func:`ketmap_ops.neighbors`."""
    half = half_pairs(positions, cells, pbc, systems, cutoff)
    *found, places = group(*half, rank, channel, n_centers, n_channels)
    return *found, places if reverse else places[:0]


def _searchable(cells: np.ndarray, pbc: np.ndarray) -> np.ndarray:
    """Cells that can be inverted: rows without periodicity become unit vectors across the periodic ones."""
    cells = cells.copy()
    for system in np.nonzero(pbc.any(axis=1) & ~pbc.all(axis=1))[0]:
        kept = cells[system][pbc[system]]  # -> [periodic, 3]
        across = np.linalg.svd(kept)[2][len(kept) :]  # -> [3 - periodic, 3]
        cells[system][~pbc[system]] = across
    cells[~pbc.any(axis=1)] = 0.0
    return cells


def _concatenate(positions: torch.Tensor, found: list[tuple[np.ndarray, ...]]):
    nothing = (np.empty((0, 2), np.int32), np.empty((0, 3), np.int32), np.empty((0, 3), np.float64))
    pairs, shifts, vectors = (np.concatenate(parts) for parts in zip(*found)) if found else nothing
    first, second = np.ascontiguousarray(pairs.T)
    device = positions.device
    return (
        torch.from_numpy(first).to(device),
        torch.from_numpy(second).to(device),
        torch.from_numpy(shifts).to(device),
        torch.from_numpy(vectors).to(device, positions.dtype),
    )
