"""The TensorMap of a spherical expansion whose neighbour types are mixed into channels."""

import dataclasses
import functools

import numpy as np
import torch
from ketmap_core import Batch

from .assembly import Assembly
from .blocks import Part, parts
from .environments import Environments
from .expansion import Expansion
from .gradients import PositionRows, outer_gradient, positions_gradient
from .selection import Selection

KEYS = ("o3_lambda", "o3_sigma", "center_type", "neighbor_channel")


def wanted_channels(expansion: Expansion, selection: Selection, *names: str) -> tuple[int, ...]:
    """The channels that the selected keys need, under any of these ``names``; only they are computed.

    :raises ValueError: for selected channels that there are not.
    """
    n_channels = expansion.species.n_channels
    selected = [selection.wanted(name) for name in names]
    if any(found is None for found in selected):
        return tuple(range(n_channels))
    channels = sorted(set().union(*selected))
    if any(not 0 <= q < n_channels for q in channels):
        raise ValueError(f"selected channels {channels}; there are {n_channels}: 0 … {n_channels - 1}")
    return tuple(channels)


def pair_weights(environments: Environments, mixing: torch.Tensor) -> torch.Tensor:  # -> [pair, channel]
    """The weights of each pair's neighbour."""
    return mixing[environments.slots() % max(len(environments.types), 1)]


def merged(environments: Environments) -> Environments:
    """The same pairs as if all neighbours were of one type, which the centres are too."""
    starts = environments.starts[:: max(len(environments.types), 1)].contiguous()
    return dataclasses.replace(environments, types=(0,), own=torch.zeros_like(environments.own), starts=starts)


def merged_rows(environments: Environments, batch: Batch, centers: slice) -> PositionRows:
    """Rows of the positions gradients of ``centers``, with neighbours of all types: one slot for each centre."""
    slots = torch.arange(centers.start, centers.stop, device=environments.starts.device)
    return PositionRows.of(merged(environments), batch, slots)


def mixed_outer(
    expansion: Expansion, environments: Environments, mixing: torch.Tensor, left: torch.Tensor, table: torch.Tensor
) -> torch.Tensor:  # -> [centre, channel, left, xyz, lm, n]
    """Σ_pairs weight left ⊗ ∂c/∂r_pair, see :func:`~ketmap_density.gradients.outer_gradient`: channel by channel, so
    that nothing is stored by types."""
    if table.ndim == 4:  # types differ by more than their weights
        by_type = outer_gradient(expansion, environments, left, table)
        return torch.einsum("ct...,tq->cq...", by_type, mixing)
    around, weights = merged(environments), pair_weights(environments, mixing)
    each = [outer_gradient(expansion, around, left * w[:, None], table) for w in weights.T]
    if not each:
        return table.new_zeros(len(environments), 0, 3, 3, table.shape[-2] ** 2, table.shape[-1])
    return torch.cat(each, dim=1)


class MovedAtoms:
    """∂c/∂r of some centres by all their neighbours and by themselves, before the mixing."""

    def __init__(self, expansion: Expansion, environments: Environments, batch: Batch, centers: slice, table):
        around = merged(environments)
        self.rows = merged_rows(environments, batch, centers)
        self.center = self.rows.slots[self.rows.slot]  # -> [row], among all centres
        types = batch.types[self.rows.atoms]
        known = torch.tensor(environments.types, dtype=types.dtype, device=types.device)
        self.kind = torch.searchsorted(known, types)  # -> [row]
        self.values = positions_gradient(expansion, around, self.rows, table, self.kind)  # -> [row, xyz, lm, n]
        self.others = torch.ones(len(self.kind), dtype=torch.bool, device=types.device)
        self.others[self.rows.own[self.rows.own >= 0]] = False

    def mixed(self, mixing: torch.Tensor) -> torch.Tensor:  # [type, channel] -> [row, channel, xyz, lm, n]
        """Of all channels: neighbours with the weights of their types, centres against all their neighbours."""
        weights = mixing[self.kind] * self.others[:, None]
        values = weights[:, :, None, None, None] * self.values[:, None]
        n_centers = len(self.rows.own)
        sums = values.new_zeros(n_centers, *values.shape[1:]).index_add(0, self.rows.slot, values)
        has = self.rows.own >= 0
        values[self.rows.own[has]] = -sums[has]
        return values


class MixedAssembly(Assembly):
    """Blocks by channel, not by neighbour type. A centre's own density is mixed too: all centres have all channels."""

    names = KEYS

    def __init__(self, expansion: Expansion, batch: Batch, environments: Environments, selection: Selection):
        super().__init__(expansion, batch, environments, selection)
        channels = wanted_channels(expansion, selection, "neighbor_channel")
        self.channel = {q: index for index, q in enumerate(channels)}
        self.mixing = expansion.mixing(environments, channels)  # -> [type, channel]
        self.parts = {t: everywhere(part, len(channels)) for t, part in parts(environments).items()}
        self.moved: tuple[slice, MovedAtoms] | None = None  # of the last type of centre, for its other channels

    def coefficients(self) -> torch.Tensor:  # -> [centre, channel, lm, n]
        return self.expansion.coefficients(self.environments, self.batch, self.table, self.mixing)

    def _found(self) -> list[tuple[int, int]]:
        types = self.parts if self.selection.samples is None else torch.unique(self.batch.types).tolist()
        return [(t, q) for t in types for q in self.channel]

    def _restrict(self, keys: list) -> None:
        """Nothing: every channel needs all neighbours."""

    def _outer(self, left: torch.Tensor) -> torch.Tensor:
        return mixed_outer(self.expansion, self.environments, self.mixing.detach(), left, self.table)

    @functools.cached_property
    def _slices(self) -> dict[tuple[int, int], slice]:
        """The slots of each block: all centres of a type, for each of their channels."""
        return {(center, q): part.rows for center, part in self.parts.items() for q in range(part.has.shape[1])}

    @functools.cached_property
    def _around(self) -> PositionRows:
        return merged_rows(self.environments, self.batch, slice(0, len(self.environments)))

    @functools.cached_property
    def _position_labels(self) -> np.ndarray:
        first = np.zeros(len(self.environments), dtype=np.int64)
        for part in self.parts.values():
            first[part.rows] = part.rows.start
        return self._around.labels(self.batch, first)

    def _moved_in(self, key, rows: slice) -> torch.Tensor:  # type by type, as they are large before the mixing
        if key[2] not in self.parts:
            return self.table.new_zeros(0, 3, self.table.shape[-2] ** 2, self.table.shape[-1])
        centers, channel = self.parts[key[2]].rows, self.channel[key[3]]
        if self.moved is None or self.moved[0] != centers:
            self.moved = centers, MovedAtoms(self.expansion, self.environments, self.batch, centers, self.table)
        return self.moved[1].mixed(self.mixing.detach()[:, channel : channel + 1])[:, 0]


def everywhere(part: Part, n_channels: int) -> Part:
    """All centres have all channels."""
    return Part(part.rows, np.ones((len(part.has), n_channels), dtype=bool))
