"""Rows of two operands brought together: the same samples, or atoms with the pairs that they are the first atom of."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch


@dataclasses.dataclass(frozen=True)
class Matched:
    """Samples of a product, and the row of each operand for each of them (−1: zeros; None: all, in this order)."""

    names: tuple[str, ...]
    samples: np.ndarray  # [row, dimension]
    rows: tuple[np.ndarray | None, np.ndarray | None]
    both: bool = False  # a sample must be in both operands: one has fewer sample names

    def present(self, *of: np.ndarray | None) -> np.ndarray | None:  # -> bool [row]
        """Which samples there are when only some rows of each operand are (bool [row of the operand]; None: all)."""
        found = []
        for rows, mask in zip(self.rows, of):
            everywhere = np.ones(len(self.samples), dtype=bool)
            if rows is not None:
                everywhere = rows >= 0 if mask is None else (rows >= 0) & mask[rows]
            elif mask is not None:
                everywhere = mask
            found.append(everywhere)
        both = found[0] & found[1] if self.both else found[0] | found[1]
        return None if both.all() else both


def match(names_1, samples_1: np.ndarray, names_2, samples_2: np.ndarray) -> Matched:
    """The samples of a product: of equal names the union, sorted; of more names those that the other operand has.

    :raises ValueError: if neither operand has all the sample names of the other.
    """
    names_1, names_2 = tuple(names_1), tuple(names_2)
    if names_1 == names_2:
        if samples_1.shape == samples_2.shape and np.array_equal(samples_1, samples_2):
            return Matched(names_1, samples_1, (None, None))
        union, rows_1, rows_2 = union_of(samples_1, samples_2)
        return Matched(names_1, union, (rows_1, rows_2))
    if set(names_1) <= set(names_2):
        rows, kept = _rows_within(samples_1, samples_2[:, [names_2.index(name) for name in names_1]])
        return Matched(names_2, samples_2[kept], (rows, kept), both=True)
    if set(names_2) <= set(names_1):
        rows, kept = _rows_within(samples_2, samples_1[:, [names_1.index(name) for name in names_2]])
        return Matched(names_1, samples_1[kept], (kept, rows), both=True)
    raise ValueError(
        f"samples {', '.join(names_1)} and {', '.join(names_2)} cannot be matched: "
        "one must have all the names of the other (rename atom to first_atom for a product with pairs)"
    )


def union_of(*sets: np.ndarray) -> tuple[np.ndarray, ...]:
    """All rows that occur in the ``sets`` [row, dimension], sorted, and the place in each set (−1: not there)."""
    together = np.concatenate(sets)
    union, place = np.unique(together, axis=0, return_inverse=True)
    place, rows, start = place.reshape(-1), [], 0
    for each in sets:
        row = np.full(len(union), -1, dtype=np.int64)
        row[place[start : (start := start + len(each))]] = np.arange(len(each))
        rows.append(row)
    return union, *rows


def _rows_within(samples: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Row of ``samples`` that equals each entry of ``wanted``, for the entries that are there; which these are."""
    place = np.unique(np.concatenate([samples, wanted]), axis=0, return_inverse=True)[1].reshape(-1)
    row_of = np.full(place.max(initial=-1) + 1, -1, dtype=np.int64)
    row_of[place[: len(samples)]] = np.arange(len(samples))
    rows = row_of[place[len(samples) :]]
    kept = np.flatnonzero(rows >= 0)
    return rows[kept], kept


def take_rows(values: torch.Tensor, rows: np.ndarray | None) -> torch.Tensor:
    """``values[rows]``, zeros where a row is −1; differentiable."""
    if rows is None:
        return values
    if values.is_meta:
        return values.new_empty(len(rows), *values.shape[1:])
    index = torch.from_numpy(np.ascontiguousarray(rows)).to(values.device)
    if len(rows) and rows.min() < 0:
        values = torch.cat([values, values.new_zeros(1, *values.shape[1:])])
        index = torch.where(index < 0, len(values) - 1, index)
    return values[index]


def moved(samples: np.ndarray, row: np.ndarray | None, n_rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels of derivatives when the rows that are differentiated stand at other places (or several).

    :param samples: [derivative, (row, …)].
    :param row: what stands at each new place, −1: zeros; ``None``: all as before.
    :return: labels, ascending by the new places if they are so by the old ones; which of the derivatives they are
    """
    if row is None:
        return samples, np.arange(len(samples))
    order = np.argsort(samples[:, 0], kind="stable")
    sample = samples[order, 0]
    begin, end = np.searchsorted(sample, row), np.searchsorted(sample, row, side="right")
    counts = np.where(row >= 0, end - begin, 0)
    kept = order[np.repeat(begin - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())]
    labels = samples[kept].copy()
    labels[:, 0] = np.repeat(np.arange(n_rows), counts)
    return labels, kept


def joined(arrays: Sequence[torch.Tensor]) -> torch.Tensor:
    """Arrays side by side along the last axis."""
    if len(arrays) == 1:
        return arrays[0]
    if arrays[0].is_meta:  # torch would do so too, but import its compiler first, which takes seconds
        return arrays[0].new_empty(*arrays[0].shape[:-1], sum(array.shape[-1] for array in arrays))
    return torch.cat(list(arrays), dim=-1)


def check_systems(which: tuple[str, str], systems_1: np.ndarray, systems_2: np.ndarray, both: bool):
    """Whether the operands are of the same systems.

    :param both: also whether the second lacks none of the first's.
    :raises ValueError: naming the first system that one of them lacks.
    """
    for lacks, systems, others in ((0, systems_2, systems_1), (1, systems_1, systems_2))[: 1 + both]:
        if len(missing := np.setdiff1d(systems, others)):
            raise ValueError(
                f"{which[lacks]} has no samples of system {missing[0]}, {which[1 - lacks]} has: "
                "both must be computed for the same systems"
            )
