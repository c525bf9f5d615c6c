"""What correlations of each order tell apart, as Pozdnyakov et al., PRL 125, 166001 (2020), say."""

import metatensor
import numpy as np
import pytest
from ketmap_analysis import known_twins, random_structures, score_card
from ketmap_cg import Contraction, DensityCorrelations, Nice
from ketmap_density import Cutoff, Gaussian, Gto, ShiftedCosine, SphericalExpansion, TensorProduct
from ketmap_soap import SoapBispectrum

HYPERS = {
    "cutoff": Cutoff(3.5, smoothing=ShiftedCosine(0.5)),
    "density": Gaussian(0.4),
    "basis": TensorProduct(max_angular=3, radial=Gto(max_radial=1)),
}


class Scalars:
    """All scalars of one order and parity, of the environment of carbon or of the whole structure."""

    expansion = SphericalExpansion(**HYPERS)

    def __init__(self, order, sigma=1):
        self.correlations = DensityCorrelations(n_correlations=order - 1)
        self.keys = metatensor.Labels(["o3_lambda", "o3_sigma"], np.array([[0, sigma]]))

    def compute(self, systems, gradients=None):
        centers = metatensor.Labels(["center_type"], np.array([[6]]))
        density = self.expansion.compute(systems, gradients=gradients, selected_keys=centers)
        density = density.keys_to_properties("neighbor_type")
        return self.correlations.compute(density, angular_cutoff=3, selected_keys=self.keys)


def environments():
    return [twins for twins in known_twins() if twins.center is not None]


def told_apart(calculator):
    return {score.twins.name: score.told_apart for score in score_card(calculator, environments()).scores}


@pytest.mark.parametrize("order, sigma", [(2, 1), (3, 1), (3, -1)])
def test_orders(order, sigma):
    """An order tells apart the twins that need no more, and no others; mirror images need pseudoscalars."""
    found = told_apart(Scalars(order, sigma))
    for twins in environments():
        assert found[twins.name] == (twins.order <= order and twins.sigma == sigma), twins.name


def test_fourth_order_tells_what_the_bispectrum_cannot():
    twins = [pair for pair in environments() if pair.name in ("equal tetrahedra", "equal angles", "mirror images")]
    card = score_card(Scalars(4), twins)
    assert card["equal tetrahedra"].distance > 1e-4 and card["equal angles"].told_apart
    assert not card["mirror images"].told_apart


def test_bispectrum():
    """With structures too: tetrahedra of equal distances."""
    card = score_card(SoapBispectrum(**HYPERS))
    assert {score.twins.name: score.told_apart for score in card.scores} == {
        "equal radii": True,
        "equal distances": True,
        "equal angles": True,
        "equal tetrahedra": False,
        "mirror images": False,
    }
    # the degenerate environment of the power spectrum is not even locally visible to it: rank 8 of 9
    assert card["equal angles"].rank == 9 and card["equal tetrahedra"].distance < 1e-12


def test_nice_keeps_what_counts():
    """Contraction to a few components, fitted on random environments, still tells apart what ν = 4 can."""
    firsts = [twins.first for twins in environments()]
    sample = [atoms for first in firsts for seed in range(3) for atoms in random_structures(first, 0, seed)]
    contraction = Contraction(max_order=4, n_candidates=200, n_components=20, symmetries=((0, 1), (0, -1)))
    nice = Nice(Scalars.expansion, contraction=contraction).fit(sample, center_types=[6])
    assert all(told_apart(nice).values())
