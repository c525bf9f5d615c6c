"""Molecular dynamics: a run that leaves a trajectory and a record, also when it is stopped."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io.extxyz import write_xyz
from ase.io.trajectory import Trajectory
from ase.md.velocitydistribution import Stationary, ZeroRotation, thermalize_momenta
from ketmap_core.errors import KetmapError

from .calculator import Calculator
from .ensembles import Ensemble

COLUMNS = ("time", "potential", "kinetic", "temperature", "volume", "conserved")


@dataclass
class Run:
    """What happened: one row every ``every`` steps, the first at step 0.

    Rows are (time / ps, potential / eV, kinetic / eV, temperature / K, volume / Å³, conserved / eV); volume
    and conserved are NaN where there is none. The temperature counts three degrees of freedom per atom, as
    ASE does.
    """

    n_atoms: int
    rows: list[tuple[float, ...]] = field(default_factory=list)
    steps: int = 0
    interrupted: bool = False

    def column(self, name: str) -> np.ndarray:
        """One of the columns time, potential, kinetic, temperature, volume, conserved -> [row]."""
        return np.array([row[COLUMNS.index(name)] for row in self.rows])

    @property
    def drift(self) -> float:
        """Slope of the conserved energy by least squares, meV per atom and ps; NaN if there is none."""
        time, energy = self.column("time"), self.column("conserved")
        if len(time) < 2 or np.isnan(energy).any():
            return float("nan")
        return float(np.polyfit(time, energy - energy[0], 1)[0] / self.n_atoms * 1000.0)


class DynamicsError(KetmapError):
    """A run that could not go on; ``run`` holds what was run until then."""

    def __init__(self, message: str, run: Run):
        super().__init__(message)
        self.run = run


def start_velocities(atoms: Atoms, temperature: float, rng: np.random.Generator) -> None:
    """Maxwell-Boltzmann momenta at exactly ``temperature`` (K); no drift, and no rotation of a molecule."""
    thermalize_momenta(atoms, temperature, exact_temperature=True, rng=rng)
    if len(atoms) > 1:
        Stationary(atoms)
    if len(atoms) > 2 and not atoms.pbc.any():
        with np.errstate(divide="ignore", invalid="ignore"):  # a linear molecule does not turn about its axis
            ZeroRotation(atoms)


def run_dynamics(
    atoms: Atoms,
    ensemble: Ensemble,
    steps: int,
    *,
    temperature: float | None = None,
    trajectory: str | Path | None = None,
    every: int = 10,
    seed: int = 0,
    on_step: Callable[[int], None] | None = None,
) -> Run:
    """Run ``steps`` steps of an ensemble (:class:`NVE`, :class:`Langevin`, :class:`NPT`); tell what happened.

    atoms: with a calculator; moved in place. temperature: K, of new velocities; None keeps those that the
    atoms have.
    trajectory: a path ending with ``.traj`` (ASE's format) or ``.xyz`` / ``.extxyz``, written every
    ``every`` steps with energies, forces and momenta. seed: of velocities and noise. on_step: called after
    every step.

    Ctrl-C ends the run after the step under way: all that was run is returned and in the trajectory, and
    ``run.interrupted`` is true.

    :raises DynamicsError: if the model fails on the way; its ``run`` holds what was run. What is wrong with
        the structure at the start is raised as it is.
    :raises ValueError: for a cell that the ensemble cannot work with, numbers of steps that are not
        positive, an unknown kind of trajectory.
    """
    if steps < 1 or every < 1:
        raise ValueError(f"steps and every must be at least 1, got {steps} and {every}")
    ensemble.check(atoms)
    rng = np.random.default_rng(seed)
    if isinstance(atoms.calc, Calculator):
        atoms.calc.begin()
    atoms.get_potential_energy()  # what is wrong with the structure shows here, before anything is written
    if temperature is not None:
        start_velocities(atoms, temperature, rng)
    integrator = ensemble.integrator(atoms, rng)
    run = Run(len(atoms))
    with _trajectory(trajectory) as write, _stop_on_interrupt() as stopped:
        try:
            for _ in integrator.irun(steps):
                run.steps = integrator.nsteps
                if run.steps % every == 0:
                    run.rows.append(_row(atoms, integrator, ensemble))
                    write(atoms)
                if on_step is not None:
                    on_step(run.steps)
                if stopped.is_set():
                    run.interrupted = True
                    break
        except Exception as error:
            raise DynamicsError(f"step {integrator.nsteps + 1}: {error}", run) from error
    return run


def _row(atoms, integrator, ensemble) -> tuple[float, ...]:
    conserved = ensemble.conserved(integrator)
    return (
        integrator.get_time() / (1000.0 * units.fs),
        atoms.get_potential_energy(),
        atoms.get_kinetic_energy(),
        atoms.get_temperature(),
        atoms.get_volume() if atoms.pbc.all() else float("nan"),
        float("nan") if conserved is None else conserved,
    )


@contextlib.contextmanager
def _trajectory(path: str | Path | None) -> Iterator[Callable[[Atoms], None]]:
    """A function that appends a frame; each frame is on disk when it returns."""
    suffix = None if path is None else Path(path).suffix
    if suffix is None:
        yield lambda atoms: None
    elif suffix == ".traj":
        with Trajectory(str(path), "w") as file:
            yield lambda atoms: file.write(_frame(atoms))
    elif suffix in (".xyz", ".extxyz"):
        with open(path, "w") as file:

            def write(atoms: Atoms) -> None:
                write_xyz(file, [_frame(atoms)])
                file.flush()

            yield write
    else:
        raise ValueError(f"trajectory '{path}': expected a name ending with .traj, .xyz or .extxyz")


def _frame(atoms: Atoms) -> Atoms:
    """The atoms with the results of this step, without the references that they may have come with."""
    frame = atoms.copy()
    frame.info = {}
    for name in set(frame.arrays) & set(atoms.calc.results):
        del frame.arrays[name]
    frame.calc = SinglePointCalculator(frame, **atoms.calc.results)
    return frame


@contextlib.contextmanager
def _stop_on_interrupt() -> Iterator[threading.Event]:
    """Ctrl-C sets the event instead of cutting through a step; a second Ctrl-C acts at once."""
    stopped = threading.Event()
    if threading.current_thread() is not threading.main_thread():  # only there can signals be caught
        yield stopped
        return

    def stop(number, frame):
        stopped.set()
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield stopped
    finally:
        signal.signal(signal.SIGINT, before)
