"""featomic's way to bases and densities that its kernels do not know; here every basis is splined by itself."""

from .basis import Basis
from .cutoff import Cutoff
from .density import Density


class SoapSpliner:
    """Hyper-parameters of a calculator with any basis and density, as featomic's users write it.

    ketmap splines all radial integrals by itself, to ``spline_accuracy``: :meth:`get_hypers` hands on what it got.

    >>> from ketmap_density import Gaussian, LaplacianEigenstate, SphericalExpansion
    >>> spliner = SoapSpliner(cutoff=Cutoff(4.0), density=Gaussian(0.5), basis=LaplacianEigenstate(max_radial=3))
    >>> SphericalExpansion(**spliner.get_hypers()).expansion.sizes
    (4, 3, 3, 2, 2, 1, 1, 1)

    :param n_spline_points: accepted for featomic's sake, without effect.
    """

    def __init__(self, *, cutoff: Cutoff, density: Density, basis: Basis, n_spline_points: int | None = None):
        self.cutoff, self.density, self.basis = cutoff, density, basis
        for name, kind in (("cutoff", Cutoff), ("density", Density), ("basis", Basis)):
            if not isinstance(given := getattr(self, name), kind):
                raise TypeError(f"{name} must be a {kind.__name__} object, got {type(given).__name__}")

    def get_hypers(self) -> dict:
        """``cutoff``, ``density`` and ``basis``, for the calculator."""
        return {"cutoff": self.cutoff, "density": self.density, "basis": self.basis}
