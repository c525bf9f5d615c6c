"""What descriptors of atom-centred environments share: who stands around whom, block by block."""

import functools

import numpy as np
import torch
from ketmap_core import Batch, find_pairs
from ketmap_density.environments import checked_environments
from ketmap_density.selection import Selection
from ketmap_ops.reference import expansion

from .calculator import Part
from .slopes import Slopes


class Around:
    """The environments of the wanted centres; pairs are sorted by centre, then by the neighbour's type."""

    def __init__(self, batch: Batch, cutoff: float, selection: Selection, types: tuple[int, ...] | None = None):
        self.batch, self.cutoff = batch, cutoff
        self.environments = checked_environments(batch, cutoff, types, selection.atoms(batch))
        self.channel = {kind: place for place, kind in enumerate(self.environments.types)}

    @property
    def starts(self) -> torch.Tensor:  # -> int64 [centre · channel + 1]
        """First pair of each centre and channel."""
        return self.environments.starts

    @functools.cached_property
    def counts(self) -> torch.Tensor:  # -> int64 [centre, channel]
        return self.environments.counts()

    @functools.cached_property
    def center_of(self) -> torch.Tensor:  # -> int64 [pair]
        """Place of each pair's centre among the centres."""
        return self.environments.slots() // max(len(self.environments.types), 1)

    @functools.cached_property
    def vectors(self) -> torch.Tensor:  # -> [pair, 3]
        """Through positions and cells when these require gradients."""
        if self.batch.positions.requires_grad or self.batch.cells.requires_grad:
            return self.environments.differentiable_vectors(self.batch)
        return self.environments.vectors

    @functools.cached_property
    def directions(self) -> tuple[torch.Tensor, torch.Tensor]:  # -> [pair], [pair, 3]
        """Distances and unit vectors, zero at zero distance."""
        return expansion.directions(self.vectors)

    @functools.cached_property
    def distances(self) -> torch.Tensor:  # -> [pair]
        return expansion.lengths(self.vectors)

    @property
    def units(self) -> torch.Tensor:  # -> [pair, 3], detached
        return self.directions[1].detach()

    @functools.cached_property
    def occurring(self) -> dict[int, np.ndarray]:  # -> int [atom, channel] of each type of centre, ascending
        """Numbers of neighbours of all atoms, chosen as samples or not: keys do not depend on that choice."""
        if len(self.environments) == self.batch.n_atoms:  # all atoms are centres
            return {kind: self._numbers[part] for kind, part in self._parts.items()}
        types = self.environments.types
        known = torch.tensor(types, dtype=self.batch.types.dtype, device=self.batch.types.device)
        pairs = find_pairs(self.batch, self.cutoff)
        first, second = pairs.first.long(), pairs.second.long()
        centers, neighbors = torch.cat([first, second]), torch.cat([second, first])
        kept = torch.isin(self.batch.types[neighbors], known)
        channels = torch.searchsorted(known, self.batch.types[neighbors[kept]])
        codes = centers[kept] * len(types) + channels
        counts = torch.bincount(codes, minlength=self.batch.n_atoms * len(types))
        counts = counts.reshape(self.batch.n_atoms, len(types))
        kinds = torch.unique(self.batch.types).tolist()
        return {kind: counts[self.batch.types == kind].cpu().numpy() for kind in kinds}

    def centers_with(self, center_type: int, *needed: tuple[int, int]) -> torch.Tensor:  # -> int64 [row]
        """Places of the centres of a type with at least n neighbours in a channel, for all ``needed`` (channel, n)."""
        part = self._parts.get(center_type, slice(0, 0))
        has = np.ones(part.stop - part.start, dtype=bool)
        for channel, least in needed:
            has &= self._numbers[part, channel] >= least
        return torch.from_numpy(part.start + np.flatnonzero(has)).to(self.starts.device)

    @functools.cached_property
    def _numbers(self) -> np.ndarray:  # -> int64 [centre, channel]
        return self.counts.cpu().numpy()

    @functools.cached_property
    def _parts(self) -> dict[int, slice]:
        """The centres of each type, which stand together."""
        types, counts = np.unique(self.environments.center_types.cpu().numpy(), return_counts=True)
        ends = np.cumsum([0, *counts]).tolist()
        return {t: slice(a, b) for t, a, b in zip(types.tolist(), ends, ends[1:])}

    def labels(self, rows: torch.Tensor) -> np.ndarray:  # -> [row, (system, atom)]
        return self.batch.places(self.environments.centers[rows]).cpu().numpy()

    def pairs_of(self, rows: torch.Tensor, channel: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The pairs of centres ``rows`` in one channel, and the starts of each row in them. -> [pair], [row + 1]"""
        slots = rows * len(self.environments.types) + channel
        counts = self.counts[rows, channel]
        ends = counts.cumsum(0)
        starts = torch.cat([counts.new_zeros(1), ends])
        every = torch.arange(int(starts[-1]), device=starts.device)
        return every + torch.repeat_interleave(self.starts[slots] - ends + counts, counts), starts

    def nothing(self, n_properties: int) -> Part:
        """The block of types that do not occur."""
        none = self.center_of[:0]
        values = self.distances.new_zeros(0, n_properties)
        slopes = self.slopes(none, none, values.new_zeros(0, 3, n_properties))
        return Part(np.zeros((0, 2), dtype=np.int64), values, lambda: slopes)

    def slopes(self, rows: torch.Tensor, pairs: torch.Tensor, values: torch.Tensor) -> Slopes:
        """Slopes of a block with the ``values`` of ``pairs``, that belong to ``rows`` of the block."""
        here = self.environments
        return Slopes(
            rows=rows,
            first=here.centers[self.center_of[pairs]].long(),
            second=here.neighbors[pairs].long(),
            vectors=here.vectors[pairs],
            shifts=here.shifts[pairs].to(here.vectors.dtype),
            values=values,
        )
