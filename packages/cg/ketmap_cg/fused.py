"""λ-SOAP of one spherical expansion without TensorMaps on the way: coefficients of all centres, one product per
type."""

import dataclasses
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from ketmap_core import Batch, as_batch
from ketmap_density import Environments, Expansion
from ketmap_density.assembly import type_pairs, types_that_meet
from ketmap_density.blocks import Maker, parts, samples_of
from ketmap_density.environments import checked_environments
from ketmap_density.selection import Selection
from ketmap_ops.cg_product import CgPaths, cg_product

from .dense import Array, Coupled, paths_of, side_by_side
from .merged import L_NAMES, MergedKeys, ascending, merged_keys
from .operands import O3
from .properties import PropertyPairs

NEIGHBORS = ("neighbor_1_type", "neighbor_2_type")


@dataclasses.dataclass(frozen=True)
class Layout:
    """What to compute for these types, whatever the structures: keys, and for each type of centre one product."""

    merged: MergedKeys
    names: list[str]  # of properties
    properties: list[np.ndarray]  # of each block, [property, name]
    products: dict[int, tuple[CgPaths, list[int], list[tuple[int, int]]]]  # paths, blocks, types (a, b) of each group
    around: dict[int, list[int]]  # types in the properties, by type of centre; empty where types are keys
    labels: dict = dataclasses.field(default_factory=dict)  # by kind of arrays: labels, each made once


class FusedSpectrum:
    """The equivariant power spectrum of one density of unmixed types.

    :param neighbor_types: with types in the properties, those that there are to be; ``None``: those that occur.
    """

    def __init__(self, expansion: Expansion, neighbor_types: list[int] | None):
        self.expansion, self.neighbor_types = expansion, neighbor_types
        self._layouts: dict[tuple, Layout] = {}

    def compute(
        self, systems: Any, keys: Any, samples: Any, properties: Any, in_properties: bool, metadata: bool = False
    ) -> Any:
        """The TensorMap; ``metadata``: its labels alone, then not even the density is computed."""
        names = (*O3, "center_type", *(() if in_properties else NEIGHBORS), *L_NAMES)
        selection = Selection(keys, samples, None, names, ())
        batch = as_batch(systems)
        types = self._types(selection, in_properties)
        environments = checked_environments(batch, self.expansion.cutoff.radius, types, selection.atoms(batch))
        sizes = self._sizes(selection)
        coefficients = self._coefficients(environments, batch, sizes, metadata)
        met = types_that_meet(environments) if samples is None else type_pairs(self.expansion, batch)
        if keys is not None and set(names[:-2]) <= set(keys.names):  # then these are the keys, occurring or not
            neighbors = environments.types
            met = [(center, neighbor) for center in selection.wanted("center_type") for neighbor in neighbors]
        layout = self._layout(tuple(met), environments.types, sizes, keys, properties, in_properties)
        return _assemble(layout, environments, batch, self._rows(coefficients, sizes, in_properties))

    def _sizes(self, selection: Selection) -> tuple[int, ...]:
        """Number of radial functions of each l that any of the products needs."""
        both = [selection.wanted(name) for name in L_NAMES]
        return self.expansion.sizes if None in both else self.expansion.sizes[: max(0, *both[0], *both[1]) + 1]

    def _coefficients(
        self, environments: Environments, batch: Batch, sizes: tuple[int, ...], metadata: bool
    ) -> torch.Tensor:  # -> [centre, channel, lm, n]
        if metadata:
            shape = len(environments), len(environments.types), len(sizes) ** 2, self.expansion.n_max + 1
            return environments.vectors.new_empty(shape, device="meta")
        table = self.expansion.table_like(environments.vectors, environments.types)
        return self.expansion.coefficients(environments, batch, table[..., : len(sizes), :].contiguous())

    def _types(self, selection: Selection, in_properties: bool) -> tuple[int, ...] | None:
        if in_properties:
            return None if self.neighbor_types is None else tuple(sorted(self.neighbor_types))
        both = [selection.wanted(name) for name in NEIGHBORS]
        return None if None in both else tuple(sorted({*both[0], *both[1]}))

    def _rows(self, coefficients: torch.Tensor, sizes: tuple[int, ...], in_properties: bool):
        """Function of a slice of centres and the channels wanted: rows [centre, element] of the operand."""
        if not in_properties:
            return lambda centers, channels: coefficients[centers].flatten(1)

        def rows(centers, channels):
            c = coefficients[centers][:, channels]
            parts = [c[:, :, l * l : (l + 1) ** 2, :n].transpose(1, 2).flatten(2) for l, n in _degrees(sizes)]
            return side_by_side(parts)[0]

        return rows

    def _layout(self, met, types, sizes, keys, properties, in_properties: bool) -> Layout:
        selected = [
            None if labels is None else (tuple(labels.names), np.asarray(labels.values).tobytes())
            for labels in (keys, properties)
        ]
        key = (met, types, *selected, in_properties)
        if key not in self._layouts:
            if len(self._layouts) > 64:
                self._layouts.clear()
            make = self._types_in_properties if in_properties else self._types_in_keys
            self._layouts[key] = make(met, types, sizes, keys, properties)
        return self._layouts[key]

    def _types_in_keys(self, met, types, sizes, keys, properties) -> Layout:
        degrees, n_max, size = _degrees(sizes), self.expansion.n_max + 1, len(sizes) ** 2
        available = [(l, 1, center, neighbor) for center, neighbor in met for l, _ in degrees]
        merged = _merged(available, ("neighbor_1_type", "neighbor_2_type"), keys)
        channel, place = {t: i for i, t in enumerate(types)}, {l: i for i, (l, _) in enumerate(degrees)}
        arrays = [Array(l, n, (c * size + l * l) * n_max, n_max) for c in range(len(types)) for l, n in degrees]
        columns = {l: np.arange(n)[:, None] for l, n in degrees}
        pairs = PropertyPairs((*L_NAMES, "n_1", "n_2"), properties)

        def array(density: tuple[int, ...]) -> int:
            return channel[density[3]] * len(degrees) + place[density[0]]

        return _layout(merged, available, arrays, array, lambda center, l: columns[l], pairs, NEIGHBORS, {})

    def _types_in_properties(self, met, types, sizes, keys, properties) -> Layout:
        degrees = _degrees(sizes)
        available = [(l, 1, center) for center in sorted({center for center, _ in met}) for l, _ in degrees]
        merged = _merged(available, (), keys)
        place = {l: i for i, (l, _) in enumerate(degrees)}
        around = {center: self.neighbor_types or [neighbor for c, neighbor in met if c == center] for center, _ in met}
        pairs = PropertyPairs((*L_NAMES, "neighbor_1_type", "n_1", "neighbor_2_type", "n_2"), properties)
        columns = {
            (center, l): np.array([(t, n) for t in around[center] for n in range(size)]).reshape(-1, 2)
            for center in around
            for l, size in degrees
        }
        arrays = {}
        for center, mine in around.items():
            offset, arrays[center] = 0, []
            for l, n in degrees:
                arrays[center].append(Array(l, n * len(mine), offset, n * len(mine)))
                offset += (2 * l + 1) * n * len(mine)
        return _layout(
            merged, available, arrays, lambda key: place[key[0]], lambda c, l: columns[c, l], pairs, (), around
        )


def _degrees(sizes: tuple[int, ...]) -> list[tuple[int, int]]:  # -> (l, number of n)
    return [(l, n) for l, n in enumerate(sizes) if n]


def _merged(available: list[tuple[int, ...]], neighbors: tuple[str, ...], selected: Any) -> MergedKeys:
    names = [(*O3, "center_type", *neighbors[i : i + 1]) for i in (0, 1)]
    values = np.array(available, dtype=np.int64)
    keys = [SimpleNamespace(names=mine, values=values.reshape(-1, len(mine))) for mine in names]
    return merged_keys(*keys, selected, ascending)


def _layout(merged: MergedKeys, available, arrays, array, columns, pairs: PropertyPairs, neighbors, around) -> Layout:
    """The tables of the products, for each type of centre.

    :param arrays: of a row of the operand, or by type of centre
    :param array: place among these of the density with a given key
    :param columns: properties [column, name] of the density of a type of centre and l
    """
    center_column = merged.names.index("center_type")
    first, second = merged.keys.first, merged.keys.second
    centers: dict[int, list[int]] = {}
    for block, values in enumerate(merged.values.tolist()):
        centers.setdefault(values[center_column], []).append(block)
    properties: list[Any] = [None] * len(merged.values)
    products = {}
    for center, blocks in centers.items():
        wanted, groups, group_of = [], {}, []
        for index, block in enumerate(blocks):
            column, labels = 0, [np.zeros((0, len(pairs.names)), dtype=np.int64)]
            l = int(merged.values[block, 0])
            for member in merged.members[block].tolist():
                one, two = available[first[member]], available[second[member]]
                entries, runs = pairs.of(columns(center, one[0]), columns(center, two[0]), (one[0], two[0]))
                wanted.append(Coupled(array(one), array(two), l, index, column, runs))
                column += len(entries)
                labels.append(entries)
            properties[block] = np.concatenate(labels)
            types = tuple(int(merged.values[block, merged.names.index(name)]) for name in neighbors)
            group_of.append(groups.setdefault(types, len(groups)))
        mine = arrays[center] if isinstance(arrays, dict) else arrays
        products[center] = paths_of(mine, mine, wanted, group_of), blocks, list(groups)
    return Layout(merged, pairs.names, properties, products, around)


def _assemble(layout: Layout, environments: Environments, batch: Batch, rows) -> Any:
    make, samples = Maker.of(batch), samples_of(environments, batch)
    shared = layout.labels.setdefault(make, {})
    channel = {t: index for index, t in enumerate(environments.types)}
    by_type, blocks = parts(environments), [None] * len(layout.properties)
    for center, (paths, members, groups) in layout.products.items():
        part = by_type.get(center)
        centers = part.rows if part else slice(0, 0)
        has = part.has if part else np.zeros((0, len(channel)), dtype=bool)
        channels = [channel[t] for t in layout.around.get(center, ())]
        pairs = [(channel[a], channel[b]) for a, b in groups] if not channels else []
        present = [has[:, pair].any(axis=1) for pair in pairs] or [has[:, channels].any(axis=1)]
        place = np.stack([np.where(mask, np.cumsum(mask) - 1, -1) for mask in present], axis=1)  # -> [centre, group]
        operand = rows(centers, channels)
        made = cg_product(operand, operand, paths, torch.from_numpy(place).to(batch.positions.device))
        labels = {}
        for values, block, (group, l, _) in zip(made, members, paths.blocks):
            mask = present[group].tobytes()
            if mask not in labels:
                labels[mask] = make.labels(("system", "atom"), samples[centers][present[group]])
            if ("o3_mu", l) not in shared:
                shared["o3_mu", l] = make.range("o3_mu", -l, l + 1)
            entries = layout.properties[block]
            name = (entries.shape, entries.tobytes())
            if name not in shared:
                shared[name] = make.labels(layout.names, entries)
            blocks[block] = make.block(make.array(values), labels[mask], [shared["o3_mu", l]], shared[name])
    merged = layout.merged
    return make.tensor(merged.names, merged.values.reshape(-1, len(merged.names)), blocks)
