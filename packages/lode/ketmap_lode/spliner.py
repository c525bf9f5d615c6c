"""featomic's way to bases that its kernels do not know; here every basis is splined by itself."""

from ketmap_density.basis import Basis

from .density import SmearedPowerLaw


class LodeSpliner:
    """Hyper-parameters of :class:`LodeSphericalExpansion` with any basis, as featomic's users write it.

    ketmap splines all radial integrals by itself: :meth:`get_hypers` hands on what it got.

    :param n_spline_points: accepted for featomic's sake, without effect.
    """

    def __init__(
        self,
        density: SmearedPowerLaw,
        basis: Basis,
        k_cutoff: float | None = None,
        n_spline_points: int | None = None,
    ):
        self.density, self.basis, self.k_cutoff = density, basis, k_cutoff
        for name, kind in (("density", SmearedPowerLaw), ("basis", Basis)):
            if not isinstance(given := getattr(self, name), kind):
                raise TypeError(f"{name} must be a {kind.__name__} object, got {type(given).__name__}")

    def get_hypers(self) -> dict:
        """``density``, ``basis`` and ``k_cutoff``, for the calculator."""
        return {"k_cutoff": self.k_cutoff, "density": self.density, "basis": self.basis}
