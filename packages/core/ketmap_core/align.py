"""TensorMaps brought to the same keys, with empty blocks for types that a data set does not hold."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from .errors import UnknownTypesError
from .names import KEY_TYPES, O3
from .provenance import derive
from .tensors import as_numpy, describe, is_torch, labels_like, library

Key = tuple[int, ...]
# types of one group have no order among them in invariants: there, only ascending ones occur
_GROUPS = (("neighbor_1_type", "neighbor_2_type", "neighbor_3_type"), ("first_atom_type", "second_atom_type"))


def align(tensors: Any, *, types: Iterable[int] | None = None, keys: Any = None, fill_properties: bool = False) -> Any:
    """The same TensorMaps with the same keys, and in each block the same components and properties.

    A block that is missing becomes one without samples, with the components and properties of the blocks of the same
    λ and σ and with their gradients. Keys keep their order where all agree upon it; otherwise they ascend by their
    types, then by λ and σ.

    :param tensors: a TensorMap (one comes back), or a list of them (a list comes back), of metatensor or
        metatensor.torch. Values are shared with the result where nothing has to be added to them.
    :param types: atomic numbers: the keys are all that these types can make. Pairs of neighbours of invariants
        ascend (``neighbor_1_type`` ≤ ``neighbor_2_type``), those of equivariants come in both orders.
    :param keys: Labels, or a TensorMap (the weights of a model, say) that also says components and properties: the keys
        are these, in this order. By default, the keys are those that occur in any of the ``tensors``.
    :param fill_properties: where blocks of one key differ in properties, each gets the columns of the others,
        with zeros.
    :raises UnknownTypesError: for blocks of types that are not among ``types``.
    :raises ValueError: for blocks that are not among ``keys``; for key names, components or properties that differ; for
        missing blocks of which nothing tells the properties.
    :raises TypeError: for what is no TensorMap, and for tensors of both libraries.

    >>> from metatensor import Labels, TensorBlock, TensorMap
    >>> block = TensorBlock(np.ones((1, 2)), Labels(["system", "atom"], np.array([[0, 0]])), [], Labels.range("n", 2))
    >>> tensor = TensorMap(Labels(["center_type", "neighbor_type"], np.array([[6, 1]])), [block])
    >>> align(tensor, types=[1, 6]).keys.values.tolist()
    [[1, 1], [1, 6], [6, 1], [6, 6]]
    """
    if types is not None and keys is not None:
        raise ValueError("types and keys both say which keys are wanted; give one of them")
    several = isinstance(tensors, list | tuple)
    many = list(tensors) if several else [tensors]
    like = [keys] if hasattr(keys, "blocks") else []
    names = common_names("align", [*many, *like])
    types = None if types is None else sorted({int(one) for one in types})
    found = [_keys(tensor.keys) for tensor in many]
    if keys is not None:
        wanted = _given_keys(names, keys.keys if like else keys)
        _nothing_else(names, found, wanted)
    elif types is not None:
        wanted = _keys_of_types(names, found, types)
    else:
        wanted = _union(names, found)
    shapes = _Shapes(names, [*like, *many], fill_properties, fixed=bool(like))
    chosen = {"keys": len(wanted)} if types is None else {"types": types}
    hypers = {**chosen, "fill_properties": fill_properties}
    default = next((Shape.of(tensor.block(0)) for tensor in [*many, *like] if len(tensor.keys)), None)
    results = [_aligned(tensor, rows, wanted, shapes, default, hypers) for tensor, rows in zip(many, found)]
    return results if several else results[0]


def common_names(operation: str, tensors: Sequence[Any]) -> list[str]:
    """The names of the keys, which must be the same in all ``tensors``, as must be the library that they are of."""
    if not tensors:
        raise ValueError(f"{operation}: expected at least one TensorMap, got an empty list")
    if len({is_torch(tensor) for tensor in tensors}) > 1:
        raise TypeError(f"{operation}: TensorMaps of metatensor and of metatensor.torch; convert them to one kind")
    names = list(tensors[0].keys.names)
    for tensor in tensors[1:]:
        if list(tensor.keys.names) != names:
            other = ", ".join(tensor.keys.names)
            raise ValueError(
                f"{operation}: keys are named {', '.join(names)} and {other}; canonicalize gives both the same names, "
                "if they mean the same"
            )
    return names


def _keys(labels: Any) -> list[Key]:
    return [tuple(row) for row in as_numpy(labels.values).tolist()]


def _given_keys(names: list[str], labels: Any) -> list[Key]:
    if list(getattr(labels, "names", [])) != names:
        given = ", ".join(labels.names) if hasattr(labels, "names") else type(labels).__name__
        raise ValueError(f"align: keys are named {', '.join(names)}; wanted are {given}")
    return _keys(labels)


def _nothing_else(names: list[str], found: list[list[Key]], wanted: list[Key]) -> None:
    known = set(wanted)
    for key in itertools.chain(*found):
        if key not in known:
            raise ValueError(
                f"align: {describe(names, key)} is not among the {len(wanted)} keys asked for; take such blocks out "
                "first (metatensor.drop_blocks), or ask for them as well"
            )


def _union(names: list[str], found: list[list[Key]]) -> list[Key]:
    if all(set(rows) == set(found[0]) for rows in found):
        return found[0]
    return _ascending(names, set(itertools.chain(*found)))


def _ascending(names: list[str], keys: Iterable[Key]) -> list[Key]:
    """Types first, then λ and σ: the order in which the calculators write blocks."""
    order = sorted(range(len(names)), key=lambda i: names[i] in O3)
    return sorted(keys, key=lambda key: [key[i] for i in order])


def _keys_of_types(names: list[str], found: list[list[Key]], types: list[int]) -> list[Key]:
    columns = [i for i, name in enumerate(names) if name in KEY_TYPES and name.endswith("_type")]
    if not columns:
        raise ValueError(f"align: keys {', '.join(names)} hold no types; align before keys_to_properties or give keys")
    rows = set(itertools.chain(*found))
    for key in rows:
        if unknown := {key[i] for i in columns} - set(types):
            raise UnknownTypesError(
                f"align: {describe(names, key)} is of type {min(unknown)}, which is not among types={types}; add it, "
                "or take such blocks out first (metatensor.drop_blocks)"
            )
    ascending = [group for group in _GROUPS if _ascend(names, rows, group)]
    others = {tuple(None if i in columns else value for i, value in enumerate(key)) for key in rows}
    wanted = []
    for chosen in itertools.product(types, repeat=len(columns)):
        place = dict(zip([names[i] for i in columns], chosen))
        members = [[place[name] for name in group if name in place] for group in ascending]
        if all(list(values) == sorted(values) for values in members):
            by_column = dict(zip(columns, chosen))
            wanted += [tuple(by_column.get(i, value) for i, value in enumerate(other)) for other in others]
    return _ascending(names, wanted)


def _ascend(names: list[str], rows: set[Key], group: tuple[str, ...]) -> bool:
    """Whether the types of a group only occur in ascending order; where all are equal, invariants say so."""
    places = [names.index(name) for name in group if name in names]
    values = [[key[i] for i in places] for key in rows]
    if len(places) < 2 or any(one != sorted(one) for one in values):
        return False
    return "o3_lambda" not in names or any(len(set(one)) > 1 for one in values)


@dataclass(frozen=True)
class Shape:
    """All of a block but its samples and values."""

    components: list[Any]
    properties: Any
    samples: list[str]  # their names
    gradients: dict[str, tuple[list[str], list[Any]]]  # name -> names of samples, components
    values: Any  # those of some block, for dtype and device

    @classmethod
    def of(cls, block: Any) -> "Shape":
        gradients = {}
        for name in block.gradients_list():
            gradient = block.gradient(name)
            gradients[name] = (list(gradient.samples.names), list(gradient.components))
        return cls(list(block.components), block.properties, list(block.samples.names), gradients, block.values)


class _Shapes:
    """Components and properties for each key, from the tensors that have it or, failing that, one of its λ and σ.

    ``fixed``: the first tensor is what the others are brought to.
    """

    def __init__(self, names: list[str], tensors: list[Any], fill: bool, fixed: bool):
        self.names, self.fill = names, fill
        self.by_key: dict[Key, Shape] = {}
        self.by_kind: dict[Key, list[Shape]] = {}
        for i, tensor in enumerate(tensors):
            for key, block in zip(_keys(tensor.keys), tensor.blocks()):
                known = self.by_key.get(key)
                shape = Shape.of(block)
                if known is not None:
                    self._same_components(key, known, shape)
                    grows = fill and not (fixed and i > 0)
                    shape = self._same_properties(key, known, shape, grows)
                self.by_key[key] = shape
        for key, shape in self.by_key.items():
            self.by_kind.setdefault(self._kind(key), []).append(shape)

    def _kind(self, key: Key) -> Key:
        return tuple(value for name, value in zip(self.names, key) if name not in KEY_TYPES)

    def _same_components(self, key: Key, known: Shape, shape: Shape) -> None:
        if len(known.components) != len(shape.components) or any(
            a != b for a, b in zip(known.components, shape.components)
        ):
            first, second = ([f"{c.names[0]} ({len(c)})" for c in s.components] for s in (known, shape))
            raise ValueError(
                f"{describe(self.names, key)} has components {first} and {second}; expected the same in all"
            )

    def _same_properties(self, key: Key, known: Shape, shape: Shape, grows: bool) -> Shape:
        if known.properties == shape.properties:
            return known
        where = describe(self.names, key)
        if list(known.properties.names) != list(shape.properties.names):
            both = f"{', '.join(known.properties.names)} and {', '.join(shape.properties.names)}"
            raise ValueError(f"{where} has properties {both}; expected the same names in all")
        ours, theirs = (as_numpy(s.properties.values) for s in (known, shape))
        if self.fill:
            union = np.unique(np.concatenate([ours, theirs]), axis=0)
            if len(union) == len(ours):
                return known
            if grows:
                properties = labels_like(known.properties, known.properties.names, union)
                return replace(known, properties=properties)
        hint = (
            "the TensorMap given as keys lacks some of them"
            if self.fill
            else "fill_properties=True gives each the columns of the others, with zeros"
        )
        raise ValueError(f"{where} has {len(ours)} and {len(theirs)} properties that differ; {hint}")

    def of(self, key: Key) -> Shape:
        """The shape of the block of ``key``, whether it occurs or not."""
        if key in self.by_key:
            return self.by_key[key]
        relatives = self.by_kind.get(self._kind(key), [])
        where = describe(self.names, key)
        if not relatives:
            raise ValueError(
                f"{where} is missing, and nothing tells its properties: no block is like it in all but types; give "
                "keys= as a TensorMap that has it"
            )
        first = relatives[0]
        if any(shape.properties != first.properties for shape in relatives):
            raise ValueError(
                f"{where} is missing, and nothing tells its properties: those of the blocks that are like it in all "
                "but types differ; give keys= as a TensorMap that has it"
            )
        return first


def _aligned(
    tensor: Any, rows: list[Key], wanted: list[Key], shapes: _Shapes, default: Shape | None, hypers: dict
) -> Any:
    lib, place = library(tensor), {key: i for i, key in enumerate(rows)}
    own = Shape.of(tensor.block(0)) if rows else default
    blocks = []
    for key in wanted:
        shape = shapes.of(key)
        if key in place:
            blocks.append(with_properties(lib, tensor.block(place[key]), shape.properties))
        else:
            blocks.append(_empty(lib, shape, own))
    result = lib.TensorMap(labels_like(tensor.keys, shapes.names, wanted), blocks)
    return derive(result, "align", tensor, hypers, same_features=True)


def _empty(lib: Any, shape: Shape, own: Shape) -> Any:
    """A block without samples; its dtype, device, gradients and names of samples are those of ``own``."""
    properties = shape.properties

    def block(names: list[str], components: list[Any]) -> Any:
        values = own.values.reshape(-1)[:0].reshape((0, *map(len, components), len(properties)))
        samples = labels_like(properties, names, np.zeros((0, len(names))))
        return lib.TensorBlock(values, samples, components, properties)

    result = block(own.samples, shape.components)
    for name, (names, components) in own.gradients.items():
        here = len(components) - len(own.components)  # the components after these are those of the values
        result.add_gradient(name, block(names, [*components[:here], *shape.components]))
    return result


def with_properties(lib: Any, block: Any, properties: Any) -> Any:
    """The block, sharing its values, with more properties, of which the new ones are zero, or in another order."""
    places = None
    if block.properties != properties:
        row_of = {tuple(row): i for i, row in enumerate(as_numpy(properties.values).tolist())}
        places = [row_of[tuple(row)] for row in as_numpy(block.properties.values).tolist()]
    result = _widened(lib, block, properties, places)
    for name in block.gradients_list():
        result.add_gradient(name, _widened(lib, block.gradient(name), properties, places))
    return result


def _widened(lib: Any, block: Any, properties: Any, places: list[int] | None) -> Any:
    values = block.values
    if places is not None:
        wide = (*values.shape[:-1], len(properties))
        if isinstance(values, np.ndarray):
            new = np.zeros(wide, dtype=values.dtype)
            new[..., places] = values
        else:
            index = torch.tensor(places, device=values.device, dtype=torch.int64)
            new = values.new_zeros(wide).index_copy(-1, index, values)  # keeps autograd's history
        values = new
    return lib.TensorBlock(values, block.samples, list(block.components), properties)
