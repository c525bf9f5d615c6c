"""Blocks of a product of two operands, with their labels and gradients."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from ketmap_density.blocks import Maker
from ketmap_ops.cg_product import cg_product

from .dense import Coupled, paths_of
from .operands import Operand
from .properties import PropertyPairs
from .samples import Matched, match, moved, take_rows, union_of

#: array of the first operand, array of the second, λ
Coupling = tuple[int, int, int]


class Assembly:
    """What the blocks of one product share: labels, each made once, and the selection of properties.

    :param names: of the properties: those of the first, then of the second tensor; if blocks hold several couplings,
        ``l_names`` stand before them.
    """

    def __init__(
        self,
        make: Maker,
        names: Sequence[str],
        sample_names_1: Sequence[str],
        sample_names_2: Sequence[str],
        selected_properties: Any = None,
        l_names: Sequence[str] = (),
    ):
        self.make, self.names = make, [*l_names, *names]
        self.sample_names = tuple(sample_names_1), tuple(sample_names_2)
        self.pairs, self.with_l = PropertyPairs(self.names, selected_properties), bool(l_names)
        self._labels: dict[tuple, Any] = {}

    def blocks(self, first: Operand, second: Operand, wanted: Sequence[Sequence[Coupling]]) -> list:
        """A block for each list of couplings to one λ, which fill it one after the other."""
        matched = match(self.sample_names[0], first.samples, self.sample_names[1], second.samples)
        couplings, properties = [], []
        for block, mine in enumerate(wanted):
            column, labels = 0, [np.zeros((0, len(self.names)), dtype=np.int64)]
            for i, j, l in mine:
                ls = (first.arrays[i].l, second.arrays[j].l) if self.with_l else ()
                entries, runs = self.pairs.of(first.properties[i], second.properties[j], ls)
                couplings.append(Coupled(i, j, l, block, column, runs))
                column += len(entries)
                labels.append(entries)
            properties.append(np.concatenate(labels))
        paths = paths_of(first.arrays, second.arrays, couplings)
        rows = [take_rows(operand.rows, row) for operand, row in zip((first, second), matched.rows)]
        made, kept = [], [_rows_of(first, second, matched, mine) for mine in wanted]
        for values, mine, entries, here in zip(cg_product(*rows, paths), wanted, properties, kept):
            samples = matched.samples
            if here is not None:
                values, samples = values[_index(here, values)], samples[here]
            mu = self.labels(("o3_mu",), np.arange(-mine[0][2], mine[0][2] + 1)[:, None])
            labels = self.labels(matched.names, samples), [mu], self.labels(self.names, entries)
            made.append(self.make.block(self.make.array(values), *labels))
        for name in first.gradients:
            self._add_gradient(name, first, second, matched, paths, rows, made, kept)
        return made

    def labels(self, names: Sequence[str], values: np.ndarray):
        key = (tuple(names), values.shape, values.tobytes())
        if key not in self._labels:
            self._labels[key] = self.make.labels(names, values)
        return self._labels[key]

    def _add_gradient(self, name: str, first: Operand, second: Operand, matched: Matched, paths, rows, blocks, kept):
        """Leibniz: the derivative of one operand times the other, and the other way round."""
        sides = []
        for gradient, row in zip((first.gradients[name], second.gradients[name]), matched.rows):
            sides.append(moved(gradient.samples, row, len(matched.samples)))
        (labels_1, which_1), (labels_2, which_2) = sides
        labels, *places = union_of(labels_1, labels_2)
        gradient = first.gradients[name]
        n_x = gradient.rows.shape[1]
        total = None
        for side, (place, which) in enumerate(zip(places, (which_1, which_2))):
            derivative = (first, second)[side].gradients[name].rows
            here = np.flatnonzero(place >= 0)
            place = place[here]
            d = derivative[_index(which[place], derivative)].flatten(0, 1)  # -> [gradient row x, element]
            other = rows[1 - side][_index(labels[here, 0], derivative)].repeat_interleave(n_x, dim=0)
            parts = cg_product(*((d, other) if side == 0 else (other, d)), paths)
            parts = [part.unflatten(0, (len(here), n_x)) for part in parts]
            if total is None:
                total = [part.new_zeros(len(labels), *part.shape[1:]) for part in parts]
            total = [sum_.index_add(0, _index(here, sum_), part) for sum_, part in zip(total, parts)]
        shape = [len(component) for component in gradient.components]
        for block, values, here in zip(blocks, total, kept):
            mine = labels
            if here is not None:  # rows that this block lacks, and the numbers of the others
                row = np.full(len(matched.samples), -1)
                row[here] = np.arange(len(here))
                inside = np.flatnonzero(row[labels[:, 0]] >= 0)
                values, mine = values[_index(inside, values)], labels[inside]
                mine[:, 0] = row[mine[:, 0]]
            values = self.make.array(values.unflatten(1, shape))
            components = [*gradient.components, *block.components]
            samples = self.labels(gradient.names, mine)
            block.add_gradient(name, self.make.block(values, samples, components, block.properties))


def _rows_of(first: Operand, second: Operand, matched: Matched, couplings: Sequence[Coupling]) -> np.ndarray | None:
    """Rows of the product that a block has: those of any of its couplings; None: all."""
    has = np.zeros(len(matched.samples), dtype=bool)
    for i, j in {(i, j) for i, j, _ in couplings}:
        if (present := matched.present(first.present[i], second.present[j])) is None:
            return None
        has |= present
    return np.flatnonzero(has)


def _index(places: np.ndarray, like: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(places, dtype=np.int64)).to(like.device)
