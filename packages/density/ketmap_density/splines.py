"""Uniform quintic B-splines: radial functions as one table, C⁴ everywhere.

R(r) = Σ_{k=0…5} B_k(t) table[i + k], i = ⌊r/h⌋, t = r/h − i, with the six pieces B_k of the cardinal quintic
B-spline (Schoenberg 1946; de Boor, A Practical Guide to Splines). Row j belongs to the knot (j − 2)h.
"""

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import scipy.linalg

#: the system of collocation equations damps an error at its far end by 0.43 per knot: 48 knots give 2e-18
MARGIN = 48

#: distances at which the error is measured: many per oscillation, at all places between knots
CHECKS = 997

# B_k(t) = Σ_p PIECES[k, p] t^p
PIECES = (
    np.array(
        [
            [1, -5, 10, -10, 5, -1],
            [26, -50, 20, 20, -20, 5],
            [66, 0, -60, 0, 30, -10],
            [26, 50, 20, -20, -20, 10],
            [1, 5, 10, 10, 5, -5],
            [0, 0, 0, 0, 0, 1],
        ]
    )
    / 120.0
)


@dataclasses.dataclass(frozen=True)
class Spline:
    """``table`` [row, l, n] over knots ``spacing`` apart, for 0 ≤ r ≤ the radius it was made for."""

    table: np.ndarray
    spacing: float

    def __call__(self, r: np.ndarray, derivative: int = 0) -> np.ndarray:  # -> [r, l, n]
        i = np.clip(np.floor(r / self.spacing).astype(int), 0, len(self.table) - 6)
        t = r / self.spacing - i
        powers = np.array([np.polynomial.Polynomial(p).deriv(derivative)(t) for p in PIECES])  # -> [k, r]
        rows = self.table[i + np.arange(6)[:, None]]  # -> [k, r, l, n]
        return np.einsum("kr,krln->rln", powers, rows) / self.spacing**derivative


def collocate(values: np.ndarray, parity: int) -> np.ndarray:  # [knot, ...] -> [row, ...]
    """Rows of the spline through ``values`` at the knots 0, h, 2h …, with R(−r) = parity · R(r).

    Solves (c_{j−2} + 26 c_{j−1} + 66 c_j + 26 c_{j+1} + c_{j+2})/120 = values_j with c_{−j} = parity · c_j;
    coefficients past the last knot are taken as zero, so the last ``MARGIN`` knots only serve the others.
    """
    count = len(values)
    bands = np.repeat(np.array([[1.0], [26.0], [66.0], [26.0], [1.0]]), count, axis=1) / 120  # [diagonal, column]
    bands[1, 1] += parity * 26 / 120  # row 0, column 1
    bands[0, 2] += parity * 1 / 120  # row 0, column 2
    bands[2, 1] += parity * 1 / 120  # row 1, column 1
    c = scipy.linalg.solve_banded((2, 2), bands, values.reshape(count, -1)).reshape(values.shape)
    if parity < 0:
        c[0] = 0.0
    return np.concatenate([parity * c[2:0:-1], c])


def extend_spline(function: Callable[[np.ndarray, int], np.ndarray], spacing: float, radius: float) -> Spline:
    """The table of ``function(r, derivative)`` -> [r, l, n], parity (−1)^l, on [0, radius].

    Knots are ``spacing`` apart. Tables of different radii share their rows, to rounding.
    """
    count = math.ceil(radius / spacing - 1e-9)
    values = function(spacing * np.arange(count + 6 + MARGIN), 0)
    table = np.empty((len(values) + 2, *values.shape[1:]))
    table[:, 0::2] = collocate(values[:, 0::2], +1)
    table[:, 1::2] = collocate(values[:, 1::2], -1)
    return Spline(np.ascontiguousarray(table[:-MARGIN]), spacing)


def collocate_open(values: np.ndarray) -> np.ndarray:  # [knot, ...] -> [row, ...]
    """Rows of the spline through ``values`` at the knots 0, h … of functions that are known only there.

    "Not a knot": the two outermost knots of each end join pieces of one polynomial, c_j − 6 c_{j+1} + 15 c_{j+2} −
    20 c_{j+3} + 15 c_{j+4} − 6 c_{j+5} + c_{j+6} = 0 (the jump of the fifth derivative).
    """
    count = len(values) + 4
    bands = np.zeros((13, count))  # [diagonal, column], entry [row, column] at [6 + row − column, column]
    for offset, weight in zip(range(-2, 3), np.array([1, 26, 66, 26, 1]) / 120):
        bands[6 - offset, 2 + offset : count - 2 + offset] = weight
    jump = np.array([1, -6, 15, -20, 15, -6, 1]) / 120
    for row, first in ((0, 0), (1, 1), (count - 2, count - 8), (count - 1, count - 7)):
        for column, weight in zip(range(first, first + 7), jump):
            bands[6 + row - column, column] = weight
    right = np.zeros((count, *values.shape[1:]))
    right[2:-2] = values
    return scipy.linalg.solve_banded((6, 6), bands, right.reshape(count, -1)).reshape(right.shape)


def fit_open_spline(function: Callable[[np.ndarray], np.ndarray], radius: float, accuracy: float = 1e-10) -> Spline:
    """The coarsest table with which ``function(r)`` -> [r, l, n] is reproduced on [0, radius], where it is smooth.

    Nothing is asked of it outside, nor of its behaviour at 0, nor its derivatives. Values are good to ``accuracy`` of
    the largest value of each (l, n), measured between the knots; derivatives to what :func:`fit_spline` says, measured
    against the spline with half the spacing.

    :raises ValueError: when 4096 knots are not enough.
    """
    points = (np.arange(CHECKS) + 0.5) * radius / CHECKS
    exact = function(points)

    def table(intervals: int) -> Spline:
        return Spline(collocate_open(function(radius / intervals * np.arange(intervals + 1))), radius / intervals)

    def excess(intervals: int) -> tuple[float, Spline]:
        spline, finer = table(intervals), table(2 * intervals)
        wanted = [exact, finer(points, 1), finer(points, 2)]
        return _excess(spline, points, wanted, accuracy), spline

    return _coarsest(excess, radius, accuracy)


def fit_spline(function: Callable[[np.ndarray, int], np.ndarray], radius: float, accuracy: float = 1e-10) -> Spline:
    """The coarsest table with which ``function(r, derivative)`` -> [r, l, n] is reproduced on [0, radius].

    Values are good to ``accuracy`` of the largest value of each (l, n), first derivatives to 10 times that,
    second ones to 10⁴ times, measured between the knots. ``function`` must be smooth past ``radius`` and
    have parity (−1)^l.

    :raises ValueError: when 4096 knots are not enough.
    """
    points = (np.arange(CHECKS) + 0.5) * radius / CHECKS
    exact = [function(points, d) for d in range(3)]

    def excess(intervals: int) -> tuple[float, Spline]:
        spline = extend_spline(function, radius / intervals, radius)
        return _excess(spline, points, exact, accuracy), spline

    return _coarsest(excess, radius, accuracy)


def _excess(spline: Spline, points: np.ndarray, exact: list[np.ndarray], accuracy: float) -> float:
    """By how much the largest error exceeds what is allowed; ``exact``: values, first and second derivatives."""
    worst = 0.0
    for d, (power, expected) in enumerate(zip((0, 1, 4), exact)):
        # 0.8: the error at other distances is larger than at these by some percent
        limits = 0.8 * accuracy * 10**power * np.abs(expected).max(0)  # -> [l, n]
        errors = np.abs(spline(points, d) - expected) / np.maximum(limits, np.finfo(float).tiny)
        worst = max(worst, float(np.max(errors, initial=0.0)))
    return worst


def _coarsest(excess: Callable[[int], tuple[float, Spline]], radius: float, accuracy: float) -> Spline:
    """The first spline that is good enough, as the number of intervals grows."""
    intervals = 32.0
    while intervals < 4096:
        worst, spline = excess(int(intervals))
        if worst <= 1:
            return spline
        intervals = max(intervals * min(worst ** (1 / 5.5), 4.0), intervals + 1)  # error ~ h⁶, of the derivative ~ h⁵
    raise ValueError(
        f"radial functions cannot be splined to {accuracy:g} with 4096 knots over {radius:g} Å: "
        "widen the Gaussian, smooth the functions, or ask for less spline_accuracy"
    )
