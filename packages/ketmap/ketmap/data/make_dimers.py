"""Makes ``dimers_hf.extxyz.gz``: interaction energies of rigid pairs of molecules from contact to 50 Å.

Ammonium, formate and acetonitrile (ASE's G2 geometries; ammonium a tetrahedron of 1.02 Å) in four kinds of pairs: +−,
−−, charge-dipole and dipole-dipole, each in two random orientations. RHF/6-31G with density fitting, open boundaries;
``interaction_energy`` is that of the pair less those of its molecules, eV; ``distance`` is between centres of mass, Å.

    pip install pyscf ase
    python make_dimers.py dimers_hf.extxyz.gz
"""

import sys

import ase.io
import numpy as np
from ase import Atoms, units
from ase.build import molecule
from pyscf import gto, scf
from scipy.spatial.transform import Rotation

PAIRS = {
    "charge-charge +-": ("ammonium", "formate"),
    "charge-charge --": ("formate", "formate"),
    "charge-dipole": ("ammonium", "acetonitrile"),
    "dipole-dipole": ("acetonitrile", "acetonitrile"),
}
CHARGES = {"ammonium": 1, "formate": -1, "acetonitrile": 0}
NEAR = (4.5, 4.8, 5.1, 5.4, 5.7, 6.0, 6.4, 6.8, 7.2, 7.6, 7.9)
FAR = (9.0, 11.0, 14.0, 18.0, 25.0, 35.0, 50.0)
ORIENTATIONS = 2


def monomer(name: str) -> Atoms:
    """The rigid molecule, its centre of mass at the origin."""
    if name == "ammonium":
        corners = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) * 1.02 / np.sqrt(3)
        atoms = Atoms("NH4", positions=[[0, 0, 0], *corners])
    elif name == "formate":
        atoms = molecule("HCOOH")
        oxygens = [a.index for a in atoms if a.symbol == "O"]
        acid = min((a.index for a in atoms if a.symbol == "H"), key=lambda h: atoms.get_distances(h, oxygens).min())
        del atoms[acid]
    else:
        atoms = molecule("CH3CN")
    atoms.positions -= atoms.get_center_of_mass()
    return atoms


def energy(atoms: Atoms, charge: int) -> float:
    """RHF/6-31G, density fitting, in eV."""
    geometry = list(zip(atoms.get_chemical_symbols(), atoms.positions))
    method = scf.RHF(gto.M(atom=geometry, charge=charge, basis="6-31g", verbose=0)).density_fit()
    method.conv_tol = 1e-11
    method.kernel()
    if not method.converged:
        raise RuntimeError(f"{atoms.symbols} did not converge")
    return method.e_tot * units.Hartree


def main(path: str) -> None:
    rng = np.random.default_rng(0)
    alone = {name: energy(monomer(name), charge) for name, charge in CHARGES.items()}
    frames = []
    for pair, (first, second) in PAIRS.items():
        for orientation in range(ORIENTATIONS):
            a, b = monomer(first), monomer(second)
            for part in (a, b):
                part.positions = part.positions @ Rotation.random(random_state=int(rng.integers(1 << 31))).as_matrix()
            for distance in (*NEAR, *FAR):
                both = a + b
                both.positions[len(a) :, 2] += distance
                both.info |= {"pair": pair, "orientation": orientation, "distance": distance, "first": len(a)}
                both.info |= {"charge_1": CHARGES[first], "charge_2": CHARGES[second]}
                total = energy(both, CHARGES[first] + CHARGES[second])
                both.info["interaction_energy"] = round(total - alone[first] - alone[second], 8)
                both.positions = both.positions.round(6)
                frames.append(both)
                print(pair, orientation, distance, both.info["interaction_energy"], flush=True)
    ase.io.write(path, frames, format="extxyz")


if __name__ == "__main__":
    main(sys.argv[1])
