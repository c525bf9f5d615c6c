"""The TensorMap of a power spectrum: which rows there are, and their blocks."""

import dataclasses
import functools
import itertools

import numpy as np
import torch
from ketmap_core import Batch, BlockShape, Pairs
from ketmap_density import Environments, Expansion
from ketmap_density.blocks import Maker, neighbors_of_centers, samples_of, take, take_columns
from ketmap_density.selection import Selection
from ketmap_ops.outer import expand_outer
from ketmap_ops.power_spectrum import (
    position_rows,
    power_spectrum_jvp,
    power_spectrum_of_pairs,
    power_spectrum_positions,
    power_spectrum_rows,
)

from .weights import KEYS, PROPERTIES, places_of, properties_of

Key = tuple[int, int, int]


@dataclasses.dataclass(frozen=True)
class Rows:
    """The rows of all blocks, block after block: each block is one slice, written in place by the kernels."""

    place: np.ndarray  # int64 [centre, ab]: row of this centre in the block of channels ab, −1: none
    centers: np.ndarray  # int64 [row]
    slices: dict[Key, slice]

    @classmethod
    def of(cls, environments: Environments, has: np.ndarray, channels: tuple[int, ...], keys: list[Key]) -> "Rows":
        """A block's rows are the centres that have both ``channels`` (their labels), as ``has`` [centre, channel]
        says."""
        types, n_channels = environments.center_types.cpu().numpy(), len(channels)
        channel = {label: index for index, label in enumerate(channels)}
        place = np.full((len(environments), n_channels * (n_channels + 1) // 2), -1, dtype=np.int64)
        centers, slices, end = [], {}, 0
        for center, first, second in keys:
            a, b = channel[first], channel[second]
            begin, last = np.searchsorted(types, [center, center + 1])
            here = begin + np.flatnonzero(has[begin:last, a] & has[begin:last, b])
            slices[center, first, second] = slice(end, end := end + len(here))
            place[here, pair_index(a, b, n_channels)] = np.arange(end - len(here), end)
            centers.append(here)
        return cls(place, np.concatenate([np.zeros(0, dtype=np.int64), *centers]), slices)


def pair_index(a: int, b: int, n_channels: int) -> int:
    """Place of the channel pair a ≤ b among (0,0) (0,1) … (1,1) …

    >>> [pair_index(a, b, 3) for a in range(3) for b in range(a, 3)]
    [0, 1, 2, 3, 4, 5]
    """
    return a * n_channels - a * (a - 1) // 2 + b - a


def neighbors_of_atoms(batch: Batch, pairs: Pairs) -> tuple[np.ndarray, np.ndarray]:
    """Types that occur, and which of them each atom has around it, or is.  # -> [channel], bool [atom, channel]"""
    types, kind = torch.unique(batch.types, return_inverse=True)
    has = torch.nn.functional.one_hot(kind, max(len(types), 1)).bool()
    has[pairs.first.long(), kind[pairs.second.long()]] = True
    has[pairs.second.long(), kind[pairs.first.long()]] = True
    return types.cpu().numpy(), has.cpu().numpy()


def available_keys(types: np.ndarray, has: np.ndarray, centers: np.ndarray) -> list[Key]:
    """(center_type, a ≤ b) of all atoms around which a and b meet; ``centers`` [atom] are their types."""
    keys = []
    for center in np.unique(centers):
        mine = has[centers == center].astype(np.float32)
        met = np.triu(mine.T @ mine > 0)
        keys += [(int(center), int(types[a]), int(types[b])) for a, b in np.argwhere(met)]
    return keys


def choose_keys(selection: Selection, batch: Batch, expansion: Expansion, environments: Environments) -> list[Key]:
    """Keys in the order (center_type, neighbor_1_type, neighbor_2_type), or as selected."""
    if selection.samples is None:
        types, has = np.array(environments.types), neighbors_of_centers(environments)
        centers = environments.center_types.cpu().numpy()
    else:  # keys do not depend on the selection of samples
        types, has = neighbors_of_atoms(batch, expansion.pairs(batch))
        centers = batch.types.cpu().numpy()
    keys = selection.choose_keys(available_keys(types, has, centers))
    check_order(keys, KEYS)
    return keys


def check_order(keys: list[Key], names: tuple[str, str, str]) -> None:
    """:raises ValueError: for keys whose second neighbour comes before the first."""
    _, one, two = names
    for _, first, second in keys:
        if first > second:
            raise ValueError(
                f"selected key {one}={first}, {two}={second}: the block of these two is {one}={second}, {two}={first}"
            )


class Assembly:
    """What the blocks of one call share."""

    names = KEYS

    def __init__(
        self,
        expansion: Expansion,
        batch: Batch,
        environments: Environments,
        selection: Selection,
        keys: list[Key],
    ):
        self.expansion, self.batch, self.environments = expansion, batch, environments
        self.selection = selection
        self.make = Maker.of(batch)
        self.rows = Rows.of(environments, *self._prepare(), keys)
        self.place = torch.from_numpy(self.rows.place).to(environments.starts.device)
        self.samples = samples_of(environments, batch)  # -> [centre, (system, atom)]
        every = properties_of(expansion.sizes)
        chosen = selection.choose_properties(every)
        self.properties = every if chosen is None else every[chosen]
        self.n = np.arange(max(expansion.sizes)) if chosen is None else np.unique(self.properties[:, 1:])
        self.l_max = max(self.properties[:, 0], default=0)
        # places of the properties in [l, n1, n2], None where these are just that
        whole = chosen is None and len(every) == len(expansion.sizes) * max(expansion.sizes) ** 2
        self.chosen = None if whole else places_of(self.properties, self.n)
        self._sample_labels: dict[bytes, object] = {}  # by centres: most blocks of a type have the same
        self._restrict()

    def _restrict(self) -> None:
        """Let go of the neighbours that no row needs."""
        if self.selection.keys is None:
            return
        n_channels = len(self.environments.types)
        wanted = np.zeros((len(self.environments), n_channels), dtype=bool)
        for place, (a, b) in zip(self.rows.place.T, itertools.combinations_with_replacement(range(n_channels), 2)):
            wanted[place >= 0, a] = wanted[place >= 0, b] = True
        self.environments = self.environments.restricted(wanted)

    @functools.cached_property
    def table(self) -> torch.Tensor:  # -> [row, l, n], or [type, row, l, n]
        """The part of the radial table that the properties need, one function at least."""
        table, *_ = self.expansion.radial(self.environments)
        if table.shape[-2:] == (self.l_max + 1, len(self.n)):
            return table
        return table[..., : self.l_max + 1, self.n if len(self.n) else [0]].contiguous()

    def _prepare(self) -> tuple[np.ndarray, tuple[int, ...]]:  # -> bool [centre, channel], labels of the channels
        return neighbors_of_centers(self.environments), self.environments.types

    def _coefficients(self) -> torch.Tensor:  # -> [centre, channel, lm, n]
        return self.expansion.coefficients(self.environments, self.batch, self.table)

    def tensor(self, keys: list[Key], gradients: tuple[str, ...] = ()):
        """The TensorMap of the chosen keys."""
        derivatives = {}
        differentiable = self.batch.positions.requires_grad or self.batch.cells.requires_grad
        if gradients or differentiable or len(self.environments) == 0:
            coefficients = self._coefficients()
            values = power_spectrum_rows(coefficients, self.place, len(self.rows.centers))
            derivatives = {name: self._gradient(name, coefficients.detach()) for name in gradients}
        else:  # coefficients need not be stored
            values = self._values()
        values = self._dense(values, 1)
        shared = self.make.labels(PROPERTIES, self.properties)
        blocks = []
        for key in keys:
            rows, samples = self._samples(key)
            columns, properties = self._properties(key, shared)
            block = self.make.block(take_columns(take(values, rows), columns), samples, [], properties)
            for name, (dense, components) in derivatives.items():
                rows, samples = self._gradient_samples(key, name)
                data = take_columns(take(dense, rows), columns)
                block.add_gradient(name, self.make.block(data, samples, components, properties))
            blocks.append(block)
        return self.make.tensor(self.names, keys, blocks)

    def shapes(self, keys: list[Key], gradients: tuple[str, ...]) -> list[BlockShape]:
        """The sizes of the blocks for ``keys``, without their numbers."""
        return [self._shape(key, gradients) for key in keys]

    def _shape(self, key: Key, gradients: tuple[str, ...]) -> BlockShape:
        rows, samples = self._samples(key)
        chosen = self.selection.properties_of(key, self.properties)
        n = len(self.properties if chosen is None else chosen)
        slopes = {name: (len(samples), 3, 3, n) for name in gradients}
        if "positions" in gradients:
            counts = self.position_rows[0].diff().cpu().numpy()
            slopes["positions"] = (int(counts[rows if isinstance(rows, slice) else rows[rows >= 0]].sum()), 3, n)
        itemsize = self.environments.vectors.element_size()
        return BlockShape(dict(zip(self.names, key)), (len(samples), n), slopes, itemsize)

    def _dense(self, values: torch.Tensor, lead: int):  # [..., l, n1, n2] -> array [..., property]
        values = values.flatten(lead)
        return self.make.array(values if self.chosen is None else values[..., self.chosen])

    def _values(self) -> torch.Tensor:  # -> [row, l, n1, n2]
        environments, weight = self.environments, self.expansion.density.center_atom_weight
        vectors, starts, own = environments.vectors, environments.starts, environments.own
        return power_spectrum_of_pairs(vectors, starts, own, *self.spline, weight, self.place, len(self.rows.centers))

    @functools.cached_property
    def spline(self) -> tuple[torch.Tensor, float, float, float]:
        """What operators need to know of the radial functions and the cutoff."""
        return self.expansion.radial(self.environments, self.table)

    def _gradient(self, name: str, coefficients: torch.Tensor):  # -> dense array, labels of its components
        environments = self.environments
        if name == "positions":
            return self._dense(self._positions(coefficients), 2), [self.make.range("xyz", 0, 3)]
        if name == "strain":
            left, components = environments.vectors, ("xyz_1", "xyz_2")
        else:
            left, components = environments.shifts.to(environments.vectors.dtype), ("abc", "xyz")
        shape = (*coefficients.shape[:2], 9, *coefficients.shape[2:])
        dense = power_spectrum_jvp(self._outer(left).reshape(*shape), coefficients, self.place, len(self.rows.centers))
        dense = dense.unflatten(1, (3, 3))
        return self._dense(dense, 3), [self.make.range(component, 0, 3) for component in components]

    def _outer(self, left: torch.Tensor) -> torch.Tensor:  # -> [centre, channel, left, xyz, lm, n]
        environments = self.environments
        return expand_outer(left, environments.vectors, environments.starts, environments.own, *self.spline)

    def _positions(self, coefficients: torch.Tensor) -> torch.Tensor:  # -> [gradient row, xyz, l, n1, n2]
        environments = self.environments
        return power_spectrum_positions(
            coefficients,
            environments.vectors,
            environments.starts,
            environments.neighbors,
            environments.centers,
            *self.spline,
            self.place,
            self.position_rows[0],
        )

    @functools.cached_property
    def position_rows(self) -> tuple[torch.Tensor, torch.Tensor]:  # -> int64 [row + 1], [gradient row]
        """First gradient row of each row, and the atom of each gradient row."""
        environments = self.environments
        sample, atom = position_rows(environments.starts, environments.neighbors, environments.centers, self.place)
        counts = torch.bincount(sample, minlength=len(self.rows.centers))
        return torch.cat([counts.new_zeros(1), counts.cumsum(0)]), atom

    def _properties(self, key: Key, shared):
        columns = self.selection.properties_of(key, self.properties)
        if columns is None:
            return None, shared
        return columns, self.make.labels(PROPERTIES, self.selection.labels_of(key, "properties"))

    def _samples(self, key: Key):  # -> places of the block's rows, labels
        rows = self.rows.slices[key]
        centers = self.rows.centers[rows]
        selected = self.selection.samples_of(key, self.samples[centers])
        if selected is None:
            name = centers.tobytes()
            if name not in self._sample_labels:
                self._sample_labels[name] = self.make.labels(("system", "atom"), self.samples[centers])
            return rows, self._sample_labels[name]
        labels = self.selection.labels_of(key, "samples")
        places = np.where(selected >= 0, selected + rows.start, -1)
        return places, self.make.labels(("system", "atom"), labels)

    def _gradient_samples(self, key: Key, name: str):
        rows, _ = self._samples(key)
        if name != "positions":
            count = rows.stop - rows.start if isinstance(rows, slice) else len(rows)
            return rows, self.make.range("sample", 0, count)
        starts, labels = self.position_labels
        if isinstance(rows, slice):
            kept = slice(starts[rows.start], starts[rows.stop])
            return kept, self.make.labels(("sample", "system", "atom"), labels[kept])
        # a TensorMap chose samples and their order
        first = np.where(rows >= 0, starts[rows], 0)
        counts = np.where(rows >= 0, starts[rows + 1], 0) - first
        kept = np.repeat(first - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())
        labels = labels[kept]
        labels[:, 0] = np.repeat(np.arange(len(counts)), counts)
        return kept, self.make.labels(("sample", "system", "atom"), labels)

    @functools.cached_property
    def position_labels(self) -> tuple[np.ndarray, np.ndarray]:
        """First gradient row of each row, and int32 [gradient row, (sample in its block, system, atom)]."""
        starts, atoms = self.position_rows
        first = [rows.start for rows in self.rows.slices.values()]
        sizes = [rows.stop - rows.start for rows in self.rows.slices.values()]
        samples = np.arange(sum(sizes)) - np.repeat(first, sizes)  # -> [row]
        labels = torch.empty(len(atoms), 3, dtype=torch.int32)
        labels[:, 0] = torch.repeat_interleave(torch.from_numpy(samples.astype(np.int64)), starts.diff().cpu())
        labels[:, 1:] = self.batch.places(atoms)
        return starts.cpu().numpy(), labels.numpy()
