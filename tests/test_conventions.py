"""The formulas of docs/conventions.md, written down once more and integrated by brute force."""

import ase
import numpy as np
import pytest
import scipy.linalg
import scipy.optimize
from ketmap_density import (
    Cutoff,
    DiracDelta,
    Gaussian,
    Gto,
    LaplacianEigenstate,
    ShiftedCosine,
    SphericalExpansion,
    TensorProduct,
    Willatt2018,
)
from ketmap_soap import SoapPowerSpectrum
from scipy.special import gamma, lpmv

RADIUS, WIDTH, SIGMA, OWN, L_MAX, N_MAX = 4.0, 1.0, 0.5, 0.7, 3, 2
HYPERS = {
    "cutoff": Cutoff(RADIUS, smoothing=ShiftedCosine(WIDTH)),
    "density": Gaussian(SIGMA, center_atom_weight=OWN),
    "basis": TensorProduct(max_angular=L_MAX, radial=Gto(max_radial=N_MAX)),
}
NEIGHBORS = np.array([[0.7, -0.9, 1.1], [-1.8, 1.9, -2.2]])  # the second one where the cutoff fades


def harmonic(l, m, r):  # [..., 3] -> [...]
    """Y_lm by associated Legendre functions; SciPy's have the Condon-Shortley phase, which is taken out."""
    z, phi = r[..., 2] / np.linalg.norm(r, axis=-1), np.arctan2(r[..., 1], r[..., 0])
    k = abs(m)
    norm = np.sqrt((2 * l + 1) / (4 * np.pi) * gamma(l - k + 1) / gamma(l + k + 1))
    angular = 1.0 if m == 0 else np.sqrt(2) * (np.sin(k * phi) if m < 0 else np.cos(k * phi))
    return norm * (-1) ** k * lpmv(k, l, z) * angular


def radial_functions(r):  # [r] -> [n, r]
    n = np.arange(N_MAX + 1)[:, None]
    sigma = np.maximum(np.sqrt(n), 1) * RADIUS / (N_MAX + 1)
    x, weights = np.polynomial.legendre.leggauss(400)
    grid, weights = 20 * (x + 1), 20 * weights

    def primitives(s):
        return np.sqrt(2 / (sigma ** (2 * n + 3) * gamma(n + 1.5))) * s**n * np.exp(-(s**2) / (2 * sigma**2))

    overlap = (primitives(grid) * weights * grid**2) @ primitives(grid).T
    return np.linalg.inv(scipy.linalg.sqrtm(overlap).real) @ primitives(r)


def fading(r):
    return 1.0 if r <= RADIUS - WIDTH else 0.5 * (1 + np.cos(np.pi * (r - RADIUS + WIDTH) / WIDTH))


@pytest.fixture(scope="module")
def integrals():
    """∫ φ_n(r) Y_lm(r̂) ρ(r) d³r on a grid of spherical shells.  # -> [n, lm]"""
    x, radial_weights = np.polynomial.legendre.leggauss(90)
    r, radial_weights = 4.5 * (x + 1), 4.5 * radial_weights
    z, polar_weights = np.polynomial.legendre.leggauss(64)
    phi = 2 * np.pi * np.arange(128) / 128
    rho = np.sqrt(1 - z**2)[:, None]
    units = np.stack([rho * np.cos(phi), rho * np.sin(phi), z[:, None] + 0 * phi], axis=-1)
    points = r[:, None, None, None] * units
    density = OWN * np.exp(-(r**2) / (2 * SIGMA**2))[:, None, None] * np.ones(units.shape[:-1])
    for neighbor in NEIGHBORS:
        distances = np.linalg.norm(points - neighbor, axis=-1)
        density = density + fading(np.linalg.norm(neighbor)) * np.exp(-(distances**2) / (2 * SIGMA**2))
    density *= (np.pi * SIGMA**2) ** -0.75
    harmonics = [harmonic(l, m, units) for l in range(L_MAX + 1) for m in range(-l, l + 1)]
    shells = np.einsum("ktp,rtp,t->kr", harmonics, density, polar_weights * 2 * np.pi / 128)
    return (radial_functions(r) * radial_weights * r**2) @ shells.T


def test_expansion_is_the_integral(integrals):
    atoms = ase.Atoms("Ar3", positions=[[0, 0, 0], *NEIGHBORS])
    tensor = SphericalExpansion(**HYPERS).compute(atoms)
    for l in range(L_MAX + 1):
        found = tensor.block(o3_lambda=l).values[0]  # -> [m, n]
        np.testing.assert_allclose(found, integrals[:, l * l : (l + 1) ** 2].T, atol=1e-9)


def spherical_bessel_functions(r, l):  # [r] -> [n, r]
    """j_l(z_ln r/R) normalised on [0, R], zero beyond; its zeros by a fine search, not by the interlacing of roots."""
    from scipy.special import spherical_jn

    x = np.linspace(0.5, 14, 20001)
    signs = np.sign(spherical_jn(l, x))
    places = np.flatnonzero(signs[1:] != signs[:-1])
    zeros = [scipy.optimize.brentq(lambda z: spherical_jn(l, z), x[k], x[k + 1], xtol=1e-14) for k in places]
    kept = [z for z in zeros if z <= 3 * np.pi * (1 + 1e-9)]  # up to that of l = 0, n = 2
    norms = [np.sqrt(2 / RADIUS**3) / abs(spherical_jn(l + 1, z)) for z in kept]
    return np.array([np.where(r <= RADIUS, n * spherical_jn(l, z * r / RADIUS), 0) for n, z in zip(norms, kept)])


def test_laplacian_eigenstates_widths_and_scaling():
    """Two neighbour types of different widths, scaled; ∫ φ_nl Y_lm ρ d³r on spherical shells of each density."""
    widths, r_0, c, m = {1: 0.45, 8: 0.6}, 2.5, 0.8, 3
    atoms = ase.Atoms("HOH", positions=[[0, 0, 0], *NEIGHBORS])
    tensor = SphericalExpansion(
        cutoff=Cutoff(RADIUS, smoothing=ShiftedCosine(WIDTH)),
        density=Gaussian(widths, center_atom_weight=OWN, scaling=Willatt2018(scale=r_0, rate=c, exponent=m)),
        basis=LaplacianEigenstate(max_radial=2),
    ).compute(atoms)
    x, radial_weights = np.polynomial.legendre.leggauss(90)
    r, radial_weights = RADIUS / 2 * (x + 1), RADIUS / 2 * radial_weights
    z, polar_weights = np.polynomial.legendre.leggauss(64)
    phi = 2 * np.pi * np.arange(128) / 128
    rho = np.sqrt(1 - z**2)[:, None]
    units = np.stack([rho * np.cos(phi), rho * np.sin(phi), z[:, None] + 0 * phi], axis=-1)
    points = r[:, None, None, None] * units
    for kind, place in ((1, 1), (8, 0)):
        sigma, distance = widths[kind], np.linalg.norm(NEIGHBORS[place])
        squares = np.sum((points - NEIGHBORS[place]) ** 2, axis=-1)
        scale = fading(distance) * c / (c + (distance / r_0) ** m)
        density = scale * np.exp(-squares / (2 * sigma**2))
        if kind == 1:
            density = density + OWN * np.exp(-(r**2) / (2 * sigma**2))[:, None, None]
        density *= (np.pi * sigma**2) ** -0.75
        for l in range(4):
            functions = spherical_bessel_functions(r, l)
            harmonics = [harmonic(l, mu, units) for mu in range(-l, l + 1)]
            shells = np.einsum("ktp,rtp,t->kr", harmonics, density, polar_weights * 2 * np.pi / 128)
            found = tensor.block(o3_lambda=l, center_type=1, neighbor_type=kind).values[0]  # -> [m, n]
            np.testing.assert_allclose(found, shells @ (functions * radial_weights * r**2).T, atol=1e-8)


def test_delta_density_is_the_functions_at_the_neighbours():
    """c_nlm = Σ_j f_c u φ_n(r) Y_lm(r̂), with Löwdin-orthonormalised monomials by exact integrals."""
    radial = {"type": "Monomials", "angular_channel": 1, "max_radial": 2}
    tensor = SphericalExpansion(
        cutoff=Cutoff(RADIUS, smoothing=ShiftedCosine(WIDTH)),
        density=DiracDelta(center_atom_weight=0.0),
        basis={"type": "TensorProduct", "max_angular": 2, "radial": radial},
    ).compute(ase.Atoms("Ar3", positions=[[0, 0, 0], *NEIGHBORS]))
    powers = 1 + 2 * np.arange(3)
    overlap = RADIUS ** (powers[:, None] + powers + 3) / (powers[:, None] + powers + 3)
    norm = 1 / np.sqrt(np.diag(overlap))
    lowdin = np.linalg.inv(scipy.linalg.sqrtm(overlap * norm * norm[:, None]).real) * norm
    for l in range(3):
        expected = sum(
            fading(np.linalg.norm(p))
            * np.outer([harmonic(l, mu, p) for mu in range(-l, l + 1)], lowdin @ np.linalg.norm(p) ** powers)
            for p in NEIGHBORS
        )
        np.testing.assert_allclose(tensor.block(o3_lambda=l).values[0], expected, atol=1e-9)


@pytest.mark.parametrize(
    "l, functions",
    [
        (1, lambda x, y, z: np.sqrt(3 / (4 * np.pi)) * np.array([y, z, x])),
        (
            2,
            lambda x, y, z: (
                np.sqrt(15 / (4 * np.pi))
                * np.array([x * y, y * z, (3 * z**2 - 1) / np.sqrt(12), x * z, (x**2 - y**2) / 2])
            ),
        ),
    ],
)
def test_order_of_components(l, functions):
    """The table of harmonics: the coefficients of one neighbour are proportional to them, m by m."""
    point = np.array([0.6, -0.9, 1.3])
    atoms = ase.Atoms("HAr", positions=[[0, 0, 0], point])
    block = SphericalExpansion(**HYPERS).compute(atoms).block(o3_lambda=l, center_type=1, neighbor_type=18)
    expected = functions(*point / np.linalg.norm(point))
    ratio = block.values[0, :, 0] / expected
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-10)
    assert ratio[0] > 0


def test_power_spectrum_of_coefficients():
    atoms = ase.Atoms("CO2", positions=[[0, 0, 0], *NEIGHBORS[:, ::-1]])
    rho = SphericalExpansion(**HYPERS).compute(atoms)
    soap = SoapPowerSpectrum(**HYPERS).compute(atoms)
    for a, b, factor in ((6, 6, 1.0), (8, 8, 1.0), (6, 8, np.sqrt(2))):
        block = soap.block(center_type=6, neighbor_1_type=a, neighbor_2_type=b)
        for column, (l, n_1, n_2) in enumerate(np.asarray(block.properties.values).tolist()):
            first = rho.block(o3_lambda=l, center_type=6, neighbor_type=a).values[0, :, n_1]
            second = rho.block(o3_lambda=l, center_type=6, neighbor_type=b).values[0, :, n_2]
            expected = factor * (-1) ** l / np.sqrt(2 * l + 1) * first @ second
            assert block.values[0, column] == pytest.approx(expected, abs=1e-12)
