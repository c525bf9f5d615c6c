"""The density of one neighbour, integrated on the basis: R_nl(r), what the spline tables hold.

R_nl(r) = 4π (πσ²)^(−3/4) ∫₀^∞ s² φ_nl(s) exp(−(r² + s²)/2σ²) i_l(r s/σ²) ds

with the modified spherical Bessel function i_l: the expansion coefficient of a Gaussian at distance r
(Bartók, Kondor, Csányi, PRB 87, 184115 (2013), eq. 29; Musil et al., JCP 154, 114109 (2021)).
"""

import numpy as np
import scipy.special

from .basis import Basis
from .quadrature import panels
from .radial import TAIL

CHUNK = 64  # distances handled at once, with the nodes that their Gaussians reach


def gaussian_integral(
    r: np.ndarray, basis: Basis, sigma: float, normalization: float, derivative: int = 0
) -> np.ndarray:  # -> [r, l, n]
    """R_nl(r) for ``r`` ≥ 0, or its first or second … ``derivative``; ``basis`` is bound to a radius.

    The nodes resolve σ and the functions; functions end at their reach, where the integral does.
    """
    sizes = basis.sizes
    integral = np.zeros((len(r), len(sizes), max(sizes)))
    for reach, degrees in _by_reach(basis).items():
        scale = min(sigma, *(basis.radial_basis(l).scale for l in degrees))
        s, weights = panels(min(reach, np.max(r, initial=0) + TAIL * sigma), scale)
        functions = basis.functions(s, degrees) * (weights * s**2)[:, None, None]  # -> [node, degree, n]
        functions = np.ascontiguousarray(functions.transpose(1, 0, 2))
        for start in range(0, len(r), CHUNK):
            here = r[start : start + CHUNK]
            first, last = np.searchsorted(s, [here.min() - TAIL * sigma, here.max() + TAIL * sigma])
            near = s[first:last]
            kernel = _kernel(max(degrees), here[:, None], near, sigma, derivative)[degrees]  # -> [degree, r, node]
            kernel = kernel * np.exp(-0.5 * ((here[:, None] - near) / sigma) ** 2)
            integral[start : start + CHUNK, degrees] = (kernel @ functions[:, first:last]).transpose(1, 0, 2)
    return 4 * np.pi * normalization * integral


def _by_reach(basis: Basis) -> dict[float, list[int]]:
    """Degrees whose functions end at the same distance: they share nodes."""
    found: dict[float, list[int]] = {}
    for l in basis.angular_channels():
        found.setdefault(basis.radial_basis(l).reach, []).append(l)
    return found


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
