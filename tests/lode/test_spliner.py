"""featomic's spliner of the long-range field hands on what it got."""

import ase.build
import numpy as np
import pytest
from ketmap.basis import LaplacianEigenstate
from ketmap.splines import LodeSpliner
from ketmap_lode import LodeSphericalExpansion, SmearedPowerLaw


def test_hypers_of_the_calculator():
    density, basis = SmearedPowerLaw(smearing=1.0, exponent=1), LaplacianEigenstate(max_radial=1, radius=3.0)
    hypers = LodeSpliner(density=density, basis=basis, k_cutoff=2.5, n_spline_points=10).get_hypers()
    made, direct = LodeSphericalExpansion(**hypers), LodeSphericalExpansion(density=density, basis=basis, k_cutoff=2.5)
    salt = ase.build.bulk("NaCl", "rocksalt", 5.6)
    for a, b in zip(made.compute(salt).blocks(), direct.compute(salt).blocks()):
        assert np.array_equal(a.values, b.values)
    assert LodeSpliner(density, basis).get_hypers()["k_cutoff"] is None


def test_objects_only():
    with pytest.raises(TypeError, match="basis must be a Basis object, got dict"):
        LodeSpliner(SmearedPowerLaw(smearing=1.0, exponent=1), {"type": "LaplacianEigenstate"})
