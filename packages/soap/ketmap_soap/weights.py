"""The columns of a linear model: unique features of each type of centre, and their weights as a TensorMap.

Columns are ordered by (center_type, a ≤ b, l, n_1, n_2). For a = b features are symmetric in n_1, n_2, so only
n_1 ≤ n_2 is kept, times √2 where n_1 < n_2: scalar products, and so ridge regression, are those of the full features.
"""

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


def properties_of(l_max: int, n_max: int) -> np.ndarray:  # -> [property, (l, n_1, n_2)]
    """All properties of a block; ``l_max`` and ``n_max`` are inclusive."""
    n = np.arange(n_max + 1)
    return np.stack(np.meshgrid(np.arange(l_max + 1), n, n, indexing="ij"), axis=-1).reshape(-1, 3)


def n_columns(n_types: int, l_max: int, n_max: int) -> int:
    return n_types * len(packing(n_types, l_max + 1, n_max + 1)[0])


def unpack(w: torch.Tensor, n_types: int, l_max: int, n_max: int) -> torch.Tensor:
    """Weights of the full features, from those of the columns.  # [column] -> [center type, ab, l, n1, n2]"""
    n = n_max + 1
    columns, weight = packing(n_types, l_max + 1, n)
    n_ab = n_types * (n_types + 1) // 2
    full = w.new_zeros(n_types, n_ab * (l_max + 1) * n * n)
    full[:, columns] = w.reshape(n_types, -1) / weight.to(w)
    full = full.reshape(n_types, n_ab, l_max + 1, n, n)
    same = [ab for ab, (a, b) in enumerate(torch.triu_indices(n_types, n_types).T) if a == b]
    full[:, same] += torch.triu(full[:, same], 1).transpose(-1, -2)
    return full


def pack(full: torch.Tensor) -> torch.Tensor:
    """Weights of the columns that say the same as those of the full features.  # -> [column]"""
    n_types, _, n_l, n, _ = full.shape
    columns, weight = packing(n_types, n_l, n)
    full = full.clone()
    same = [ab for ab, (a, b) in enumerate(torch.triu_indices(n_types, n_types).T) if a == b]
    full[:, same] = 0.5 * (full[:, same] + full[:, same].transpose(-1, -2))
    return (full.reshape(n_types, -1)[:, columns] * weight.to(full)).reshape(-1)


def weights_to_tensor(w: torch.Tensor, types: tuple[int, ...], l_max: int, n_max: int):
    """Weights as a TensorMap with the keys and properties of the power spectrum and the sample ``target`` 0."""
    properties = metatensor.Labels(list(PROPERTIES), properties_of(l_max, n_max).astype(np.int32))
    samples = metatensor.Labels.range("target", 1)
    full = unpack(w.detach().cpu(), len(types), l_max, n_max).flatten(0, 1)
    blocks = [metatensor.TensorBlock(values.reshape(1, -1).numpy().copy(), samples, [], properties) for values in full]
    keys = np.array(keys_of(types), dtype=np.int32).reshape(-1, 3)
    return metatensor.TensorMap(metatensor.Labels(list(KEYS), keys), blocks)


def tensor_to_weights(tensor, types: tuple[int, ...], l_max: int, n_max: int) -> torch.Tensor:  # -> [column]
    """The inverse of :func:`weights_to_tensor`; blocks that are missing mean zeros.

    :raises ValueError: for blocks of other types, or with other properties.
    """
    places = {key: place for place, key in enumerate(keys_of(types))}
    expected = properties_of(l_max, n_max)
    full = torch.zeros(len(places), len(expected), dtype=torch.float64)
    for key, block in tensor.items():
        entry = tuple(int(value) for value in key.values)
        if tuple(key.names) != KEYS or entry not in places:
            raise ValueError(f"weights for {dict(zip(key.names, entry))}; expected {', '.join(KEYS)} of types {types}")
        if not np.array_equal(np.asarray(block.properties.values), expected):
            raise ValueError(
                f"weights for {entry} have {len(block.properties)} properties; expected l = 0 … {l_max}, "
                f"n_1, n_2 = 0 … {n_max}, in this order"
            )
        full[places[entry]] = torch.as_tensor(np.asarray(block.values)[0], dtype=torch.float64)
    n_ab = len(types) * (len(types) + 1) // 2
    return pack(full.reshape(len(types), n_ab, l_max + 1, n_max + 1, n_max + 1))


def quadratic_form(w: torch.Tensor, types: tuple[int, ...], l_max: int, n_max: int) -> torch.Tensor:
    """Q with E_i = Σ_lm c_lmᵀ Q_l c_lm, c_lm flattened (channel, n).  # -> [center type, l, channel n, channel n]"""
    k, n = len(types), n_max + 1
    full = unpack(w, k, l_max, n_max)  # -> [center type, ab, l, n1, n2]
    sign = w.new_tensor([(-1) ** l / math.sqrt(2 * l + 1) for l in range(l_max + 1)])
    form = w.new_zeros(k, l_max + 1, k, n, k, n)
    for ab, (a, b) in enumerate(torch.triu_indices(k, k).T.tolist()):
        block = full[:, ab] * sign[:, None, None]
        if a != b:
            block = block * math.sqrt(0.5)  # √2, half of it on each side of the diagonal
            form[:, :, b, :, a, :] = block.transpose(-1, -2)
        form[:, :, a, :, b, :] = block
    return form.reshape(k, l_max + 1, k * n, k * n)
