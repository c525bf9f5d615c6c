"""Explicit gradients of the expansion as dense arrays, from the derivative of every pair's contribution."""

import bisect
import dataclasses

import torch
from ketmap_core import Batch

from .environments import Environments
from .expansion import Expansion

#: centres whose pairs are differentiated at once, so that their derivatives stay in cache
CHUNK = 8


@dataclasses.dataclass(frozen=True)
class PositionRows:
    """Which rows the gradients of each (centre, channel) have: its neighbours, and the centre itself.

    Rows are sorted by (type of centre, channel, centre, atom), so those of a block are one slice.
    """

    row: torch.Tensor  # int64 [pair]: row of the neighbour
    own_row: torch.Tensor  # int64 [pair]: row of the centre
    blocks: torch.Tensor  # int64 [row]: place of the centre's type · n_channels + channel, ascending
    centers: torch.Tensor  # int64 [row]
    atoms: torch.Tensor  # int64 [row], in the batch
    n_channels: int

    @classmethod
    def of(cls, environments: Environments, batch: Batch) -> "PositionRows":
        n_channels, n_atoms = len(environments.types), batch.n_atoms
        slots = environments.slots()
        used = environments.counts() > 0  # -> [centre, channel]
        known = torch.nonzero(environments.own >= 0)[:, 0]
        used[known, environments.own[known].long()] = True
        own_slots = torch.nonzero(used.reshape(-1))[:, 0]
        _, group = torch.unique(environments.center_types, return_inverse=True)

        def code(slot, atom):  # one number that sorts by (type of centre, channel, centre, atom)
            center, channel = slot // n_channels, slot % n_channels
            return ((group[center] * n_channels + channel) * len(environments) + center) * n_atoms + atom

        own_atoms = environments.centers.long()[own_slots // n_channels]
        codes = torch.cat([code(slots, environments.neighbors.long()), code(own_slots, own_atoms)])
        rows, place = torch.unique(codes, return_inverse=True)
        own_row = torch.zeros(used.numel(), dtype=torch.int64, device=codes.device)
        own_row[own_slots] = place[len(slots) :]
        n_atoms, n_centers = max(n_atoms, 1), max(len(environments), 1)
        block = rows // (n_atoms * n_centers)
        return cls(
            place[: len(slots)],
            own_row[slots],
            block,
            rows // n_atoms % n_centers,
            rows % n_atoms,
            n_channels,
        )

    def block(self, center_types: torch.Tensor, center_type: int, channel: int) -> tuple[int, int]:
        """First and last + 1 row of a block."""
        types = torch.unique(center_types)
        known = torch.nonzero(types == center_type)[:, 0]
        if len(known) == 0:
            return 0, 0
        code = int(known) * self.n_channels + channel
        edges = torch.tensor([code, code + 1], device=self.blocks.device)
        first, last = torch.searchsorted(self.blocks, edges).tolist()
        return first, last


def positions_gradient(
    expansion: Expansion, environments: Environments, rows: PositionRows, table: torch.Tensor
) -> torch.Tensor:  # -> [row, xyz, lm, n]
    """∂c/∂r_atom of each row; images of one atom are added up."""
    gradient = table.new_zeros(len(rows.atoms), 3, table.shape[1] ** 2, table.shape[2])
    for chunk, jacobian in _jacobians(expansion, environments, table):
        gradient.index_add_(0, rows.row[chunk], jacobian)
        gradient.index_add_(0, rows.own_row[chunk], jacobian, alpha=-1)
    return gradient


def outer_gradient(
    expansion: Expansion, environments: Environments, left: torch.Tensor, table: torch.Tensor
) -> torch.Tensor:  # -> [centre, channel, left, xyz, lm, n]
    """Σ_pairs left ⊗ ∂c/∂r_pair: with the vectors for ``left`` [pair, 3] the strain gradient [row, column],
    with the cell shifts the gradient for the cell at fixed positions, [abc, xyz]."""
    n_channels, size = len(environments.types), 3 * table.shape[1] ** 2 * table.shape[2]
    gradient = table.new_zeros(len(environments) * n_channels, 3, size)
    starts = environments.starts.tolist()
    for pairs, jacobian in _jacobians(expansion, environments, table):
        flat = jacobian.reshape(-1, size)  # -> [pair, (xyz, lm, n)]
        slot = bisect.bisect_left(starts, pairs.start)
        while slot < len(gradient) and starts[slot] < pairs.stop:  # the pairs of a slot stand together
            here = slice(starts[slot], starts[slot + 1])
            inside = slice(here.start - pairs.start, here.stop - pairs.start)
            torch.mm(left[here].T, flat[inside], out=gradient[slot])
            slot += 1
    shape = (len(environments), n_channels, 3, 3, table.shape[1] ** 2, table.shape[2])
    return gradient.reshape(shape)


def _jacobians(expansion, environments, table):
    for first in range(0, len(environments), CHUNK):
        yield expansion.jacobian(environments, slice(first, first + CHUNK), table)
