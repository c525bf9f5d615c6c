"""Products below TensorMaps: arrays [row, m, q] of any l, coupled and written into blocks by one operator.

``couple`` multiplies two arrays. For many at once (a representation is a row of arrays), ``side_by_side`` makes the
rows, ``paths_of`` says once what is to be computed, and :func:`ketmap_ops.cg_product.cg_product` computes it for any
rows.
"""

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np
import torch
from ketmap_core.o3 import couplings
from ketmap_ops.cg_product import CgPaths, Factor, Path, cg_product, outer_runs

from .samples import joined

Runs = tuple[tuple[int, int, int], ...]


@dataclasses.dataclass(frozen=True)
class Array:
    """Where an array [row, m, q] stands in a row of elements: component m, column q at ``offset + (m + l) stride +
    q``."""

    l: int
    n: int  #: number of columns
    offset: int
    stride: int


@dataclasses.dataclass(frozen=True)
class Coupled:
    """One coupling that is wanted: array ``first`` ⊗ array ``second`` → λ, into the columns from ``column`` of a
    block."""

    first: int
    second: int
    l: int
    block: int
    column: int
    runs: Runs | None = None  #: pairs of columns (q1, q2, count), see :func:`runs_of`; None: all


def couple(
    a: torch.Tensor, b: torch.Tensor, lambdas: Sequence[int] | None = None, pairs: np.ndarray | None = None
) -> list[torch.Tensor]:
    """Couple two equivariant arrays: Σ_m1m2 C^{λM}_{l1m1,l2m2} a[row, m1, q1] b[row, m2, q2], for several λ.

    Differentiable in both arrays, any number of times.

    :param a: ``[row, 2 l1 + 1, q1]``; ``b`` likewise, with the same rows.
    :param lambdas: λ wanted; by default all that there are.
    :param pairs: columns (q1, q2) that are multiplied, int [q, 2]; by default all, q2 running fastest.
    :return: for each λ ``[row, 2 λ + 1, q]``
    :raises ValueError: for λ that l1 and l2 do not couple to.

    >>> x, y = torch.tensor([[[0.0], [0.0], [1.0]]]), torch.tensor([[[1.0], [0.0], [0.0]]])  # x̂, ŷ as (y, z, x)
    >>> scalar, vector, tensor = couple(x, y)
    >>> vector.flatten() * 2**0.5  # −x̂ × ŷ
    tensor([ 0.0000, -1.0000,  0.0000])
    """
    l_1, l_2 = (a.shape[1] - 1) // 2, (b.shape[1] - 1) // 2
    lambdas = range(abs(l_1 - l_2), l_1 + l_2 + 1) if lambdas is None else lambdas
    runs = None if pairs is None else runs_of(np.asarray(pairs))
    paths = _paths_of_two(l_1, l_2, tuple(map(int, lambdas)), a.shape[2], b.shape[2], runs)
    return cg_product(a.flatten(1), b.flatten(1), paths)


@functools.lru_cache(maxsize=4096)
def _paths_of_two(l_1: int, l_2: int, lambdas: tuple[int, ...], n_1: int, n_2: int, runs: Runs | None) -> CgPaths:
    wanted = [Coupled(0, 0, l, block, 0, runs) for block, l in enumerate(lambdas)]
    return paths_of([Array(l_1, n_1, 0, n_1)], [Array(l_2, n_2, 0, n_2)], wanted)


def side_by_side(arrays: Sequence[torch.Tensor]) -> tuple[torch.Tensor, list[Array]]:
    """Arrays [row, 2 l + 1, q] as one matrix [row, element], and where each of them stands in a row."""
    places, offset = [], 0
    for array in arrays:
        places.append(Array((array.shape[1] - 1) // 2, array.shape[2], offset, array.shape[2]))
        offset += array.shape[1] * array.shape[2]
    return joined([array.flatten(1) for array in arrays]), places


def paths_of(
    first: Sequence[Array], second: Sequence[Array], wanted: Sequence[Coupled], groups: Sequence[int] | None = None
) -> CgPaths:
    """What :func:`ketmap_ops.cg_product.cg_product` is to compute.

    :param first: the arrays of a row of the first operand; likewise ``second``.
    :param wanted: couplings; those of one block fill its columns from 0 without gaps.
    :param groups: group of rows of each block; by default all are in one.
    :raises ValueError: for couplings that do not exist, or columns that do not fit together.
    """
    factors: dict[tuple, int] = {}
    paths, blocks = [], {}
    for each in sorted(wanted, key=lambda each: (each.first, each.second)):
        a, b = first[each.first], second[each.second]
        runs = outer_runs(a.n, b.n) if each.runs is None else each.runs
        factor = Factor(a.offset, a.stride, a.l, b.offset, b.stride, b.l, runs)
        place = factors.setdefault((each.first, each.second, runs), len(factors))
        paths.append(Path(place, *_coupling(a.l, b.l, each.l), each.l, each.block, each.column))
        l, n = blocks.get(each.block, (each.l, 0))
        blocks[each.block] = (l, n + factor.size)
    shapes = [(0 if groups is None else groups[block], *blocks[block]) for block in range(len(blocks))]
    made = [
        Factor(a.offset, a.stride, a.l, b.offset, b.stride, b.l, runs)
        for (i, j, runs) in factors
        for a, b in [(first[i], second[j])]
    ]
    return CgPaths(made, sorted(paths, key=lambda path: path.factor), shapes)


@functools.cache
def _coupling(l_1: int, l_2: int, l: int) -> tuple[torch.Tensor, torch.Tensor]:  # -> int [entry, 3], float [entry]
    entries = couplings(l_1, l_2, l)
    indices = np.stack([entries.m1, entries.m2, entries.mu], axis=1)
    return torch.from_numpy(indices), torch.tensor(entries.value)


def runs_of(pairs: np.ndarray) -> Runs:
    """Pairs of columns (q1, q2) [q, 2] as runs (q1, first q2, count).

    >>> runs_of(np.array([[0, 0], [0, 1], [1, 1], [1, 0]]))
    ((0, 0, 2), (1, 1, 1), (1, 0, 1))
    """
    pairs = np.asarray(pairs, dtype=np.int64).reshape(-1, 2)
    new = np.ones(len(pairs), dtype=bool)
    new[1:] = (pairs[1:, 0] != pairs[:-1, 0]) | (pairs[1:, 1] != pairs[:-1, 1] + 1)
    starts = np.flatnonzero(new)
    counts = np.diff(np.append(starts, len(pairs)))
    return tuple((int(q1), int(q2), int(n)) for (q1, q2), n in zip(pairs[starts], counts))
