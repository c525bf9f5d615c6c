"""Which neighbours count, and how they fade in: the cutoff function f_c(r)."""

import numpy as np

from .hypers import Hypers, hypers, number


class Smoothing(Hypers):
    """How an atom enters the environment. ``width`` is the range over which it does, in Å."""

    width: float


@hypers
class Step(Smoothing):
    """No smoothing: f_c(r) = 1 below the radius, 0 from there on.

    >>> Cutoff(3.0, smoothing=Step()).function(np.array([2.9, 3.0]))
    array([1., 0.])
    """

    @property
    def width(self) -> float:
        return 0.0


@hypers
class ShiftedCosine(Smoothing):
    """f_c(r) = (1 + cos π(r − r_c + w)/w)/2 over the last ``width`` Å before the radius.

    >>> Cutoff(3.0, smoothing=ShiftedCosine(0.5)).function(np.array([2.5, 2.75, 3.0]))
    array([1. , 0.5, 0. ])
    """

    width: float

    def __post_init__(self):
        self._set(width=number(self.width, "ShiftedCosine width", minimum=0))


@hypers
class Cutoff(Hypers):
    """An environment: all atoms nearer than ``radius`` (Å), faded in by ``smoothing``."""

    radius: float
    smoothing: Smoothing = Step()

    def __post_init__(self):
        self._set(
            radius=number(self.radius, "cutoff radius", above=0),
            smoothing=Step() if self.smoothing is None else Smoothing.from_dict(self.smoothing),
        )
        if self.width > self.radius:
            raise ValueError(f"the smoothing width ({self.width:g} Å) must not exceed the cutoff ({self.radius:g} Å)")

    @property
    def width(self) -> float:
        """Range of the smoothing in Å, 0 for a step."""
        return self.smoothing.width

    def function(self, r: np.ndarray) -> np.ndarray:
        """f_c(r), with the shape of ``r``."""
        inside = np.where(r < self.radius, 1.0, 0.0)
        if self.width == 0:
            return inside
        x = np.clip((r - self.radius + self.width) / self.width, 0.0, 1.0)
        return inside * 0.5 * (1 + np.cos(np.pi * x))
