"""A linear model of a salt, long range included: stress along a strain, and dynamics that keep their energy."""

import sys
from pathlib import Path

import ase.build
import ketmap_density.environments
import numpy as np
import pytest
import torch
from ketmap_ase import NPT, NVE, Calculator, run_dynamics
from ketmap_density.environments import environments
from ketmap_lode import roads

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from salt import COULOMB, LENGTH, REPULSION, ions, learn, rattled


@pytest.fixture(scope="module")
def salts():
    return rattled()


def along_a_strain(model, atoms):
    """Energies, and ∂E/∂ε, at strains of ± 2 %: one axis more than the others, and a shear."""
    direction = np.array([[1.0, 0.3, 0.0], [0.3, 0.6, 0.0], [0.0, 0.0, 0.6]])
    strains = np.linspace(-0.02, 0.02, 81)
    energies, slopes = [], []
    strained = atoms.copy()
    strained.calc = Calculator(model, grade=None)
    for strain in strains:
        deform = np.eye(3) + strain * direction
        strained.set_cell(atoms.cell.array @ deform)
        strained.positions = atoms.positions @ deform
        energies.append(strained.get_potential_energy())
        stress = strained.get_stress(voigt=False) * strained.get_volume()
        slopes.append(np.trace(stress @ np.linalg.inv(deform) @ direction))
    return strains, np.array(energies), np.array(slopes)


def jumps(strains, energies, slopes):
    """What energies change by from one strain to the next beyond their slopes, eV: Simpson's rule over two steps."""
    step = strains[1] - strains[0]
    integral = step / 3 * (slopes[:-2] + 4 * slopes[1:-1] + slopes[2:])
    return np.abs(energies[2:] - energies[:-2] - integral)


def test_stress_is_the_slope_of_the_energy(salts):
    """To an accuracy waves fade out as the cell changes; at a cutoff they enter and leave, and energies jump."""
    atoms = salts[0][0]
    strains, energies, slopes = along_a_strain(learn(salts, accuracy=0.09), atoms)  # as coarse as may be
    differences = (energies[2:] - energies[:-2]) / (strains[2:] - strains[:-2])
    assert np.abs(differences - slopes[1:-1]).max() < 1e-4 * np.abs(slopes).max()
    assert jumps(strains, energies, slopes).max() < 1e-6
    # about as many waves; some pass the cutoff of 1.2 π/σ on the way
    assert jumps(*along_a_strain(learn(salts), atoms)).max() > 1e-4


def test_a_mesh_is_kept_as_the_cell_changes(salts, monkeypatch):
    """One calculator keeps the knots along a strain; with knots chosen anew for every cell energies jump."""
    monkeypatch.setattr(roads, "CALL", 0.0)
    monkeypatch.setattr(roads, "WAVE", 1e9)  # waves one by one are too dear
    model, atoms = learn(salts, accuracy=1e-2), salts[0][0]
    calculator = Calculator(model, grade=None)
    calculator.get_potential_energy(atoms)
    (((rule, end), shape),) = calculator._batch.choices.items()
    # where another mesh would be chosen for a new cell
    cell = torch.tensor(atoms.cell.array)
    scales = np.linspace(1.0, 1.5, 200)
    where = next(scale for scale in scales if rule.shape(1.06 * scale * cell, end) != shape)
    strains = where - 1 + np.linspace(-0.01, 0.01, 21)

    def along(calculator_of):
        energies, slopes = [], []
        for strain in strains:
            strained = atoms.copy()
            strained.set_cell(atoms.cell.array * (1 + strain), scale_atoms=True)
            strained.calc = calculator_of()
            energies.append(strained.get_potential_energy())
            pressure = np.trace(strained.get_stress(voigt=False)) * strained.get_volume()
            slopes.append(pressure / (1 + strain))
        return jumps(strains, np.array(energies), np.array(slopes)).max()

    calculator.begin()
    smooth, jumping = along(lambda: calculator), along(lambda: Calculator(model, grade=None))
    assert smooth < 1e-6 and jumping > max(1e-5, 20 * smooth)
    # what has been chosen is of one run
    assert len(calculator._batch.choices) == 1
    calculator.begin()
    assert calculator._batch.choices == {}


@pytest.mark.slow
def test_energy_is_kept(salts):
    """64 ions from rest at 600 K: half of that remains as heat, and the total energy remains."""
    model = learn(salts, accuracy=1e-3)
    assert model.errors["train"].forces.rmse < 0.02 * salts[2].std()
    atoms = ase.build.bulk("NaCl", "rocksalt", 5.6, cubic=True) * (2, 2, 2)
    atoms.calc = Calculator(model, grade=None)
    run = run_dynamics(atoms, NVE(timestep=1.0), 200, temperature=600.0, every=5)
    total = run.column("conserved")
    assert np.abs(total - total[0]).max() < 2e-5 * len(atoms)  # Verlet's swing, of order dt²
    assert abs(run.drift) < 0.03  # meV per atom and ps; most of it the swing, in so short a time


def test_pairs_are_found_once(salts, monkeypatch):
    """Within the skin, pairs of density and field are those of the first step, whatever atoms and cell do."""
    searches = []
    monkeypatch.setattr(roads, "RATIOS", (2.0,))

    def counted(batch, pairs, reach, *rest):
        searches.append(reach)
        return environments(batch, pairs, reach, *rest)

    monkeypatch.setattr(ketmap_density.environments, "environments", counted)
    model = learn(salts, accuracy=1e-3)
    atoms = ase.build.bulk("NaCl", "rocksalt", 5.6, cubic=True) * (2, 2, 2)
    atoms.rattle(0.05, seed=1)
    kept = Calculator(model, skin=1.0, grade=None)
    atoms.calc = kept
    atoms.get_forces()
    searches.clear()
    for rng in map(np.random.default_rng, range(2, 6)):
        deform = np.eye(3) + 0.01 * rng.normal(size=(3, 3))
        moved = atoms.copy()
        moved.set_cell(atoms.cell.array @ deform, scale_atoms=True)
        moved.positions += 0.1 * rng.uniform(-1, 1, size=(len(atoms), 3))
        moved.calc = kept
        found = moved.get_potential_energy(), moved.get_forces(), moved.get_stress()
        assert kept.builds == 1 and searches == []
        moved.calc = Calculator(model, skin=0.0, grade=None)
        expected = moved.get_potential_energy(), moved.get_forces(), moved.get_stress()
        for one, other in zip(found, expected):
            np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-11)
        short, reach = sorted(searches)
        assert short == 5.0
        searches.clear()
    # a cell so much smaller holds pairs that were farther than cutoff and skin, though none that may meet
    atoms.set_cell(atoms.cell.array * (1 - 1.5 / reach), scale_atoms=True)
    found = atoms.get_potential_energy()
    assert kept.builds == 2 and sorted(searches) == [6.0, reach + 1.0]
    atoms.calc = Calculator(model, grade=None)
    assert found == pytest.approx(atoms.get_potential_energy(), rel=1e-12)


def through_pressures(model):
    """Conserved quantity of 0.2 ps of NPT, whose barostat is quick, from step to step, eV per atom; volumes."""
    atoms = ase.build.bulk("NaCl", "rocksalt", 5.6, cubic=True)
    atoms.calc = Calculator(model, grade=None)
    ensemble = NPT(timestep=1.0, temperature=600.0, pressure=0.0, cell_relaxation=300.0)
    run = run_dynamics(atoms, ensemble, 200, temperature=600.0, every=1)
    return run.column("conserved") / len(atoms), run.column("volume")


@pytest.mark.slow
def test_constant_pressure_conserves(salts):
    """Waves that fade leave what is conserved to the integrator's error; waves that enter and leave make it jump."""
    smooth, volume = through_pressures(learn(salts, accuracy=1e-3))
    assert np.ptp(volume) > 0.05 * volume[0]
    # one step after the other, and from beginning to end: the error of the time step, of the potential energy's swings
    assert np.abs(np.diff(smooth)).max() < 2e-6
    assert np.abs(smooth - smooth[0]).max() < 5e-5
    jumping, _ = through_pressures(learn(salts, k_cutoff=2.5))
    assert np.abs(np.diff(jumping)).max() > 1e-5


def cluster(shape, seed):
    """A rattled block of rock salt in vacuum."""
    atoms = ase.build.bulk("NaCl", "rocksalt", 5.6, cubic=True) * shape
    atoms.set_cell(None)
    atoms.pbc = False
    atoms.rattle(0.15, seed=seed)
    return atoms


def alone(atoms):
    """Energy and forces of the ions of ``benchmarks/salt.py`` in vacuum: sums over pairs."""
    positions = torch.tensor(atoms.positions, requires_grad=True)
    charges = torch.tensor(np.where(atoms.numbers == 11, 1.0, -1.0))
    i, j = torch.triu_indices(len(atoms), len(atoms), 1)
    r = torch.linalg.vector_norm(positions[i] - positions[j], dim=1)
    both = charges[i] * charges[j]
    energy = (COULOMB * both / r).sum() + (REPULSION * torch.exp(-r / LENGTH))[both < 0].sum()
    return energy.item(), -torch.autograd.grad(energy, positions)[0].numpy()


def test_clusters_and_slabs_move(salts):
    """Crystals and clusters are learnt from together; larger clusters, and slabs, which were not, then keep energy."""
    frames, energies, forces = salts
    clusters = [cluster((1, 1, 1), seed) for seed in range(12)] + [cluster((2, 1, 1), seed) for seed in range(4)]
    found = [alone(atoms) for atoms in clusters]
    energies = np.concatenate([energies, [energy for energy, _ in found]])
    model = learn((frames + clusters, energies, np.concatenate([forces, *(f for _, f in found)])), accuracy=1e-3)
    drop = cluster((2, 2, 1), 99)
    slab = ase.build.bulk("NaCl", "rocksalt", 5.6, cubic=True) * (2, 2, 1)
    slab.rattle(0.1, seed=3)
    box = slab.copy()
    box.cell[2] = [0.0, 0.0, 40.0]
    slab.pbc = [True, True, False]
    for atoms, expected in ((drop, alone(drop)[1]), (slab, ions(box)[1])):
        atoms.calc = Calculator(model, grade=None)
        assert np.sqrt(np.mean((atoms.get_forces() - expected) ** 2)) < 0.06 * expected.std()
        run = run_dynamics(atoms, NVE(timestep=1.0), 60, temperature=300.0, every=1)
        total = run.column("conserved") / len(atoms)
        assert np.abs(np.diff(total)).max() < 2e-6  # as in crystals: nothing jumps
        assert np.abs(total - total[0]).max() < 5e-5
