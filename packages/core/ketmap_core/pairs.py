"""Neighbour pairs of a batch."""

from dataclasses import dataclass

import ketmap_ops as ops
import numpy as np
import torch

from .structures import Batch

COINCIDENT = 1e-6  # Å: nearer than this is one point
#: Å, for lists that only serve to find such atoms: with much less, large cells are divided into very many parts
NEAR = 1.0


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

    The order of the pairs is free.

    :raises ValueError: if the cutoff is not a positive number.
    """
    check_cutoff(cutoff)
    return Pairs(*ops.half_pairs(batch.positions, batch.cells, batch.pbc, batch.starts, cutoff))


def check_cutoff(cutoff: float) -> None:
    """:raises ValueError: if the cutoff is not a positive number."""
    if not (cutoff > 0 and np.isfinite(cutoff)):
        raise ValueError(f"cutoff must be a positive number of Å, got {cutoff}")


def coincident(batch: Batch, pairs: Pairs | None = None) -> list[tuple[int, int, int]]:
    """Atoms at one point (nearer than 1e-6 Å): system, and the two atoms as counted within it.

    ``pairs`` may be given when they are known, up to any cutoff.
    """
    pairs = find_pairs(batch, NEAR) if pairs is None else pairs
    if len(pairs) == 0:
        return []
    near = torch.nonzero(pairs.vectors[:, 0].abs() < COINCIDENT)[:, 0]  # cheap, and leaves few
    if len(near) == 0:
        return []
    near = near[(pairs.vectors[near] ** 2).sum(dim=1) < COINCIDENT**2]
    first, second = pairs.first[near].long(), pairs.second[near].long()
    system = batch.system[first].long()
    start = batch.starts[system]
    return list(zip(system.tolist(), (first - start).tolist(), (second - start).tolist()))
