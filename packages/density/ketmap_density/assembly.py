"""The TensorMap of a spherical expansion, cut from its dense arrays."""

import functools

import numpy as np
import torch
from ketmap_core import Batch, Pairs

from .blocks import Maker, count, parts, samples_of, take
from .environments import Environments
from .expansion import Expansion
from .gradients import PositionRows, outer_gradient, positions_gradient
from .selection import Selection

KEYS = ("o3_lambda", "o3_sigma", "center_type", "neighbor_type")

Key = tuple[int, int, int, int]


class Assembly:
    """What the blocks of one call share: labels, places of centres, and which part of the basis is wanted."""

    def __init__(self, expansion: Expansion, batch: Batch, environments: Environments, selection: Selection):
        self.expansion, self.batch, self.environments, self.selection = (
            expansion,
            batch,
            environments,
            selection,
        )
        self.make = Maker.of(batch)
        self.parts = parts(environments)
        self.samples = samples_of(environments, batch)  # -> [centre, (system, atom)]
        self.channel = {t: index for index, t in enumerate(environments.types)}
        every = np.arange(expansion.n_max + 1)[:, None]
        chosen = selection.choose_properties(every)
        self.n = every if chosen is None else every[chosen]  # -> [property, 1]
        degrees = selection.wanted("o3_lambda")
        self.l_max = expansion.l_max if degrees is None else min(max(degrees, default=0), expansion.l_max)

    @functools.cached_property
    def table(self) -> torch.Tensor:  # -> [row, l, n]
        """The part of the radial table that is needed: only this much is computed."""
        table = self.expansion.table_like(self.environments.vectors)
        if len(self.n) == table.shape[2] and self.l_max == self.expansion.l_max:
            return table
        return table[:, : self.l_max + 1, self.n[:, 0]].contiguous()

    def choose_keys(self, pairs: Pairs) -> list[Key]:
        """Keys in the order (center_type, neighbor_type, o3_lambda), or as selected."""
        if self.selection.samples is None:
            found = [
                (center, neighbor)
                for center, part in self.parts.items()
                for neighbor, here in zip(self.environments.types, part.has.any(axis=0))
                if here
            ]
        else:  # keys do not depend on the selection of samples
            found = _type_pairs(self.batch, pairs)
        available = [
            (l, 1, center, neighbor) for center, neighbor in found for l in range(self.expansion.l_max + 1)
        ]
        keys = self.selection.choose_keys(available)
        for l, sigma, *_ in keys:
            if not (0 <= l <= self.expansion.l_max and sigma == 1):
                raise ValueError(
                    f"selected key o3_lambda={l}, o3_sigma={sigma} is not in this expansion: "
                    f"o3_lambda is 0 … {self.expansion.l_max}, o3_sigma 1"
                )
        return keys

    def tensor(self, coefficients: torch.Tensor, keys: list[Key], gradients: tuple[str, ...] = ()):
        """The TensorMap with blocks for ``keys``; a block is a view where all its centres have the
        neighbour.
        """
        values = self.make.array(coefficients)  # -> [centre, channel, lm, n]
        self._dense_gradients = {name: self._gradient(name) for name in gradients}
        self._places: dict = {}
        n_shared = self.make.labels(["n"], self.n)
        mu = [self.make.range("o3_mu", -l, l + 1) for l in range(self.expansion.l_max + 1)]
        blocks = []
        for key in keys:
            l, _, _, neighbor = key
            m, channel = slice(l * l, (l + 1) ** 2), self.channel[neighbor]
            columns, n = self._properties(key, n_shared)
            rows, samples = self._place(key, "samples")
            data = take(values[:, channel, m], rows)
            block = self.make.block(_columns(data, columns), samples, [mu[l]], n)
            for name, (dense, components) in self._dense_gradients.items():
                rows, samples = self._place(key, name)
                data = take(dense[..., m, :] if name == "positions" else dense[:, channel, ..., m, :], rows)
                gradient = self.make.block(_columns(data, columns), samples, [*components, mu[l]], n)
                block.add_gradient(name, gradient)
            blocks.append(block)
        return self.make.tensor(KEYS, keys, blocks)

    def _gradient(self, name: str):  # -> dense array, labels of its components
        expansion, environments = self.expansion, self.environments
        if name == "positions":
            self._position_rows = PositionRows.of(environments, self.batch)
            dense = positions_gradient(expansion, environments, self._position_rows, self.table)
            return self.make.array(dense), [self.make.range("xyz", 0, 3)]
        if name == "strain":
            left, components = environments.vectors, ("xyz_1", "xyz_2")
        else:
            left, components = environments.shifts.to(self.table.dtype), ("abc", "xyz")
        dense = outer_gradient(expansion, environments, left, self.table)
        return self.make.array(dense), [self.make.range(component, 0, 3) for component in components]

    def _properties(self, key: Key, shared):
        columns = self.selection.properties_of(key, self.n)
        if columns is None:
            return None, shared
        return columns, self.make.labels(["n"], self.selection.labels_of(key, "properties"))

    def _place(self, key: Key, name: str):  # -> Rows, labels
        """Rows in the dense array and labels, for the samples of one block or of its gradient; the same for
        all l.
        """
        place = (key if self.selection.by_key else key[2:], name)
        if place not in self._places:
            make = {"samples": self._sample_rows, "positions": self._position_gradient_rows}
            self._places[place] = make.get(name, self._structure_gradient_rows)(key)
        return self._places[place]

    def _sample_rows(self, key: Key):
        part, channel = self.parts.get(key[2]), self.channel[key[3]]
        chosen = self.selection.samples_of(key, self.samples)
        if chosen is not None:
            inside = (
                (chosen >= part.rows.start) & (chosen < part.rows.stop)
                if part
                else np.zeros(len(chosen), bool)
            )
            labels = self.selection.labels_of(key, "samples")
            return np.where(inside, chosen, -1), self.make.labels(["system", "atom"], labels)
        rows = np.zeros(0, dtype=np.int64) if part is None else part.present(channel)
        return rows, self.make.labels(["system", "atom"], self.samples[rows])

    def _structure_gradient_rows(self, key: Key):
        rows, _ = self._place(key, "samples")
        return rows, self.make.range("sample", 0, count(rows))

    def _position_gradient_rows(self, key: Key):
        rows, _ = self._place(key, "samples")
        sample = np.full(len(self.environments), -1)
        sample[rows] = np.arange(count(rows))
        first, last = self._position_rows.block(self.environments.center_types, key[2], self.channel[key[3]])
        sample = sample[self._position_rows.centers[first:last].cpu().numpy()]
        kept = slice(first, last)
        if np.any(np.diff(sample, prepend=0) < 0) or np.any(
            sample < 0
        ):  # a TensorMap chose samples and their order
            order = np.argsort(sample, kind="stable")
            order = order[sample[order] >= 0]
            kept, sample = first + order, sample[order]
        atom = self._position_rows.atoms[kept].cpu()
        system = self.batch.system.cpu()[atom].long()
        labels = np.stack([sample, system, atom - self.batch.starts.cpu()[system]], axis=1)
        return kept, self.make.labels(["sample", "system", "atom"], labels)


def _columns(data, columns: np.ndarray | None):
    """The properties that one block wants, by place; −1: zeros."""
    if columns is None:
        return data
    data = data[..., columns]
    data[..., columns < 0] = 0.0
    return data


def _type_pairs(batch: Batch, pairs: Pairs) -> list[tuple[int, int]]:
    """(center_type, neighbor_type) of all atoms of the batch, ascending: types that meet, or are the same
    atom.
    """
    types, kind = torch.unique(batch.types, return_inverse=True)
    first, second = kind[pairs.first.long()], kind[pairs.second.long()]
    codes = torch.cat([first * len(types) + second, second * len(types) + first, kind * (len(types) + 1)])
    return [
        (int(types[code // len(types)]), int(types[code % len(types)]))
        for code in torch.unique(codes).tolist()
    ]
