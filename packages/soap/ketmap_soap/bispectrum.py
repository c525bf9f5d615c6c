"""The bispectrum: rotational invariants of third order of the neighbour density."""

import dataclasses
import functools
import itertools
from collections.abc import Callable
from typing import Any

import metatensor
import numpy as np
import torch
from ketmap_cg.layout import Dense, DenseGradient, Layout, dense, found_center_types
from ketmap_cg.samples import moved, take_rows
from ketmap_core import BlockShape, as_batch
from ketmap_density import SphericalExpansion
from ketmap_density.base import DensityCalculator
from ketmap_density.blocks import Maker
from ketmap_density.selection import Selection

from .triple import PROPERTIES, multiplicity, triple_of, unique_triples

KEYS = ("center_type", "neighbor_1_type", "neighbor_2_type", "neighbor_3_type")

Key = tuple[int, int, int, int]


class SoapBispectrum(DensityCalculator):
    """SOAP bispectrum: the true scalars of third order of the neighbour density, each once.

    B[abc, l1 l2 l3, n1 n2 n3] = f (−1)^l3/√(2 l3 + 1) Σ C^{l3m3}_{l1m1,l2m2} ⟨an1l1m1|ρ⟩ ⟨bn2l2m2|ρ⟩ ⟨cn3l3m3|ρ⟩

    for neighbour types a ≤ b ≤ c and even l1 + l2 + l3, which is f times the λ = 0 block ((l1 l2) l3, l3) of
    :class:`~ketmap_cg.DensityCorrelations`. Where types are the same, (l, n) ascend from factor to factor: the other
    orders are the same number, up to a sign. f² = 1, 3 or 6 counts them, so that scalar products are those over all
    orders (Bartók, Kondor, Csányi, PRB 87, 184115 (2013); Willatt, Musil, Ceriotti, JCP 150, 154110 (2019)).

    Keys ``center_type, neighbor_1_type, neighbor_2_type, neighbor_3_type``; samples ``system, atom``: the centres of
    that type that have all three neighbours or are them; properties ``l_1, l_2, l_3, n_1, n_2, n_3``.

    :param cutoff: :class:`~ketmap_density.Cutoff`, or featomic's dictionary; likewise ``density`` and ``basis``.

    >>> import ase.build
    >>> from ketmap_density import Cutoff, Gaussian, Gto, ShiftedCosine, TensorProduct
    >>> from ketmap_soap import SoapBispectrum
    >>> bispectrum = SoapBispectrum(
    ...     cutoff=Cutoff(5.0, smoothing=ShiftedCosine(0.5)),
    ...     density=Gaussian(0.3),
    ...     basis=TensorProduct(max_angular=2, radial=Gto(max_radial=3)),
    ... )
    >>> tensor = bispectrum.compute(ase.build.molecule("CH4"))
    >>> tensor.block(dict(center_type=6, neighbor_1_type=1, neighbor_2_type=1, neighbor_3_type=1)).shape
    (1, 160)
    """

    def _prepare(self, systems, selected_keys, selected_samples, selected_properties):
        selection = Selection(selected_keys, selected_samples, selected_properties, KEYS, PROPERTIES)
        density = functools.partial(
            SphericalExpansion(cutoff=self.cutoff, density=self.density, basis=self.basis).compute,
            systems,
            selected_samples=selection.centers(),
            selected_keys=_expansion_keys(selection, self.expansion.basis.angular_channels()),
        )
        return Assembly(self.expansion.sizes, Maker.of(as_batch(systems)), selection, density), None


def _expansion_keys(selection: Selection, degrees: list[int]) -> Any:
    """The blocks of the expansion that the selected keys need, whether they occur if keys are named in full; None:
    all."""
    names, columns = [], []
    if selection.keys is not None and set(KEYS) <= set(selection.keys.names):
        keys = selection.choose_keys([])
        pairs = sorted({(center, neighbor) for center, *neighbors in keys for neighbor in neighbors})
        entries = [(l, 1, *pair) for pair in pairs for l in degrees]
        names = ["o3_lambda", "o3_sigma", "center_type", "neighbor_type"]
        return metatensor.Labels(names, np.array(entries, dtype=np.int32).reshape(-1, len(names)))
    if (centers := selection.wanted("center_type")) is not None:
        names.append("center_type")
        columns.append(centers)
    neighbors = [selection.wanted(name) for name in KEYS[1:]]
    if all(each is not None for each in neighbors):
        names.append("neighbor_type")
        columns.append(sorted(set(itertools.chain(*neighbors))))
    if not names:
        return None
    return metatensor.Labels(names, np.array(list(itertools.product(*columns)), dtype=np.int32))


@dataclasses.dataclass
class Assembly:
    """The TensorMap of bispectra, cut from the density of each type of centre."""

    sizes: tuple[int, ...]
    make: Maker
    selection: Selection
    density: Callable[..., Any]  # computes the TensorMap of the density

    def tensor(self, keys: None, gradients: tuple[str, ...]):
        """The TensorMap; its keys are known with the density."""
        found = self._found(self.density(gradients=list(gradients)))
        return self.make.tensor(KEYS, [key for key, _ in found], [self._block(*each) for each in found])

    def shapes(self, keys: None, gradients: tuple[str, ...]) -> list[BlockShape]:
        """The sizes of the blocks, from a density of one n alone."""
        one = metatensor.Labels(["n"], np.zeros((1, 1), dtype=np.int32))
        found = self._found(self.density(gradients=list(gradients), selected_properties=one))
        return [self._shape(*each) for each in found]

    def _found(self, expansion: Any) -> list[tuple[Key, Dense]]:
        """The keys that are wanted, each with the density around the centres of its type."""
        around = {c: dense(expansion, c, Layout.of(expansion, c)) for c in found_center_types(expansion)}
        available = []
        for center, density in around.items():
            types = sorted(t for (t,) in density.present)
            for triple in itertools.combinations_with_replacement(types, 3):
                if _together(density, triple).any():
                    available.append((center, *triple))
        keys = self.selection.choose_keys(available)
        for key in keys:
            if list(key[1:]) != sorted(key[1:]):
                raise ValueError(f"selected key {dict(zip(KEYS, key))}: neighbour types must ascend")
        return [(key, around[key[0]]) for key in keys]

    def _shape(self, key: Key, around: Dense) -> BlockShape:
        n, rows = len(self._table(key)[0]), self._rows(key, around)[0]
        slopes = {
            name: (len(self._moved(key, gradient, rows)[0]), *(len(c) for c in gradient.components), n)
            for name, gradient in around.gradients.items()
        }
        size = next(iter(around.values.values())).element_size()
        return BlockShape(dict(zip(KEYS, key)), (len(rows), n), slopes, size)

    def _block(self, key: Key, around: Dense):
        table, labels = self._table(key)
        rows, samples = self._rows(key, around)
        factors = [self._factor(around, around.values, t) for t in key[1:]]  # [row, element] each
        here = [take_rows(factor, rows) for factor in factors]
        form = triple_of(table.tobytes(), self.sizes)
        sign = (-1.0) ** table[:, 2] * np.sqrt(multiplicity(table, key[1:]) / (2 * table[:, 2] + 1))
        scale = torch.from_numpy(sign).to(factors[0])
        samples = self.make.labels(("system", "atom"), samples)
        block = self.make.block(self.make.array(form(*here) * scale), samples, [], labels)
        for name, gradient in around.gradients.items():
            entries, which = self._moved(key, gradient, rows)
            where = torch.from_numpy(which).to(scale.device)
            base = torch.from_numpy(entries[:, 0].astype(np.int64)).to(scale.device)
            slopes = [self._factor(around, gradient.values, t)[where] for t in key[1:]]
            n_directions = slopes[0].shape[1]
            base = base.repeat_interleave(n_directions)
            there = [factor[base] for factor in here]
            total = 0.0
            for i in range(3):
                arguments = [slopes[j].flatten(0, 1) if j == i else there[j] for j in range(3)]
                total = total + form(*arguments)
            shape = (len(entries), *(len(component) for component in gradient.components), len(table))
            values = self.make.array((total * scale).reshape(shape))
            made = self.make.block(values, self.make.labels(gradient.names, entries), gradient.components, labels)
            block.add_gradient(name, made)
        return block

    @staticmethod
    def _moved(key: Key, gradient: DenseGradient, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Labels of what moves a block with these rows of the density, and which rows of the gradient these are."""
        entries, which = moved(gradient.samples, rows, len(rows))
        moves = np.any([gradient.present[t,] for t in key[1:]], axis=0)[which]
        return entries[moves], which[moves]

    def _rows(self, key: Key, around: Dense) -> tuple[np.ndarray, np.ndarray]:
        """Rows of the density that are the block's samples (−1: zeros), and the labels of these."""
        has = _together(around, key[1:])
        chosen = self.selection.samples_of(key, around.samples)
        if chosen is None:
            rows = np.flatnonzero(has)
            return rows, around.samples[rows]
        padded = np.append(has, False)  # the last is what −1 points to
        return np.where(padded[chosen], chosen, -1), self.selection.labels_of(key, "samples")

    def _factor(self, around: Dense, values: dict, neighbor: int) -> torch.Tensor:  # -> [..., element]
        """The density of one neighbour type: the arrays [m, n] of all l, flattened."""
        place = sorted(t for (t,) in around.present).index(neighbor)
        parts = [values[l, 1][..., place * n : (place + 1) * n] for l, n in enumerate(self.sizes) if n]
        return torch.cat([part.flatten(-2) for part in parts], dim=-1)

    def _table(self, key: Key):  # -> int64 [property, PROPERTIES], labels
        every = unique_triples(self.sizes, key[1] == key[2], key[2] == key[3])
        columns = self.selection.properties_of(key, every)
        if columns is None:
            columns = self.selection.choose_properties(every)
        elif (columns < 0).any():
            raise ValueError(f"selected properties of {dict(zip(KEYS, key))} are not all in this bispectrum")
        table = np.ascontiguousarray(every if columns is None else every[columns])
        return table, self.make.labels(PROPERTIES, table)


def _together(density: Dense, types) -> np.ndarray:  # -> bool [row]
    return np.all([density.present[t,] for t in types], axis=0)
