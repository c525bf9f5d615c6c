"""The radial factors, by quadrature: basis functions in reciprocal space, and fields of atoms and of planes on them.

f_nl(k) = ∫ s² φ_n(s) j_l(ks) ds; a plane wave exp(ik·s) on φ_n Y_lm is 4π i^l f_nl(k) Y_lm(k̂).
R_nl(r) = (2/π) ∫ k² v̂(k) f_nl(k) j_l(kr) dk; the field v of an atom at r on φ_n Y_lm is R_nl(r) Y_lm(r̂).
U_nl(z) = 2π ∫ s² φ_n(s) ds ∫_{−1}^{1} P_l(x) u(z + sx) dx; the field u(z) of a plane with normal n̂ is U_nl(z) Y_lm(n̂).
"""

import functools
import math

import numpy as np
import scipy.special
import torch
from ketmap_density.basis import Basis
from ketmap_density.radial import RadialBasis
from ketmap_density.splines import Spline, extend_spline, fit_spline

from .density import smeared
from .fourier import transform

#: where exp(−x²/2) is below double precision
TAIL = 8.5

ACCURACY = 1e-10


def spherical_bessel(l_max: int, z: np.ndarray, derivative: int = 0) -> np.ndarray:  # -> [l, ...]
    """j_l(z), l = 0 … l_max, or its first or second … ``derivative``, for z ≥ 0."""
    values = _bessel(l_max + derivative, z)
    for _ in range(derivative):  # (2l + 1) j_l' = l j_{l−1} − (l + 1) j_{l+1}
        l = np.arange(len(values) - 1).reshape(-1, *[1] * z.ndim)
        below = np.concatenate([values[:1], values[:-2]])  # l = 0 is multiplied by 0
        values = (l * below - (l + 1) * values[1:]) / (2 * l + 1)
    return values


def _bessel(l_max: int, z: np.ndarray) -> np.ndarray:  # -> [l, ...]
    """By recurrence: upwards where z > l_max; below, where that is unstable, downwards from far above (Miller),
    scaled by Σ (2l + 1) j_l² = 1; two terms of the series at 0."""
    values = np.empty((l_max + 1, *z.shape))
    safe = np.maximum(z, 1e-3)
    values[0] = np.sin(safe) / safe
    if l_max >= 1:
        values[1] = (values[0] - np.cos(safe)) / safe
    for l in range(1, l_max):
        values[l + 1] = (2 * l + 1) / safe * values[l] - values[l - 1]
    below = z <= l_max
    x = safe[below]
    above, current, total = np.zeros_like(x), np.full_like(x, 1e-150), np.zeros_like(x)
    found = np.empty((l_max + 1, len(x)))
    for l in range(l_max + 24, -1, -1):
        total += (2 * l + 1) * current**2
        if l <= l_max:
            found[l] = current
        above, current = current, (2 * l + 1) / x * current - above
    values[:, below] = found / np.sqrt(total)
    near = z < 1e-3
    for l in range(l_max + 1):
        x = z[near]
        values[l][near] = x**l / scipy.special.factorial2(2 * l + 1) * (1 - x**2 / (4 * l + 6))
    return values


@functools.cache
def _roots(count: int) -> tuple[np.ndarray, np.ndarray]:
    return scipy.special.roots_legendre(count)


def nodes(lower: float, upper: float, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Points and weights of Gauss and Legendre."""
    x, weights = _roots(count)
    return lower + 0.5 * (upper - lower) * (x + 1), 0.5 * (upper - lower) * weights


def basis_transform(k: np.ndarray, basis: Basis, derivative: int = 0) -> np.ndarray:  # -> [k, l, n]
    """f_nl(k) for ``k`` ≥ 0, or a derivative; zeros where l has fewer functions."""
    out = np.zeros((len(k), len(basis.sizes), max(basis.sizes)))
    largest, bessel = np.max(k, initial=0), {}
    for l in basis.angular_channels():
        radial = basis.radial_basis(l)
        count = 64 + math.ceil(radial.reach * max(6 / radial.scale, largest))
        if (radial.reach, count) not in bessel:
            s, weights = nodes(0.0, radial.reach, count)
            bessel[radial.reach, count] = s, weights, spherical_bessel(len(basis.sizes) - 1, k[:, None] * s, derivative)
        s, weights, j = bessel[radial.reach, count]
        functions = radial.functions(s) * (weights * s ** (2 + derivative))[:, None]  # -> [node, n]
        out[:, l, : basis.sizes[l]] = j[l] @ functions
    return out


def reach_of(basis: Basis) -> float:
    """Å, beyond which no function of the basis is."""
    return max(basis.radial_basis(l).reach for l in basis.angular_channels())


class AtomField:
    """R_nl(r) of the field with the transform ``hat(k)``, which dies out as exp(−k²σ²/2) with σ = ``smearing``."""

    def __init__(self, basis: Basis, hat, smearing: float):
        self.basis, self.hat, self.largest = basis, hat, TAIL / smearing

    def __call__(self, r: np.ndarray, derivative: int = 0) -> np.ndarray:  # -> [r, l, n]
        """R_nl, or a derivative; where the transform has terms k^m ln k at 0, k ~ t³ makes them smooth."""
        reach = np.max(r, initial=0.0) + reach_of(self.basis)
        t, weights = nodes(0.0, 1.0, 96 + math.ceil(0.8 * self.largest * reach))
        k, weights = self.largest * t**3, weights * 3 * self.largest * t**2
        f = (
            basis_transform(k, self.basis) * (weights * k ** (2 + derivative) * self.hat(k))[:, None, None]
        )  # -> [k, l, n]
        out = np.empty((len(r), *f.shape[1:]))
        for rows in np.array_split(np.arange(len(r)), 1 + len(r) * len(k) // 500_000):
            j = spherical_bessel(f.shape[1] - 1, r[rows, None] * k, derivative)  # -> [l, r, k]
            out[rows] = np.matmul(j, f.transpose(1, 0, 2)).transpose(1, 0, 2)
        return 2 / math.pi * out


def plane_field(z: np.ndarray, exponent: int, smearing: float, derivative: int = 0) -> np.ndarray:
    """u(z): the field of a plane of atoms, one per Å², or a derivative: u' = −2πz v_p(z), v_p' = −p r v_{p+2}.

    For p > 2 it is 2π ∫_{|z|}^∞ v_p(r) r dr; for p ≤ 2 that diverges, and u is what remains finite: far from the
    plane −2π|z| for p = 1, −2π ln(|z|/Å) for p = 2. For p = 0 it is SOAP's Gaussian, integrated.
    """
    v = smeared(np.abs(z), exponent, smearing)
    s2 = smearing**2
    x = z**2 / (2 * s2)
    if derivative:
        if exponent == 0:
            return 2 * math.pi * v * (-z if derivative == 1 else z**2 / s2 - 1)
        slope = -2 * math.pi * z * v
        return slope if derivative == 1 else -2 * math.pi * (v - exponent * z**2 * smeared(z, exponent + 2, smearing))
    if exponent == 0:
        return 2 * math.pi * s2 * v
    if exponent == 2:  # E₁(x) + ln x = −γ at x = 0
        near = x < 1e-30
        return -math.pi * np.where(near, math.log(2 * s2) - np.euler_gamma, _log_part(np.where(near, 1.0, x), s2))
    a = exponent / 2
    # ∫ γ(a, x) x^(−a) dx = (x^(1−a) γ(a, x) + exp(−x))/(1 − a), and γ(a, x) x^(−a) = Γ(a) (2σ²)^a v_p
    return -2 * math.pi * s2 / (1 - a) * (x * v + np.exp(-x) / (math.gamma(a) * (2 * s2) ** a))


def _log_part(x: np.ndarray, s2: float) -> np.ndarray:
    return scipy.special.exp1(x) + np.log(2 * s2 * x)


class PlaneField:
    """U_nl(z) = ∫ u(z + t) B_nl(t) dt with B_nl(t) = 2π ∫_{|t|}^∞ s φ_n(s) P_l(t/s) ds, the basis along an axis.

    B_nl(−t) = (−1)^l B_nl(t), and B may have terms |t|^m ln|t| at 0, which t ~ τ³ makes smooth.
    """

    def __init__(self, basis: Basis, exponent: int, smearing: float):
        self.exponent, self.smearing = exponent, smearing
        self.parts = {l: self._axis(l, basis.radial_basis(l)) for l in basis.angular_channels()}
        self.shape = (len(basis.sizes), max(basis.sizes))

    def _axis(self, l: int, radial: RadialBasis) -> tuple[np.ndarray, np.ndarray]:  # -> t and B_nl(t) dt, [t], [t, n]
        tau, weights = nodes(0.0, 1.0, 64 + math.ceil(8 * radial.reach / min(radial.scale, self.smearing)))
        t = radial.reach * tau**3
        y, y_weights = nodes(0.0, 1.0, 64 + math.ceil(8 * radial.reach / radial.scale))
        s = t[:, None] + (radial.reach - t[:, None]) * y**3  # -> [t, s]
        weighted = (
            s * (radial.reach - t[:, None]) * 3 * y**2 * y_weights * scipy.special.eval_legendre(l, t[:, None] / s)
        )
        axis = 2 * math.pi * np.einsum("ts,tsn->tn", weighted, radial.functions(s))
        axis *= (weights * 3 * radial.reach * tau**2)[:, None]
        return np.concatenate([-t, t]), np.concatenate([(-1) ** l * axis, axis])

    def __call__(self, z: np.ndarray, derivative: int = 0) -> np.ndarray:  # -> [z, l, n]
        out = np.zeros((len(z), *self.shape))
        for l, (t, axis) in self.parts.items():
            u = plane_field(z[:, None] + t, self.exponent, self.smearing, derivative)  # -> [z, t]
            out[:, l, : axis.shape[1]] = u @ axis
        return out


@functools.lru_cache(maxsize=64)
def basis_spline(basis: Basis, k_cutoff: float) -> Spline:
    """The table of f_nl(k) up to ``k_cutoff``, with the sign that i^l leaves before cosines and sines."""
    signs = (-1.0) ** (np.arange(len(basis.sizes)) // 2)
    return fit_spline(lambda k, d: signs[:, None] * basis_transform(k, basis, d), k_cutoff, ACCURACY)


@functools.lru_cache(maxsize=64)
def atom_spline(basis: Basis, exponent: int, smearing: float, wider: float) -> tuple[AtomField, Spline]:
    """The field of one atom less that of one with a ``wider`` smearing, and its table where it is richest."""

    def hat(k):
        k = torch.from_numpy(k)
        return (transform(k, exponent, smearing) - transform(k, exponent, wider)).numpy()

    field = AtomField(basis, hat, smearing)
    return field, fit_spline(field, min(reach_of(basis), 10.0) + 4 * smearing, ACCURACY)


@functools.lru_cache(maxsize=64)
def atom_table(
    basis: Basis, exponents: tuple[int, ...], smearing: float, wider: tuple[float, ...], distance: float
) -> Spline:
    """Tables of all exponents (less the fields of ``wider`` smearings) side by side, [row, l, (exponent, n)], up to
    ``distance``."""
    found = [atom_spline(basis, p, smearing, w) for p, w in zip(exponents, wider)]
    spacing = min(spline.spacing for _, spline in found)
    tables = [extend_spline(field, spacing, distance).table for field, _ in found]
    return Spline(np.ascontiguousarray(np.concatenate(tables, axis=2)), spacing)


@functools.lru_cache(maxsize=64)
def plane_spline(basis: Basis, exponent: int, smearing: float, distance: float) -> tuple[PlaneField, Spline]:
    """U_nl of one exponent, and its table up to ``distance`` or where it is richest."""
    field = PlaneField(basis, exponent, smearing)
    return field, fit_spline(field, min(distance, reach_of(basis) + TAIL * smearing), ACCURACY)


@functools.lru_cache(maxsize=64)
def plane_table(basis: Basis, exponents: tuple[int, ...], smearing: float, distance: float) -> Spline:
    """Tables of U_nl of all exponents, [row, l, (exponent, n)]."""
    found = [plane_spline(basis, p, smearing, distance) for p in exponents]
    spacing = min(spline.spacing for _, spline in found)
    tables = [extend_spline(field, spacing, distance).table for field, _ in found]
    return Spline(np.ascontiguousarray(np.concatenate(tables, axis=2)), spacing)


@functools.lru_cache(maxsize=64)
def atom_range(
    basis: Basis, exponents: tuple[int, ...], smearing: float, wider: tuple[float, ...], accuracy: float
) -> float:
    """Å, beyond which the field of an atom less the wider one is below ``accuracy`` of its largest, for every l."""
    last = 0.0
    for exponent, other in zip(exponents, wider):
        r = np.arange(0.0, reach_of(basis) + TAIL * (smearing if math.isinf(other) else other), 0.1)
        field, _ = atom_spline(basis, exponent, smearing, other)
        size = np.abs(field(r)).max(axis=2)  # -> [r, l]
        last = max(last, r[(size > accuracy * size.max(axis=0)).any(axis=1)][-1])
    return float(last) + 0.1
