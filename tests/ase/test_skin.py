"""A list with a skin gives what no skin gives, and is built only when it has to be."""

import numpy as np
import pytest
from ketmap_ase import NPT, NVE, Calculator, run_dynamics
from ketmap_ase.skin import Skin


def compare_along(path, atoms, morse, rtol=1e-10):
    """Energies, forces, stress along a path of structures, with and without skin; number of lists built."""
    with_skin = Calculator(morse([11, 17]), skin=1.0)
    for step in path(atoms):
        without = Calculator(morse([11, 17]), skin=0.0)
        for name in ("energy", "forces", "stress"):
            one, other = (calc.get_property(name, step) for calc in (with_skin, without))
            np.testing.assert_allclose(one, other, rtol=rtol, atol=1e-12)
    return with_skin.builds


def test_random_walk(crystal, morse):
    def walk(atoms):
        rng = np.random.default_rng(0)
        for _ in range(40):
            atoms.positions += 0.05 * rng.normal(size=atoms.positions.shape)
            yield atoms

    builds = compare_along(walk, crystal, morse)
    assert 2 <= builds <= 15


def test_strained_cells(crystal, morse):
    def breathe(atoms):
        cell = atoms.cell.array.copy()
        rng = np.random.default_rng(0)
        for strain in 0.15 * np.sin(np.linspace(0, 6, 40)):
            shear = strain * np.array([[1, 0.5, 0], [0.1, 1, 0.2], [0, 0.3, 0.8]])
            atoms.set_cell(cell @ (np.eye(3) + shear), scale_atoms=True)
            atoms.positions += 0.01 * rng.normal(size=atoms.positions.shape)
            yield atoms

    builds = compare_along(breathe, crystal, morse)
    assert 2 <= builds <= 30


def test_cell_moved_without_its_atoms(crystal, morse):
    def shear(atoms):
        for _ in range(20):
            atoms.cell[0, 1] += 0.05
            atoms.cell[2, 2] -= 0.01
            yield atoms

    compare_along(shear, crystal, morse)


def test_translation_needs_no_new_list(crystal):
    for _ in range(10):
        crystal.get_forces()
        crystal.positions += [0.3, -0.2, 0.1]
    assert crystal.calc.builds == 1


def test_uniform_expansion_needs_no_new_list(crystal):
    """Strain moves far atoms a lot, yet brings no new pairs: only the cutoff itself grows."""
    crystal.get_forces()
    crystal.set_cell(crystal.cell * 1.1, scale_atoms=True)
    crystal.get_forces()
    assert crystal.calc.builds == 1
    crystal.set_cell(crystal.cell * 0.7, scale_atoms=True)
    crystal.get_forces()
    assert crystal.calc.builds == 2


def test_atom_beyond_half_the_skin(cluster):
    cluster.get_forces()
    cluster.positions[0, 0] -= 0.45 * 9 / 8  # the mean moves along with it
    cluster.get_forces()
    assert cluster.calc.builds == 1
    cluster.positions[0, 0] -= 0.1 * 9 / 8
    cluster.get_forces()
    assert cluster.calc.builds == 2


@pytest.mark.parametrize("periodic", [(), (0,), (0, 2), (0, 1, 2)])
def test_no_pair_is_missed(periodic):
    """While a list is said to hold, every pair inside the cutoff now was inside cutoff + skin then."""
    rng = np.random.default_rng(len(periodic))
    pbc = np.isin(range(3), periodic)
    cutoff, skin, n = 3.0, 0.8, 12
    held = 0
    for _ in range(300):
        cell = 6 * np.eye(3) + rng.normal(size=(3, 3))
        positions = rng.uniform(0, 6, size=(n, 3))
        valid = Skin(cutoff, skin, positions, cell, pbc, np.inf)
        strain = np.eye(3) + 0.05 * rng.normal(size=(3, 3))
        moved = positions @ strain + 0.05 * rng.normal(size=(n, 3)) + 5 * rng.normal(size=3)
        later = cell @ strain
        later[~pbc] = rng.normal(size=(3 - len(periodic), 3))  # means nothing
        if not valid.holds(moved, later):
            continue
        held += 1
        shifts = np.stack(np.meshgrid(*[np.arange(-2, 3) if p else [0] for p in pbc]), -1).reshape(-1, 3)
        then, now = (
            np.linalg.norm(x[None, :, None] - x[:, None, None] + shifts @ h, axis=-1)
            for x, h in ((positions, cell), (moved, later))
        )
        assert (then[now < cutoff] < cutoff + skin).all()
    assert held > 10


def test_rebuilds_in_dynamics(crystal, morse):
    run_dynamics(crystal, NVE(2.0), 100, temperature=300)
    assert 1 <= crystal.calc.builds < 10
    bare = crystal.copy()
    bare.calc = Calculator(morse([11, 17]), skin=0.0)
    np.testing.assert_allclose(crystal.get_forces(), bare.get_forces(), atol=1e-10)


def test_rebuilds_at_constant_pressure(crystal, morse):
    run_dynamics(crystal, NPT(2.0, 300, pressure=5.0), 200, temperature=300)
    assert crystal.calc.builds < 40
    bare = crystal.copy()
    bare.calc = Calculator(morse([11, 17]), skin=0.0)
    np.testing.assert_allclose(crystal.get_forces(), bare.get_forces(), atol=1e-10)
    np.testing.assert_allclose(crystal.get_stress(), bare.get_stress(), atol=1e-10)
