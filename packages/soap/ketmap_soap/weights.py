"""The columns of a linear model: unique features of each type of centre, and their weights as a TensorMap.

Columns are ordered by (center_type, a ≤ b, l, n_1, n_2). For a = b features are symmetric in n_1, n_2, so only
n_1 ≤ n_2 is kept, times √2 where n_1 < n_2: scalar products, and so ridge regression, are those of the full features.

``sizes`` are the numbers of radial functions of each l. Where they differ, arrays are padded to the largest; columns
and properties are only those that exist.
"""

import functools
import itertools
import math

import metatensor
import numpy as np
import torch
from ketmap_ops.power_spectrum import packing

KEYS = ("center_type", "neighbor_1_type", "neighbor_2_type")
PROPERTIES = ("l", "n_1", "n_2")


def keys_of(types: tuple[int, ...]) -> list[tuple[int, int, int]]:
    """(center_type, a, b) of all pairs a ≤ b of ``types`` around all of them."""
    return [(s, a, b) for s in types for a, b in itertools.combinations_with_replacement(types, 2)]


def properties_of(sizes: tuple[int, ...]) -> np.ndarray:  # -> [property, (l, n_1, n_2)]
    """All properties of a block.

    >>> properties_of((2, 1)).tolist()
    [[0, 0, 0], [0, 0, 1], [0, 1, 0], [0, 1, 1], [1, 0, 0]]
    """
    return np.array([(l, *n) for l, size in enumerate(sizes) for n in np.ndindex(size, size)]).reshape(-1, 3)


def places_of(properties: np.ndarray, sizes: tuple[int, ...]) -> np.ndarray:  # -> [property]
    """Where properties stand in a flattened array [l, n_1, n_2] that is padded to the largest size."""
    n = max(sizes)
    return (properties[:, 0] * n + properties[:, 1]) * n + properties[:, 2]


@functools.cache
def columns_of(n_types: int, sizes: tuple[int, ...]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
    """Of one type of centre: places of the columns in [ab, l, n_1, n_2], their weights, and which of the columns of
    full arrays (:func:`ketmap_ops.power_spectrum.packing`) they are; None: all."""
    n_l, n = len(sizes), max(sizes)
    columns, weight = packing(n_types, n_l, n)
    exists = np.zeros(n_l * n * n, dtype=bool)
    exists[places_of(properties_of(sizes), sizes)] = True
    if exists.all():
        return columns, weight, None
    kept = torch.nonzero(torch.from_numpy(exists)[columns % len(exists)])[:, 0]
    return columns[kept], weight[kept], kept


def n_columns(n_types: int, sizes: tuple[int, ...]) -> int:
    return n_types * len(columns_of(n_types, sizes)[0])


def unpack(w: torch.Tensor, n_types: int, sizes: tuple[int, ...]) -> torch.Tensor:
    """Weights of the full features, from those of the columns.  # [column] -> [center type, ab, l, n1, n2]"""
    n_l, n = len(sizes), max(sizes)
    columns, weight, _ = columns_of(n_types, sizes)
    n_ab = n_types * (n_types + 1) // 2
    full = w.new_zeros(n_types, n_ab * n_l * n * n)
    full[:, columns] = w.reshape(n_types, -1) / weight.to(w)
    full = full.reshape(n_types, n_ab, n_l, n, n)
    same = [ab for ab, (a, b) in enumerate(torch.triu_indices(n_types, n_types).T) if a == b]
    full[:, same] += torch.triu(full[:, same], 1).transpose(-1, -2)
    return full


def pack(full: torch.Tensor, sizes: tuple[int, ...]) -> torch.Tensor:
    """Weights of the columns that say the same as those of the full features.  # -> [column]"""
    n_types = len(full)
    columns, weight, _ = columns_of(n_types, sizes)
    full = full.clone()
    same = [ab for ab, (a, b) in enumerate(torch.triu_indices(n_types, n_types).T) if a == b]
    full[:, same] = 0.5 * (full[:, same] + full[:, same].transpose(-1, -2))
    return (full.reshape(n_types, -1)[:, columns] * weight.to(full)).reshape(-1)


def weights_to_tensor(w: torch.Tensor, types: tuple[int, ...], sizes: tuple[int, ...]):
    """Weights as a TensorMap with the keys and properties of the power spectrum and the sample ``target`` 0."""
    named = properties_of(sizes)
    properties = metatensor.Labels(list(PROPERTIES), named.astype(np.int32))
    samples = metatensor.Labels.range("target", 1)
    full = unpack(w.detach().cpu(), len(types), sizes).flatten(0, 1).flatten(1)[:, places_of(named, sizes)]
    blocks = [metatensor.TensorBlock(values[None].numpy().copy(), samples, [], properties) for values in full]
    keys = np.array(keys_of(types), dtype=np.int32).reshape(-1, 3)
    return metatensor.TensorMap(metatensor.Labels(list(KEYS), keys), blocks)


def tensor_to_weights(tensor, types: tuple[int, ...], sizes: tuple[int, ...]) -> torch.Tensor:  # -> [column]
    """The inverse of :func:`weights_to_tensor`; blocks that are missing mean zeros.

    :raises ValueError: for blocks of other types, or with other properties.
    """
    places = {key: place for place, key in enumerate(keys_of(types))}
    expected = properties_of(sizes)
    inside = places_of(expected, sizes)
    full = torch.zeros(len(places), len(sizes) * max(sizes) ** 2, dtype=torch.float64)
    for key, block in tensor.items():
        entry = tuple(int(value) for value in key.values)
        if tuple(key.names) != KEYS or entry not in places:
            raise ValueError(f"weights for {dict(zip(key.names, entry))}; expected {', '.join(KEYS)} of types {types}")
        if not np.array_equal(np.asarray(block.properties.values), expected):
            raise ValueError(
                f"weights for {entry} have {len(block.properties)} properties; expected {len(expected)}: "
                f"l = 0 … {len(sizes) - 1}, n_1, n_2 below {', '.join(map(str, sizes))}, in this order"
            )
        full[places[entry], inside] = torch.as_tensor(np.asarray(block.values)[0], dtype=torch.float64)
    n_ab = len(types) * (len(types) + 1) // 2
    return pack(full.reshape(len(types), n_ab, len(sizes), max(sizes), max(sizes)), sizes)


def quadratic_form(w: torch.Tensor, types: tuple[int, ...], sizes: tuple[int, ...]) -> torch.Tensor:
    """Q with E_i = Σ_lm c_lmᵀ Q_l c_lm, c_lm flattened (channel, n).  # -> [center type, l, channel n, channel n]"""
    k, n_l, n = len(types), len(sizes), max(sizes)
    full = unpack(w, k, sizes)  # -> [center type, ab, l, n1, n2]
    sign = w.new_tensor([(-1) ** l / math.sqrt(2 * l + 1) for l in range(n_l)])
    form = w.new_zeros(k, n_l, k, n, k, n)
    for ab, (a, b) in enumerate(torch.triu_indices(k, k).T.tolist()):
        block = full[:, ab] * sign[:, None, None]
        if a != b:
            block = block * math.sqrt(0.5)  # √2, half of it on each side of the diagonal
            form[:, :, b, :, a, :] = block.transpose(-1, -2)
        form[:, :, a, :, b, :] = block
    return form.reshape(k, n_l, k * n, k * n)
