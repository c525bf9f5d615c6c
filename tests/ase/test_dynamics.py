"""Molecular dynamics through ASE: laws of the ensembles, trajectories, interruptions."""

import signal
import threading

import ase.io
import numpy as np
import pytest
from ase import units
from ketmap_ase import NPT, NVE, DynamicsError, Langevin, Run, run_dynamics, start_velocities


def test_energy_is_conserved_to_second_order(cluster):
    """Velocity Verlet: the fluctuation of the total energy falls with the square of the time step."""
    spread = []
    for timestep in (4.0, 2.0, 1.0):
        atoms = cluster.copy()
        atoms.calc = cluster.calc
        run = run_dynamics(atoms, NVE(timestep), int(200 / timestep), temperature=300, every=1)
        spread.append(np.std(run.column("conserved")))
    assert 3.0 < spread[0] / spread[1] < 5.0
    assert 3.0 < spread[1] / spread[2] < 5.0


def test_drift_of_a_run_is_small(crystal):
    run = run_dynamics(crystal, NVE(2.0), 500, temperature=300)
    assert abs(run.drift) < 0.5  # meV/atom/ps
    assert run.column("time")[-1] == pytest.approx(1.0)
    np.testing.assert_allclose(run.column("conserved"), run.column("potential") + run.column("kinetic"), rtol=1e-14)
    assert np.ptp(run.column("kinetic")) > 0.01


def test_drift_is_the_slope():
    run = Run(n_atoms=5)
    run.rows = [(t, 0.0, 0.0, 0.0, 0.0, -7.0 + 0.002 * t) for t in np.linspace(0, 3, 7)]
    assert run.drift == pytest.approx(0.4, rel=1e-9)  # 2 meV/ps over five atoms
    assert np.isnan(Run(5).drift)


def test_starting_velocities(cluster):
    start_velocities(cluster, 400.0, np.random.default_rng(0))
    assert cluster.get_temperature() == pytest.approx(400.0)
    np.testing.assert_allclose(cluster.get_momenta().sum(axis=0), 0.0, atol=1e-12)
    np.testing.assert_allclose(cluster.get_angular_momentum(), 0.0, atol=1e-10)


def test_velocities_are_kept_unless_a_temperature_is_given(crystal):
    start_velocities(crystal, 200.0, np.random.default_rng(0))
    run = run_dynamics(crystal, NVE(1.0), 1, every=1)
    assert run.column("temperature")[0] == pytest.approx(200.0)


@pytest.mark.filterwarnings("ignore::ketmap_ase.ExtrapolationWarning")
def test_langevin_reaches_the_temperature(crystal):
    """⟨T⟩ = T₀ with a standard deviation of T₀ √(2/3N) (canonical fluctuations of the kinetic energy)."""
    run = run_dynamics(crystal, Langevin(4.0, 150.0, relaxation=40.0), 1500, temperature=150.0)
    temperatures = run.column("temperature")[50:]
    assert temperatures.mean() == pytest.approx(150.0, rel=0.05)
    assert temperatures.std() == pytest.approx(150.0 * np.sqrt(2 / (3 * len(crystal))), rel=0.3)
    assert np.isnan(run.drift)


@pytest.mark.parametrize("fixed_shape", [True, False])
def test_constant_pressure(crystal, fixed_shape):
    """Pressure compresses, the shape is kept if asked, and the extended energy is conserved."""
    start = crystal.cell.array.copy()
    ensemble = NPT(2.0, 300.0, pressure=8.0, cell_relaxation=200.0, fixed_shape=fixed_shape)
    run = run_dynamics(crystal, ensemble, 300, temperature=300.0)
    ratio = crystal.cell.array @ np.linalg.inv(start)
    assert run.column("volume")[-1] < 0.99 * run.column("volume")[0]
    assert np.allclose(ratio, ratio[0, 0] * np.eye(3), atol=1e-10) == fixed_shape
    total = run.column("potential") + run.column("kinetic")
    assert np.ptp(run.column("conserved")) < 0.05 * np.ptp(total)


def test_steps_count_evaluations(crystal):
    """So the evaluation that a warning names is the step, in every ensemble."""
    for ensemble in (NVE(1.0), Langevin(1.0), NPT(1.0)):
        run_dynamics(crystal, ensemble, 10)
        assert crystal.calc.evaluations == 11


def test_constant_pressure_needs_a_cell(cluster):
    with pytest.raises(ValueError, match=r"O3Si6 has pbc .* Use NVE or Langevin"):
        run_dynamics(cluster, NPT(), 10)


@pytest.mark.parametrize("suffix", [".traj", ".xyz", ".extxyz"])
def test_trajectory_holds_what_was_run(crystal, tmp_path, suffix):
    path = tmp_path / f"run{suffix}"
    crystal.info["energy"] = 7.0  # a reference that the structure came with
    crystal.arrays["forces"] = np.ones((len(crystal), 3))
    run = run_dynamics(crystal, NVE(1.0), 40, temperature=300, trajectory=path, every=10)
    frames = ase.io.read(path, ":")
    assert len(frames) == len(run.rows) == 5
    energies = [frame.get_potential_energy() for frame in frames]
    np.testing.assert_allclose(energies, run.column("potential"), atol=1e-7)
    np.testing.assert_allclose(frames[-1].positions, crystal.positions, atol=1e-7)
    np.testing.assert_allclose(frames[-1].get_forces(), crystal.get_forces(), atol=1e-7)
    np.testing.assert_allclose(frames[-1].get_momenta(), crystal.get_momenta(), atol=1e-7)
    np.testing.assert_allclose(frames[-1].get_stress(), crystal.get_stress(), atol=1e-7)


def test_same_seed_same_run(crystal):
    ends = []
    for seed in (1, 1, 2):
        atoms = crystal.copy()
        atoms.calc = crystal.calc
        run_dynamics(atoms, Langevin(1.0), 20, temperature=300, seed=seed)
        ends.append(atoms.positions)
    np.testing.assert_allclose(ends[0], ends[1], atol=1e-12)
    assert not np.allclose(ends[0], ends[2])


def test_interrupt_keeps_what_was_run(crystal, tmp_path):
    def interrupt(step):
        if step == 25:
            signal.raise_signal(signal.SIGINT)

    path = tmp_path / "run.traj"
    before = signal.getsignal(signal.SIGINT)
    run = run_dynamics(crystal, NVE(1.0), 1000, temperature=300, trajectory=path, on_step=interrupt)
    assert run.interrupted and run.steps == 25
    assert len(run.rows) == len(ase.io.read(path, ":")) == 3
    assert signal.getsignal(signal.SIGINT) is before


def test_failure_keeps_what_was_run(crystal, tmp_path):
    def break_it(step):
        if step == 25:
            crystal.positions[3] = np.nan

    path = tmp_path / "run.xyz"
    with pytest.raises(DynamicsError, match=r"step 26: .*atom \d+ is not finite") as caught:
        run_dynamics(crystal, NVE(1.0), 1000, temperature=300, trajectory=path, on_step=break_it)
    assert caught.value.run.steps == 25
    assert len(caught.value.run.rows) == len(ase.io.read(path, ":")) == 3


def test_a_run_in_a_thread(crystal):
    """Signals can only be caught in the main thread; elsewhere a run works without."""
    runs = []
    thread = threading.Thread(target=lambda: runs.append(run_dynamics(crystal, NVE(1.0), 5)))
    thread.start()
    thread.join()
    assert runs[0].steps == 5


@pytest.mark.parametrize(("steps", "every"), [(0, 1), (10, 0)])
def test_numbers_of_steps(crystal, steps, every):
    with pytest.raises(ValueError, match="at least 1"):
        run_dynamics(crystal, NVE(), steps, every=every)


def test_kinds_of_trajectories(crystal, tmp_path):
    with pytest.raises(ValueError, match=r"\.traj, \.xyz or \.extxyz"):
        run_dynamics(crystal, NVE(), 1, trajectory=tmp_path / "run.dcd")


def test_what_is_wrong_at_the_start_is_said_before_anything_is_written(crystal, tmp_path):
    crystal.positions[1] = crystal.positions[0]
    with pytest.raises(ValueError, match="one point"):
        run_dynamics(crystal, NVE(), 10, trajectory=tmp_path / "run.traj")
    assert not list(tmp_path.iterdir())


def test_units_of_the_timestep(cluster):
    run = run_dynamics(cluster, NVE(0.25), 4, every=1)
    np.testing.assert_allclose(run.column("time"), 0.25e-3 * np.arange(5), rtol=1e-12)
    assert NVE(0.25).integrator(cluster, None).dt == pytest.approx(0.25 * units.fs)


@pytest.mark.parametrize("wrong", [{"timestep": 0.0}, {"temperature": -1.0}, {"relaxation": np.nan}])
def test_numbers_of_an_ensemble(wrong):
    with pytest.raises(ValueError, match=f"NPT: {next(iter(wrong))} must be a positive number"):
        NPT(**wrong)
