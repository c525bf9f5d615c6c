"""Molecular dynamics of rock salt with a linear model that has long range: what becomes of the total energy.

Energies and forces to learn from are those of point charges ±1, by torch-pme's Ewald sum, with Born and Mayer's
A exp(−r/ρ) between unlike ions. After a tenth for equilibration, the slope of the total energy and its standard error,
from the means of ten parts of the run.
"""

import argparse

import ase.build
import numpy as np
from ketmap_ase import NVE, Calculator, run_dynamics
from salt import learn, rattled


def slope(time: np.ndarray, energy: np.ndarray, parts: int = 10) -> tuple[float, float]:
    """Of a straight line, with the error that blocks of its residuals tell: they are correlated in time."""
    fitted = np.polyfit(time, energy, 1)
    residuals = np.array([part.mean() for part in np.array_split(energy - np.polyval(fitted, time), parts)])
    centers = np.array([part.mean() for part in np.array_split(time, parts)])
    error = np.sqrt((residuals**2).sum() / (parts - 2) / ((centers - centers.mean()) ** 2).sum())
    return float(fitted[0]), float(error)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--picoseconds", type=float, default=20.0)
    parser.add_argument("--timestep", type=float, default=1.0, help="fs")
    given = parser.parse_args()
    model = learn(rattled(), accuracy=1e-3)
    atoms = ase.build.bulk("NaCl", "rocksalt", 5.6, cubic=True) * (2, 2, 2)
    atoms.calc = Calculator(model, grade=None)  # long waves have no like in the small cells of the training set
    steps = round(1000 * given.picoseconds / given.timestep)
    run = run_dynamics(atoms, NVE(timestep=given.timestep), steps, temperature=600.0, every=10)
    late = slice(len(run.rows) // 10, None)
    time, total = run.column("time")[late], run.column("conserved")[late] / len(atoms)
    found, error = slope(time, total)  # eV per atom and ps
    print(
        f"{len(atoms)} ions, {given.picoseconds:g} ps at {run.column('temperature')[late].mean():.0f} K: "
        f"slope {1e6 * found:.3f} ± {1e6 * error:.3f} meV/atom/ns, standard deviation {1e6 * total.std():.2f} µeV/atom"
    )


if __name__ == "__main__":
    main()
