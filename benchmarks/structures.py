"""The structures that are measured: molecular crystals from the data folder, silicon built in code."""

import math
import os
from pathlib import Path

import ase.build
import ase.io
import numpy as np
from ase import Atoms


def data(name: str) -> Path:
    """A file of the data folder that the environment variable KETMAP_DATA names."""
    root = os.environ.get("KETMAP_DATA")
    if root is None or not (Path(root) / name).exists():
        raise SystemExit(f"{name} is not there: set KETMAP_DATA to the folder of the data sets (now {root!r})")
    return Path(root) / name


def crystals(n_atoms: int = 2640) -> list[Atoms]:
    """Paracetamol and azaphenacene crystals (H, C, N, O), ``n_atoms`` altogether or a few more; 2640: 20."""
    paracetamol = ase.io.read(data("paracetamol_alpha/paracetamol_train.xyz.gz"), "::7")
    azaphenacene = ase.io.read(data("azaphenacene/azaphenacene.xyz.gz"), ":")
    others = [atoms for i, atoms in enumerate(azaphenacene) if i % 9 != 7]
    chosen, total = [], 0
    for atoms in [*paracetamol[:3], *azaphenacene[7::9], *others, *paracetamol[3:]]:
        if total >= n_atoms:
            break
        chosen.append(Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=True))
        total += len(atoms)
    return chosen


def large_crystal(n_atoms: int = 640) -> Atoms:
    """One paracetamol crystal (H, C, N, O), repeated to about ``n_atoms`` atoms, with thermal noise."""
    atoms = ase.io.read(data("paracetamol_alpha/paracetamol_train.xyz.gz"), "0")
    atoms = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=True)
    repeats = np.ones(3, dtype=int)
    while len(atoms) * repeats.prod() < n_atoms:
        repeats[np.argmin(repeats * atoms.cell.lengths())] += 1
    atoms = atoms.repeat(repeats)
    atoms.rattle(0.02, seed=0)
    return atoms


def silicon(n_atoms: int) -> Atoms:
    """A cube of bulk silicon, ``n_atoms`` or a few more, with thermal noise of 0.08 Å."""
    repeat = math.ceil(round((n_atoms / 8) ** (1 / 3), 6))
    atoms = ase.build.bulk("Si", "diamond", a=5.431, cubic=True).repeat(repeat)
    atoms.rattle(0.08, seed=0)
    return atoms
