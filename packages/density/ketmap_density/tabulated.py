"""Radial functions as numbers: tables, and any Python function."""

import functools
from collections.abc import Callable, Sequence
from typing import Self

import numpy as np
import scipy.interpolate

from .hypers import Hypers, hypers, number
from .radial import RadialBasis

#: what the slopes of a table may differ by from those given with it, relative to the largest of the function
SLOPE_TOLERANCE = 0.01


@hypers
class Point(Hypers):
    """One line of a table: ``position`` (Å), ``values`` of all functions, and their ``derivatives``."""

    position: float
    values: tuple[float, ...]
    derivatives: tuple[float, ...] | None = None

    def __post_init__(self):
        self._set(position=number(self.position, "position in a table", minimum=0))
        for name in ("values", "derivatives"):
            given = getattr(self, name)
            if given is not None:
                self._set(**{name: tuple(number(x, f"{name} in a table") for x in given)})


@hypers
class Tabulated(RadialBasis):
    """Radial functions known at some points, as they are: they are not made orthonormal.

    Between the points they are the quintic spline through the values (C⁴); featomic's cubic one has slopes of its own,
    which are here only checked. They end at the last point.

    :param points: at least 6 of :class:`Point`, or featomic's dictionaries of these, from 0 on, ascending.

    >>> r = np.linspace(0, 4, 50)
    >>> table = Tabulated.from_arrays(r, np.stack([np.exp(-r), r * np.exp(-r)], axis=1))
    >>> table.size, table.radius
    (2, 4.0)
    """

    points: tuple[Point, ...]

    orthonormal = False

    def __post_init__(self):
        if not isinstance(self.points, Sequence) or len(self.points) < 6:
            raise ValueError("Tabulated needs at least 6 points, a list of {position, values, derivatives}")
        points = tuple(Point.from_dict(point) for point in self.points)
        self._set(points=points)
        sizes = {len(point.values) for point in points} | {
            len(point.derivatives) for point in points if point.derivatives is not None
        }
        if len(sizes) != 1 or 0 in sizes:
            raise ValueError(f"all points of Tabulated must have as many values and derivatives; got {sorted(sizes)}")
        positions = np.array([point.position for point in points])
        if positions[0] != 0 or np.any(np.diff(positions) <= 0):
            raise ValueError("positions of Tabulated must ascend from 0")
        if all(point.derivatives is not None for point in points):
            self._check_slopes(positions)

    def _check_slopes(self, positions: np.ndarray):
        given = np.array([point.derivatives for point in self.points])
        errors = np.abs(self.spline.derivative()(positions) - given).max(axis=0)
        if np.any(errors > SLOPE_TOLERANCE * np.abs(given).max(axis=0)):
            worst = int(np.argmax(errors))
            raise ValueError(
                f"derivatives of function {worst} in Tabulated are not the slopes of its values: they differ by up to "
                f"{errors[worst]:.3g} per Å; give more points, or no derivatives"
            )

    @property
    def max_radial(self) -> int:
        """Largest n, inclusive."""
        return len(self.points[0].values) - 1

    @property
    def radius(self) -> float:
        """Where the functions end."""
        return self.points[-1].position

    @functools.cached_property
    def spline(self) -> scipy.interpolate.BSpline:
        """r -> [..., n]."""
        positions = [point.position for point in self.points]
        return scipy.interpolate.make_interp_spline(positions, np.array([point.values for point in self.points]), k=5)

    def primitives(self, r: np.ndarray) -> np.ndarray:  # -> [..., n]
        if np.max(r, initial=0.0) > self.radius * (1 + 1e-9):
            raise ValueError(
                f"Tabulated functions end at {self.radius:g} Å, but are needed up to {np.max(r):g} Å: extend the "
                "table, or shorten the cutoff"
            )
        return self.spline(r)

    @classmethod
    def from_arrays(cls, positions: np.ndarray, values: np.ndarray, derivatives: np.ndarray | None = None) -> Self:
        """From ``positions`` [point], ``values`` [point, n] and, if known, ``derivatives`` [point, n]."""
        slopes = [None] * len(positions) if derivatives is None else np.asarray(derivatives).tolist()
        lines = zip(np.asarray(positions).tolist(), np.asarray(values).tolist(), slopes)
        return cls(tuple(Point(r, tuple(line), slope) for r, line, slope in lines))

    @classmethod
    def of(cls, radial: RadialBasis, accuracy: float = 1e-11) -> Self:
        """A table of other functions, with so many points that it gives them back to ``accuracy`` of their largest
        values, measured between the points.

        :raises ValueError: when 16384 points are not enough.
        """
        for intervals in 2 ** np.arange(5, 15):
            positions = np.linspace(0, radial.reach, intervals + 1)
            values = radial.functions(positions)
            spline = scipy.interpolate.make_interp_spline(positions, values, k=5)
            between = radial.reach * (np.arange(intervals) + 0.5) / intervals
            exact = radial.functions(between)
            if np.all(np.abs(spline(between) - exact) <= accuracy * np.abs(values).max(axis=0)):
                return cls.from_arrays(positions, values, spline.derivative()(positions))
        raise ValueError(f"{type(radial).__name__} cannot be written as a table: its functions are not smooth")


@hypers
class Custom(RadialBasis):
    """Any functions of r: ``function(r)`` -> [..., n] for an array r in [0, ``radius``], made orthonormal if asked to.

    In files they are a table, see :class:`Tabulated`: reading a file runs no code.

    >>> waves = Custom(lambda r: np.cos(np.pi / 8 * np.arange(3) * r[..., None]), max_radial=2, radius=4.0)
    >>> waves.functions(np.array([0.0, 4.0])).shape
    (2, 3)
    """

    function: Callable[[np.ndarray], np.ndarray]
    max_radial: int
    radius: float
    orthonormal: bool = True

    in_files = False

    def __post_init__(self):
        super().__post_init__()
        if not callable(self.function):
            raise ValueError(f"function of Custom must be callable, got {self.function!r}")
        if self.radius is None:
            raise ValueError("Custom needs a radius, where its functions end")
        found = np.shape(self.function(np.linspace(0, self.radius, 3)))
        if found != (3, self.size):
            raise ValueError(
                f"function of Custom must return [r, {self.size}] for [r] and max_radial={self.max_radial}; it "
                f"returned {list(found)} for 3 distances"
            )

    def primitives(self, r: np.ndarray) -> np.ndarray:  # -> [..., n]
        return np.asarray(self.function(r), dtype=float)
