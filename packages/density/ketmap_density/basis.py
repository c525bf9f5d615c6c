"""The functions that the density is expanded on: B_nlm(r) = φ_n(r) Y_lm(r̂)."""

from .hypers import Hypers, hypers, integer, number
from .radial import RadialBasis


class Basis(Hypers):
    """A set of radial functions times spherical harmonics."""


@hypers
class TensorProduct(Basis):
    """All products of the ``radial`` functions with Y_lm, l = 0 … ``max_angular`` inclusive.

    ``spline_accuracy`` is the largest error of the splined radial integrals, relative to the largest value
    of each (first derivatives: 10 times that, second: 10⁴ times). ``None``, featomic's word for "no
    splines", means the default 1e-10, below which nothing shows in the sums over neighbours.
    """

    max_angular: int
    radial: RadialBasis
    spline_accuracy: float | None = None

    def __post_init__(self):
        accuracy = self.spline_accuracy
        self._set(
            max_angular=integer(self.max_angular, "max_angular", minimum=0),
            radial=RadialBasis.from_dict(self.radial),
            spline_accuracy=None if accuracy is None else number(accuracy, "spline_accuracy", above=0),
        )
