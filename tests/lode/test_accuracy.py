"""Crystals to a stated accuracy: real and reciprocal space share the work."""

import ase.build
import numpy as np
import pytest
from ketmap_lode import LodeSphericalExpansion, SmearedPowerLaw, roads
from ketmap_testing import check_calculator, default_systems


@pytest.fixture
def salt():
    atoms = ase.build.bulk("NaCl", "rocksalt", 5.6, cubic=True) * (2, 1, 1)
    atoms.rattle(0.2, seed=1)
    return atoms


@pytest.mark.parametrize("ratio", (1.0, 2.0))
@pytest.mark.parametrize("exponent", [1, 6])
def test_accuracy(lode, salt, exponent, ratio, monkeypatch):
    """RMS error relative to the RMS of the coefficients of each l, against the converged direct sum."""
    monkeypatch.setattr(roads, "RATIOS", (ratio,))
    exact = lode(exponent, k_cutoff=7.0).compute(salt)
    for accuracy in (1e-3, 1e-5):
        found = lode(exponent, accuracy=accuracy).compute(salt)
        for l in range(4):
            pairs = [(found.block(key).values, block.values) for key, block in exact.items() if key["o3_lambda"] == l]
            error = sum(((a - b) ** 2).sum() for a, b in pairs) / sum((b**2).sum() for _, b in pairs)
            assert np.sqrt(error) < accuracy, (l, accuracy)


@pytest.mark.parametrize("law", ["rotation", "supercell", "positions_gradient", "strain_gradient", "autograd"])
def test_laws(lode, law, monkeypatch):
    """The shared sum keeps symmetries, and its gradients are its own derivatives."""
    monkeypatch.setattr(roads, "RATIOS", (2.0,))
    field = lode([1, 5], max_angular=2, max_radial=1, accuracy=1e-4)
    crystals = [atoms for atoms in default_systems() if atoms.pbc.all()]
    tolerance = 1e-4 if law == "supercell" else 1e-6
    assert law in check_calculator(field, systems=crystals, laws=[law], rtol=tolerance).deviations


def test_bad_accuracy():
    basis = {"type": "TensorProduct", "max_angular": 1, "radial": {"type": "Gto", "max_radial": 1, "radius": 2.0}}
    density = SmearedPowerLaw(1.0, 1)
    with pytest.raises(ValueError, match="not both"):
        LodeSphericalExpansion(density=density, basis=basis, k_cutoff=3.0, accuracy=1e-3)
    with pytest.raises(ValueError, match=r"accuracy must be less than 0\.1"):
        LodeSphericalExpansion(density=density, basis=basis, accuracy=0.5)
    again = LodeSphericalExpansion.from_dict(
        LodeSphericalExpansion(density=density, basis=basis, accuracy=1e-3).to_dict()
    )
    assert again.expansion.accuracy == 1e-3
