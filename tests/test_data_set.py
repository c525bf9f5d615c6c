"""The data set that comes with ketmap, against the method that made it."""

from importlib import resources

import numpy as np
import pytest
from ase import units
from ase.build import molecule
from ase.optimize import BFGS
from ketmap_core import read

tblite = pytest.importorskip("tblite.ase", reason="needs tblite, which made the data")
FILE = resources.files("ketmap") / "data" / "ethanol_xtb.extxyz.gz"
STENCIL = ((1, 2 / 3), (-1, -2 / 3), (2, -1 / 12), (-2, 1 / 12))  # of the first derivative, fourth order


@pytest.fixture(scope="module")
def frames():
    return read(FILE)


def xtb(atoms):
    atoms = atoms.copy()
    atoms.calc = tblite.TBLite(method="GFN2-xTB", accuracy=0.01, verbosity=0)
    return atoms


def test_method_is_that_of_other_programs():
    """GFN2-xTB of water: at ASE's geometry by DFTB+ (the number in ASE's own test of that calculator), and relaxed by
    xtb 6.7.1 (-5.070544447500 Eh)."""
    water = xtb(molecule("H2O"))
    assert water.get_potential_energy() == pytest.approx(-137.9677759924738, abs=1e-6)
    BFGS(water, logfile=None).run(fmax=1e-4)
    assert water.get_potential_energy() / units.Ha == pytest.approx(-5.0705444475, abs=1e-8)


def test_energies_and_forces_are_those_of_the_method(frames):
    for atoms in frames[::50]:
        again = xtb(atoms)
        assert again.get_potential_energy() == pytest.approx(atoms.info["energy"], abs=1e-6)
        np.testing.assert_allclose(again.get_forces(), atoms.arrays["forces"], atol=2e-6)


def test_forces_are_derivatives(frames):
    """Along a random direction, by central differences of fourth order."""
    rng, step = np.random.default_rng(0), 2e-3
    for atoms in frames[:5]:
        direction = rng.normal(size=(9, 3))
        moved, slope = xtb(atoms), 0.0
        for places, weight in STENCIL:
            moved.positions = atoms.positions + places * step * direction
            slope += weight * moved.get_potential_energy() / step
        assert slope == pytest.approx(-np.vdot(atoms.arrays["forces"], direction), abs=2e-5)


def test_what_is_in_it(frames):
    assert len(frames) == 500
    assert FILE.stat().st_size < 2e6
    forces = np.stack([atoms.arrays["forces"] for atoms in frames])
    assert np.abs(forces.sum(axis=1)).max() < 1e-6  # an isolated molecule does not push itself
    temperatures = [atoms.info["temperature"] for atoms in frames]
    assert temperatures.count(300.0) == temperatures.count(600.0) == 250


def test_all_conformers_are_there(frames):
    """C-C-O-H: anti (180 degrees) and both gauche forms (60, 300)."""
    angles = []
    for atoms in frames:
        distances = atoms.get_all_distances()
        oxygen = int(np.flatnonzero(atoms.numbers == 8)[0])
        carbons = sorted(np.flatnonzero(atoms.numbers == 6), key=lambda c: distances[c, oxygen])
        hydrogen = min(np.flatnonzero(atoms.numbers == 1), key=lambda h: distances[h, oxygen])
        angles.append(atoms.get_dihedral(carbons[1], carbons[0], oxygen, hydrogen))
    counts, _ = np.histogram(angles, bins=[0, 120, 240, 360])
    assert counts.min() > 75
