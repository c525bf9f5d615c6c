"""Hyper-parameters: spellings that load, and every error."""

import dataclasses

import featomic
import featomic.basis
import featomic.cutoff
import featomic.density
import pytest
from ketmap_density import (
    Cutoff,
    Gaussian,
    Gto,
    ShiftedCosine,
    SphericalExpansion,
    Step,
    TensorProduct,
)


def test_positional_and_keyword_spellings():
    assert Cutoff(5.0, smoothing=ShiftedCosine(0.5)) == Cutoff(radius=5, smoothing=ShiftedCosine(width=0.5))
    assert Cutoff(5.0) == Cutoff(5.0, None) == Cutoff(5.0, smoothing=Step())
    assert Gaussian(0.3) == Gaussian(width=0.3, center_atom_weight=1.0)
    assert TensorProduct(6, Gto(7)) == TensorProduct(max_angular=6, radial=Gto(max_radial=7, radius=None))


def test_dictionaries(hypers):
    given = hypers(weight=0.5)
    rho = SphericalExpansion(**given)
    assert rho.cutoff == Cutoff(3.5, ShiftedCosine(0.5))
    assert rho.density == Gaussian(0.3, center_atom_weight=0.5)
    assert rho.basis == TensorProduct(3, Gto(4))
    again = SphericalExpansion.from_dict(rho.to_dict())
    assert again.to_dict() == rho.to_dict()


def test_dictionaries_of_featomic_objects():
    """What featomic's classes write for its own Rust side is read here."""
    smoothing = featomic.cutoff.ShiftedCosine(width=0.5).get_hypers()
    density = featomic.density.Gaussian(width=0.3)._featomic_hypers()
    radial = featomic.basis.Gto(max_radial=7, radius=5.0).get_hypers()
    rho = SphericalExpansion(
        cutoff={"radius": 5.0, "smoothing": smoothing},
        density=density,
        basis={"type": "TensorProduct", "max_angular": 2, "radial": radial, "spline_accuracy": 1e-8},
    )
    assert rho.density == Gaussian(0.3)
    assert rho.basis == TensorProduct(2, Gto(7, 5.0), 1e-8)


def test_featomic_reads_what_is_written(hypers):
    rho = SphericalExpansion(**hypers(weight=0.5))
    assert featomic.SphericalExpansion(**rho.to_dict()).cutoffs == [3.5]


def test_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Gaussian(0.3).width = 0.4


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: Cutoff(-1.0), "cutoff radius must be greater than 0, got -1"),
        (lambda: Cutoff(0), "cutoff radius must be greater than 0"),
        (lambda: Cutoff(float("nan")), "cutoff radius must be finite"),
        (lambda: Cutoff("5"), "cutoff radius must be a number, got '5' of type str"),
        (lambda: Cutoff(True), "cutoff radius must be a number, got True of type bool"),
        (lambda: Cutoff(2.0, ShiftedCosine(2.5)), r"smoothing width \(2.5 Å\) must not exceed the cutoff"),
        (lambda: Cutoff(2.0, smoothing=0.5), "expected Smoothing .* got 0.5"),
        (
            lambda: Cutoff(2.0, smoothing={"width": 1.0}),
            "Smoothing needs a 'type', one of Step, ShiftedCosine",
        ),
        (lambda: Gaussian.from_dict({"type": "DiracDelta"}), "unknown Gaussian type 'DiracDelta'"),
        (lambda: Cutoff(2.0, {"type": "ShiftedCos", "width": 1.0}), "did you mean 'ShiftedCosine'"),
        (lambda: Cutoff(2.0, {"type": "Step", "width": 1.0}), "unknown hyper-parameter of Step 'width'"),
        (lambda: Cutoff(raduis=2.0), "unknown hyper-parameter of Cutoff 'raduis'; did you mean 'radius'"),
        (
            lambda: Cutoff(),
            r"Cutoff\(radius, smoothing\): .*missing 1 required positional argument: 'radius'",
        ),
        (lambda: Cutoff(1, None, 3), r"Cutoff\(radius, smoothing\): .*positional arguments"),
        (lambda: ShiftedCosine(-0.1), "ShiftedCosine width must be at least 0, got -0.1"),
        (lambda: Gaussian(0.0), "Gaussian width must be greater than 0, got 0"),
        (lambda: Gaussian(0.3, center_atom_weight="1"), "center_atom_weight must be a number"),
        (lambda: Gaussian(0.3, center_weight=1), "did you mean 'center_atom_weight'"),
        (lambda: Gto(-1), "max_radial must be at least 0, got -1"),
        (lambda: Gto(2.5), "max_radial must be an integer, got 2.5 of type float"),
        (lambda: Gto(max_radil=2), "did you mean 'max_radial'"),
        (lambda: Gto(2, radius=0.0), "Gto radius must be greater than 0"),
        (lambda: TensorProduct("6", Gto(7)), "max_angular must be an integer, got '6'"),
        (
            lambda: TensorProduct(6, Gaussian(0.3)),
            r"expected RadialBasis \(an object or a dict\), got Gaussian",
        ),
        (lambda: TensorProduct(6, Gto(7), spline_accuracy=0), "spline_accuracy must be greater than 0"),
        (lambda: TensorProduct(max_angulr=6, radial=Gto(7)), "did you mean 'max_angular'"),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    "change, message",
    [
        (("cutoff", {"radius": 3.0, "smothing": {"type": "Step"}}), "did you mean 'smoothing'"),
        (("density", {"type": "Gaussian", "widht": 0.3}), "did you mean 'width'"),
        (
            ("density", {"type": "Gausian", "width": 0.3}),
            "unknown Density type 'Gausian'; did you mean 'Gaussian'",
        ),
        (
            ("density", {"type": "Gaussian", "width": 0.3, "scaling": {"type": "Willatt2018"}}),
            "Willatt2018.* missing 3 required .* 'scale', 'rate', and 'exponent'",
        ),
        (("density", {"type": "Gaussian", "width": 0.3, "scalign": None}), "did you mean 'scaling'"),
        (
            ("density", {"type": "Gaussian", "width": 0.3, "scaling": {"type": "Willatt2019", "rate": 1.0}}),
            "unknown RadialScaling type 'Willatt2019'; did you mean 'Willatt2018'",
        ),
        (("density", {"type": "Gaussian", "width": {}}), "dictionary {type: number}; got an empty one"),
        (("density", {"type": "Gaussian", "width": {"H": 0.2}}), "type in Gaussian width must be an integer, got 'H'"),
        (("density", {"type": "Gaussian", "width": {1: 0.0}}), "Gaussian width of 1 must be greater than 0"),
        (("density", {"type": "DiracDelta", "width": 0.1}), "unknown hyper-parameter of DiracDelta 'width'"),
        (("basis", {"type": "TensorProduct", "max_angular": 3}), "missing .*'radial'"),
        (("basis", [6, 7]), "expected Basis"),
    ],
)
def test_errors_in_dictionaries(hypers, change, message):
    name, value = change
    with pytest.raises(ValueError, match=message):
        SphericalExpansion(**{**hypers(), name: value})


def test_misspelt_argument_of_the_calculator(hypers):
    given = hypers()
    with pytest.raises(
        ValueError, match="unknown hyper-parameter of SphericalExpansion 'cutof'; did you mean 'cutoff'"
    ):
        SphericalExpansion(cutof=given["cutoff"], density=given["density"], basis=given["basis"])
    with pytest.raises(ValueError, match="SphericalExpansion needs cutoff, density, basis; missing: density"):
        SphericalExpansion(cutoff=given["cutoff"], basis=given["basis"])
