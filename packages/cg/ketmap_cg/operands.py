"""The operands of a product: blocks of a TensorMap that differ only in λ and σ, side by side as rows."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from ketmap_core.names import GRADIENT_SAMPLES
from ketmap_core.tensors import as_numpy

from .dense import Array, side_by_side
from .samples import joined, take_rows, union_of

O3 = ("o3_lambda", "o3_sigma")


@dataclasses.dataclass(frozen=True)
class Gradient:
    """Derivatives of the rows of an operand; ``samples`` begin with the row that is differentiated."""

    samples: np.ndarray  # [gradient row, (sample, …)]
    rows: torch.Tensor  # [gradient row, component, element]
    names: tuple[str, ...]
    components: tuple[Any, ...]  # Labels


@dataclasses.dataclass(frozen=True)
class Operand:
    """Rows [row, element] that hold several arrays each."""

    others: tuple[int, ...]  # values of the keys that are not λ and σ
    samples: np.ndarray  # [row, dimension]
    rows: torch.Tensor  # [row, element]
    arrays: list[Array]
    sigmas: list[int]  # of each array
    properties: list[np.ndarray]  # of each array, [column, dimension]
    blocks: list[int]  # place of each array's block in the TensorMap
    present: list[np.ndarray | None]  # bool [row] of each array: is in its block; None: all are
    gradients: dict[str, Gradient]


def operands(tensor: Any, merged: bool, gradients: bool = True, metadata: bool = False) -> list[Operand]:
    """All blocks of ``tensor``, grouped by the keys that are not λ and σ.

    :param merged: blocks of one group get the union of their samples; otherwise only blocks with the same samples are
        put into one group.
    :param metadata: rows without numbers (on torch's ``meta`` device), so that products of them are shapes alone.
    """
    numbers = _without_numbers if metadata else _tensor
    names, keys = list(tensor.keys.names), as_numpy(tensor.keys.values)
    place_l, place_sigma = names.index("o3_lambda"), names.index("o3_sigma")
    others = [index for index, name in enumerate(names) if name not in O3]
    groups: dict[tuple, list[int]] = {}
    for index, key in enumerate(keys):
        kind = tuple(key[others].tolist())
        samples = b"" if merged else as_numpy(tensor.block(index).samples.values).tobytes()
        groups.setdefault((kind, samples), []).append(index)
    made = []
    for (kind, _), members in groups.items():
        blocks = [tensor.block(index) for index in members]
        samples, rows = _together([as_numpy(block.samples.values) for block in blocks])
        values, arrays = side_by_side([take_rows(numbers(b.values), r) for b, r in zip(blocks, rows)])
        for array, index in zip(arrays, members):
            if array.l != keys[index, place_l]:
                raise ValueError(
                    f"block {index} has {2 * array.l + 1} components, but o3_lambda={keys[index, place_l]}"
                )
        made.append(
            Operand(
                others=kind,
                samples=samples,
                rows=values,
                arrays=arrays,
                sigmas=[int(keys[index, place_sigma]) for index in members],
                properties=[as_numpy(block.properties.values) for block in blocks],
                blocks=members,
                present=[None if row is None else row >= 0 for row in rows],
                gradients={
                    name: _gradient(name, blocks, rows, numbers)
                    for name in (blocks[0].gradients_list() if gradients else ())
                },
            )
        )
    return made


def places_of_blocks(side: list[Operand]) -> dict[int, tuple[int, int]]:
    """Where each block of the tensor is: its operand, and its place among the arrays of that."""
    return {block: (i, j) for i, operand in enumerate(side) for j, block in enumerate(operand.blocks)}


def _together(sets: list[np.ndarray]) -> tuple[np.ndarray, list[np.ndarray | None]]:
    if all(np.array_equal(each, sets[0]) for each in sets):
        return sets[0], [None] * len(sets)
    union, *rows = union_of(*sets)
    return union, rows


def _gradient(name: str, blocks: list, rows: list[np.ndarray | None], numbers: Callable) -> Gradient:
    parts, sets = [], []
    for block, row in zip(blocks, rows):
        gradient = block.gradient(name)
        samples = as_numpy(gradient.samples.values)
        if row is not None:  # the block's rows have moved
            moved = np.zeros(len(block.samples), dtype=samples.dtype)
            moved[row[row >= 0]] = np.flatnonzero(row >= 0)
            samples = samples.copy()
            samples[:, 0] = moved[samples[:, 0]]
        sets.append(samples)
        parts.append(numbers(gradient.values))
    samples, places = _together(sets)
    first = blocks[0].gradient(name)
    n_more = len(first.components) - len(blocks[0].components)
    flat = []
    for part, place in zip(parts, places):
        part = take_rows(part, place)
        flat.append(part.reshape(len(part), 3**n_more, part.shape[-2] * part.shape[-1]))
    # renaming atom to first_atom in samples renames it in their gradients too, where it is any atom
    names = GRADIENT_SAMPLES.get(name, tuple(first.samples.names))
    return Gradient(samples, joined(flat), names, tuple(first.components[:n_more]))


def _tensor(values: Any) -> torch.Tensor:
    return values if isinstance(values, torch.Tensor) else torch.from_numpy(np.ascontiguousarray(values))


def _without_numbers(values: Any) -> torch.Tensor:
    like = values if isinstance(values, torch.Tensor) else torch.from_numpy(np.empty(0, dtype=values.dtype))
    return like.new_empty(tuple(values.shape), device="meta")
