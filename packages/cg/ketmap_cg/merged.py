"""Products whose blocks hold all (l_1, l_2): these stand in the properties, not in the keys."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from ketmap_density.blocks import Maker

from .assembly import Assembly, Coupling
from .keys import ProductKeys, matching, product_keys
from .operands import operands, places_of_blocks

L_NAMES = ("l_1", "l_2")


@dataclasses.dataclass(frozen=True)
class MergedKeys:
    """Keys of a product with and without (l_1, l_2)."""

    names: tuple[str, ...]
    values: np.ndarray  # [block, name]
    members: list[np.ndarray]  # of each block: rows of ``keys``, ascending by (l_1, l_2)
    keys: ProductKeys


def merged_keys(
    keys_1: Any, keys_2: Any, selected: Any = None, wanted: Callable[[ProductKeys], np.ndarray] | None = None
) -> MergedKeys:
    """The blocks of the product of two tensors with these keys.

    :param selected: Labels of some of the names, ``l_1`` and ``l_2`` among them. With all other names, these are the
        blocks, in this order.
    :param wanted: which couplings are to be computed at all, bool [key].
    """
    keys = product_keys(keys_1, keys_2, L_NAMES)
    if wanted is not None:
        keys = keys.keep(np.flatnonzero(wanted(keys)))
    if selected is not None:
        keys = keys.keep(np.flatnonzero(matching(keys.names, keys.values, selected, "keys")))
    keys = keys.keep(np.lexsort((keys.column("l_2"), keys.column("l_1"))))
    columns = [index for index, name in enumerate(keys.names) if name not in L_NAMES]
    names = tuple(keys.names[index] for index in columns)
    values, block = np.unique(keys.values[:, columns], axis=0, return_inverse=True)
    block = block.reshape(-1)
    order = np.lexsort([values[:, names.index("o3_sigma")], values[:, 0], *values[:, :1:-1].T])  # types first
    if selected is not None and set(names) <= set(selected.names):
        order = _as_selected(names, values, selected, order)
    starts = np.searchsorted(np.sort(block), np.arange(len(values) + 1))
    by_block = np.argsort(block, kind="stable")
    members = [by_block[starts[k] : starts[k + 1]] for k in order]
    return MergedKeys(names, values[order], members, keys)


def ascending(keys: ProductKeys) -> np.ndarray:  # -> bool [key]
    """l_1 ≤ l_2: of one density, the others are the same numbers."""
    return keys.column("l_1") <= keys.column("l_2")


def _as_selected(names, values, selected, order) -> np.ndarray:
    row_of = {tuple(values[k]): k for k in order.tolist()}
    columns = [list(selected.names).index(name) for name in names]
    given = [tuple(int(entry[column]) for column in columns) for entry in np.asarray(selected.values).tolist()]
    return np.array(list(dict.fromkeys(row_of[key] for key in given if key in row_of)), dtype=np.int64)


def merged_product(
    tensor_1: Any,
    tensor_2: Any,
    merged: MergedKeys,
    make: Maker,
    selected_properties: Any = None,
    metadata: bool = False,
) -> Any:
    """The TensorMap of the product: properties ``l_1, l_2``, then those of the first and the second tensor.

    :param metadata: labels alone, see :func:`~ketmap_cg.operands.operands`.
    """
    sides = [operands(tensor, merged=True, metadata=metadata) for tensor in (tensor_1, tensor_2)]
    home = [places_of_blocks(side) for side in sides]
    groups: dict[tuple[int, int], list[tuple[int, list[Coupling]]]] = {}
    for index, members in enumerate(merged.members):
        first, second = merged.keys.first[members].tolist(), merged.keys.second[members].tolist()
        l = int(merged.values[index, 0])
        couplings = [(home[0][a][1], home[1][b][1], l) for a, b in zip(first, second)]
        groups.setdefault((home[0][first[0]][0], home[1][second[0]][0]), []).append((index, couplings))
    names = [*tensor_1.property_names, *tensor_2.property_names]
    assembly = Assembly(make, names, tensor_1.sample_names, tensor_2.sample_names, selected_properties, L_NAMES)
    blocks: list[Any] = [None] * len(merged.values)
    for (i, j), wanted in groups.items():
        made = assembly.blocks(sides[0][i], sides[1][j], [couplings for _, couplings in wanted])
        for (index, _), block in zip(wanted, made):
            blocks[index] = block
    return make.tensor(merged.names, merged.values.reshape(-1, len(merged.names)), blocks)
