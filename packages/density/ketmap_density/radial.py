"""The radial factor of a basis: functions φ_n(r), orthonormal under ∫ r² dr unless said."""

import dataclasses
import functools
import itertools

import numpy as np
import scipy.optimize
import scipy.special

from .hypers import Hypers, hypers, integer, number
from .quadrature import panels, scale_of

#: half width, in σ, beyond which a Gaussian is below double precision: exp(−9²/2) = 3e-18
TAIL = 9.0


class RadialBasis(Hypers):
    """Radial functions φ_n(r), n = 0 … ``max_radial`` inclusive, with ∫ φ_n φ_n' r² dr = δ_nn' on [0, ``reach``].

    Any set of Python functions is a basis: a subclass that gives :meth:`compute_primitive` (featomic's protocol; one
    function at a time) or :meth:`primitives` (all at once). They are orthonormalised (Löwdin) by quadrature, and the
    integrals of the density on them are splined, so they cost what any other basis of this size costs.

    >>> class Decay(RadialBasis):
    ...     def compute_primitive(self, positions, n, *, derivative=False):
    ...         return np.exp(-(n + 1) * positions)
    >>> functions = Decay(max_radial=2, radius=4.0)
    >>> functions.size, functions.functions(np.array([0.0, 1.0])).shape
    (3, (2, 3))
    """

    max_radial: int
    radius: float | None

    #: whether the functions are orthonormalised; if not, they are used as they are
    orthonormal = True

    def __init__(self, *, max_radial: int, radius: float | None = None):
        self._set(max_radial=max_radial, radius=radius)
        self.__post_init__()

    def __post_init__(self):
        name, radius = type(self).__name__, self.radius
        self._set(
            max_radial=integer(self.max_radial, f"{name} max_radial", minimum=0),
            radius=None if radius is None else number(radius, f"{name} radius", above=0),
        )

    def to_dict(self) -> dict:
        """featomic's nested spelling; functions that files cannot hold become a table."""
        if type(self).__name__ in RadialBasis.kinds():
            return super().to_dict()
        from .tabulated import Tabulated

        return Tabulated.of(self).to_dict()

    @property
    def size(self) -> int:
        """Number of functions."""
        return self.max_radial + 1

    def bound(self, radius: float) -> "RadialBasis":
        """The basis with its length scale set: to ``radius`` (Å), the cutoff's, where it has none of its own."""
        if self.radius is not None:
            return self
        if not dataclasses.is_dataclass(self):
            raise ValueError(f"{type(self).__name__} needs a radius: give it to RadialBasis.__init__")
        return dataclasses.replace(self, radius=radius)

    @property
    def integration_radius(self) -> float:
        """featomic's name of :attr:`reach`, which a subclass may give."""
        return self.radius

    @property
    def reach(self) -> float:
        """Å; integrals over the functions end here."""
        return self.integration_radius

    @functools.cached_property
    def scale(self) -> float:
        """The finest length (Å) on which the functions vary: what quadrature has to resolve. Found by refinement."""
        return scale_of(self.primitives, self.reach, type(self).__name__)

    def compute_primitive(self, positions: np.ndarray, n: int, *, derivative: bool = False) -> np.ndarray:
        """Function ``n`` before orthonormalisation, shaped as ``positions``; ``derivative`` is never asked for."""
        raise NotImplementedError(f"{type(self).__name__} must define compute_primitive or primitives")

    def primitives(self, r: np.ndarray) -> np.ndarray:  # -> [..., n]
        """All functions before orthonormalisation."""
        each = [np.broadcast_to(self.compute_primitive(r, n, derivative=False), np.shape(r)) for n in range(self.size)]
        return np.stack(each, axis=-1).astype(float)

    def overlap(self) -> np.ndarray:  # -> [primitive, primitive]
        """∫ χ_n χ_n' r² dr of the primitives, by Gauss-Legendre quadrature over panels that resolve ``scale``."""
        r, weights = panels(self.reach, self.scale)
        chi = self.primitives(r)
        return chi.T @ (chi * (weights * r**2)[:, None])

    @functools.cached_property
    def orthonormalization(self) -> np.ndarray:  # -> [n, primitive]
        """S^(−1/2) N, where N normalises the primitives and S is the overlap of the normalised ones."""
        if not self.orthonormal:
            return np.eye(self.size)
        overlap = self.overlap()
        if np.any(np.diag(overlap) <= 0):
            raise ValueError(f"function {int(np.argmin(np.diag(overlap)))} of {type(self).__name__} is zero")
        norm = 1 / np.sqrt(np.diag(overlap))
        eigenvalues, vectors = np.linalg.eigh(overlap * norm * norm[:, None])
        if eigenvalues[0] < 1e-12:
            raise ValueError(
                f"the {self.size} functions of {type(self).__name__} with max_radial={self.max_radial} are linearly "
                f"dependent to machine precision (smallest overlap eigenvalue {eigenvalues[0]:.1e}): lower max_radial"
            )
        return (vectors / np.sqrt(eigenvalues)) @ vectors.T * norm

    def functions(self, r: np.ndarray) -> np.ndarray:  # -> [..., n]
        """φ_n(r); of a basis that is :meth:`bound` to a radius."""
        return self.primitives(np.asarray(r, dtype=float)) @ self.orthonormalization.T


@hypers
class Gto(RadialBasis):
    """Gaussian type orbitals r^n exp(−r²/2σ_n²), n = 0 … ``max_radial`` inclusive, Löwdin-orthonormalised.

    σ_n = max(√n, 1) · ``radius`` / (``max_radial`` + 1); ``radius`` is the cutoff's when not given.
    """

    max_radial: int
    radius: float | None = None

    @property
    def widths(self) -> np.ndarray:  # -> [n]
        return np.sqrt(np.maximum(np.arange(self.size), 1)) * self.radius / self.size

    @property
    def integration_radius(self) -> float:
        return float(np.max(self.widths * (np.sqrt(np.arange(self.size)) + TAIL)))

    @property
    def scale(self) -> float:
        return self.radius / self.size

    def primitives(self, r: np.ndarray) -> np.ndarray:  # -> [..., n]
        """Normalised, not yet orthogonal."""
        n, sigma = np.arange(self.size), self.widths
        x = np.asarray(r)[..., None] / sigma
        norm = np.sqrt(2 / (sigma**3 * scipy.special.gamma(n + 1.5)))
        return norm * x**n * np.exp(-0.5 * x**2)

    def overlap(self) -> np.ndarray:  # -> [n, n]
        """∫ r² of products of two normalised primitives, in closed form."""
        n, sigma = np.arange(self.size), self.widths
        p = n[:, None] + n + 3.0
        norm = -0.5 * ((2 * n + 3) * np.log(sigma) + scipy.special.gammaln(n + 1.5))
        exponent = 0.5 / sigma[:, None] ** 2 + 0.5 / sigma**2
        return np.exp(scipy.special.gammaln(p / 2) - p / 2 * np.log(exponent) + norm[:, None] + norm)


@hypers
class Monomials(RadialBasis):
    """r^(l + 2n), orthonormalised on [0, ``radius``], as in a Taylor expansion; l = ``angular_channel``."""

    angular_channel: int
    max_radial: int
    radius: float | None = None

    def __post_init__(self):
        super().__post_init__()
        self._set(angular_channel=integer(self.angular_channel, "Monomials angular_channel", minimum=0))

    @property
    def scale(self) -> float:
        return self.radius / 8

    def primitives(self, r: np.ndarray) -> np.ndarray:  # -> [..., n]
        return (r[..., None] / self.radius) ** (self.angular_channel + 2 * np.arange(self.size))


@hypers
class SphericalBessel(RadialBasis):
    """j_l(z_ln r/``radius``), normalised on [0, ``radius``]; z_ln is the n-th zero of j_l, l = ``angular_channel``.

    With all l up to one eigenvalue (z_ln/``radius``)² these are the eigenstates of the Laplacian in the sphere, which
    vanish at its surface (Bigi, Huguenin-Dumittan, Ceriotti, Manolopoulos, JCP 157, 234101 (2022)).
    """

    angular_channel: int
    max_radial: int
    radius: float | None = None

    def __post_init__(self):
        super().__post_init__()
        self._set(angular_channel=integer(self.angular_channel, "SphericalBessel angular_channel", minimum=0))

    @property
    def wavenumbers(self) -> np.ndarray:  # -> [n]
        """z_ln/radius, Å⁻¹."""
        return bessel_zeros(self.angular_channel, self.size) / self.radius

    @property
    def scale(self) -> float:
        return 1 / self.wavenumbers[-1]

    def primitives(self, r: np.ndarray) -> np.ndarray:  # -> [..., n]
        return scipy.special.spherical_jn(self.angular_channel, r[..., None] * self.wavenumbers)

    def overlap(self) -> np.ndarray:  # -> [n, n]
        """Diagonal: ∫ j_l(z r/R)² r² dr = R³/2 j_{l+1}(z)²."""
        zeros = self.wavenumbers * self.radius
        return np.diag(0.5 * self.radius**3 * scipy.special.spherical_jn(self.angular_channel + 1, zeros) ** 2)


@functools.cache
def bessel_zeros(l: int, count: int) -> np.ndarray:  # -> [n]
    """The first ``count`` positive zeros of j_l, each between two of j_{l−1}; those of j_0 are multiples of π."""
    if l == 0:
        return np.pi * np.arange(1, count + 1)
    edges = bessel_zeros(l - 1, count + 1)
    found = [
        scipy.optimize.brentq(lambda x: scipy.special.spherical_jn(l, x), a, b, xtol=1e-13, rtol=1e-15)
        for a, b in itertools.pairwise(edges)
    ]
    return np.array(found)
