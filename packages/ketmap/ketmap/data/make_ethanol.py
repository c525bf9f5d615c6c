"""Makes ``ethanol_xtb.extxyz.gz``: ethanol configurations with GFN2-xTB energies and forces.

Ten Langevin trajectories of GFN2-xTB itself (five at 300 K, five at 600 K), started from the anti and from the gauche
conformer, one configuration every 50 fs after 250 fs: 500 in all, shuffled. Energies in eV, forces in eV/Å, both with
the self-consistency converged a hundred times tighter than in the dynamics: forces are minus the derivative of the
energy to better than 1e-5 eV/Å.

    pip install tblite ase
    python make_ethanol.py ethanol_xtb.extxyz.gz

The seeds are fixed; another version of tblite or another processor still gives another, equally good set, because
trajectories are chaotic. Method: Bannwarth, Ehlert, Grimme, J. Chem. Theory Comput. 15, 1652 (2019).
"""

import sys

import ase.io
import numpy as np
from ase import units
from ase.build import molecule
from ase.calculators.singlepoint import SinglePointCalculator
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from ase.optimize import BFGS
from tblite.ase import TBLite

METHOD = "GFN2-xTB"
EVERY, WARM_UP, SAMPLES, TIME_STEP = 100, 500, 50, 0.5  # steps, steps, per trajectory, fs


def conformer(name: str):
    """Relaxed ethanol; ``gauche`` has its hydroxyl hydrogen turned by 120 degrees about the C-O bond."""
    atoms = molecule("CH3CH2OH")
    carbons = [a.index for a in atoms if a.symbol == "C"]
    oxygen = next(a.index for a in atoms if a.symbol == "O")
    hydroxyl = next(a.index for a in atoms if a.symbol == "H" and atoms.get_distance(a.index, oxygen) < 1.1)
    middle = min(carbons, key=lambda c: atoms.get_distance(c, oxygen))
    end = next(c for c in carbons if c != middle)
    if name == "gauche":
        atoms.rotate_dihedral(end, middle, oxygen, hydroxyl, 120, indices=[hydroxyl])
    atoms.calc = TBLite(method=METHOD, verbosity=0)
    BFGS(atoms, logfile=None).run(fmax=0.01, steps=200)
    return atoms


def trajectory(name: str, temperature: float, seed: int):
    rng = np.random.default_rng(seed)
    atoms = conformer(name)
    MaxwellBoltzmannDistribution(atoms, temperature_K=temperature, rng=rng)
    dynamics = Langevin(atoms, TIME_STEP * units.fs, temperature_K=temperature, friction=0.01 / units.fs, rng=rng)
    dynamics.run(WARM_UP)
    for _ in range(SAMPLES):
        dynamics.run(EVERY)
        frame = atoms.copy()
        del frame.arrays["momenta"]
        frame.positions -= frame.get_center_of_mass()
        frame.calc = TBLite(method=METHOD, accuracy=0.01, verbosity=0)
        energy, forces = frame.get_potential_energy(), frame.get_forces()
        frame.calc = SinglePointCalculator(frame, energy=energy, forces=forces)
        frame.info.update(temperature=temperature, start=name)
        yield frame


def main(path: str) -> None:
    frames = []
    for seed in range(10):
        frames += trajectory("gauche" if seed % 2 else "anti", 300.0 if seed < 5 else 600.0, seed)
        print(f"{len(frames)} configurations", flush=True)
    order = np.random.default_rng(2024).permutation(len(frames))
    ase.io.write(path, [frames[k] for k in order], format="extxyz")


if __name__ == "__main__":
    main(sys.argv[1])
