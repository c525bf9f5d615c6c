"""Keys of a product: which blocks meet, which λ and σ they make, and which of these are wanted."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from ketmap_core.errors import unknown_name
from ketmap_core.tensors import as_numpy

from .operands import O3


@dataclasses.dataclass(frozen=True)
class ProductKeys:
    """Output keys in the order that they are computed in, and the blocks that make each of them."""

    names: tuple[str, ...]
    values: np.ndarray  # [key, dimension]
    first: np.ndarray  # [key]: block of the first tensor
    second: np.ndarray

    def keep(self, kept: np.ndarray) -> "ProductKeys":
        return dataclasses.replace(self, values=self.values[kept], first=self.first[kept], second=self.second[kept])

    def column(self, name: str) -> np.ndarray:
        return self.values[:, self.names.index(name)]


def product_keys(keys_1: Any, keys_2: Any, l_names: tuple[str, str]) -> ProductKeys:
    """All couplings of the blocks of two tensors.

    Keys with the same name must be equal; others are combined in full. The order of names is featomic's: λ, σ, common
    keys, those of the first and its l, those of the second and its l.
    """
    names_1, names_2 = list(keys_1.names), list(keys_2.names)
    common = [name for name in names_1 if name in names_2 and name not in O3]
    own_1 = [name for name in names_1 if name not in (*common, *O3)]
    own_2 = [name for name in names_2 if name not in (*common, *O3)]
    names = (*O3, *common, *own_1, l_names[0], *own_2, l_names[1])
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the product would have two keys named {twice}: give o3_lambda_1/2_new_name another name")
    values_1, values_2 = as_numpy(keys_1.values), as_numpy(keys_2.values)
    same_1 = values_1[:, [names_1.index(name) for name in common]]
    same_2 = values_2[:, [names_2.index(name) for name in common]]
    first, second = np.nonzero((same_1[:, None] == same_2).all(axis=-1))
    l_1, l_2 = values_1[first, names_1.index("o3_lambda")], values_2[second, names_2.index("o3_lambda")]
    counts = 2 * np.minimum(l_1, l_2) + 1
    pair = np.repeat(np.arange(len(first)), counts)
    l = np.abs(l_1 - l_2)[pair] + np.arange(len(pair)) - np.repeat(np.cumsum(counts) - counts, counts)
    first, second, l_1, l_2 = first[pair], second[pair], l_1[pair], l_2[pair]
    signs = values_1[first, names_1.index("o3_sigma")] * values_2[second, names_2.index("o3_sigma")]
    columns = [
        l,
        signs * (-1) ** ((l_1 + l_2 + l) % 2),
        *(values_1[first, names_1.index(name)] for name in (*common, *own_1)),
        l_1,
        *(values_2[second, names_2.index(name)] for name in own_2),
        l_2,
    ]
    return ProductKeys(names, np.stack(columns, axis=1).astype(np.int64), first, second)


def matching(names: Sequence[str], values: np.ndarray, wanted: Any, what: str) -> np.ndarray:  # -> bool [row]
    """Which rows of ``values`` [row, name] agree with an entry of the Labels ``wanted``, in the names that it has.

    :raises ValueError: if ``wanted`` is no Labels or has other names.
    """
    if not (hasattr(wanted, "names") and hasattr(wanted, "values")):
        raise ValueError(f"selected {what} must be Labels, got {type(wanted).__name__}")
    for name in wanted.names:
        if name not in names:
            raise ValueError(unknown_name(name, names, f"dimension in the selection of {what}"))
    entries = as_numpy(wanted.values).astype(np.int64)
    both = np.concatenate([entries, values[:, [list(names).index(name) for name in wanted.names]]])
    code = np.unique(both, axis=0, return_inverse=True)[1].reshape(-1)
    return np.isin(code[len(entries) :], code[: len(entries)])
