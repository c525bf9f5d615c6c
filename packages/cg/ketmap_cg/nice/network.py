"""The contraction of one type of centre, order by order: fitted once, then applied to any rows."""

import numpy as np
import torch

from ..layout import Features, Symmetry
from .fitting import Moments, principal
from .hypers import Contraction
from .screening import candidates, needed
from .step import Piece, Products, contracted, flat, lower_features

#: bytes that the candidates of some rows may take: rows are worked on so many at a time
CHUNK = 1 << 26


class Network:
    """What was fitted for one type of centre: the pieces of every order.

    :param pieces: for each order 1 … ν the contraction of each (λ, σ).
    """

    def __init__(self, pieces: list[dict[Symmetry, Piece]]):
        self.pieces = pieces
        sizes = [{symmetry: piece.n for symmetry, piece in order.items()} for order in pieces]
        self.products = [
            _products({symmetry: piece.table for symmetry, piece in order.items()}, below, sizes[0])
            for order, below in zip(pieces[1:], sizes)
        ]
        self._parts: dict[frozenset, Network] = {}

    def part(self, wanted: frozenset[tuple[int, Symmetry]]) -> "Network":
        """The network of those pieces that features of some (order, (λ, σ)) need: themselves, what they are products
        of, and what is taken off; made once."""
        if wanted not in self._parts:
            pieces = _needed(self.pieces, wanted)
            everything = [list(order) for order in pieces] == [list(order) for order in self.pieces]
            self._parts[wanted] = self if everything else Network(pieces)
        return self._parts[wanted]

    def __call__(self, density: Features, only: set[Symmetry] | None = None) -> list[Features]:
        """Features [row, μ, q] of every order, from the density [row, m, column] of each (l, σ).

        :param only: the (λ, σ) that come out; others are forgotten after each chunk of rows.
        """
        return _in_chunks(self._apply, (density,), self.width, only)

    def tangents(
        self, density: Features, derivative: Features, row: torch.Tensor, only: set[Symmetry] | None = None
    ) -> list[Features]:
        """Derivatives of the features: ``derivative`` [tangent, m, column] of the density, of which tangent t is that
        of row ``row[t]``."""
        found = self(density)
        values = [
            (flat(found[order], products.first), flat(found[0], products.second))
            for order, products in enumerate(self.products)
        ]

        def apply(part: Features, rows: dict) -> list[Features]:
            slopes: list[Features] = []
            for order, pieces in enumerate(self.pieces):
                if order == 0:
                    change = part
                else:
                    a, b = (operand[rows["row"]] for operand in values[order - 1])
                    change = self.products[order - 1].tangent(a, b, *self._operands(order, slopes))
                slopes.append(self._contract(pieces, change, slopes, part, constant=0.0))
            return slopes

        return _in_chunks(apply, (derivative, {"row": row}), 3 * self.width, only)

    @property
    def width(self) -> int:
        """Numbers per row of the largest set of candidates."""
        first = sum((2 * l + 1) * len(piece.components) for (l, _), piece in self.pieces[0].items())
        return max(first, *(products.width for products in self.products), 1)

    def _apply(self, density: Features) -> list[Features]:
        found: list[Features] = []
        for order, pieces in enumerate(self.pieces):
            values = density if order == 0 else self.products[order - 1](*self._operands(order, found))
            found.append(self._contract(pieces, values, found, density))
        return found

    def _operands(self, order: int, found: list[Features]) -> tuple[torch.Tensor, torch.Tensor]:
        products = self.products[order - 1]
        return flat(found[order - 1], products.first), flat(found[0], products.second)

    @staticmethod
    def _contract(pieces, values, lower, density, constant=1.0) -> Features:
        (some,) = list(density.values())[:1]
        result = {}
        for symmetry, piece in pieces.items():
            array = values.get(symmetry)
            if array is None:
                array = some.new_zeros(len(some), 2 * symmetry[0] + 1, 0)
            piece = piece.to(array)
            known = lower_features(symmetry, lower, array, constant)
            result[symmetry] = contracted(piece, array, known)
        return result


def fit(density: Features, hypers: Contraction) -> Network:
    """Fit all orders to the rows of ``density``.

    Holds the contracted features of all rows, and the candidates of a chunk of them.
    """
    density = {symmetry: values.detach().to("cpu", torch.float64) for symmetry, values in density.items()}
    top = max(l for l, _ in density) if hypers.max_angular is None else hypers.max_angular
    wanted = needed(list(density), hypers.max_order, top, hypers.symmetries)
    pieces: list[dict[Symmetry, Piece]] = []
    found: list[Features] = []
    for order, symmetries in enumerate(wanted, start=1):
        if order == 1:
            tables = {s: np.arange(density[s].shape[2])[:, None] for s in symmetries}
            lost = dict.fromkeys(symmetries, 0.0)
            produce, width = _same, sum((2 * l + 1) * len(tables[l, sigma]) for l, sigma in symmetries)
            operands = ({s: density[s] for s in symmetries},)
        else:
            tables, lost = _screen(symmetries, order, pieces, top, hypers.n_candidates)
            below = {s: piece.n for s, piece in pieces[-1].items()}
            products = _products(tables, below, {s: piece.n for s, piece in pieces[0].items()})
            produce, width = _of_flat(products), products.width
            operands = ({"a": flat(found[-1], products.first), "b": flat(found[0], products.second)},)
        pieces.append({})
        moments = {s: _moments(s, len(tables[s]), pieces) for s in symmetries}
        for rows, values in _chunks(produce, operands[0], width):
            for s in symmetries:
                if len(tables[s]):
                    lower = lower_features(s, [{s: f[s][rows]} for f in found if s in f], values[s])
                    moments[s].add(values[s], lower)
        for s in symmetries:
            components, purifier, variances, report = principal(moments[s], hypers.n_components, hypers.tolerance)
            report = {"candidates": len(tables[s]), "screened_out": lost[s], **report}
            pieces[-1][s] = Piece(s, tables[s], components, purifier, variances, report)
        if order < hypers.max_order:
            found.append(_second_pass(pieces[-1], found, produce, operands[0], width))
    return Network(pieces)


def _needed(pieces: list[dict[Symmetry, Piece]], wanted: frozenset[tuple[int, Symmetry]]) -> list[dict]:
    """The pieces of each order, up to the highest wanted, that the wanted ones need."""
    top = max(order for order, _ in wanted)
    needed = [{symmetry for order, symmetry in wanted if order == here} for here in range(1, top + 1)]
    for order in range(top, 1, -1):
        for symmetry in needed[order - 1]:
            table = pieces[order - 1][symmetry].table
            needed[order - 2] |= set(map(tuple, table[:, :2].tolist()))
            needed[0] |= set(map(tuple, table[:, 3:5].tolist()))
            for below in range(order - 1):  # purification
                needed[below] |= {symmetry} & set(pieces[below])
    # where candidates are none at all, something has to be multiplied all the same
    return [
        {symmetry: piece for symmetry, piece in order.items() if symmetry in here} or order
        for order, here in zip(pieces, needed)
    ]


def _products(tables, below, density) -> Products:
    first = {s: n for s, n in below.items() if n}
    second = {s: n for s, n in density.items() if n}
    return Products(tables, first, second)


def _screen(symmetries, order, pieces, top, limit):
    first = {s: piece.variances for s, piece in pieces[-1].items() if order == 2 or s[0] <= top}
    second = {s: piece.variances for s, piece in pieces[0].items()}
    found = {s: candidates(s, first, second, limit, symmetric=order == 2) for s in symmetries}
    return {s: table for s, (table, _) in found.items()}, {s: share for s, (_, share) in found.items()}


def _moments(symmetry: Symmetry, n_candidates: int, pieces) -> Moments:
    n_lower = sum(order[symmetry].n for order in pieces[:-1] if symmetry in order) + (symmetry == (0, 1))
    return Moments.empty(n_candidates, n_lower)


def _second_pass(pieces, found, produce, operands, width) -> Features:
    n_rows = len(next(iter(operands.values())))
    result = {s: torch.zeros(n_rows, 2 * s[0] + 1, piece.n, dtype=torch.float64) for s, piece in pieces.items()}
    for rows, values in _chunks(produce, operands, width):
        for s, piece in pieces.items():
            if piece.n:
                lower = lower_features(s, [{s: f[s][rows]} for f in found if s in f], values[s])
                result[s][rows] = contracted(piece, values[s], lower)
    return result


def _same(values: dict) -> dict:
    return values


def _of_flat(products: Products):
    return lambda operands: products(operands["a"], operands["b"])


def _chunks(produce, operands: dict, width: int):
    n_rows = len(next(iter(operands.values())))
    size = max(1, CHUNK // (8 * max(width, 1)))
    for start in range(0, n_rows, size):
        rows = slice(start, min(start + size, n_rows))
        yield rows, produce({name: values[rows] for name, values in operands.items()})


def _in_chunks(apply, arrays: tuple[dict, ...], width: int, only: set[Symmetry] | None) -> list[Features]:
    """``apply`` to some rows of all ``arrays`` at a time; what is wanted of the results, joined."""
    n_rows = len(next(iter(arrays[0].values())))
    size = max(1, CHUNK // (8 * width))
    parts = []
    for start in range(0, max(n_rows, 1), size):
        chunk = ({name: values[start : start + size] for name, values in each.items()} for each in arrays)
        orders = apply(*chunk)
        parts.append([{s: f[s] for s in f if only is None or s in only} for f in orders])
    if len(parts) == 1:
        return parts[0]
    return [{s: torch.cat([part[order][s] for part in parts]) for s in f} for order, f in enumerate(parts[0])]
