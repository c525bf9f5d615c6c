"""The radial factor: basis functions φ_n(r), and the integral of a Gaussian density on them.

R_nl(r) = 4π (πσ²)^(−3/4) ∫₀^∞ s² φ_n(s) exp(−(r² + s²)/2σ²) i_l(r s/σ²) ds

with the modified spherical Bessel function i_l: the expansion coefficient of a Gaussian at distance r
(Bartók, Kondor, Csányi, PRB 87, 184115 (2013), eq. 29; Musil et al., JCP 154, 114109 (2021)).
"""

import functools
import math

import numpy as np
import scipy.special

from .density import Gaussian
from .hypers import Hypers, hypers, integer, number

#: half width, in σ, beyond which a Gaussian is below double precision: exp(−9²/2) = 3e-18
TAIL = 9.0


class RadialBasis(Hypers):
    """Orthonormal radial functions: ∫ φ_n φ_n' r² dr = δ_nn'.

    Subclasses give ``size``, ``bound(radius)`` (the basis with its length scale set, by default to the
    cutoff radius), ``functions(r)``, ``reach`` (the functions vanish beyond) and ``scale`` (the finest
    length on which they vary).
    """


@hypers
class Gto(RadialBasis):
    """Gaussian type orbitals r^n exp(−r²/2σ_n²), n = 0 … ``max_radial`` inclusive, Löwdin-orthonormalised.

    σ_n = max(√n, 1) · ``radius`` / (``max_radial`` + 1); ``radius`` is the cutoff's when not given.
    """

    max_radial: int
    radius: float | None = None

    def __post_init__(self):
        radius = self.radius
        self._set(
            max_radial=integer(self.max_radial, "max_radial", minimum=0),
            radius=None if radius is None else number(radius, "Gto radius", above=0),
        )

    @property
    def size(self) -> int:
        return self.max_radial + 1

    def bound(self, radius: float) -> "Gto":
        return self if self.radius is not None else Gto(self.max_radial, radius)

    @property
    def widths(self) -> np.ndarray:  # -> [n]
        return np.sqrt(np.maximum(np.arange(self.size), 1)) * self.radius / self.size

    @property
    def reach(self) -> float:
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

    @functools.cached_property
    def orthonormalization(self) -> np.ndarray:  # -> [n, primitive]
        """S^(−1/2), S the overlap of the normalised primitives."""
        eigenvalues, vectors = np.linalg.eigh(self.overlap())
        if eigenvalues[0] < 1e-12:
            raise ValueError(
                f"the {self.size} GTOs of max_radial={self.max_radial} are linearly dependent to machine "
                f"precision (smallest overlap eigenvalue {eigenvalues[0]:.1e}): lower max_radial"
            )
        return (vectors / np.sqrt(eigenvalues)) @ vectors.T

    def functions(self, r: np.ndarray) -> np.ndarray:  # -> [..., n]
        return self.primitives(r) @ self.orthonormalization


def radial_integral(
    r: np.ndarray, l_max: int, radial: RadialBasis, density: Gaussian, derivative: int = 0
) -> np.ndarray:  # -> [r, l, n]
    """R_nl(r) for ``r`` ≥ 0, or its first or second … ``derivative``, by Gauss-Legendre quadrature.

    The Gaussian confines the integrand to s within 9σ of r; the number of nodes follows from the finest length
    in it. ``radial`` must be bound to a radius.
    """
    sigma = density.width
    lower = np.clip(r - TAIL * sigma, 0, radial.reach)
    length = np.clip(r + TAIL * sigma, 0, radial.reach) - lower  # -> [r]
    nodes = 64 + math.ceil(6 * np.max(length, initial=0) / min(sigma, radial.scale))
    x, weights = scipy.special.roots_legendre(nodes)
    s = lower[:, None] + length[:, None] * 0.5 * (x + 1)  # -> [r, node]
    weights = 0.5 * length[:, None] * weights * s**2 * np.exp(-0.5 * ((r[:, None] - s) / sigma) ** 2)
    kernel = _kernel(l_max, r[:, None], s, sigma, derivative)  # -> [l, r, node]
    integral = np.matmul((kernel * weights).transpose(1, 0, 2), radial.functions(s))  # -> [r, l, n]
    return 4 * np.pi * density.normalization * integral


def _kernel(l_max, r, s, sigma, derivative):  # -> [l, r, node]
    """i_l(rs/σ²) exp(−(r² + s²)/2σ²) without its factor exp(−(r − s)²/2σ²), differentiated in r.

    With D^k the k-th derivative, (2l + 1) i_l' = l i_{l−1} + (l + 1) i_{l+1} gives
    D^{k+1}_l = s/σ² (l D^k_{l−1} + (l + 1) D^k_{l+1})/(2l + 1) − r/σ² D^k_l − k/σ² D^{k−1}_l.
    """
    current, previous = scaled_bessel(l_max + derivative, r * s / sigma**2), 0.0
    for k in range(derivative):
        l = np.arange(len(current) - 1)[:, None, None]
        below = np.concatenate([current[:1], current[:-2]])  # l = 0 is multiplied by 0
        step = s * (l * below + (l + 1) * current[1:]) / (2 * l + 1) - r * current[:-1]
        step = (step - k * previous) / sigma**2
        current, previous = step, current[:-2]
    return current


def scaled_bessel(l_max: int, z: np.ndarray) -> np.ndarray:  # -> [l, ...]
    """exp(−z) i_l(z) for l = 0 … l_max: the two highest by ``scipy.special.ive``, the others by the downward
    recurrence i_{l−1} = i_{l+1} + (2l + 1)/z i_l, which is stable."""
    tiny = z < 1e-20
    z = np.where(tiny, 1.0, z)
    values = np.empty((l_max + 2, *z.shape))
    for l in (l_max, l_max + 1):
        values[l] = np.sqrt(0.5 * np.pi / z) * scipy.special.ive(l + 0.5, z)
    for l in range(l_max, 0, -1):
        values[l - 1] = values[l + 1] + (2 * l + 1) / z * values[l]
    values[:, tiny] = 0.0
    values[0, tiny] = 1.0
    return values[:-1]
