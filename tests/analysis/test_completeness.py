"""Known degenerate structures, and what the power spectrum makes of them."""

from itertools import combinations

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ketmap_analysis import (
    equal_angles,
    equal_distances,
    equal_radii,
    equal_tetrahedra,
    invariants,
    known_twins,
    methane_manifold,
    mirror_images,
    score_card,
    singular_values,
)
from ketmap_density import Cutoff, Gaussian, Gto, ShiftedCosine, SphericalExpansion, TensorProduct
from ketmap_soap import SoapPowerSpectrum

HYPERS = {"cutoff": Cutoff(3.5, smoothing=ShiftedCosine(0.5)), "density": Gaussian(0.4)}


def power_spectrum(max_angular=4, max_radial=3):
    return SoapPowerSpectrum(**HYPERS, basis=TensorProduct(max_angular=max_angular, radial=Gto(max_radial=max_radial)))


def figures(atoms, size):
    """Sorted distances of every ``size`` neighbours from the centre and from each other, with their handedness."""
    found = []
    for chosen in combinations(range(1, len(atoms)), size):
        vectors = atoms.positions[list(chosen)]
        gram = vectors @ vectors.T
        volume = np.linalg.det(vectors) if size == 3 else 0.0
        # sums over permutations of all atoms of the figure: equal for equal figures, different in general
        powers = [np.sum(gram**2), np.sum(np.sum(gram, axis=1) ** 3), np.trace(gram @ gram @ gram), np.trace(gram)]
        found.append([*powers, np.prod(np.sum(gram, axis=1)), abs(volume)])
    found = np.array(found)
    return found[np.lexsort(found.round(9).T)]


def test_what_the_twins_share():
    """ν-tuples of neighbours make the same figures up to the order below the one that tells the twins apart."""
    for twins in (equal_radii(), equal_angles(), equal_tetrahedra(), mirror_images()):
        for size in range(1, twins.order + (twins.sigma < 0)):
            np.testing.assert_allclose(figures(twins.first, size), figures(twins.second, size), atol=1e-9)
        if twins.sigma > 0 and twins.order < 4:
            assert abs(figures(twins.first, twins.order) - figures(twins.second, twins.order)).max() > 1e-2


def test_tetrahedra_have_the_same_distances():
    twins = equal_distances()
    first, second = (np.sort(atoms.get_all_distances()[np.triu_indices(4, 1)]) for atoms in (twins.first, twins.second))
    np.testing.assert_allclose(first, second, rtol=1e-12)
    np.testing.assert_allclose(first, sorted((1.30, 1.42, 1.51, 1.38, 1.60, 1.47)), rtol=1e-12)
    volumes = [abs(np.linalg.det(atoms.positions[1:] - atoms.positions[0])) for atoms in (twins.first, twins.second)]
    assert abs(volumes[0] - volumes[1]) > 1e-3
    with pytest.raises(ValueError, match=r"no tetrahedron .* take more equal ones"):
        equal_distances((1.0, 1.0, 9.0, 1.0, 1.0, 1.0))


def test_manifold_is_the_published_one(data):
    """The 2 × 81 structures of Pozdnyakov et al., PRL 125, 166001 (2020)."""
    published = ase.io.read(data("ch4_degenerate/manif-minus-plus.xyz"), ":")
    minus, plus = methane_manifold()
    for atoms, reference in zip([*minus, *plus], published, strict=True):
        np.testing.assert_allclose(atoms.positions, reference.positions, atol=1e-7)


def test_degenerate_line_of_the_manifold():
    """Power spectra agree on one line of nine structures and nowhere else, in our features and in those of skmatter."""
    datasets = pytest.importorskip("skmatter.datasets")
    minus, plus = methane_manifold()
    features = invariants(power_spectrum(), [*minus, *plus], 0)
    published = datasets.load_degenerate_CH4_manifold().data["SOAP_power_spectrum"]
    on_line = np.tile(np.arange(9) == 4, 9)
    for values, tolerance in ((features, 1e-8), (np.asarray(published), 1e-6)):
        gaps = np.linalg.norm(values[:81] - values[81:], axis=1)
        assert gaps[on_line].max() < tolerance
        assert gaps[~on_line].min() > 10 * tolerance


def test_power_spectrum_fails_where_it_must():
    card = score_card(power_spectrum())
    assert {score.twins.name: score.told_apart for score in card.scores} == {
        "equal radii": True,
        "equal distances": True,
        "equal angles": False,
        "equal tetrahedra": False,
        "mirror images": False,
    }
    assert card["equal angles"].distance < 1e-13
    assert card["equal radii"].distance > 0.1
    assert "equal angles       ν = 3" in str(card)
    with pytest.raises(KeyError, match="no twins 'cousins'; there are: equal radii, "):
        card["cousins"]


def test_radial_features_know_distances_only():
    """Invariants of first order; of the structure with equal distances they are equal too."""

    class Radial:
        expansion = SphericalExpansion(**HYPERS, basis=TensorProduct(max_angular=0, radial=Gto(max_radial=7)))

        def compute(self, systems, gradients=None):
            return self.expansion.compute(systems, gradients=gradients)

    card = score_card(Radial())
    assert not any(score.told_apart for score in card.scores)
    assert card["equal radii"].rank == 2  # of two distances
    assert card["equal distances"].rank == 6  # of six


def test_singular_values_are_those_of_finite_differences():
    soap, atoms = power_spectrum(2, 2), mirror_images().first
    step, columns = 1e-4, []
    for atom, axis in np.ndindex(len(atoms), 3):
        moved = [atoms.copy(), atoms.copy()]
        moved[0].positions[atom, axis] += step
        moved[1].positions[atom, axis] -= step
        after, before = invariants(soap, moved, 0)
        columns.append((after - before) / (2 * step))
    numeric = np.linalg.svd(np.array(columns), compute_uv=False)
    found = singular_values(soap, atoms, 0)
    assert len(found) == 3 * len(atoms) - 6
    np.testing.assert_allclose(numeric[: len(found)], found, atol=1e-5 * found[0])
    assert numeric[len(found) :].max() < 1e-5 * found[0]  # the rigid motions


def test_whole_structures_and_lines():
    """A diatomic molecule has one motion that is not rigid; a representation without invariants is refused."""
    line = Atoms("CO", positions=[[0, 0, 0], [0, 0, 1.1]])
    assert len(singular_values(power_spectrum(), line)) == 1
    assert singular_values(power_spectrum(), line)[0] > 0.01

    class Vectors:
        expansion = SphericalExpansion(**HYPERS, basis=TensorProduct(max_angular=1, radial=Gto(max_radial=1)))

        def compute(self, systems, gradients=None):
            import metatensor

            keys = metatensor.Labels(["o3_lambda"], np.array([[1]]))
            return self.expansion.compute(systems, gradients=gradients, selected_keys=keys)

    with pytest.raises(ValueError, match=r"expected features with λ = 0, but o3_lambda is \[1\]"):
        score_card(Vectors(), known_twins()[:1])
