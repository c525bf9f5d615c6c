"""Derivatives of a block with respect to pair vectors, and the gradient blocks that follow from them."""

import dataclasses

import numpy as np
import torch
from ketmap_core import Batch

from .sums import segment_sum, sparse_sum


@dataclasses.dataclass(frozen=True)
class Slopes:
    """∂(row of a block)/∂(vector of a pair), an entry for each row and pair that matters to it.

    All gradients follow by the chain rule from r = r_second − r_first + shift @ cell.
    """

    rows: torch.Tensor  # int64 [entry], ascending
    first: torch.Tensor  # int64 [entry], atoms of the batch
    second: torch.Tensor  # int64 [entry]
    vectors: torch.Tensor  # [entry, 3]
    shifts: torch.Tensor  # [entry, 3]
    values: torch.Tensor  # [entry, xyz, ..., property]
    #: for rows that are proportional to the volume of the cell: their values, and 1/cell of their systems
    volume: tuple[torch.Tensor, torch.Tensor] | None = None  # [row, property], [row, 3, 3]

    def gradient(self, name: str, batch: Batch, n_rows: int) -> tuple[np.ndarray, torch.Tensor]:
        """Labels [row, dimension] and data [row, *components, ..., property] of one gradient of the block."""
        if name == "positions":
            return self._positions(batch)
        left = self.vectors if name == "strain" else self.shifts
        ends = torch.arange(n_rows + 1, device=self.rows.device)
        products = left.reshape(*left.shape, *[1] * (self.values.ndim - 1)) * self.values[:, None]
        data = segment_sum(products, torch.searchsorted(self.rows, ends))  # -> [row, left, xyz, ..., property]
        if self.volume is not None:
            values, inverse = self.volume
            turned = torch.eye(3).to(inverse) if name == "strain" else inverse.transpose(1, 2)
            data = data + turned.expand(n_rows, 3, 3)[..., None] * values[:, None, None]  # ∂ ln V
        return np.arange(n_rows)[:, None], data

    def _positions(self, batch: Batch) -> tuple[np.ndarray, torch.Tensor]:
        """Rows (sample, system, atom) ascending; an atom and its own images move together, and change nothing."""
        moving = torch.nonzero(self.first != self.second)[:, 0]
        codes = [self.rows[moving] * max(batch.n_atoms, 1) + atom[moving] for atom in (self.second, self.first)]
        codes, order = torch.sort(torch.cat(codes), stable=True)
        found, counts = torch.unique_consecutive(codes, return_counts=True)
        starts = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        signs = self.values.new_ones(len(order))
        signs[order >= len(moving)] = -1.0
        data = sparse_sum(starts, moving[order % max(len(moving), 1)], signs, self.values)
        rows, atoms = found // max(batch.n_atoms, 1), found % max(batch.n_atoms, 1)
        labels = torch.cat([rows[:, None], batch.places(atoms)], dim=1)
        return labels.cpu().numpy(), data
