"""Radial bases: against featomic's splines, as tables and Python functions, through files, and in old spellings."""

import functools
import json

import ase.build
import featomic
import featomic.basis
import featomic.cutoff
import featomic.density
import featomic.splines
import numpy as np
import pytest
import scipy.integrate
import scipy.special
from ketmap_density import (
    Custom,
    Cutoff,
    DiracDelta,
    Explicit,
    Gaussian,
    Gto,
    LaplacianEigenstate,
    Monomials,
    RadialBasis,
    ShiftedCosine,
    SoapSpliner,
    SphericalBessel,
    SphericalExpansion,
    Tabulated,
    TensorProduct,
    Willatt2018,
)
from ketmap_soap import SoapPowerSpectrum


class Decay(RadialBasis):
    """As a user of featomic writes it."""

    def compute_primitive(self, positions, n, *, derivative=False):
        return np.exp(-0.4 * (n + 1) * positions)


class TheirDecay(featomic.basis.RadialBasis):
    compute_primitive = Decay.compute_primitive


def bases(module, decay):
    """The same bases from featomic and from ketmap."""
    radial = module.SphericalBessel(angular_channel=1, max_radial=2, radius=3.5)
    return {
        "eigenstates": module.LaplacianEigenstate(radius=3.5, max_radial=2, max_angular=3),
        "bessel": module.TensorProduct(max_angular=2, radial=radial),
        "monomials": module.Explicit(
            by_angular={l: module.Monomials(angular_channel=l, max_radial=2 - l // 2, radius=3.0) for l in (0, 1, 2)}
        ),
        "functions": module.TensorProduct(max_angular=2, radial=decay(max_radial=2, radius=3.5)),
    }


def ours_of(name):
    import ketmap.basis

    return bases(ketmap.basis, Decay)[name]


@functools.cache
def splined(name: str) -> dict:
    """With so many points that featomic's cubic pieces are good to what is asserted: slopes converge as h³."""
    return featomic.splines.SoapSpliner(
        cutoff=featomic.cutoff.Cutoff(3.5, featomic.cutoff.ShiftedCosine(width=0.5)),
        density=featomic.density.Gaussian(width=0.5, center_atom_weight=0.8),
        basis=bases(featomic.basis, TheirDecay)[name],
        n_spline_points=500,
    ).get_hypers()


def hypers_of(name: str, scaled: bool) -> dict:
    scaling = featomic.density.Willatt2018(exponent=3, rate=0.7, scale=1.8) if scaled else None
    return splined(name) | {"density": featomic.density.DiracDelta(center_atom_weight=0.8, scaling=scaling)}


@pytest.mark.parametrize("scaled", [False, True], ids=["plain", "scaled"])
@pytest.mark.parametrize("name", ["eigenstates", "bessel", "monomials", "functions"])
def test_against_featomic(name, scaled, same):
    theirs = hypers_of(name, scaled)
    ours = {
        "cutoff": Cutoff(3.5, ShiftedCosine(0.5)),
        "density": Gaussian(0.5, center_atom_weight=0.8, scaling=Willatt2018(1.8, 0.7, 3) if scaled else None),
        "basis": ours_of(name),
    }
    methanol = ase.build.molecule("CH3OH")
    for mine, their in (
        (SphericalExpansion, featomic.SphericalExpansion),
        (SoapPowerSpectrum, featomic.SoapPowerSpectrum),
    ):
        values, slopes = same(
            mine(**ours).compute(methanol, gradients=["positions"]),
            their(**theirs).compute([methanol], gradients=["positions"]),
            ["positions"],
        )
        assert values < 1e-8 and slopes < 1e-7


RADIAL = {
    "gto": Gto(4, 3.0),
    "bessel": SphericalBessel(2, 4, 3.0),
    "monomials": Monomials(1, 3, 3.0),
    "functions": Decay(max_radial=3, radius=3.0),
    "custom": Custom(lambda r: np.exp(-((r[..., None] - np.arange(4)) ** 2)), 3, 3.0),
}


@pytest.mark.parametrize("name", RADIAL)
def test_orthonormal(name):
    """By adaptive quadrature, which knows nothing of panels."""
    radial = RADIAL[name]
    for n in range(radial.size):
        found, _ = scipy.integrate.quad_vec(
            lambda r, n=n: r**2 * radial.functions(np.array([r]))[0] * radial.functions(np.array([r]))[0, n],
            0,
            radial.reach,
            epsabs=1e-12,
        )
        np.testing.assert_allclose(found, np.eye(radial.size)[n], atol=1e-9)


@pytest.mark.parametrize("name", RADIAL)
@pytest.mark.parametrize("density", [Gaussian(0.4), Gaussian(0.4, scaling=Willatt2018(1.5, 1.0, 3)), DiracDelta()])
def test_declared_accuracy_is_reached(name, density):
    """The spline against the integral itself, measured elsewhere than where it was fitted; coarse, too."""
    r = np.sort(np.random.default_rng(0).uniform(0, 2.9, 200))
    for accuracy in (1e-10, 1e-6):
        rho = SphericalExpansion(cutoff=Cutoff(2.9), density=density, basis=TensorProduct(2, RADIAL[name], accuracy))
        exact = density.radial_integrals(r, rho.basis.bound(2.9))
        error = np.abs(rho.expansion.spline(r) - exact).max(0) / np.abs(exact).max(0)
        assert error.max() < accuracy


def test_gaussian_integral_of_any_function():
    """Quadrature over panels against adaptive quadrature of the closed kernel, per function and l."""
    radial, sigma, distances = RADIAL["functions"], 0.4, np.array([0.0, 0.7, 2.6])
    ours = Gaussian(sigma).radial_integrals(distances, TensorProduct(3, radial))
    factor = 4 * np.pi * (np.pi * sigma**2) ** -0.75
    for i, r in enumerate(distances):
        for l in (0, 3):

            def integrand(s, r=r, l=l):
                bessel = scipy.special.spherical_in(l, r * s / sigma**2)
                return s**2 * np.exp(-(r**2 + s**2) / (2 * sigma**2)) * bessel * radial.functions(np.array([s]))[0]

            found, _ = scipy.integrate.quad_vec(integrand, 0, radial.reach, epsabs=1e-12)
            np.testing.assert_allclose(ours[i, l], factor * found, atol=1e-10)


def test_eigenstates_are_of_the_laplacian():
    """−u'' + l(l+1)/r² u = k² u for u = r φ; φ(R) = 0; every eigenvalue up to that of (0, n_max) is there."""
    basis, h = LaplacianEigenstate(4, 3.0), 1e-4
    r = np.linspace(0.3, 2.7, 7)
    largest = (5 * np.pi / 3.0) ** 2
    for l in basis.angular_channels():
        radial = basis.radial_basis(l)
        u = [x[:, None] * radial.functions(x) for x in (r - h, r, r + h)]
        k2 = radial.wavenumbers**2
        second = (u[0] - 2 * u[1] + u[2]) / h**2
        np.testing.assert_allclose(-second + l * (l + 1) / r[:, None] ** 2 * u[1], k2 * u[1], atol=1e-4)
        assert np.abs(radial.functions(np.array([3.0]))).max() < 1e-12
        assert k2[-1] <= largest * (1 + 1e-12) < SphericalBessel(l, radial.size, 3.0).wavenumbers[-1] ** 2
    assert SphericalBessel(len(basis.sizes), 0, 3.0).wavenumbers[0] ** 2 > largest


def test_table_is_what_it_was_made_of():
    table = Tabulated.of(RADIAL["functions"])
    r = np.random.default_rng(1).uniform(0, 3.0, 50)
    np.testing.assert_allclose(table.functions(r), RADIAL["functions"].functions(r), atol=1e-9)
    assert table.size == 4 and table.radius == 3.0 and Tabulated.from_dict(table.to_dict()) == table


def test_featomics_tables_load(same):
    """What featomic writes for its own splines: δ densities on tables, one for every l."""
    theirs = hypers_of("eigenstates", False)
    written = json.loads(json.dumps(featomic.hypers_to_json(theirs)))
    methanol = ase.build.molecule("CH3OH")
    values, slopes = same(
        SphericalExpansion(**written).compute(methanol, gradients=["positions"]),
        featomic.SphericalExpansion(**theirs).compute([methanol], gradients=["positions"]),
        ["positions"],
    )
    assert values < 1e-8 and slopes < 1e-6  # featomic's cubic slopes between the points are not the quintic ones


def test_functions_through_files():
    """A calculator with Python functions is written with a table; what is read gives the same numbers."""
    methanol = ase.build.molecule("CH3OH")
    rho = SphericalExpansion(cutoff=Cutoff(3.0), density=Gaussian(0.4), basis=TensorProduct(2, RADIAL["custom"]))
    written = json.loads(json.dumps(rho.to_dict()))
    assert written["basis"]["radial"]["type"] == "Tabulated"
    again = SphericalExpansion.from_dict(written)
    assert json.loads(json.dumps(again.to_dict())) == written
    for a, b in zip(rho.compute(methanol).blocks(), again.compute(methanol).blocks()):
        np.testing.assert_allclose(a.values, b.values, atol=1e-9)


def test_spliner_hands_on():
    hypers = SoapSpliner(cutoff=Cutoff(3.0), density=Gaussian(0.4), basis=LaplacianEigenstate(2), n_spline_points=9)
    assert SphericalExpansion(**hypers.get_hypers()).basis == LaplacianEigenstate(2)
    with pytest.raises(TypeError, match="density must be a Density object, got dict"):
        SoapSpliner(cutoff=Cutoff(3.0), density={"type": "DiracDelta"}, basis=LaplacianEigenstate(2))


POINTS = [{"position": r, "values": [r], "derivatives": [1.0]} for r in (0.0, 0.5, 1.0, 1.5, 2.0, 2.5)]


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: Tabulated(POINTS[:5]), "at least 6 points"),
        (lambda: Tabulated(POINTS[1:] + POINTS[:1]), "must ascend from 0"),
        (lambda: Tabulated([*POINTS, {"position": 3.0, "values": [1.0, 2.0]}]), r"as many values .* got \[1, 2\]"),
        (lambda: Tabulated([*POINTS, {"position": 3.0, "value": [1.0]}]), "did you mean 'values'"),
        (lambda: Tabulated([*POINTS, {"position": 3.0, "values": [3.0], "derivatives": [2.0]}]), "not the slopes"),
        (lambda: Tabulated(POINTS).functions(np.array([2.6])), "end at 2.5 Å, but are needed up to 2.6 Å"),
        (lambda: Custom(3, 2, 1.0), "function of Custom must be callable"),
        (lambda: Custom(np.sin, 2, 1.0), r"must return \[r, 3\] for \[r\] and max_radial=2; it returned \[3\]"),
        (lambda: Custom(lambda r: r[..., None], 0, None), "Custom needs a radius"),
        (lambda: Decay(max_radial=2, radius=-1.0), "Decay radius must be greater than 0"),
        (lambda: Decay(max_radial=2).bound(3.0), "Decay needs a radius"),
        (lambda: Custom(lambda r: r[..., None] * [1, 2], 1, 1.0).functions(np.ones(1)), "linearly dependent"),
        (lambda: Custom(lambda r: 0 * r[..., None], 0, 1.0).functions(np.ones(1)), "function 0 of Custom is zero"),
        (
            lambda: Custom(lambda r: np.where(r < 0.5, 0.0, 1.0)[..., None] + r[..., None] / 3, 0, 1.1).scale,
            "functions of Custom are not smooth",
        ),
        (lambda: Custom(lambda r: 1 / (r[..., None] - r[..., None]), 0, 1.0).scale, "are not finite at r ="),
        (lambda: RadialBasis(max_radial=0, radius=1.0).functions(np.ones(1)), "must define compute_primitive"),
        (lambda: Monomials(-1, 2), "Monomials angular_channel must be at least 0"),
        (lambda: SphericalBessel(0.5, 2), "SphericalBessel angular_channel must be an integer"),
    ],
)
@pytest.mark.filterwarnings("ignore:(invalid value|divide by zero):RuntimeWarning")
def test_errors(make, message):
    with pytest.raises((ValueError, NotImplementedError), match=message):
        make()


OLD = {
    "cutoff": 3.5,
    "max_radial": 5,
    "max_angular": 3,
    "atomic_gaussian_width": 0.3,
    "center_atom_weight": 0.7,
    "radial_basis": {"Gto": {"spline_accuracy": 1e-9}},
    "cutoff_function": {"ShiftedCosine": {"width": 0.5}},
    "radial_scaling": {"Willatt2018": {"exponent": 4, "rate": 1.0, "scale": 2.0}},
}


def test_rascalines_dictionaries():
    """featomic's own conversion of them says the same."""
    rho = SphericalExpansion(**OLD)
    assert rho.cutoff == Cutoff(3.5, ShiftedCosine(0.5))
    assert rho.density == Gaussian(0.3, center_atom_weight=0.7, scaling=Willatt2018(2.0, 1.0, 4))
    assert rho.basis == TensorProduct(3, Gto(4), 1e-9)
    code = featomic.convert_hypers("rascaline", "SoapPowerSpectrum", json.loads(json.dumps(OLD)))
    assert eval(code, {"SoapPowerSpectrum": SoapPowerSpectrum}).to_dict() == SoapPowerSpectrum(**OLD).to_dict()
    plain = OLD | {"cutoff_function": {"Step": {}}, "radial_scaling": {"None": {}}, "radial_basis": {"Gto": None}}
    assert SphericalExpansion(**plain).basis.spline_accuracy is None


@pytest.mark.parametrize(
    "change, message",
    [
        ({"max_angulr": 3}, "'max_angulr'; did you mean 'max_angular'"),
        ({"max_radial": 0}, "number of radial functions, must be at least 1"),
        ({"radial_basis": {"Gt": {}}}, "did you mean 'Gto'"),
        ({"radial_basis": {"Gto": {"spline_acuracy": 1}}}, "did you mean 'spline_accuracy'"),
        ({"radial_basis": {"TabulatedRadialIntegral": {}}}, "integrals of a density .* Tabulated or Custom"),
        ({"radial_basis": "Gto"}, "must be a dictionary with one of Gto; got 'Gto'"),
        ({"cutoff_function": {"ShiftedCosin": {}}}, "did you mean 'ShiftedCosine'"),
        ({"radial_scaling": {"Willatt2018": {"exponent": 1, "rate": 1.0, "scle": 2.0}}}, "did you mean 'scale'"),
        ({"atomic_gaussian_width": None}, "missing: atomic_gaussian_width"),
    ],
)
def test_errors_in_rascalines_dictionaries(change, message):
    with pytest.raises(ValueError, match=message):
        SphericalExpansion(**OLD | change)


def test_explicit_bases_may_differ_in_reach():
    """Functions that end at different distances are integrated apart."""
    basis = Explicit({0: Gto(3, 2.0), 1: SphericalBessel(1, 2, 2.5), 2: Gto(3, 2.0)})
    r = np.linspace(0, 3, 7)
    together = Gaussian(0.4).radial_integrals(r, basis)
    for l in (0, 1, 2):
        alone = Gaussian(0.4).radial_integrals(r, Explicit({l: basis.radial_basis(l)}))
        np.testing.assert_allclose(together[:, l, : basis.sizes[l]], alone[:, l], atol=1e-13)
