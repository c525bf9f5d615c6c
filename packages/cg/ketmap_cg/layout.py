"""From the TensorMap of a density to dense arrays, and back: columns of all neighbour types side by side."""

import dataclasses
import math
from typing import Any

import numpy as np
import torch
from ketmap_core import UnknownTypesError
from ketmap_core.names import O3
from ketmap_core.tensors import as_numpy

from .samples import take_rows, union_of

Symmetry = tuple[int, int]  # (λ, σ)
Features = dict[Symmetry, torch.Tensor]  # arrays [row, μ, q]
Part = tuple[tuple[int, ...], np.ndarray]  # other key values, properties [column, dimension]


@dataclasses.dataclass(frozen=True)
class Layout:
    """Columns of the density around one type of centre: for each (λ, σ), the properties of each neighbour type."""

    key_names: tuple[str, ...]  #: of the keys that are neither λ, σ nor the type of the centre
    property_names: tuple[str, ...]
    parts: dict[Symmetry, list[Part]]

    @classmethod
    def of(cls, tensor: Any, center_type: int) -> "Layout":
        """The columns that ``tensor`` has, ascending."""
        names, parts = other_names(tensor), {}
        for (symmetry, center, others), block in _blocks(tensor):
            if center == center_type:
                parts.setdefault(symmetry, []).append((others, as_numpy(block.properties.values).astype(np.int64)))
        parts = {symmetry: sorted(parts[symmetry], key=lambda part: part[0]) for symmetry in sorted(parts)}
        return cls(names, tuple(tensor.property_names), parts)

    def columns(self, symmetry: Symmetry) -> np.ndarray:  # -> int64 [column, (key names, property names)]
        rows = [np.hstack([np.tile(others, (len(p), 1)), p]) for others, p in self.parts[symmetry]]
        return np.concatenate(rows)


@dataclasses.dataclass(frozen=True)
class Dense:
    """The density around all centres of one type."""

    samples: np.ndarray  # [row, dimension], sorted
    values: Features  # (λ, σ) -> [row, m, column]
    present: dict[tuple[int, ...], np.ndarray]  # bool [row] for each neighbour type: which centres have it
    gradients: dict[str, "DenseGradient"]


@dataclasses.dataclass(frozen=True)
class DenseGradient:
    samples: np.ndarray  # [gradient row, (row, …)]
    values: Features  # (λ, σ) -> [gradient row, direction, m, column]
    present: dict[tuple[int, ...], np.ndarray]  # bool [gradient row]: what moves the density of each neighbour type
    names: tuple[str, ...]
    components: list[Any]  # Labels of the directions


def other_names(tensor: Any) -> tuple[str, ...]:
    return tuple(name for name in tensor.keys.names if name not in (*O3, "center_type"))


def check_density(tensor: Any) -> None:
    """Whether this is a TensorMap that can be multiplied and contracted.

    :raises ValueError: saying what is missing.
    """
    missing = [name for name in (*O3, "center_type") if name not in tensor.keys.names]
    if missing:
        raise ValueError(
            f"expected the TensorMap of a density, with keys {', '.join((*O3, 'center_type'))}; "
            f"got {', '.join(tensor.keys.names)}"
        )


def found_center_types(tensor: Any) -> list[int]:
    column = list(tensor.keys.names).index("center_type")
    return sorted(set(as_numpy(tensor.keys.values)[:, column].tolist()))


def dense(tensor: Any, center_type: int, layout: Layout) -> Dense:
    """The density around centres of one type in the columns of ``layout``; what is absent is zero.

    :raises UnknownTypesError: for neighbours that the layout does not know.
    :raises ValueError: for other properties than those of the layout.
    """
    chosen = {}
    for (symmetry, center, others), block in _blocks(tensor):
        if center == center_type:
            _check_known(layout, tensor, symmetry, others, block)
            chosen[symmetry, others] = block
    blocks = list(chosen.values())
    if not blocks:
        raise ValueError(f"the density has no centres of type {center_type}")
    samples, *rows = union_of(*(as_numpy(block.samples.values) for block in blocks))
    rows = dict(zip(chosen, rows))
    values = _joined(layout, {place: take_rows(_torch(b.values), rows[place]) for place, b in chosen.items()})
    gradients = {name: _gradient(name, layout, chosen, rows) for name in blocks[0].gradients_list()}
    return Dense(samples, values, _present(rows), gradients)


def _gradient(name: str, layout: Layout, chosen: dict, rows: dict) -> DenseGradient:
    sets = []
    for place, block in chosen.items():
        samples, row = as_numpy(block.gradient(name).samples.values).copy(), rows[place]
        moved = np.empty(len(block.samples), dtype=samples.dtype)
        moved[row[row >= 0]] = np.flatnonzero(row >= 0)
        samples[:, 0] = moved[samples[:, 0]]
        sets.append(samples)
    samples, *places = union_of(*sets)
    some = _first(chosen).gradient(name)
    components = list(some.components[:-1])
    n_directions = math.prod(len(component) for component in components)
    parts = {}
    for (place, block), where in zip(chosen.items(), places):
        taken = take_rows(_torch(block.gradient(name).values), where)  # -> [gradient row, xyz …, m, column]
        parts[place] = taken.reshape(len(taken), n_directions, *taken.shape[-2:])
    present = _present(dict(zip(chosen, places)))
    return DenseGradient(samples, _joined(layout, parts), present, tuple(some.samples.names), components)


def _present(rows: dict) -> dict[tuple[int, ...], np.ndarray]:
    found: dict[tuple[int, ...], np.ndarray] = {}
    for (_, others), row in rows.items():
        found[others] = found.get(others, False) | (row >= 0)
    return found


def _first(values: dict) -> Any:
    return next(iter(values.values()))


def _joined(layout: Layout, found: dict) -> Features:
    """Arrays of all neighbour types along the last axis; zeros for types that are not there."""
    some = _first(found)
    result = {}
    for (l, sigma), parts in layout.parts.items():
        absent = some.new_zeros(*some.shape[:-2], 2 * l + 1, 1)
        arrays = [
            found[(l, sigma), others] if ((l, sigma), others) in found else absent.expand(*absent.shape[:-1], len(p))
            for others, p in parts
        ]
        result[l, sigma] = torch.cat(arrays, dim=-1)
    return result


def _check_known(layout: Layout, tensor: Any, symmetry: Symmetry, others: tuple[int, ...], block: Any) -> None:
    known = dict(layout.parts.get(symmetry, []))
    if others not in known:
        names = ", ".join(f"{name}={value}" for name, value in zip(layout.key_names, others))
        fitted = ", ".join(str(list(o)) for o in known) or "none"
        raise UnknownTypesError(
            f"the contraction was not fitted for {names} with λ={symmetry[0]}, σ={symmetry[1]}; known: {fitted}"
        )
    properties = as_numpy(block.properties.values)
    if tuple(tensor.property_names) != layout.property_names or not np.array_equal(properties, known[others]):
        raise ValueError(
            f"the contraction was fitted to {len(known[others])} properties ({', '.join(layout.property_names)}) of "
            f"each block, got {len(properties)} ({', '.join(tensor.property_names)}): use the same density"
        )


def _blocks(tensor: Any):
    names = list(tensor.keys.names)
    places = [names.index(name) for name in (*O3, "center_type")]
    others = [names.index(name) for name in other_names(tensor)]
    for key, block in zip(as_numpy(tensor.keys.values), tensor.blocks()):
        l, sigma, center = key[places].tolist()
        yield ((l, sigma), center, tuple(key[others].tolist())), block


def _torch(values: Any) -> torch.Tensor:
    return values if isinstance(values, torch.Tensor) else torch.from_numpy(np.ascontiguousarray(values))
