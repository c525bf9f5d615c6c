"""Molecular dynamics of rock salt with a linear model that has long range: what becomes of what should be conserved.

64 ions at 600 K; energies and forces to learn from are those of point charges ±1, by torch-pme's Ewald sum, with Born
and Mayer's A exp(−r/ρ) between unlike ions. At constant energy: the slope of the total energy. At constant pressure:
the ensemble's conserved quantity, its slope and its largest change from one step to the next, with a field to an
accuracy, of which waves fade out as the cell changes, and with one cut off at the default k_cutoff, of which waves
enter and leave: those jumps go up and down, and diffuse rather than drift.
"""

import ase.build
import harness
import numpy as np
from ase import units
from ketmap_ase import NPT, NVE, Calculator, Langevin, run_dynamics
from salt import learn, rattled

TEMPERATURE, PRESSURE = 600.0, 0.0  # K, GPa
ACCURACY = 1e-3
PARTS = 10


def slope(time: np.ndarray, energy: np.ndarray) -> tuple[float, float]:
    """Mean rate and its standard error, from the differences between the means of consecutive tenths.

    Right where energy diffuses: differences of means are then correlated by 1/4 with the next ones, which makes the
    error of their mean √(1 + 2/4) times larger. The residuals of a straight line would promise too much. Where energy
    only fluctuates, this is too cautious.
    """
    means = np.array([part.mean() for part in np.array_split(energy, PARTS)])
    centers = np.array([part.mean() for part in np.array_split(time, PARTS)])
    rates = np.diff(means) / np.diff(centers)
    return float(rates.mean()), float(np.sqrt(1.5 / len(rates)) * rates.std(ddof=1))


def mean(values: np.ndarray) -> tuple[float, float]:
    """Mean and its standard error, from the means of tenths."""
    parts = np.array([part.mean() for part in np.array_split(values, PARTS)])
    return float(parts.mean()), float(parts.std(ddof=1) / np.sqrt(PARTS))


class Salt:
    """64 ions that were brought to temperature, and their way through an ensemble."""

    def __init__(self, model, size: int, equilibration: float):
        self.atoms = ase.build.bulk("NaCl", "rocksalt", 5.6, cubic=True) * (size, size, size)
        # without grade: long waves have no like in the small cells of the training set
        self.atoms.calc = Calculator(model, grade=None)
        self.pressures = []
        bath = Langevin(timestep=2.0, temperature=TEMPERATURE)
        run_dynamics(self.atoms, bath, max(round(500 * equilibration), 1), temperature=TEMPERATURE, every=1000)

    def run(self, ensemble, picoseconds: float):
        """Rows of the run, which starts with new velocities; what pressures were, GPa, stands in ``pressures``."""

        def watch(step):
            if isinstance(ensemble, NPT):
                stress = self.atoms.get_stress(include_ideal_gas=True)
                self.pressures.append(-stress[:3].mean() / units.GPa)

        steps = round(1000 * picoseconds / ensemble.timestep)
        return run_dynamics(self.atoms, ensemble, steps, temperature=TEMPERATURE, every=1, on_step=watch)

    def conserved(self, run) -> tuple[np.ndarray, np.ndarray]:
        """Time in ps, and what should be conserved in meV per atom, from the beginning on."""
        energy = run.column("conserved")
        return run.column("time"), 1000 * (energy - energy[0]) / len(self.atoms)


def pair(found: tuple[float, float], digits: int = 3) -> str:
    return f"{found[0]:.{digits}f} ± {found[1]:.{digits}f}"


def constant_energy(report, model, size, picoseconds, timestep):
    salt = Salt(model, size, 0.1 * picoseconds)
    run = salt.run(NVE(timestep=timestep), picoseconds)
    time, energy = salt.conserved(run)
    rate, error = slope(time, 1000 * energy)  # meV per atom and ns
    report.row(
        f"NVE, {len(salt.atoms)} ions, {picoseconds:g} ps in steps of {timestep:g} fs: slope of the total energy",
        abs(rate),
        {},
        unit="meV/atom/ns",
        aim="< 1",
        slope=pair((rate, error)),
        standard_deviation=f"{1000 * energy.std():.2f} µeV/atom",
        temperature=pair(mean(run.column("temperature")), 0),
        lists_of_pairs=f"{salt.atoms.calc.builds} in {run.steps} steps",
    )


def constant_pressure(report, models, size, picoseconds, timestep, figure):
    found = {}
    for name, model in models.items():
        salt = Salt(model, size, 0.1 * picoseconds)
        found[name] = salt, salt.run(NPT(timestep, TEMPERATURE, PRESSURE), picoseconds)
    energies = {name: salt.conserved(run) for name, (salt, run) in found.items()}
    largest = {name: 1000 * float(np.abs(np.diff(energy)).max()) for name, (_, energy) in energies.items()}
    ours = next(iter(models))
    salt, run = found[ours]
    late = slice(len(run.rows) // 5, None)  # the cell has grown
    report.row(
        f"NPT, {len(salt.atoms)} ions, {picoseconds:g} ps in steps of {timestep:g} fs: largest change in one step of "
        "what is conserved",
        largest[ours],
        {name: value for name, value in largest.items() if name != ours},
        unit="µeV/atom",
        slope={name: pair(slope(t[late], 1000 * e[late])) + " meV/atom/ns" for name, (t, e) in energies.items()},
        temperature=pair(mean(run.column("temperature")[late]), 0),
        pressure=f"{pair(mean(np.array(salt.pressures)[late]))} GPa, set {PRESSURE:g}",
        volume=f"{pair(mean(run.column('volume')[late] / len(salt.atoms)))} Å³/atom",
        volume_over=f"{np.ptp(run.column('volume')) / run.column('volume').mean():.1%}",
    )
    if figure is not None:
        draw(found, figure)


def draw(found, path):
    """What is conserved, volume, temperature and pressure against time."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(4, 1, sharex=True, figsize=(7, 9), layout="constrained")
    for (name, (salt, run)), colour in zip(found.items(), ("tab:blue", "tab:orange")):
        time, energy = salt.conserved(run)
        axes[0].plot(time, energy, colour, label=name, lw=1)
        axes[1].plot(time, run.column("volume") / len(salt.atoms), colour, lw=1)
        axes[2].plot(time, run.column("temperature"), colour, lw=0.5)
        axes[3].plot(time, salt.pressures, colour, lw=0.5)
    axes[2].axhline(TEMPERATURE, color="k", lw=0.8)
    axes[3].axhline(PRESSURE, color="k", lw=0.8)
    axes[0].legend()
    for axis, label in zip(axes, ("conserved (meV/atom)", "volume (Å³/atom)", "temperature (K)", "pressure (GPa)")):
        axis.set_ylabel(label)
    axes[3].set_xlabel("time (ps)")
    figure.savefig(path, dpi=120)
    print(f"    -> {path}")


def main():
    given = harness.options(
        __doc__,
        ensemble=("nve,npt", "one of nve and npt, or both"),
        picoseconds=(None, "of each run; 20 of NVE and 10 of NPT unless said"),
        timestep=(2.0, "fs"),
        figure=(None, "picture of NPT to draw"),
    )
    report = harness.Report("ionic_md", given)
    size, timestep = (1 if given.tiny else 2), float(given.timestep)
    length = {"nve": 20.0, "npt": 10.0}
    if given.tiny:
        length = dict.fromkeys(length, 0.2)
    if given.picoseconds is not None:
        length = dict.fromkeys(length, float(given.picoseconds))
    salts = rattled()
    model = learn(salts, accuracy=ACCURACY)
    ensembles = given.ensemble.split(",")
    if "nve" in ensembles:
        constant_energy(report, model, size, length["nve"], timestep)
    if "npt" in ensembles:
        models = {f"accuracy {ACCURACY:g}": model, "k_cutoff": learn(salts)}
        constant_pressure(report, models, size, length["npt"], timestep, given.figure)
    report.save()


if __name__ == "__main__":
    main()
