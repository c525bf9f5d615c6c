"""Explicit gradients of the expansion as dense arrays, from the derivative of every pair's contribution."""

import dataclasses

import numpy as np
import torch
from ketmap_core import Batch
from ketmap_ops.outer import expand_outer

from .environments import Environments
from .expansion import Expansion

#: pairs differentiated at once when their derivatives are added up, so that these stay in cache
CHUNK = 512


@dataclasses.dataclass(frozen=True)
class PositionRows:
    """The rows of positions gradients: around every centre its neighbours of one channel and the centre itself.

    Rows are sorted by (slot, atom): a slot is a centre with one channel. Images of the centre are left out: they move
    with it and change nothing.
    """

    slots: torch.Tensor  # int64 [slot], centre · n_channels + channel
    slot: torch.Tensor  # int64 [row], places in ``slots``
    atoms: torch.Tensor  # int64 [row], in the batch
    starts: torch.Tensor  # int64 [slot + 1]: rows of each
    own: torch.Tensor  # int64 [slot]: row of the centre itself, or −1 if it has no rows
    pair: torch.Tensor  # int64 [row]: the (first) pair of the row; −1 for the centre's own
    images: torch.Tensor  # int64 [image]: further pairs with an atom that has a row already
    image_rows: torch.Tensor  # int64 [image]: that row

    @classmethod
    def of(cls, environments: Environments, batch: Batch, slots: torch.Tensor) -> "PositionRows":
        """Rows for ``slots`` int64 [slot], in their order."""
        n_channels, n_atoms = max(len(environments.types), 1), max(batch.n_atoms, 1)
        first, counts = environments.starts[slots], environments.starts[slots + 1] - environments.starts[slots]
        slot = torch.repeat_interleave(torch.arange(len(slots), device=slots.device), counts)
        before = counts.cumsum(0) - counts  # pairs before each slot
        pairs = torch.arange(len(slot), device=slots.device) + (first - before)[slot]
        atom = environments.neighbors[pairs].long()
        center = environments.centers[slots // n_channels].long()  # -> [slot]
        moves = atom != center[slot]
        pairs, codes = pairs[moves], (slot * n_atoms + atom)[moves]
        if (torch.diff(codes) < 0).any():  # neighbours of several types in one channel
            codes, order = torch.sort(codes, stable=True)
            pairs = pairs[order]
        new = torch.diff(codes, prepend=codes.new_full((1,), -1)) != 0
        has = torch.nonzero((counts > 0) | (environments.own[slots // n_channels] == slots % n_channels))[:, 0]
        others, own_codes = codes[new], has * n_atoms + center[has]  # both sorted, and have nothing in common
        place = torch.searchsorted(own_codes, others) + torch.arange(len(others), device=slots.device)
        own_place = torch.searchsorted(others, own_codes) + torch.arange(len(has), device=slots.device)
        rows = codes.new_empty(len(others) + len(has))
        rows[place], rows[own_place] = others, own_codes
        pair = torch.full_like(rows, -1)
        pair[place] = pairs[new]
        own = torch.full_like(slots, -1)
        own[has] = own_place
        starts = torch.searchsorted(rows, torch.arange(len(slots) + 1, device=rows.device) * n_atoms)
        image_rows = place[new.cumsum(0)[~new] - 1]
        return cls(slots, rows // n_atoms, rows % n_atoms, starts, own, pair, pairs[~new], image_rows)

    def labels(self, batch: Batch, first: np.ndarray) -> np.ndarray:  # -> int32 [row, (sample, system, atom)]
        """Labels of the rows; samples of a block are counted from its ``first`` slot, int [slot]."""
        slot = self.slot.cpu()
        labels = torch.empty(len(slot), 3, dtype=torch.int32)
        labels[:, 0] = slot - torch.from_numpy(first)[slot]
        labels[:, 1:] = batch.places(self.atoms)
        return labels.numpy()


def positions_gradient(
    expansion: Expansion,
    environments: Environments,
    rows: PositionRows,
    table: torch.Tensor,
    kind: torch.Tensor | None = None,
) -> torch.Tensor:  # -> [row, xyz, lm, n]
    """∂c/∂r_atom of each row; images of one atom are added up, the centre moves against all others.

    ``table`` is that of all rows, or [kind, row, l, n] and each row has its ``kind``.
    The derivatives of the pairs are computed in place: the centres' own rows stand in the list as pairs beyond the
    cutoff, which are zero.
    """
    beyond = environments.vectors.new_full((1, 3), 2 * expansion.cutoff.radius)
    vectors = torch.cat([environments.vectors, beyond])[rows.pair]
    gradient = pair_jacobian(expansion, vectors, rows.starts, table, kind)
    for start in range(0, len(rows.images), CHUNK):
        images = environments.vectors[rows.images[start : start + CHUNK]]
        each = torch.arange(len(images) + 1, device=images.device)  # one segment per pair, so all threads work
        place = rows.image_rows[start : start + CHUNK]
        of_images = None if kind is None else kind[place]
        gradient.index_add_(0, place, pair_jacobian(expansion, images, each, table, of_images))
    flat, counts = gradient.flatten(1), rows.starts.diff()
    sums = flat.new_zeros(len(counts), flat.shape[1]).index_add_(0, rows.slot, flat)
    moves = (counts > 1) & (rows.own >= 0)
    flat[rows.own[moves]] = -sums[moves]
    return gradient


def pair_jacobian(
    expansion: Expansion, vectors: torch.Tensor, starts: torch.Tensor, table: torch.Tensor, kind: torch.Tensor | None
) -> torch.Tensor:  # -> [pair, xyz, lm, n]
    """The derivatives of single pairs; kind by kind where these have tables of their own."""
    if table.ndim == 3:
        return expansion.pair_jacobian(vectors, starts, table)
    result = vectors.new_zeros(len(vectors), 3, table.shape[2] ** 2, table.shape[3])
    for k, own in enumerate(table):
        here = torch.nonzero(kind == k)[:, 0]
        each = torch.arange(len(here) + 1, device=here.device)
        result[here] = expansion.pair_jacobian(vectors[here], each, own)
    return result


def outer_gradient(
    expansion: Expansion, environments: Environments, left: torch.Tensor, table: torch.Tensor
) -> torch.Tensor:  # -> [centre, channel, left, xyz, lm, n]
    """Σ_pairs left ⊗ ∂c/∂r_pair: with the vectors for ``left`` [pair, 3] the strain gradient [row, column],
    with the cell shifts the gradient for the cell at fixed positions, [abc, xyz]."""
    n_l, n = table.shape[-2:]
    if 0 in (len(environments), len(environments.types), n):
        return left.new_zeros(len(environments), len(environments.types), 3, 3, n_l**2, n)
    pairs = (environments.vectors, environments.starts, environments.own)
    return expand_outer(left.contiguous(), *pairs, *expansion.radial(environments, table))
