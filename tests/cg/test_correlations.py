"""DensityCorrelations against featomic, the laws of symmetry, and the number of independent invariants."""

import featomic.clebsch_gordan
import metatensor
import numpy as np
import pytest
from ketmap_cg import DensityCorrelations
from ketmap_core import info
from ketmap_testing import check_calculator
from metatensor import Labels

from .conftest import assert_same, expansion
from .enumeration import independent_scalars, random_density, rank

SCALARS = Labels(["o3_lambda", "o3_sigma"], np.array([[0, 1]]))


def theirs(n, max_angular, **given):
    return featomic.clebsch_gordan.DensityCorrelations(n_correlations=n, max_angular=max_angular, **given)


@pytest.mark.parametrize("skip", [True, False])
@pytest.mark.parametrize("together", [True, False])
def test_featomic(molecules, skip, together):
    density = expansion(max_angular=1).compute(molecules)
    if together:
        density = density.keys_to_properties("neighbor_type")
    chosen = Labels(["o3_lambda", "o3_sigma"], np.array([[0, 1], [1, -1]]))
    for n, given, largest in (
        (1, {}, 2),
        (2, {}, 3),
        (2, {"angular_cutoff": 1}, 2),
        (3, {"angular_cutoff": 1, "selected_keys": chosen}, 2),
    ):
        if n == 3 and not together:
            continue
        ours = DensityCorrelations(n_correlations=n, skip_redundant=skip).compute(density, **given)
        expected = theirs(n, largest, skip_redundant=skip).compute(density, **given)
        assert ours.keys == expected.keys and ours.property_names == expected.property_names
        assert_same(ours, expected)
    assert info(ours)["history"][-1]["operation"] == "DensityCorrelations"


@pytest.mark.parametrize("order", [2, 3, 4])
def test_norm(molecules, order):
    """|ρ^ν| = |ρ|^ν for all couplings of all factors: Clebsch-Gordan coefficients are orthogonal."""
    density = expansion(max_angular=1, max_radial=0).compute(molecules).keys_to_properties("neighbor_type")
    full = DensityCorrelations(n_correlations=order - 1, skip_redundant=False).compute(density)
    norms = [squares(density), squares(full)]
    assert norms[0].keys() == norms[1].keys()
    for sample, norm in norms[0].items():
        assert abs(norms[1][sample] / norm**order - 1) < 1e-12


def squares(tensor):
    found = {}
    for key, block in tensor.items():
        for sample, values in zip(block.samples.values.tolist(), block.values):
            place = (key["center_type"], *sample)
            found[place] = found.get(place, 0.0) + float((values**2).sum())
    return found


class Correlated:
    """The correlations of a small expansion, as a calculator."""

    def __init__(self, order, max_angular, cutoff):
        self.rho, self.angular = expansion(max_angular=max_angular, max_radial=0), cutoff
        self.correlations = DensityCorrelations(n_correlations=order - 1)

    def compute(self, systems, gradients=None):
        density = self.rho.compute(systems, gradients=gradients).keys_to_properties("neighbor_type")
        return self.correlations.compute(density, angular_cutoff=self.angular)


@pytest.mark.parametrize("order, max_angular, cutoff", [(2, 3, None), (3, 2, None), (4, 1, 2)])
def test_equivariance(molecules, order, max_angular, cutoff):
    """Every (λ, σ) turns as it should under rotations and inversion."""
    calculator = Correlated(order, max_angular, cutoff)
    check_calculator(calculator, systems=molecules, laws=["rotation", "inversion"], rtol=1e-10)


def test_gradients(molecules):
    """Explicit gradients, which featomic does not carry, are those of finite differences; autograd agrees."""
    calculator, systems = Correlated(3, 1, 1), [molecules[0]]
    laws = ["positions_gradient", "strain_gradient", "autograd"]
    check_calculator(calculator, systems=systems, laws=laws, rtol=1e-8)
    density = calculator.rho.compute(molecules, gradients=["positions"])
    with pytest.raises(NotImplementedError, match="gradients not yet implemented"):
        theirs(2, 3).compute(density)


@pytest.mark.parametrize("sizes, order", [((2, 1), 3), ((1, 1, 1), 3), ((1, 1, 1), 4), ((2, 2), 4), ((1, 2, 1), 3)])
def test_number_of_independent_scalars(sizes, order):
    """The rank of all features of random densities is what characters of O(3) say, with and without the redundant."""
    density = random_density(sizes, 200)
    for sigma in (1, -1):
        chosen = Labels(["o3_lambda", "o3_sigma"], np.array([[0, sigma]]))
        expected = independent_scalars(sizes, order, sigma)
        for skip in (True, False):
            correlations = DensityCorrelations(n_correlations=order - 1, skip_redundant=skip)
            features = correlations.compute(density, selected_keys=chosen)
            columns = [block.values[:, 0] for block in features.blocks()]
            columns = [values[:, np.abs(values).max(axis=0) > 1e-12] for values in columns]  # antisymmetric ones vanish
            found = np.hstack([np.zeros((200, 0)), *columns])
            assert (rank(found) if found.shape[1] else 0) == expected


def test_enumeration_known_numbers():
    """One channel of l = 2 (a nuclear quadrupole): one quadratic, one cubic invariant, and the square of the first."""
    assert [independent_scalars((0, 0, 1), order) for order in (2, 3, 4)] == [1, 1, 1]
    assert independent_scalars((0, 3), 2) == 6 and independent_scalars((0, 3), 3, -1) == 1  # v·w; u·(v × w)


def test_skipping_with_a_cutoff_loses_information():
    """Sorted couplings span all others only when every k is there: documented here, silent in featomic."""
    density = random_density((1, 1, 1, 1), 300)
    ranks = []
    for skip in (True, False):
        features = DensityCorrelations(n_correlations=3, skip_redundant=skip).compute(
            density, angular_cutoff=1, selected_keys=SCALARS
        )
        columns = np.hstack([block.values[:, 0] for block in features.blocks()])
        ranks.append(rank(columns[:, np.abs(columns).max(axis=0) > 1e-12]))
    assert ranks[0] < ranks[1]


def test_match_keys(molecules):
    """Neighbour types that need not match stand in the keys, numbered; values are those of types in the properties."""
    density = expansion(max_angular=1).compute(molecules)
    ours = DensityCorrelations(n_correlations=2, match_keys=["center_type"], skip_redundant=False).compute(density)
    moved = density.keys_to_properties("neighbor_type")
    expected = DensityCorrelations(n_correlations=2, skip_redundant=False).compute(moved)
    for name in ("neighbor_1_type", "neighbor_2_type", "neighbor_3_type"):
        assert name in ours.keys.names
    assert np.isclose(sum(squares(ours).values()), sum(squares(expected).values()), rtol=1e-12)
    fewer = DensityCorrelations(n_correlations=2, match_keys=["center_type"]).compute(density)
    assert len(fewer.keys) < len(ours.keys)
    for key, block in fewer.items():
        assert np.array_equal(block.values, ours.block(key).values)


def test_nothing(molecules):
    """No blocks give no blocks; featomic asks for components."""
    none = metatensor.TensorMap(Labels(["o3_lambda", "o3_sigma"], np.zeros((0, 2), dtype=np.int32)), [])
    assert len(DensityCorrelations(n_correlations=2).compute(none).keys) == 0
    with pytest.raises(ValueError, match="must have a single component axis"):
        theirs(2, 3).compute(none)


def test_errors(molecules):
    density = expansion().compute(molecules)
    with pytest.raises(ValueError, match="n_correlations must be 1 or more, got 0"):
        DensityCorrelations(n_correlations=0)
    with pytest.raises(ValueError, match=r"unknown key in match_keys 'centre_type'; did you mean 'center_type'\?"):
        DensityCorrelations(n_correlations=1, match_keys=["centre_type"]).compute(density)
    with pytest.raises(ValueError, match="angular_cutoff must be 0 or more, got -1"):
        DensityCorrelations(n_correlations=1).compute(density, angular_cutoff=-1)
    with pytest.raises(ValueError, match="more than max_angular=3"):
        DensityCorrelations(n_correlations=1, max_angular=3).compute(density)
