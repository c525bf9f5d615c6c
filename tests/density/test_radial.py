"""Radial functions and integrals: quadrature, closed form and arbitrary precision as three roads."""

import math

import mpmath
import numpy as np
import pytest
import scipy.integrate
import scipy.special
from ketmap_density import Gaussian, Gto, TensorProduct
from ketmap_density.integral import scaled_bessel

RADIAL = Gto(4).bound(4.0)


def closed_form(r, l, gto, sigma, digits=40):  # -> [n]
    """The radial integral of every orthonormal function, by Kummer's 1F1, in ``digits`` digits.

    i_l(z) is a power times 0F1, and ∫ s^p exp(−a s²) 0F1(; b; c s²) ds = Γ(q)/(2 a^q) 1F1(q; b; c/a)
    with q = (p + 1)/2 (Abramowitz and Stegun, 10.2 and 11.4.28).
    """
    with mpmath.workdps(max(digits, mpmath.mp.dps)):
        sigma, r = mpmath.mpf(sigma), mpmath.mpf(r)
        primitives = []
        for n, width in enumerate(gto.widths):
            width = mpmath.mpf(float(width))
            a = 1 / (2 * sigma**2) + 1 / (2 * width**2)
            q, b = mpmath.mpf(n + l + 3) / 2, mpmath.mpf(2 * l + 3) / 2
            power = (r / sigma**2) ** l * mpmath.sqrt(mpmath.pi) / (2 ** (l + 1) * mpmath.gamma(b))
            moment = mpmath.gamma(q) / (2 * a**q) * mpmath.hyp1f1(q, b, r**2 / (4 * a * sigma**4))
            norm = mpmath.sqrt(2 / (width ** (2 * n + 3) * mpmath.gamma(n + mpmath.mpf(3) / 2)))
            primitives.append(norm * power * moment * mpmath.exp(-(r**2) / (2 * sigma**2)))
        factor = 4 * mpmath.pi / (mpmath.pi * sigma**2) ** mpmath.mpf(0.75)
        return mpmath.matrix(gto.orthonormalization.tolist()) * mpmath.matrix(primitives) * factor


@pytest.mark.parametrize("max_radial", [0, 3, 7])
def test_orthonormal(max_radial):
    gto = Gto(max_radial, radius=5.0)
    x, w = scipy.special.roots_legendre(400)
    r, w = gto.reach * (x + 1) / 2, gto.reach * w / 2
    functions = gto.functions(r)
    assert np.allclose((functions * (w * r**2)[:, None]).T @ functions, np.eye(max_radial + 1), atol=1e-10)


def test_widths():
    """σ_n = max(√n, 1) r_0/N, as in featomic; the radius is the cutoff's unless given."""
    assert np.allclose(Gto(3).bound(4.0).widths, [1.0, 1.0, math.sqrt(2), math.sqrt(3)])
    assert Gto(3, radius=2.0).bound(4.0) == Gto(3, radius=2.0)


@pytest.mark.parametrize("sigma", [0.2, 0.5, 1.5])
@pytest.mark.parametrize("l", [0, 1, 6])
def test_closed_form(sigma, l):
    r = np.array([0.0, 1e-8, 1e-3, 0.3, 1.7, 3.99, 6.0])
    ours = Gaussian(sigma).radial_integrals(r, TensorProduct(6, RADIAL))[:, l]  # -> [r, n]
    exact = np.array([[float(v) for v in closed_form(x, l, RADIAL, sigma)] for x in r])
    assert np.abs(ours - exact).max() < 1e-13 * np.abs(exact).max()


@pytest.mark.parametrize("derivative, accuracy", [(1, 1e-12), (2, 1e-11)])
def test_derivatives(derivative, accuracy):
    sigma, r = 0.3, np.array([0.4, 1.1, 2.9])
    ours = Gaussian(sigma).radial_integrals(r, TensorProduct(4, RADIAL), derivative)
    for l in (0, 2, 4):
        for n in (0, 3):

            def function(x, l=l, n=n):
                return closed_form(x, l, RADIAL, sigma)[n]

            with mpmath.workdps(40):
                theirs = [float(mpmath.diff(function, x, derivative)) for x in r]
            assert np.allclose(ours[:, l, n], theirs, rtol=0, atol=accuracy * np.abs(theirs).max())


def test_definition():
    """The defining integral ∫ d³x g(x − r) φ_n(x) Y_l0(x̂), by adaptive quadrature, is R_nl(r) Y_l0(z)."""
    density, r = Gaussian(0.5), 1.3
    for l in (0, 1, 3):

        def integrand(t, s, l=l):  # t = cos θ, atom on the z axis
            distance2 = s * s + r * r - 2 * s * r * t
            g = density.normalization * math.exp(-distance2 / (2 * density.width**2))
            y = math.sqrt((2 * l + 1) / (4 * math.pi)) * scipy.special.eval_legendre(l, t)
            return 2 * math.pi * s * s * g * y * RADIAL.functions(np.array([s]))[0, 2]

        projection, _ = scipy.integrate.dblquad(integrand, 0, 6, -1, 1, epsabs=1e-11)
        ours = density.radial_integrals(np.array([r]), TensorProduct(3, RADIAL))[0, l, 2]
        assert abs(projection - ours * math.sqrt((2 * l + 1) / (4 * math.pi))) < 1e-9


def test_scaled_bessel():
    z = np.array([0.0, 1e-30, 1e-6, 0.1, 3.0, 50.0, 5000.0])
    ours = scaled_bessel(5, z)
    with mpmath.workdps(30):
        for l in range(6):
            exact = [1.0 * (l == 0) if x < 1e-20 else _bessel(l, x) for x in z]
            assert np.allclose(ours[l], exact, rtol=1e-13, atol=1e-19)


def _bessel(l, z):
    z = mpmath.mpf(float(z))
    return float(mpmath.sqrt(mpmath.pi / (2 * z)) * mpmath.besseli(l + mpmath.mpf(0.5), z) * mpmath.exp(-z))


def test_too_many_functions():
    with pytest.raises(
        ValueError, match=r"21 functions of Gto with max_radial=20 are linearly dependent .* lower max_radial"
    ):
        Gto(20, radius=5.0).functions(np.array([1.0]))
