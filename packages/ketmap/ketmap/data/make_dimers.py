"""Makes ``dimers_hf.extxyz.gz``: interaction energies of rigid pairs of molecules from contact to 50 Å.

Ten molecules (ASE's G2 geometries, to which a proton is added or from which it is taken; ammonium a tetrahedron,
guanidinium planar) in pairs of every kind, each in three random orientations. RHF/6-31G with density fitting, open
boundaries; ``interaction_energy`` is that of the pair less those of its molecules, eV; ``distance`` is between centres
of mass, Å; ``first`` counts the atoms of the first molecule.

    pip install pyscf ase
    python make_dimers.py dimers_hf.extxyz.gz
"""

import sys

import ase.io
import numpy as np
from ase import Atoms, units
from ase.build import molecule
from pyscf import gto, scf
from scipy.linalg import block_diag
from scipy.spatial.transform import Rotation

CHARGES = {
    "ammonium": 1,
    "methylammonium": 1,
    "guanidinium": 1,
    "formate": -1,
    "acetate": -1,
    "ammonia": 0,
    "water": 0,
    "acetonitrile": 0,
    "acetamide": 0,
    "ethane": 0,
}
G2 = {"formate": "HCOOH", "acetate": "CH3COOH", "ammonia": "NH3", "water": "H2O", "acetonitrile": "CH3CN"}
G2 |= {"methylammonium": "H3CNH2", "acetamide": "CH3CONH2", "ethane": "C2H6"}
PAIRS = {
    "charge-charge +-": (
        "ammonium formate",
        "methylammonium acetate",
        "ammonium acetate",
        "methylammonium formate",
        "guanidinium formate",
        "guanidinium acetate",
    ),
    "charge-charge ++": (
        "ammonium ammonium",
        "methylammonium ammonium",
        "methylammonium methylammonium",
        "guanidinium ammonium",
    ),
    "charge-charge --": ("formate formate", "acetate formate", "acetate acetate"),
    "charge-dipole": (
        "ammonium acetonitrile",
        "ammonium water",
        "ammonium ammonia",
        "formate water",
        "formate ammonia",
        "methylammonium water",
        "methylammonium acetamide",
        "guanidinium water",
        "acetate ammonia",
        "acetate acetonitrile",
        "acetate acetamide",
    ),
    "charge-apolar": ("ammonium ethane", "formate ethane", "methylammonium ethane", "acetate ethane"),
    "dipole-dipole": ("acetonitrile acetonitrile", "water acetonitrile", "water ammonia"),
}
CONTACT = 2.4  # Å between the closest atoms
NEAR = (0.0, 0.1, 0.22, 0.36, 0.54, 0.75, 1.0)  # of the way from contact to 7.9 Å
FAR = (9.0, 12.0, 17.0, 28.0, 50.0)  # Å
ORIENTATIONS = 3


def monomer(name: str) -> Atoms:
    """The rigid molecule, its centre of mass at the origin."""
    if name == "ammonium":
        corners = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) * 1.02 / np.sqrt(3)
        atoms = Atoms("NH4", positions=[[0, 0, 0], *corners])
    elif name == "guanidinium":  # planar; C-N 1.33 Å, N-H 1.01 Å, angles of 120°
        turns = [Rotation.from_euler("z", 60 * i, degrees=True).apply([1.0, 0.0, 0.0]) for i in range(6)]
        atoms = Atoms("C", positions=[[0, 0, 0]])
        for i in (0, 2, 4):
            nitrogen = 1.33 * turns[i]
            hydrogens = [nitrogen + 1.01 * turns[i - 1], nitrogen + 1.01 * turns[(i + 1) % 6]]
            atoms += Atoms("NH2", positions=[nitrogen, *hydrogens])
    else:
        atoms = molecule(G2[name])
    if name in ("formate", "acetate"):  # without the hydrogen on oxygen
        oxygens = [a.index for a in atoms if a.symbol == "O"]
        del atoms[min((a.index for a in atoms if a.symbol == "H"), key=lambda h: atoms.get_distances(h, oxygens).min())]
    elif name == "methylammonium":  # a hydrogen where the lone pair is: against the mean of the bonds
        nitrogen = next(a.index for a in atoms if a.symbol == "N")
        bonds = atoms.positions[atoms.get_distances(nitrogen, range(len(atoms))) < 1.7] - atoms.positions[nitrogen]
        lone = -sum(b / np.linalg.norm(b) for b in bonds if np.linalg.norm(b) > 0)
        atoms += Atoms("H", positions=[atoms.positions[nitrogen] + 1.02 * lone / np.linalg.norm(lone)])
    atoms.positions -= atoms.get_center_of_mass()
    return atoms


def solve(atoms: Atoms, charge: int, guess: np.ndarray | None = None) -> tuple[float, np.ndarray]:
    """RHF/6-31G with density fitting: energy in eV, density matrix."""
    geometry = list(zip(atoms.get_chemical_symbols(), atoms.positions))
    method = scf.RHF(gto.M(atom=geometry, charge=charge, basis="6-31g", verbose=0)).density_fit()
    method.conv_tol = 1e-10
    method.kernel(guess)
    if not method.converged:
        raise RuntimeError(f"{atoms.symbols} did not converge")
    return method.e_tot * units.Hartree, method.make_rdm1()


def distances(first: Atoms, second: Atoms) -> np.ndarray:
    """Of the centres of mass along z, from contact on."""
    grid = np.arange(2.0, 7.0, 0.05)
    gaps = [np.linalg.norm(first.positions[:, None] - second.positions - [0, 0, d], axis=2).min() for d in grid]
    contact = grid[np.flatnonzero(np.array(gaps) < CONTACT)[-1] + 1]
    return np.array([*(contact + (7.9 - contact) * np.array(NEAR)), *FAR]).round(3)


def curve(kind: str, pair: str, orientation: int) -> list[Atoms]:
    """One pair of molecules at all distances."""
    names = pair.split()
    parts = [monomer(name) for name in names]
    for place, part in enumerate(parts):
        seed = [orientation, place, *pair.encode()]
        part.positions = part.positions @ Rotation.random(rng=np.random.default_rng(seed)).as_matrix()
    charges = [CHARGES[name] for name in names]
    (one, density_1), (two, density_2) = (solve(part, charge) for part, charge in zip(parts, charges))
    frames = []
    for distance in distances(*parts):
        both = parts[0] + parts[1]
        both.positions[len(parts[0]) :, 2] += distance
        both.positions = both.positions.round(6)
        total, _ = solve(both, sum(charges), block_diag(density_1, density_2))
        both.info = {"kind": kind, "pair": pair, "orientation": orientation, "distance": float(distance)}
        both.info |= {"first": len(parts[0]), "charge_1": charges[0], "charge_2": charges[1]}
        both.info["interaction_energy"] = round(total - one - two, 7)
        frames.append(both)
    return frames


def main(path: str) -> None:
    frames = []
    for kind, pairs in PAIRS.items():
        for pair in pairs:
            for orientation in range(ORIENTATIONS):
                frames += curve(kind, pair, orientation)
                print(kind, pair, orientation, flush=True)
    ase.io.write(path, frames, format="extxyz")


if __name__ == "__main__":
    main(sys.argv[1])
