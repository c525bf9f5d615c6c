"""The columns of a linear model: unique features of each type of centre, and their weights as a TensorMap.

Columns are ordered by (center_type, a ≤ b, l, n_1, n_2). For a = b features are symmetric in n_1, n_2, so only
n_1 ≤ n_2 is kept, times √2 where n_1 < n_2: scalar products, and so ridge regression, are those of the full features.

``sizes`` are the numbers of radial functions of each l. Where they differ, arrays are padded to the largest; columns
and properties are only those that exist.
"""

import dataclasses
import functools
import itertools
import math
from collections.abc import Sequence

import metatensor
import numpy as np
import torch
from ketmap_density import Expansion
from ketmap_ops.power_spectrum import channel_pairs, packing

KEYS = ("center_type", "neighbor_1_type", "neighbor_2_type")
MIXED_KEYS = ("center_type", "neighbor_1_channel", "neighbor_2_channel")
PROPERTIES = ("l", "n_1", "n_2")


def properties_of(sizes: tuple[int, ...]) -> np.ndarray:  # -> [property, (l, n_1, n_2)]
    """All properties of a block.

    >>> properties_of((2, 1)).tolist()
    [[0, 0, 0], [0, 0, 1], [0, 1, 0], [0, 1, 1], [1, 0, 0]]
    """
    return np.array([(l, *n) for l, size in enumerate(sizes) for n in np.ndindex(size, size)]).reshape(-1, 3)


def places_of(properties: np.ndarray, n: np.ndarray) -> np.ndarray:  # -> [property]
    """Where properties stand in a flattened array [l, n_1, n_2] of the radial functions ``n``, ascending."""
    first, second = np.searchsorted(n, properties[:, 1]), np.searchsorted(n, properties[:, 2])
    return (properties[:, 0] * len(n) + first) * len(n) + second


@dataclasses.dataclass(frozen=True)
class Columns:
    """The columns of one model: which types of centres, channels of neighbours and radial functions there are."""

    types: tuple[int, ...]  #: of centres
    channels: tuple[int, ...]  #: of neighbours: their types, or 0 … where types are mixed
    sizes: tuple[int, ...]
    key_names: tuple[str, str, str] = KEYS

    @classmethod
    def of(cls, expansion: Expansion, types: Sequence[int]) -> "Columns":
        """Of atoms of these ``types``."""
        names = KEYS if expansion.species is None else MIXED_KEYS
        return cls(tuple(types), expansion.channels(tuple(types)), expansion.sizes, names)

    @property
    def keys(self) -> list[tuple[int, int, int]]:
        """(center_type, a, b) of all pairs a ≤ b of channels around all types."""
        pairs = list(itertools.combinations_with_replacement(self.channels, 2))
        return [(s, a, b) for s in self.types for a, b in pairs]

    @property
    def pairs(self) -> torch.Tensor:  # -> [2, ab]
        """Places of the channels a ≤ b."""
        return channel_pairs(len(self.channels))

    def __len__(self) -> int:
        return len(self.types) * len(self.places)

    @functools.cached_property
    def _packed(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        n_l, n = len(self.sizes), max(self.sizes)
        places, weight = packing(len(self.channels), n_l, n)
        exists = np.zeros(n_l * n * n, dtype=bool)
        exists[places_of(properties_of(self.sizes), np.arange(max(self.sizes)))] = True
        if exists.all():
            return places, weight, None
        kept = torch.nonzero(torch.from_numpy(exists)[places % len(exists)])[:, 0]
        return places[kept], weight[kept], kept

    @property
    def places(self) -> torch.Tensor:  # -> [column of one type of centre]
        """Places of the columns in [ab, l, n_1, n_2]."""
        return self._packed[0]

    @property
    def factors(self) -> torch.Tensor:  # -> [column of one type of centre]
        """√2 for those that stand for two."""
        return self._packed[1]

    @property
    def kept(self) -> torch.Tensor | None:
        """Which of the columns of full arrays (:func:`ketmap_ops.power_spectrum.packing`) they are; None: all."""
        return self._packed[2]

    def unpack(self, w: torch.Tensor) -> torch.Tensor:
        """Weights of the full features, from those of the columns.  # [column] -> [center type, ab, l, n1, n2]"""
        n_types, n_l, n, n_ab = len(self.types), len(self.sizes), max(self.sizes), self.pairs.shape[1]
        full = w.new_zeros(n_types, n_ab * n_l * n * n)
        full[:, self.places] = w.reshape(n_types, -1) / self.factors.to(w)
        full = full.reshape(n_types, n_ab, n_l, n, n)
        same = self.pairs[0] == self.pairs[1]
        full[:, same] += torch.triu(full[:, same], 1).transpose(-1, -2)
        return full

    def pack(self, full: torch.Tensor) -> torch.Tensor:
        """Weights of the columns that say the same as those of the full features.  # -> [column]"""
        full = full.clone()
        same = self.pairs[0] == self.pairs[1]
        full[:, same] = 0.5 * (full[:, same] + full[:, same].transpose(-1, -2))
        return (full.reshape(len(full), -1)[:, self.places] * self.factors.to(full)).reshape(-1)


def weights_to_tensor(w: torch.Tensor, columns: Columns):
    """Weights as a TensorMap with the keys and properties of the power spectrum and the sample ``target`` 0."""
    named = properties_of(columns.sizes)
    properties = metatensor.Labels(list(PROPERTIES), named.astype(np.int32))
    samples = metatensor.Labels.range("target", 1)
    full = columns.unpack(w.detach().cpu()).flatten(0, 1).flatten(1)[:, places_of(named, np.arange(max(columns.sizes)))]
    blocks = [metatensor.TensorBlock(values[None].numpy().copy(), samples, [], properties) for values in full]
    keys = np.array(columns.keys, dtype=np.int32).reshape(-1, 3)
    return metatensor.TensorMap(metatensor.Labels(list(columns.key_names), keys), blocks)


def tensor_to_weights(tensor, columns: Columns) -> torch.Tensor:  # -> [column]
    """The inverse of :func:`weights_to_tensor`; blocks that are missing mean zeros.

    :raises ValueError: for blocks of other types, or with other properties.
    """
    sizes, names = columns.sizes, columns.key_names
    places = {key: place for place, key in enumerate(columns.keys)}
    expected = properties_of(sizes)
    inside = places_of(expected, np.arange(max(sizes)))
    full = torch.zeros(len(places), len(sizes) * max(sizes) ** 2, dtype=torch.float64)
    for key, block in tensor.items():
        entry = tuple(int(value) for value in key.values)
        if tuple(key.names) != names or entry not in places:
            raise ValueError(
                f"weights for {dict(zip(key.names, entry))}; expected {', '.join(names)} of types {columns.types}"
                + ("" if columns.key_names == KEYS else f" and channels {columns.channels}")
            )
        if not np.array_equal(np.asarray(block.properties.values), expected):
            raise ValueError(
                f"weights for {entry} have {len(block.properties)} properties; expected {len(expected)}: "
                f"l = 0 … {len(sizes) - 1}, n_1, n_2 below {', '.join(map(str, sizes))}, in this order"
            )
        full[places[entry], inside] = torch.as_tensor(np.asarray(block.values)[0], dtype=torch.float64)
    return columns.pack(full.reshape(len(columns.types), -1, len(sizes), max(sizes), max(sizes)))


def quadratic_form(w: torch.Tensor, columns: Columns) -> torch.Tensor:
    """Q with E_i = Σ_lm c_lmᵀ Q_l c_lm, c_lm flattened (channel, n).  # -> [center type, l, channel n, channel n]"""
    k, n_l, n = len(columns.channels), len(columns.sizes), max(columns.sizes)
    full = columns.unpack(w)  # -> [center type, ab, l, n1, n2]
    sign = w.new_tensor([(-1) ** l / math.sqrt(2 * l + 1) for l in range(n_l)])
    form = w.new_zeros(len(columns.types), n_l, k, n, k, n)
    for ab, (a, b) in enumerate(columns.pairs.T.tolist()):
        block = full[:, ab] * sign[:, None, None]
        if a != b:
            block = block * math.sqrt(0.5)  # √2, half of it on each side of the diagonal
            form[:, :, b, :, a, :] = block.transpose(-1, -2)
        form[:, :, a, :, b, :] = block
    return form.reshape(-1, n_l, k * n, k * n)
