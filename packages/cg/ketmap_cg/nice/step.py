"""One order of one type of centre: multiply, take off what lower orders know, contract."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch
from ketmap_ops.cg_product import cg_product

from ..dense import Array, Coupled, paths_of, runs_of
from ..layout import Features, Symmetry


@dataclasses.dataclass(frozen=True)
class Piece:
    """The contraction of one (λ, σ): features = candidates @ components − lower @ purifier."""

    symmetry: Symmetry
    table: np.ndarray  #: int64 [candidate, :]: CANDIDATE; of the first order the columns (q,) of the density
    components: torch.Tensor  #: float64 [candidate, feature]
    purifier: torch.Tensor  #: float64 [lower feature, feature]
    variances: np.ndarray  #: float64 [feature]: mean square of a component of each feature
    report: dict  #: of the fit: candidates, what was screened out, purified away, left unexplained

    def to(self, values: torch.Tensor) -> "Piece":
        """The same in the dtype and on the device of ``values``."""
        return dataclasses.replace(self, components=self.components.to(values), purifier=self.purifier.to(values))

    @property
    def n(self) -> int:
        return self.components.shape[1]


class Products:
    """The candidates of all (λ, σ) of one order, from the features of the order before and the density's."""

    def __init__(self, tables: dict[Symmetry, np.ndarray], first: dict[Symmetry, int], second: dict[Symmetry, int]):
        """``first``, ``second``: number of features of each (λ, σ) of the two operands."""
        self.first, self.second = list(first), list(second)
        self.symmetries = [symmetry for symmetry, table in tables.items() if len(table)]
        self.width = sum((2 * l + 1) * len(tables[l, sigma]) for l, sigma in self.symmetries)
        wanted = []
        for block, symmetry in enumerate(self.symmetries):
            table = tables[symmetry]
            arrays = table[:, [0, 1, 3, 4]]
            edges = np.flatnonzero(np.any(np.diff(arrays, axis=0, prepend=arrays[:1] - 1) != 0, axis=1))
            for start, stop in zip(edges, [*edges[1:], len(table)]):
                k, sigma_1, l, sigma_2 = arrays[start].tolist()
                places = self.first.index((k, sigma_1)), self.second.index((l, sigma_2))
                runs = runs_of(table[start:stop, [2, 5]])
                wanted.append(Coupled(*places, symmetry[0], block, int(start), runs))
        self.paths = paths_of(_arrays(first), _arrays(second), wanted)

    def __call__(self, a: torch.Tensor, b: torch.Tensor) -> Features:
        """Candidates [row, μ, candidate] from rows [row, element] of both operands."""
        return dict(zip(self.symmetries, cg_product(a, b, self.paths)))

    def tangent(self, a, b, da, db) -> Features:
        """Their derivative along (``da``, ``db``)."""
        left, right = self(da, b), self(a, db)
        return {symmetry: left[symmetry] + right[symmetry] for symmetry in left}


def _arrays(sizes: dict[Symmetry, int]) -> list[Array]:
    places, offset = [], 0
    for (l, _), n in sizes.items():
        places.append(Array(l, n, offset, n))
        offset += (2 * l + 1) * n
    return places


def flat(features: Features, symmetries: Sequence[Symmetry]) -> torch.Tensor:  # -> [row, element]
    """The arrays of these symmetries, one after the other."""
    return torch.cat([features[symmetry].flatten(1) for symmetry in symmetries], dim=1)


def lower_features(
    symmetry: Symmetry, orders: Sequence[Features], like: torch.Tensor, constant: float = 1.0
) -> torch.Tensor:
    """What lower orders know of this (λ, σ): their features; for true scalars also 1, the order zero.

    :param like: an array [row, μ, :] of the rows meant.
    :param constant: the order zero; 0 where ``orders`` are derivatives.
    :return: ``[row, μ, lower feature]``
    """
    found = [features[symmetry] for features in orders if symmetry in features]
    if symmetry == (0, 1):
        found.insert(0, like.new_full((*like.shape[:2], 1), constant))
    return torch.cat(found, dim=2) if found else like[:, :, :0]


def contracted(piece: Piece, values: torch.Tensor, lower: torch.Tensor) -> torch.Tensor:  # -> [row, μ, feature]
    """candidates @ components − lower @ purifier."""
    return values @ piece.components - lower @ piece.purifier
