"""Structures and comparisons that the tests of the long-range field share."""

import ase
import ase.build
import numpy as np
import pytest
from ketmap_density import Gto, TensorProduct
from ketmap_lode import LodeSphericalExpansion, SmearedPowerLaw

from ..structures import left_handed, rattled_nacl, rattled_silicon, skewed


def make_hypers(exponent=1, smearing=1.0, max_radial=3, max_angular=3, radius=3.0, k_cutoff=None) -> dict:
    """featomic's nested dictionaries, without splines."""
    return {
        "density": {"type": "SmearedPowerLaw", "smearing": smearing, "exponent": exponent},
        "basis": {
            "type": "TensorProduct",
            "max_angular": max_angular,
            "radial": {"type": "Gto", "max_radial": max_radial, "radius": radius},
            "spline_accuracy": None,
        },
        "k_cutoff": k_cutoff,
    }


@pytest.fixture
def hypers():
    return make_hypers


@pytest.fixture
def lode():
    """A calculator with a small basis."""

    def make(exponent=1, smearing=1.0, max_angular=3, max_radial=2, radius=3.0, **more):
        basis = TensorProduct(max_angular=max_angular, radial=Gto(max_radial=max_radial, radius=radius))
        return LodeSphericalExpansion(density=SmearedPowerLaw(smearing, exponent), basis=basis, **more)

    return make


@pytest.fixture
def crystals():
    """Rattled, mixed, small, skewed and left-handed cells."""
    nacl, silicon = rattled_nacl(), rattled_silicon()
    return [nacl, silicon, skewed(nacl), left_handed(nacl), ase.Atoms("H", cell=[3.7, 3.9, 4.1], pbc=True)]


@pytest.fixture
def slab():
    """Four atoms at different heights, periodic along two directions."""
    cell = [[3.3, 0.4, 0.1], [-0.5, 3.9, 0.2], [0.1, 0.3, 9.0]]
    positions = [[0.2, 0.1, 4.0], [1.9, 1.7, 4.6], [0.4, 2.2, 5.5], [2.1, 0.2, 6.1]]
    return ase.Atoms("HCOC", positions=positions, cell=cell, pbc=[True, True, False])


def deviation(ours, theirs) -> float:
    """max |a − b| / max |b|; zeros count absolutely."""
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    assert ours.shape == theirs.shape
    return float(np.abs(ours - theirs).max() / (np.abs(theirs).max() or 1.0)) if theirs.size else 0.0


@pytest.fixture
def differ():
    return deviation
