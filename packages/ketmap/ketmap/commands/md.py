"""Molecular dynamics with a model: a folder with trajectory, table and plot."""

import csv
import time
from pathlib import Path

import numpy as np
from ketmap_ase import NPT, NVE, Calculator, DynamicsError, Langevin, Run, run_dynamics
from ketmap_ase.dynamics import COLUMNS
from ketmap_core import read

from .. import console, documents, plots
from ..config import MdConfig
from ..folders import CONFIG, SIGNATURE, make_folder


def md(settings: MdConfig, overwrite: bool = False) -> Run:
    """Run as the settings say; a run that stops early leaves all that was run."""
    calculator = Calculator(settings.model, skin=settings.skin)
    (atoms,) = read(settings.structure, settings.frame)
    atoms.calc = calculator
    ensemble = _ensemble(settings)
    ensemble.check(atoms)
    atoms.get_potential_energy()  # what is wrong with the structure shows before a folder is made
    folder = Path(settings.output or f"runs/md-{settings.ensemble}")
    make_folder(folder, overwrite)
    settings = settings.model_copy(
        update={name: str(Path(getattr(settings, name)).resolve()) for name in ("model", "structure")}
    )
    documents.dump(folder / CONFIG, settings, f"{SIGNATURE}: the settings of this run\nagain: ketmap md {CONFIG}")
    failure = None
    started = time.perf_counter()
    try:
        with console.progress() as advance:
            run = run_dynamics(
                atoms,
                ensemble,
                settings.steps,
                temperature=None if settings.keep_velocities else settings.temperature,
                trajectory=folder / f"trajectory.{settings.trajectory}",
                every=settings.every,
                seed=settings.seed,
                on_step=lambda step: advance("dynamics", step, settings.steps) if step % 20 == 0 else None,
            )
    except DynamicsError as error:
        run, failure = error.run, error
    seconds = time.perf_counter() - started
    _write_table(folder / "md.csv", run)
    plots.dynamics(folder / "md.png", run, f"{atoms.get_chemical_formula()}, {settings.ensemble.upper()}")
    _report(run, settings, seconds, folder)
    if failure is not None:
        raise failure
    if run.interrupted:
        raise KeyboardInterrupt
    return run


def _ensemble(settings: MdConfig) -> NVE | Langevin | NPT:
    if settings.ensemble == "nve":
        return NVE(settings.timestep)
    if settings.ensemble == "langevin":
        return Langevin(settings.timestep, settings.temperature, **settings.given("relaxation"))
    given = settings.given("pressure", "relaxation", "cell_relaxation", "fixed_shape")
    return NPT(settings.timestep, settings.temperature, **given)


def _write_table(path: Path, run: Run) -> None:
    with open(path, "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(COLUMNS)
        rows.writerows(run.rows)


def _report(run: Run, settings: MdConfig, seconds: float, folder: Path) -> None:
    stopped = " (interrupted)" if run.interrupted else ""
    console.out.print(
        f"{settings.ensemble.upper()}: {run.steps} steps of {settings.timestep:g} fs{stopped}, "
        f"{1000 * seconds / max(run.steps, 1):.2f} ms per step; "
        f"mean temperature {np.mean(run.column('temperature')):.0f} K"
    )
    if not np.isnan(run.drift):
        of = "total energy" if settings.ensemble == "nve" else "conserved energy"
        console.out.print(f"drift of the {of}: [bold]{run.drift:+.3g} meV/atom/ps[/bold]")
    console.out.print(f"[bold]{folder}[/bold]: trajectory.{settings.trajectory}, md.csv, md.png, {CONFIG}")
