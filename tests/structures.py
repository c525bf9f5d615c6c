"""Structures that the tests of several packages share."""

import ase.build
import numpy as np
import torch


def rattled_nacl():
    atoms = ase.build.bulk("NaCl", "rocksalt", 5.6)
    atoms.rattle(0.1, seed=1)
    return atoms


def rattled_silicon():
    """Cell vectors of 3.84 Å: smaller than most cutoffs."""
    atoms = ase.build.bulk("Si", "diamond", 5.43)
    atoms.rattle(0.05, seed=2)
    return atoms


def skewed(atoms):
    """The same crystal with atoms moved along in a sheared cell."""
    sheared = atoms.copy()
    shear = np.array([[0, 0, 0], [5.0, 0, 0], [0.4, 9.0, 0.3]])
    sheared.set_cell(sheared.cell.array + shear, scale_atoms=True)
    return sheared


def left_handed(atoms):
    """The same crystal in a left-handed cell, its atoms far outside."""
    left = atoms.copy()
    left.set_cell(left.cell.array[[1, 0, 2]])
    left.positions += [30.0, -17.0, 4.0]
    return left


def usual_structures() -> dict[str, list]:
    """Molecules, bulk, mixed types: lists that calculators of neighbours are tried on."""
    methanol, ethanol = ase.build.molecule("CH3OH"), ase.build.molecule("CH3CH2OH")
    nacl, silicon = rattled_nacl(), rattled_silicon()
    return {"molecules": [methanol, ethanol], "bulk": [nacl, silicon], "mixed": [silicon, methanol, nacl]}


def torch_system(atoms, dtype=torch.float64, grad=False):
    """A metatomic System; ``grad``: of positions and cell."""
    from metatomic.torch import System

    return System(
        types=torch.tensor(atoms.numbers, dtype=torch.int32),
        positions=torch.tensor(atoms.positions, dtype=dtype, requires_grad=grad),
        cell=torch.tensor(np.array(atoms.cell), dtype=dtype, requires_grad=grad),
        pbc=torch.tensor(atoms.pbc),
    )
