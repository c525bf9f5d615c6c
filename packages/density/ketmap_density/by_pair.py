"""The calculator of single pairs: structures to a TensorMap of what each neighbour adds to the expansion."""

import numpy as np
import torch
from ketmap_core import Batch, BlockShape, as_batch
from ketmap_core.names import PAIR

from .assembly import type_pairs, types_that_meet
from .base import DensityCalculator
from .blocks import Maker, take_columns
from .environments import Environments, checked_environments
from .expansion import Expansion
from .pair_rows import NOTHING, SELF, PairRows, Types, running
from .selection import Selection
from .wanted import Wanted

KEYS = ("o3_lambda", "o3_sigma", "first_atom_type", "second_atom_type")


class SphericalExpansionByPair(DensityCalculator):
    """The terms of the spherical expansion, one per pair of atoms, with featomic's names and values.

    The term of a pair is what the second atom adds to the expansion around the first; with l = 0 there is also the pair
    of an atom with itself (no cell shift), the centre's own density. Summed over the pairs of a first atom, they are
    :class:`SphericalExpansion`.

    Keys ``o3_lambda, o3_sigma, first_atom_type, second_atom_type``; samples ``system, first_atom, second_atom,
    cell_shift_a, cell_shift_b, cell_shift_c``, ascending, each pair in both directions; component ``o3_mu``; property
    ``n``. Positions gradients have rows for both atoms of a pair, one where they are images of one atom.

    :param cutoff: :class:`Cutoff`, or featomic's dictionary; likewise ``density`` and ``basis``.

    >>> import ase.build
    >>> from ketmap_density import Cutoff, Gaussian, Gto, ShiftedCosine, SphericalExpansionByPair, TensorProduct
    >>> pairs = SphericalExpansionByPair(
    ...     cutoff=Cutoff(5.0, smoothing=ShiftedCosine(0.5)),
    ...     density=Gaussian(0.3),
    ...     basis=TensorProduct(max_angular=2, radial=Gto(max_radial=3)),
    ... )
    >>> tensor = pairs.compute(ase.build.molecule("CH4"))
    >>> tensor.block(dict(o3_lambda=1, first_atom_type=6, second_atom_type=1)).shape
    (4, 3, 4)
    """

    def _prepare(self, systems, selected_keys, selected_samples, selected_properties) -> tuple["PairAssembly", list]:
        selection = Selection(
            selected_keys,
            selected_samples,
            selected_properties,
            KEYS,
            ("n",),
            sample_names=PAIR,
            center_type="first_atom_type",
        )
        batch = as_batch(systems)
        types = selection.wanted("second_atom_type")
        environments = checked_environments(batch, self.cutoff.radius, types, selection.atoms(batch))
        wanted = Wanted(self.expansion, selection)
        meet = types_that_meet(environments) if selected_samples is None else type_pairs(self.expansion, batch)
        keys = wanted.keys(meet)
        return PairAssembly(self.expansion, batch, environments, wanted, keys), keys


class PairAssembly:
    """What the blocks of one call share. The terms of two types are one array: blocks of several l are its views."""

    def __init__(self, expansion: Expansion, batch: Batch, environments: Environments, wanted: Wanted, keys: list):
        self.expansion, self.batch, self.environments = expansion, batch, environments
        self.selection, self.wanted = wanted.selection, wanted
        self.make = Maker.of(batch)
        self.rows = PairRows.of(environments, batch, self.selection, {key[2:] for key in keys})
        self.l_max = {}  # by types
        for l, _, *types in keys:
            self.l_max[tuple(types)] = max(l, self.l_max.get(tuple(types), 0))
        self.vectors = expansion.vectors(environments, batch)[self.rows.index]
        self._samples_of = {}

    def tensor(self, keys: list, gradients: tuple[str, ...]):
        """The TensorMap; blocks are views but for l = 0 of equal types, where atoms are their own neighbours."""
        components = {
            "positions": [self.make.range("xyz", 0, 3)],
            "strain": [self.make.range(name, 0, 3) for name in ("xyz_1", "xyz_2")],
            "cell": [self.make.range(name, 0, 3) for name in ("abc", "xyz")],
        }
        shared = self.wanted.labels(self.make)
        mu = [self.make.range("o3_mu", -l, l + 1) for l in range(self.expansion.l_max + 1)]
        dense = {}
        blocks = []
        for key in keys:
            l, _, *types = key
            types, lm = tuple(types), slice(l * l, (l + 1) ** 2)
            if types not in dense:
                ends = self._ends(types) if "positions" in gradients else None
                slopes = {name: self._gradient(name, types, ends) for name in gradients}
                dense[types] = self._terms(types), slopes, ends
            terms, slopes, ends = dense[types]
            columns, chosen = self.wanted.properties(key)
            n = shared[l] if chosen is None else self.make.labels(["n"], chosen)
            source, samples = self._samples(key)
            data = self._cut(terms[:, lm], source)
            if not isinstance(source, slice) and l == 0:
                data[torch.from_numpy(source == SELF).to(data.device)] = self._self_term(types[1])
            data = take_columns(data, columns)
            block = self.make.block(self.make.array(data), samples, [mu[l]], n)
            for name in gradients:
                if name == "positions":
                    kept, labels = self._moving(types, source, ends)
                    data = slopes[name][kept][..., lm, :]
                else:
                    data = self._cut(slopes[name][..., lm, :], source)
                    labels = self.make.range("sample", 0, len(samples))
                data = self.make.array(take_columns(data, columns))
                block.add_gradient(name, self.make.block(data, labels, [*components[name], mu[l]], n))
            blocks.append(block)
        return self.make.tensor(KEYS, keys, blocks)

    def shapes(self, keys: list, gradients: tuple[str, ...]) -> list[BlockShape]:
        """The sizes of the blocks for ``keys``, without their numbers."""
        return [self._shape(key, gradients) for key in keys]

    def _shape(self, key: tuple[int, ...], gradients: tuple[str, ...]) -> BlockShape:
        source, samples = self._samples(key)
        chosen = self.wanted.properties(key)[1]
        inner = (2 * key[0] + 1, len(self.wanted.columns[key[0]] if chosen is None else chosen))
        slopes = {name: (len(samples), 3, 3, *inner) for name in gradients}
        if "positions" in gradients:
            counts = np.diff(self._ends(key[2:])[0])
            slopes["positions"] = (
                int(counts[source if isinstance(source, slice) else source[source >= 0]].sum()),
                3,
                *inner,
            )
        return BlockShape(dict(zip(KEYS, key)), (len(samples), *inner), slopes, self.vectors.element_size())

    def _table(self, types: Types) -> torch.Tensor:  # -> [row, l, n]
        return self._table_of(types[1], self.l_max[types])

    def _table_of(self, neighbor_type: int, l_max: int) -> torch.Tensor:  # -> [row, l, n]
        table = self.wanted.table(self.environments.vectors, (neighbor_type,), l_max)
        return table if table.ndim == 3 else table[0]

    def _terms(self, types: Types) -> torch.Tensor:  # -> [pair, lm, n]
        return self.expansion.pair_terms(self.vectors[self.rows.of_types(types)], self._table(types))

    def _samples(self, key) -> tuple[slice | np.ndarray, object]:  # -> rows of the block, its samples
        l, _, *types = key
        place = (l > 0, *types)  # blocks that differ in l > 0 share rows and samples
        if place not in self._samples_of:
            source, samples = self.rows.block(tuple(types), itself=l == 0)
            self._samples_of[place] = source, samples, self.make.labels(PAIR, samples)
        source, samples, labels = self._samples_of[place]
        chosen = self.selection.samples_of(key, samples)
        if chosen is None:
            return source, labels
        every = np.arange(source.start, source.stop) if isinstance(source, slice) else source
        every = np.append(every, NOTHING)  # what −1 points to
        return every[chosen], self.make.labels(PAIR, self.selection.labels_of(key, "samples"))

    def _self_term(self, center_type: int) -> torch.Tensor:  # -> [1, n]
        """The density of the centre itself: a neighbour at no distance."""
        origin = self.environments.vectors.new_zeros(1, 3)
        weight = self.expansion.density.center_atom_weight
        return weight * self.expansion.pair_terms(origin, self._table_of(center_type, 0))[0]

    def _cut(self, dense: torch.Tensor, source: slice | np.ndarray) -> torch.Tensor:
        """Rows of ``dense``; zeros for atoms and themselves, and for what is not there."""
        if isinstance(source, slice):
            return dense[source]
        source = torch.from_numpy(source).to(dense.device)
        data = dense.new_zeros(len(source), *dense.shape[1:])
        data[source >= 0] = dense[source[source >= 0]]
        return data

    def _gradient(self, name: str, types: Types, ends) -> torch.Tensor:  # -> [row, xyz …, lm, n]
        rows, table = self.rows.of_types(types), self._table(types)
        vectors = self.vectors[rows].detach()
        if name == "positions":
            starts, _, signs = ends
            left, starts = torch.from_numpy(signs).to(vectors), torch.from_numpy(starts).to(vectors.device)
            return self.expansion.pair_gradients(left, vectors, starts, table)
        left = vectors if name == "strain" else self.environments.shifts[self.rows.index[rows]].to(vectors.dtype)
        starts = 3 * torch.arange(len(vectors) + 1, device=vectors.device)
        return self.expansion.pair_gradients(left.reshape(-1), vectors, starts, table).unflatten(0, (-1, 3))

    def _ends(self, types: Types) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The atoms that move each pair, ascending: first of each row [pair + 1], atom within its system, sign ±1.

        An atom and its own image move together: one atom, sign 0.
        """
        first, second = self.rows.samples[self.rows.of_types(types), 1:3].T
        both = np.stack([np.minimum(first, second), np.maximum(first, second)], axis=1)
        signs = np.sign(2 * both - (first + second)[:, None]) * np.sign(second - first)[:, None]
        kept = np.stack([np.ones(len(first), dtype=bool), first != second], axis=1)
        return running(kept.sum(axis=1)), both[kept], signs[kept]

    def _moving(self, types: Types, source: slice | np.ndarray, ends):  # -> places of position gradients, labels
        starts, atoms, _ = ends
        systems = self.rows.samples[self.rows.of_types(types), 0]
        if isinstance(source, slice):
            counts, kept = np.diff(starts), slice(None)
            sample = np.repeat(np.arange(len(counts)), counts)
            labels = np.stack([sample, systems[sample], atoms], axis=1)
        else:
            sample = np.flatnonzero(source >= 0)
            rows = source[sample]
            counts = starts[rows + 1] - starts[rows]
            kept = np.repeat(starts[rows] - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())
            labels = np.stack([np.repeat(sample, counts), np.repeat(systems[rows], counts), atoms[kept]], axis=1)
            kept = torch.from_numpy(kept).to(self.vectors.device)
        return kept, self.make.labels(["sample", "system", "atom"], labels)
