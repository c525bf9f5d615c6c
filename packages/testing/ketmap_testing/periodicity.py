"""One crystal, described in different ways: wrapped atoms, supercells, other cell vectors of the same
lattice."""

import itertools

import numpy as np
from ase import Atoms

from .rows import NotApplicable, compare, relabel, rows, scaled, settle, total
from .systems import generator


def wrapped(calculator, systems, *, rtol=1e-9) -> float:
    """f does not change when atoms move by whole lattice vectors."""
    rng = generator()

    def describe(atoms):
        return np.eye(3, dtype=int), rng.integers(-2, 3, size=(len(atoms), 3)), np.arange(len(atoms))

    return _redescribed("wrapped", calculator, systems, describe, rtol)


def supercell(calculator, systems, *, rtol=1e-9) -> float:
    """Copies of an atom in a supercell have its features; sums grow with the number of copies."""

    def describe(atoms):
        repeats = np.where(atoms.pbc, [2, 1, 3], 1)
        images = np.array(list(itertools.product(*map(range, repeats))))
        offsets = np.repeat(images, len(atoms), axis=0)
        return np.diag(repeats), offsets, np.tile(np.arange(len(atoms)), len(images))

    return _redescribed("supercell", calculator, systems, describe, rtol)


def cell_choice(calculator, systems, *, rtol=1e-9) -> float:
    """f does not depend on which vectors span the lattice, however skewed they are."""
    matrix = np.array([[1, 1, -2], [0, 1, 1], [0, 0, 1]])
    return _redescribed("cell_choice", calculator, systems, lambda atoms: _respanned(atoms, matrix), rtol)


def left_handed(calculator, systems, *, rtol=1e-9) -> float:
    """A left-handed set of cell vectors is as good as a right-handed one."""

    def describe(atoms):
        flips = np.ones(3, dtype=int)
        flips[np.argmax(atoms.pbc)] = -1
        return _respanned(atoms, np.diag(flips))

    return _redescribed("left_handed", calculator, systems, describe, rtol)


def _respanned(atoms: Atoms, matrix: np.ndarray):
    inside = np.outer(atoms.pbc, atoms.pbc)
    return (
        np.where(inside, matrix, np.eye(3, dtype=int)),
        np.zeros((len(atoms), 3), dtype=int),
        np.arange(len(atoms)),
    )


def _redescribed(law, calculator, systems, describe, rtol) -> float:
    """describe(atoms) -> (matrix of the new cell vectors, lattice translation and old index of each new
    atom)."""
    periodic = [atoms for atoms in systems if atoms.pbc.any()]
    if not periodic:
        raise NotApplicable("none of the systems is periodic")
    deviations = []
    for atoms in periodic:
        matrix, offsets, index = describe(atoms)
        offsets = offsets * atoms.pbc
        other = atoms[index]
        other.set_cell(matrix @ atoms.cell.array)
        other.positions += offsets @ atoms.cell.array
        expected = rows(calculator.compute([atoms]))
        actual = relabel(rows(calculator.compute([other])), atoms=[index], offsets=[offsets], cells=[matrix])
        note = f" of {atoms.get_chemical_formula()}"
        if all(block.atom_columns for block in expected.values()):
            deviations += compare(expected, actual, note)
        copies = scaled(expected, len(other) / len(atoms))
        deviations += compare(total(copies), total(actual), note + ", sum over atoms", scale=copies)
    return settle(law, deviations, rtol)
