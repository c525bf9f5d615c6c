"""The trilinear form below the bispectrum: Σ C^{l3m3}_{l1m1,l2m2} x_1 y_2 z_3 for many triples of basis functions."""

import functools
import itertools

import numpy as np
import torch
from ketmap_cg.dense import Array, Coupled, paths_of, runs_of
from ketmap_ops.cg_product import CgPaths, cg_product

PROPERTIES = ("l_1", "l_2", "l_3", "n_1", "n_2", "n_3")
#: bytes that the products of some rows may take: rows are worked on so many at a time
CHUNK = 1 << 26


def unique_triples(sizes: tuple[int, ...], same_12: bool, same_23: bool) -> np.ndarray:  # -> int64 [property, 6]
    """Basis functions (l1 n1), (l2 n2), (l3 n3) whose product holds a true scalar, each set of three once: PROPERTIES.

    l1, l2, l3 make a triangle with an even sum. Where two neighbour types are the same, their (l, n) ascend.

    :param sizes: number of radial functions of each l.

    >>> unique_triples((1, 1), True, True).tolist()
    [[0, 0, 0, 0, 0, 0], [0, 1, 1, 0, 0, 0]]
    """
    tables = [np.zeros((0, len(PROPERTIES)), dtype=np.int64)]
    for degrees in itertools.product(range(len(sizes)), repeat=3):
        l_1, l_2, l_3 = degrees
        if abs(l_1 - l_2) <= l_3 <= l_1 + l_2 and sum(degrees) % 2 == 0:
            n = np.indices([sizes[l] for l in degrees]).reshape(3, -1).T  # -> [entry, 3]
            tables.append(np.hstack([np.tile(degrees, (len(n), 1)), n]))
    table = np.concatenate(tables)
    rank = table[:, :3] * max(sizes) + table[:, 3:]  # of each (l, n)
    keep = np.ones(len(table), dtype=bool)
    if same_12:
        keep &= rank[:, 0] <= rank[:, 1]
    if same_23:
        keep &= rank[:, 1] <= rank[:, 2]
    return table[keep]


def multiplicity(table: np.ndarray, types: tuple[int, int, int]) -> np.ndarray:  # -> int64 [property]
    """In how many orders each triple of (type, l, n) can be written: 1, 3 or 6.

    >>> multiplicity(np.array([[0, 0, 0, 0, 0, 0], [0, 1, 1, 0, 0, 0], [0, 1, 1, 0, 0, 1]]), (1, 1, 1)).tolist()
    [1, 3, 6]
    """
    labels = np.stack([np.broadcast_to(np.array(types), (len(table), 3)), table[:, :3], table[:, 3:]], axis=2)
    equal = [(labels[:, i] == labels[:, j]).all(axis=1) for i, j in ((0, 1), (1, 2), (0, 2))]
    count = np.sum(equal, axis=0)
    return np.where(count == 3, 1, np.where(count == 1, 3, 6))


class Triple:
    """The form for one list of triples, in any rows.

    :param table: int [property, PROPERTIES].
    :param sizes: number of radial functions of each l. Arguments have rows of the arrays [m, n] of all l, flattened.
    """

    def __init__(self, table: np.ndarray, sizes: tuple[int, ...]):
        pairs, place = np.unique(table[:, [2, 0, 1, 3, 4]], axis=0, return_inverse=True)  # l3, l1, l2, n1, n2
        self.offsets = np.cumsum([0, *((2 * l + 1) * n for l, n in enumerate(sizes))]).tolist()
        arrays = [Array(l, n, offset, n) for l, (n, offset) in enumerate(zip(sizes, self.offsets))]
        wanted, self.parts = [], []
        for block, l_3 in enumerate(np.unique(pairs[:, 0]).tolist()):
            here = np.flatnonzero(pairs[:, 0] == l_3)
            mine = pairs[here]
            edges = np.flatnonzero(np.any(np.diff(mine[:, 1:3], axis=0, prepend=-1) != 0, axis=1))
            for start, stop in zip(edges, [*edges[1:], len(mine)]):
                l_1, l_2 = mine[start, 1:3].tolist()
                wanted.append(Coupled(l_1, l_2, l_3, block, int(start), runs_of(mine[start:stop, 3:5])))
            rows = np.flatnonzero(np.isin(place, here))
            self.parts.append((l_3, rows, torch.from_numpy((place[rows] - here[0]) * sizes[l_3] + table[rows, 5])))
        self.paths: CgPaths = paths_of(arrays, arrays, wanted)
        self.order = torch.from_numpy(np.argsort(np.concatenate([rows for _, rows, _ in self.parts])))
        self.width = sum((2 * l_3 + 1 + sizes[l_3]) * len(pairs) for l_3, *_ in self.parts)

    def __call__(self, x: torch.Tensor, y: torch.Tensor, z: torch.Tensor) -> torch.Tensor:  # -> [row, property]
        """The form of rows [row, element]; differentiable in all three."""
        size = max(1, CHUNK // (8 * self.width))
        parts = [self._form(*(v[i : i + size] for v in (x, y, z))) for i in range(0, max(len(x), 1), size)]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _form(self, x, y, z):
        coupled = cg_product(x, y, self.paths)
        found = []
        for (l_3, _, columns), left in zip(self.parts, coupled):  # left [row, m3, pair]
            right = z[:, self.offsets[l_3] : self.offsets[l_3 + 1]].unflatten(1, (2 * l_3 + 1, -1))
            every = left.transpose(1, 2) @ right  # -> [row, pair, n3]
            found.append(every.flatten(1)[:, columns.to(x.device)])
        return torch.cat(found, dim=1)[:, self.order.to(x.device)]


@functools.lru_cache(maxsize=64)
def triple_of(table: bytes, sizes: tuple[int, ...]) -> Triple:
    """The form for a table given as the bytes of int64 [property, PROPERTIES]; made once."""
    return Triple(np.frombuffer(table, dtype=np.int64).reshape(-1, len(PROPERTIES)), sizes)
