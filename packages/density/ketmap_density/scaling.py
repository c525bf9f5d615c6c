"""How much a neighbour counts by its distance: the radial scaling u(r)."""

import numpy as np

from .hypers import Hypers, hypers, integer, number


class RadialScaling(Hypers):
    """A factor u(r) of the density of a neighbour at distance r, beside the cutoff function.

    Subclasses give :meth:`compute`; those that are :attr:`even` also :meth:`second_derivative`. The centre's own
    density is not scaled.
    """

    @property
    def even(self) -> bool:
        """Whether u(−r) = u(r) is smooth, which makes shorter splines."""
        return False

    def compute(self, positions: np.ndarray, *, derivative: bool = False) -> np.ndarray:
        """u(r), or its derivative, with the shape of ``positions`` (Å)."""
        raise NotImplementedError

    def second_derivative(self, positions: np.ndarray) -> np.ndarray:
        """u''(r)."""
        raise NotImplementedError


@hypers
class Willatt2018(RadialScaling):
    """u(r) = c/(c + (r/r_0)^m), r_0 = ``scale``, c = ``rate``, m = ``exponent``: far neighbours count less.

    Willatt, Musil, Ceriotti, PCCP 20, 29661 (2018), eq. 9.

    >>> Willatt2018(scale=2.0, rate=1.0, exponent=4).compute(np.array([0.0, 2.0, 4.0])).round(4)
    array([1.    , 0.5   , 0.0588])
    """

    scale: float
    rate: float
    exponent: int

    def __post_init__(self):
        self._set(
            scale=number(self.scale, "Willatt2018 scale", above=0),
            rate=number(self.rate, "Willatt2018 rate", above=0),
            exponent=integer(self.exponent, "Willatt2018 exponent", minimum=1),
        )

    @property
    def even(self) -> bool:
        return self.exponent % 2 == 0

    def compute(self, positions: np.ndarray, *, derivative: bool = False) -> np.ndarray:
        x = np.asarray(positions, dtype=float) / self.scale
        fraction = self.rate / (self.rate + x**self.exponent)
        if not derivative:
            return fraction
        return -(fraction**2) * self.exponent / (self.rate * self.scale) * x ** (self.exponent - 1)

    def second_derivative(self, positions: np.ndarray) -> np.ndarray:
        x, m, c = np.asarray(positions, dtype=float) / self.scale, self.exponent, self.rate
        if m == 1:
            return 2 * c / (self.scale**2 * (c + x) ** 3)
        return c * m * x ** (m - 2) / (self.scale**2 * (c + x**m) ** 3) * ((m + 1) * x**m - (m - 1) * c)
