"""Who stands around whom: neighbour pairs grouped by centre and by channel (the neighbour's type)."""

import dataclasses
import functools
import warnings

import numpy as np
import torch
from ketmap_core import Batch, CoincidentAtomsWarning, Pairs, coincident
from ketmap_core.errors import coincident_message
from ketmap_core.pairs import check_cutoff
from ketmap_ops import group, neighbors


@dataclasses.dataclass(frozen=True)
class Environments:
    """The environments of the chosen centres of one batch.

    Centres are ordered by (type, system, atom), so all centres of a type are one slice; pairs by (centre,
    channel, neighbour, shift), so all neighbours of a type around a centre are one slice. The pair list may
    hold a skin.
    """

    types: tuple[int, ...]  #: neighbour types, ascending: the channels
    cutoff: float  #: pairs are complete up to here, skin included
    centers: torch.Tensor  #: int32 [centre]: atom of each centre
    center_types: torch.Tensor  #: int32 [centre]
    rank: torch.Tensor  #: int32 [atom]: its place among the centres, −1 if it is none
    own: torch.Tensor  #: int32 [centre]: channel of the centre's own type, −1 if there is none
    starts: torch.Tensor  #: int64 [centre · channel + 1]
    neighbors: torch.Tensor  #: int32 [pair]: neighbour atom
    shifts: torch.Tensor  #: int32 [pair, 3]: cell shift of the neighbour
    vectors: torch.Tensor  #: float [pair, 3]: from centre to neighbour, detached
    reverse: torch.Tensor  #: int64 [pair]: the pair seen from the other side, −1 if that is not there; or empty

    @property
    def kind(self) -> torch.Tensor:  # -> int32 [centre]
        """Place of each centre's type in ``types``, −1 if it is not there."""
        return self.own

    def __len__(self) -> int:
        return len(self.centers)

    def counts(self) -> torch.Tensor:  # -> int64 [centre, channel]
        """Number of neighbours of each type around each centre."""
        return torch.diff(self.starts).reshape(len(self), len(self.types))

    def slots(self) -> torch.Tensor:  # -> int64 [pair]
        """centre · n_channels + channel of each pair."""
        every = torch.arange(len(self.starts) - 1, device=self.starts.device)
        return torch.repeat_interleave(every, torch.diff(self.starts))

    def restricted(self, wanted: np.ndarray) -> "Environments":
        """Without the neighbours in channels that are not ``wanted``, bool [centre, channel]."""
        wanted = torch.from_numpy(wanted.reshape(-1)).to(self.starts.device)
        counts = torch.diff(self.starts)
        if not (counts[~wanted] > 0).any():
            return self
        kept = torch.repeat_interleave(wanted, counts)  # -> [pair]
        place = torch.where(kept, kept.cumsum(0) - 1, -1)
        starts = torch.cat([counts.new_zeros(1), (counts * wanted).cumsum(0)])
        reverse = self.reverse[kept[: len(self.reverse)]]
        reverse = torch.where(reverse >= 0, place[reverse], -1)
        shifts, vectors = self.shifts[kept], self.vectors[kept]
        return dataclasses.replace(
            self, starts=starts, neighbors=self.neighbors[kept], shifts=shifts, vectors=vectors, reverse=reverse
        )

    @functools.cached_property
    def _ends(self) -> tuple[torch.Tensor, torch.Tensor]:  # -> int64 [pair], [pair]: centre, neighbour
        return self.centers[self.slots() // max(len(self.types), 1)].long(), self.neighbors.long()

    def differentiable_vectors(self, batch: Batch) -> torch.Tensor:  # -> [pair, 3]
        """r_neighbour − r_centre + S·cell through which gradients flow to ``batch.positions`` and ``batch.cells``."""
        if self.vectors.requires_grad:  # they are already
            return self.vectors
        (first, second), positions = self._ends, batch.positions
        apart = positions.index_select(0, second) - positions.index_select(0, first)
        shifts = self.shifts.to(positions.dtype)
        if len(batch) == 1:
            return torch.addmm(apart, shifts, batch.cells[0])
        return apart + torch.einsum("pa,pax->px", shifts, batch.cells[batch.system[second].long()])


def environments(
    batch: Batch,
    pairs: Pairs | None,
    cutoff: float,
    types: tuple[int, ...] | None = None,
    centers: torch.Tensor | None = None,
    reverse: bool = False,
) -> Environments:
    """The neighbours within ``cutoff`` of ``centers`` (bool [atom]; default: every atom), grouped by ``types``.

    ``types`` are ascending atomic numbers, by default those that occur; neighbours of other types are left
    out. Half ``pairs`` are grouped if they are given; if not, the neighbours of the centres alone are found, and
    what gathers forces, the places of the pairs as seen from the other side, only if ``reverse``.

    :raises ValueError: if the cutoff is not a positive number.
    """
    check_cutoff(cutoff)
    if types is None:
        known, channel = torch.unique(batch.types, return_inverse=True)
        types, channel = tuple(known.tolist()), channel.to(torch.int32)
    else:
        channel = _channels(batch.types, types)
    chosen = torch.argsort(batch.types, stable=True)
    if centers is not None:
        chosen = chosen[centers[chosen]]
    rank = torch.full_like(batch.types, -1)
    rank[chosen] = torch.arange(len(chosen), dtype=torch.int32, device=rank.device)
    places = (rank, channel, len(chosen), len(types))
    if pairs is None:
        found = neighbors(batch.positions, batch.cells, batch.pbc, batch.starts, *places, cutoff, reverse)
    else:
        found = group(pairs.first, pairs.second, pairs.shifts, pairs.vectors, *places)
    starts, neighbor, shifts, vectors, reversed_pairs = found
    return Environments(
        types=tuple(types),
        cutoff=cutoff,
        centers=chosen.to(torch.int32),
        center_types=batch.types[chosen],
        rank=rank,
        own=channel[chosen],
        starts=starts,
        neighbors=neighbor,
        shifts=shifts,
        vectors=vectors,
        reverse=reversed_pairs,
    )


def remembered_environments(
    batch: Batch, cutoff: float, types: tuple[int, ...] | None = None, centers: torch.Tensor | None = None
) -> Environments:
    """The neighbours within ``cutoff``, and perhaps more: a batch with a memory uses those with a skin again.

    Vectors are those of now; of remembered neighbours, through them gradients flow to positions and cells.
    """
    if batch.memory is None:
        return environments(batch, None, cutoff, types, centers)
    name = ("environments", cutoff, types, None if centers is None else centers.cpu().numpy().tobytes())
    found = batch.memory.recall(name, cutoff, batch, lambda reach: environments(batch, None, reach, types, centers))
    return dataclasses.replace(found, vectors=found.differentiable_vectors(batch))


def checked_environments(
    batch: Batch,
    cutoff: float,
    types: tuple[int, ...] | None = None,
    centers: torch.Tensor | None = None,
) -> Environments:
    """What a calculator works with; atoms at one point give a warning, and finite values."""
    if found := coincident(batch):
        warnings.warn(coincident_message(found), CoincidentAtomsWarning, stacklevel=4)
    return environments(batch, None, cutoff, types, centers)


def _channels(atom_types: torch.Tensor, types: tuple[int, ...]) -> torch.Tensor:  # -> int32 [atom]
    """Place of each atom's type in ``types``, −1 if it is not there."""
    if len(types) == 0:
        return torch.full_like(atom_types, -1)
    known = torch.tensor(types, dtype=atom_types.dtype, device=atom_types.device)
    place = torch.searchsorted(known, atom_types).clamp(max=len(types) - 1)
    return torch.where(known[place] == atom_types, place, -1).to(torch.int32)
