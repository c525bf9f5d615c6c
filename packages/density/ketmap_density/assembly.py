"""The TensorMap of a spherical expansion, cut from its dense arrays."""

import functools

import numpy as np
import torch
from ketmap_core import Batch, BlockShape

from .blocks import Maker, Rows, parts, samples_of, take, take_columns
from .environments import Environments
from .expansion import Expansion
from .gradients import PositionRows, outer_gradient, positions_gradient
from .selection import Selection
from .wanted import Wanted

KEYS = ("o3_lambda", "o3_sigma", "center_type", "neighbor_type")

Key = tuple[int, int, int, int]


class Assembly:
    """What the blocks of one call share: labels, places of centres, and which part of the basis is wanted."""

    names = KEYS

    def __init__(self, expansion: Expansion, batch: Batch, environments: Environments, selection: Selection):
        self.expansion, self.batch = expansion, batch
        self.environments, self.selection = environments, selection
        self.make = Maker.of(batch)
        self.parts = parts(environments)
        self.samples = samples_of(environments, batch)  # -> [centre, (system, atom)]
        self.channel = {t: index for index, t in enumerate(environments.types)}
        self.wanted = Wanted(expansion, selection)

    @functools.cached_property
    def table(self) -> torch.Tensor:  # -> [row, l, n], or [channel, row, l, n]
        """The part of the radial table that is needed."""
        return self.wanted.table(self.environments.vectors, self.environments.types)

    def coefficients(self) -> torch.Tensor:  # -> [centre, channel, lm, n]
        """What the values of the blocks are cut from."""
        return self.expansion.coefficients(self.environments, self.batch, self.table)

    def _found(self) -> list[tuple[int, int]]:
        """Types of centres and neighbours that meet."""
        if self.selection.samples is None:
            return types_that_meet(self.environments)
        return type_pairs(self.expansion, self.batch)  # keys do not depend on the selection of samples

    def choose_keys(self) -> list[Key]:
        """Keys in the order (center_type, neighbor_type, o3_lambda), or as selected."""
        keys = self.wanted.keys(self._found())
        if self.selection.keys is not None or self.selection.by_key:
            self._restrict(keys)
        return keys

    def _restrict(self, keys: list[Key]) -> None:
        """Let go of the neighbours that no block of the ``keys`` needs."""
        wanted = np.zeros((len(self.environments), len(self.environments.types)), dtype=bool)
        for key in keys:
            rows = self._rows(key)[0]
            wanted[rows if isinstance(rows, slice) else rows[rows >= 0], self.channel[key[3]]] = True
        self.environments = self.environments.restricted(wanted)

    def tensor(self, keys: list[Key], gradients: tuple[str, ...] = ()):
        """The TensorMap with blocks for ``keys``; a block is a view where all its centres have the neighbour."""
        sources = {"values": self._values(self.coefficients()), **{name: self._gradient(name) for name in gradients}}
        places = {name: {} for name in sources}
        shared = self.wanted.labels(self.make)
        mu = [self.make.range("o3_mu", -l, l + 1) for l in range(self.expansion.l_max + 1)]
        blocks = []
        for key in keys:
            l = key[0]
            place = key if self.selection.by_key else key[2:]  # blocks that differ in l share data and samples
            columns, n = self._properties(key, shared[l])
            block = None
            for name, (cut, components) in sources.items():
                if place not in places[name]:
                    places[name][place] = cut(key)
                data, samples = places[name][place]  # data: [sample, ..., lm, n]
                data = take_columns(data[..., l * l : (l + 1) ** 2, :], columns)
                made = self._block(data, samples, components, mu[l], n)
                if block is None:
                    block = made
                else:
                    block.add_gradient(name, made)
            blocks.append(block)
        return self.make.tensor(self.names, [key[-len(self.names) :] for key in keys], blocks)

    def shapes(self, keys: list[Key], gradients: tuple[str, ...]) -> list[BlockShape]:
        """The sizes of the blocks for ``keys``, without their numbers."""
        return [self._shape(key, gradients) for key in keys]

    def _shape(self, key: Key, gradients: tuple[str, ...]) -> BlockShape:
        chosen = self.wanted.properties(key)[1]
        n = len(self.wanted.columns[key[0]] if chosen is None else chosen)
        inner = (2 * key[0] + 1, n) if "o3_lambda" in self.names else (n,)
        count = len(self._rows(key)[1])
        slopes = {
            name: (self._n_moving(key), 3, *inner) if name == "positions" else (count, 3, 3, *inner)
            for name in gradients
        }
        named = dict(zip(self.names, key[-len(self.names) :]))
        return BlockShape(named, (count, *inner), slopes, self.batch.positions.element_size())

    def _n_moving(self, key: Key) -> int:
        """The number of rows of the positions gradient."""
        slots, starts = self._slots(key), self._position_starts
        if isinstance(slots, slice):
            return int(starts[slots.stop] - starts[slots.start])
        slots = slots[slots >= 0]
        return int((starts[slots + 1] - starts[slots]).sum())

    def _block(self, data, samples, components: list, mu, n):
        return self.make.block(data, samples, [*components, mu], n)

    def _values(self, coefficients: torch.Tensor):  # -> function of the key: data and samples; components
        values = self.make.array(coefficients)  # -> [centre, channel, lm, n]
        whole = {}

        def cut(key: Key):
            rows, samples = self._rows(key)
            if isinstance(rows, slice):  # blocks of all centres of a type share their samples
                labels = whole.get(key[2]) or whole.setdefault(key[2], self.make.labels(["system", "atom"], samples))
            else:
                labels = self.make.labels(["system", "atom"], samples)
            return take(values[:, self.channel[key[3]]], rows), labels

        return cut, []

    def _gradient(self, name: str):  # -> function of the key: data and samples; components
        if name == "positions":
            return self._position_gradient, [self.make.range("xyz", 0, 3)]
        left = self.environments.vectors if name == "strain" else self.environments.shifts.to(self.table.dtype)
        components = ("xyz_1", "xyz_2") if name == "strain" else ("abc", "xyz")
        values = self.make.array(self._outer(left))

        def cut(key: Key):
            rows, samples = self._rows(key)
            return take(values[:, self.channel[key[3]]], rows), self.make.range("sample", 0, len(samples))

        return cut, [self.make.range(component, 0, 3) for component in components]

    def _outer(self, left: torch.Tensor) -> torch.Tensor:  # -> [centre, channel, left, xyz, lm, n]
        return outer_gradient(self.expansion, self.environments, left, self.table)

    @functools.cached_property
    def _present(self) -> dict[tuple[int, int], np.ndarray]:  # -> int64 [centre of the block], by type and channel
        """The centres of each block, in the order in which positions gradients are computed."""
        every = np.arange(len(self.environments))
        return {
            (center, channel): every[part.present(channel)]
            for center, part in self.parts.items()
            for channel in range(part.has.shape[1])
        }

    @functools.cached_property
    def _slices(self) -> dict[tuple[int, int], slice]:  # by type and channel
        """The slots of each block."""
        ends = np.cumsum([0, *map(len, self._present.values())]).tolist()
        return {name: slice(a, b) for name, a, b in zip(self._present, ends, ends[1:])}

    @functools.cached_property
    def _around(self) -> PositionRows:
        """Rows of the positions gradients of all blocks, block after block."""
        n_channels = len(self.environments.types)
        slots = [centers * n_channels + channel for (_, channel), centers in self._present.items()]
        slots = np.concatenate([np.zeros(0, dtype=np.int64), *slots])
        return PositionRows.of(
            self.environments, self.batch, torch.from_numpy(slots).to(self.environments.starts.device)
        )

    @functools.cached_property
    def _position_starts(self) -> np.ndarray:  # -> int64 [slot + 1]
        return self._around.starts.cpu().numpy()

    @functools.cached_property
    def _position_labels(self) -> np.ndarray:  # -> int32 [row, (sample, system, atom)]
        sizes = [part.stop - part.start for part in self._slices.values()]
        first = np.repeat([part.start for part in self._slices.values()], sizes).astype(np.int64)
        return self._around.labels(self.batch, first)

    @functools.cached_property
    def _moved(self) -> torch.Tensor:  # -> [row, xyz, lm, n]
        around = self._around
        kind = around.slots[around.slot] % max(len(self.environments.types), 1) if self.table.ndim == 4 else None
        return positions_gradient(self.expansion, self.environments, around, self.table, kind)

    def _moved_in(self, key: Key, rows: slice) -> torch.Tensor:  # -> [row, xyz, lm, n]
        """The positions gradient in the ``rows`` of one block."""
        return self._moved[rows]

    def _slots(self, key: Key) -> slice | np.ndarray:
        """Slots of the samples of one block; −1 for those that have no such neighbour."""
        block = key[2], self.channel[key[3]]
        slots = self._slices.get(block, slice(0, 0))
        if not self.selection.by_key:
            return slots
        place = np.full(len(self.environments) + 1, -1)  # the last is what −1 points to
        if block in self._present:
            place[self._present[block]] = np.arange(slots.start, slots.stop)
        return place[self._rows(key)[0]]

    def _position_gradient(self, key: Key):  # -> data, samples
        starts, names = self._position_starts, ["sample", "system", "atom"]
        slots, block = self._slots(key), self._slices.get((key[2], self.channel[key[3]]), slice(0, 0))
        rows = slice(starts[block.start], starts[block.stop])
        data, labels = self.make.array(self._moved_in(key, rows)), self._position_labels[rows]
        if isinstance(slots, slice):
            return data, self.make.labels(names, labels)
        # samples were chosen, in an order of their own
        sample = np.flatnonzero(slots >= 0)
        first, counts = starts[slots[sample]] - rows.start, starts[slots[sample] + 1] - starts[slots[sample]]
        kept = np.repeat(first - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())
        labels = labels[kept]
        labels[:, 0] = np.repeat(sample, counts)
        return data[kept], self.make.labels(names, labels)

    def _rows(self, key: Key) -> tuple[Rows, np.ndarray]:  # -> places of the block's centres; [sample, (system, atom)]
        part = self.parts.get(key[2])
        chosen = self.selection.samples_of(key, self.samples)
        if chosen is not None:
            first, last = (part.rows.start, part.rows.stop) if part else (0, 0)
            inside = (chosen >= first) & (chosen < last)
            return np.where(inside, chosen, -1), self.selection.labels_of(key, "samples")
        rows = np.zeros(0, dtype=np.int64) if part is None else part.present(self.channel[key[3]])
        return rows, self.samples[rows]

    def _properties(self, key: Key, shared):  # -> places of the block's properties; labels
        columns, chosen = self.wanted.properties(key)
        return columns, shared if chosen is None else self.make.labels(["n"], chosen)


def types_that_meet(environments: Environments) -> list[tuple[int, int]]:
    """(center_type, neighbor_type) of the centres and channels there are, ascending."""
    return [
        (center, neighbor)
        for center, part in parts(environments).items()
        for neighbor, here in zip(environments.types, part.has.any(axis=0))
        if here
    ]


def type_pairs(expansion: Expansion, batch: Batch) -> list[tuple[int, int]]:
    """(center_type, neighbor_type) of all atoms of the batch, ascending: types that meet, or are the same atom."""
    pairs = expansion.pairs(batch)
    types, kind = torch.unique(batch.types, return_inverse=True)
    first, second = kind[pairs.first.long()], kind[pairs.second.long()]
    codes = torch.cat([first * len(types) + second, second * len(types) + first, kind * (len(types) + 1)])
    return [(int(types[code // len(types)]), int(types[code % len(types)])) for code in torch.unique(codes).tolist()]
