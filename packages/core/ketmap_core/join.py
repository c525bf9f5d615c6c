"""Data sets put one after the other, and taken apart again."""

from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
import torch

from .align import align, common_names
from .provenance import derive, differences, info
from .tensors import as_numpy, describe, labels_like, library


def join(tensors: Sequence[Any], *, n_systems: Sequence[int] | None = None, fill_properties: bool = False) -> Any:
    """One TensorMap of several, as if all their systems had been in one list.

    Keys are those that occur in any of them; ``system`` counts on from one to the next, in samples and in gradient
    samples; a block's samples follow one another in the order of the ``tensors``.

    :param tensors: of metatensor or metatensor.torch (autograd goes on), with samples that hold ``system``: by
        atom, pair or system.
    :param n_systems: how many systems each has; by default one more than the largest index in its samples. To be
        given where the last systems may have no samples.
    :param fill_properties: where blocks of one key differ in properties, each gets the columns of the others,
        with zeros.
    :raises ValueError: for features that were made in different ways (their ``hash`` says so), for blocks whose names,
        components, properties, gradients, dtype or device differ, and for ``n_systems`` that do not fit.
    :raises TypeError: for what is no TensorMap, and for tensors of both libraries.

    >>> from metatensor import Labels, TensorBlock, TensorMap
    >>> def features(element):
    ...     samples = Labels(["system", "atom"], np.array([[0, 0]]))
    ...     block = TensorBlock(np.ones((1, 2)), samples, [], Labels.range("n", 2))
    ...     return TensorMap(Labels(["center_type"], np.array([[element]])), [block])
    >>> both = join([features(1), features(6)])
    >>> both.keys.values.tolist(), both.block(1).samples.values.tolist()
    ([[1], [6]], [[1, 0]])
    """
    many = list(tensors)
    names = common_names("join", many)
    _comparable(many)
    counts = _counts(many, n_systems)
    starts = [0, *accumulate(counts)][:-1]
    aligned = align(many, fill_properties=fill_properties)
    lib, like = library(many[0]), aligned[0]
    blocks = []
    for i, key in enumerate(as_numpy(like.keys.values).tolist()):
        blocks.append(_joined(lib, [tensor.block(i) for tensor in aligned], starts, describe(names, key)))
    result = lib.TensorMap(like.keys, blocks)
    return derive(result, "join", many, {"n_systems": counts}, same_features=True)


def split(tensor: Any, n_systems: Sequence[int]) -> list[Any]:
    """The systems of a TensorMap shared out, the first ``n_systems[0]`` of them, the next ``n_systems[1]`` …

    In each part ``system`` counts from 0; each has all keys, some perhaps without samples, so that
    ``join(split(tensor, n), n_systems=n)`` gives the same blocks again.

    :raises ValueError: for numbers of systems that do not add up to at least those in the samples.
    """
    counts = [int(n) for n in n_systems]
    needed = count_systems(tensor)
    if sum(counts) < needed or min(counts, default=0) < 0:
        raise ValueError(f"split: n_systems {counts} make {sum(counts)} systems, the samples hold {needed}")
    starts = [0, *accumulate(counts)]
    return [select_systems(tensor, first, last) for first, last in pairwise(starts)]


def select_systems(tensor: Any, start: int, stop: int) -> Any:
    """The systems ``start`` to ``stop`` (exclusive), counted from 0; all keys stay, some perhaps without samples.

    :raises ValueError: for samples without ``system``.
    """
    lib = library(tensor)
    count_systems(tensor)
    blocks = [_selected(lib, block, start, stop) for block in tensor.blocks()]
    result = lib.TensorMap(tensor.keys, blocks)
    return derive(result, "select_systems", tensor, {"start": int(start), "stop": int(stop)}, same_features=True)


def count_systems(tensor: Any) -> int:
    """One more than the largest index of a system in the samples.

    :raises ValueError: for samples without ``system``.
    """
    largest = -1
    for block in tensor.blocks():
        if "system" not in block.samples.names:
            raise ValueError(f"expected samples with 'system', got {', '.join(block.samples.names)}")
        column = as_numpy(block.samples.values)[:, list(block.samples.names).index("system")]
        largest = max(largest, int(column.max(initial=-1)))
    return largest + 1


def _comparable(tensors: list[Any]) -> None:
    made = [info(tensor) for tensor in tensors]
    known = [(i, found) for i, found in enumerate(made) if "hash" in found]
    for i, found in known[1:]:
        first, other = known[0]
        if found["hash"] != other["hash"]:
            raise ValueError(f"join: TensorMaps {first} and {i} are not the same features: {_difference(other, found)}")


def _difference(one: dict, other: dict) -> str:
    """Where two pieces of provenance part."""
    for name in ("calculator", "units", "convention"):
        if one.get(name) != other.get(name):
            return f"{name} {one.get(name)} and {other.get(name)}"
    for path, first, second in differences(one.get("hypers"), other.get("hypers"), "hypers"):
        return f"{path} is {first} and {second}"
    return f"made by {_steps(one)} and by {_steps(other)}"


def _steps(made: dict) -> str:
    return ", ".join([made.get("calculator", "?"), *(step["operation"] for step in made.get("history", []))])


def _counts(tensors: list[Any], given: Sequence[int] | None) -> list[int]:
    """How many systems each has."""
    needed = [count_systems(tensor) for tensor in tensors]
    if given is None:
        return needed
    counts = [int(n) for n in given]
    if len(counts) != len(tensors) or any(n < least for n, least in zip(counts, needed)):
        raise ValueError(f"n_systems {counts} do not fit {len(tensors)} TensorMaps that hold at least {needed} systems")
    return counts


def _joined(lib: Any, blocks: list[Any], starts: list[int], where: str) -> Any:
    first = blocks[0]
    result = _concatenated(lib, blocks, [{"system": start} for start in starts], where)
    rows = [0, *accumulate(len(block.samples) for block in blocks)][:-1]
    shifts = [{"system": start, "sample": row} for start, row in zip(starts, rows)]
    names = list(first.gradients_list())
    for block in blocks[1:]:
        if set(block.gradients_list()) != set(names):
            found = " and ".join(", ".join(one.gradients_list()) or "none" for one in (first, block))
            raise ValueError(f"join: {where} has gradients {found}; expected the same in all")
    for name in names:
        gradients = [block.gradient(name) for block in blocks]
        result.add_gradient(name, _concatenated(lib, gradients, shifts, f"{where}: gradient '{name}'"))
    return result


def _concatenated(lib: Any, blocks: list[Any], shifts: list[dict[str, int]], where: str) -> Any:
    first = blocks[0]
    names = list(first.samples.names)
    samples = []
    for block, shift in zip(blocks, shifts):
        _must_fit(first, block, where)
        samples.append(
            as_numpy(block.samples.values) + np.array([shift.get(name, 0) for name in names], dtype=np.int32)
        )
    values = [block.values for block in blocks]
    values = np.concatenate(values) if isinstance(values[0], np.ndarray) else torch.cat(values)
    labels = labels_like(first.samples, names, np.concatenate(samples))
    return lib.TensorBlock(values, labels, list(first.components), first.properties)


def _must_fit(first: Any, block: Any, where: str) -> None:
    kinds: dict[str, Callable] = {
        "samples named": lambda b: ", ".join(b.samples.names),
        "components": lambda b: [f"{c.names[0]} ({len(c)})" for c in b.components],
        "dtype": lambda b: str(b.values.dtype),
        "device": lambda b: str(getattr(b.values, "device", "cpu")),
    }
    for what, kind in kinds.items():
        if kind(first) != kind(block):
            raise ValueError(f"join: {where} has {what} {kind(first)} and {kind(block)}; expected the same in all")


def _selected(lib: Any, block: Any, start: int, stop: int) -> Any:
    names = list(block.samples.names)
    systems = as_numpy(block.samples.values)[:, names.index("system")]
    chosen = np.flatnonzero((systems >= start) & (systems < stop))
    place = np.full(len(systems), -1)
    place[chosen] = np.arange(len(chosen))
    result = _rows(lib, block, chosen, start)
    for name in block.gradients_list():
        gradient = block.gradient(name)
        column = list(gradient.samples.names).index("sample")
        sample = place[as_numpy(gradient.samples.values)[:, column]]
        kept = np.flatnonzero(sample >= 0)
        result.add_gradient(name, _rows(lib, gradient, kept, start, sample[kept]))
    return result


def _rows(lib: Any, block: Any, chosen: np.ndarray, start: int, sample: np.ndarray | None = None) -> Any:
    """Some rows of a block, as a view where they stand together; ``system`` is counted from ``start``."""
    names = list(block.samples.names)
    labels = as_numpy(block.samples.values)[chosen].astype(np.int32)
    if "system" in names:
        labels[:, names.index("system")] -= start
    if sample is not None:
        labels[:, names.index("sample")] = sample
    together = len(chosen) == 0 or chosen[-1] - chosen[0] + 1 == len(chosen)
    if together:
        rows: Any = slice(int(chosen[0]), int(chosen[-1]) + 1) if len(chosen) else slice(0, 0)
    elif isinstance(block.values, np.ndarray):
        rows = chosen
    else:
        rows = torch.from_numpy(chosen).to(block.values.device)
    samples = labels_like(block.samples, names, labels)
    return lib.TensorBlock(block.values[rows], samples, list(block.components), block.properties)
