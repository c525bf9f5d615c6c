"""Radial tables: declared accuracy measured between knots, smoothness across them, parity at the origin."""

import numpy as np
import pytest
from ketmap_density import Gaussian, Gto, TensorProduct
from ketmap_density.expansion import radial_spline
from ketmap_density.splines import fit_spline

CASES = [(0.3, 5.0, 7, 6), (0.5, 4.0, 3, 8), (1.2, 6.0, 5, 2)]


def exact(case, r, derivative):
    sigma, radius, max_radial, max_angular = case
    return Gaussian(sigma).radial_integrals(r, TensorProduct(max_angular, Gto(max_radial).bound(radius)), derivative)


def spline_of(case, accuracy=None):
    sigma, radius, max_radial, max_angular = case
    return radial_spline(radius, Gaussian(sigma), TensorProduct(max_angular, Gto(max_radial), accuracy))


@pytest.mark.parametrize("case", CASES)
def test_accuracy(case):
    """Values to 1e-10, first derivatives to 1e-9, second to 1e-6 of the maximum of each function."""
    spline = spline_of(case)
    r = np.random.default_rng(0).uniform(0, case[1], 2000)
    for derivative, limit in enumerate((1e-10, 1e-9, 1e-6)):
        theirs = exact(case, r, derivative)
        assert np.all(np.abs(spline(r, derivative) - theirs).max(0) < limit * np.abs(theirs).max(0))


def test_coarser():
    """A looser accuracy makes a smaller table, and is kept."""
    case = CASES[0]
    loose, tight = spline_of(case, 1e-5), spline_of(case)
    assert len(loose.table) < 0.5 * len(tight.table)
    r = np.linspace(0, 5, 777)
    theirs = exact(case, r, 0)
    assert np.all(np.abs(loose(r) - theirs).max(0) < 1e-5 * np.abs(theirs).max(0))


@pytest.mark.parametrize("derivative", range(5))
def test_continuous_across_knots(derivative):
    """C⁴: derivatives up to the fourth have no jump at any knot."""
    spline = spline_of(CASES[0])
    knots = spline.spacing * np.arange(1, int(5.0 / spline.spacing))
    before, after = (spline(knots * (1 + shift), derivative) for shift in (-1e-13, 1e-13))
    assert np.all(np.floor(knots * (1 - 1e-13) / spline.spacing) < np.floor(knots * (1 + 1e-13) / spline.spacing))
    assert np.abs(after - before).max() < 1e-9 * np.abs(after).max()


def test_parity():
    """R_nl(−r) = (−1)^l R_nl(r): rows around the knot at 0 mirror each other, so R/r is smooth there."""
    table = spline_of(CASES[0]).table
    sign = (-1.0) ** np.arange(table.shape[1])[:, None]
    for j in (1, 2):
        assert np.array_equal(table[2 - j], sign * table[2 + j])
    assert np.all(table[2, 1::2] == 0)
    assert np.abs(spline_of(CASES[0])(np.zeros(1))[0, 1:]).max() < 1e-11


def test_exact_for_polynomials():
    """Even and odd polynomials up to degree 5 are reproduced: collocation and both ends are right."""

    def function(r, derivative):
        even = np.polynomial.Polynomial([1, 0, -2, 0, 0.3]).deriv(derivative)(r)
        odd = np.polynomial.Polynomial([0, 1, 0, -0.7, 0, 0.1]).deriv(derivative)(r)
        return np.stack([even, odd], axis=1)[:, :, None]

    spline = fit_spline(function, 2.0)
    r = np.linspace(0, 2, 50)
    assert np.allclose(spline(r), function(r, 0), atol=1e-12)
    assert np.allclose(spline(r, 2), function(r, 2), atol=1e-8)


def test_rows_reach_the_cutoff():
    """The last interval before the cutoff has its six rows, and so has the knot at the cutoff itself."""
    for case in CASES:
        spline = spline_of(case)
        assert len(spline.table) >= np.floor(case[1] / spline.spacing) + 6
        assert np.isfinite(spline(np.array([case[1]]))).all()


def test_too_narrow():
    with pytest.raises(ValueError, match="cannot be splined to 1e-10 with 4096 knots over 5 Å"):
        spline_of((0.005, 5.0, 3, 2))
