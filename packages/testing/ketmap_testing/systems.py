"""Small structures, built in code, on which laws are tried."""

from collections.abc import Sequence

import numpy as np
from ase import Atoms


def molecule(types: Sequence[int] = (1, 6, 8)) -> Atoms:
    """Ethanol, bent out of its symmetric shape: C C O and six H, no cell."""
    light, heavy, other = (types[i % len(types)] for i in range(3))
    positions = [
        [0.012, -0.571, 0.018],
        [-1.231, 0.266, -0.047],
        [1.142, 0.301, 0.071],
        [0.043, -1.236, 0.902],
        [0.031, -1.197, -0.896],
        [-1.284, 0.893, 0.862],
        [-1.274, 0.911, -0.931],
        [-2.117, -0.389, 0.029],
        [1.951, -0.228, 0.184],
    ]
    return Atoms(numbers=[heavy, heavy, other] + [light] * 6, positions=positions)


def crystal(types: Sequence[int] = (1, 6, 8)) -> Atoms:
    """Five atoms of mixed types in a triclinic cell, some of them outside it."""
    cell = [[4.1, 0.2, -0.3], [1.3, 3.7, 0.4], [-0.8, 0.9, 4.6]]
    scaled = [
        [0.03, 0.07, 0.11],
        [0.48, 0.56, 0.02],
        [0.55, -0.04, 0.47],
        [-0.02, 1.52, 0.53],
        [0.74, 0.28, 0.76],
    ]
    numbers = [types[i % len(types)] for i in (0, 1, 2, 0, 1)]
    return Atoms(numbers=numbers, scaled_positions=scaled, cell=cell, pbc=True)


def small_cell(types: Sequence[int] = (1, 6, 8)) -> Atoms:
    """Two atoms in a skewed cell much smaller than any cutoff: every atom sees many images of itself."""
    cell = [[2.3, 0.1, 0.0], [0.7, 2.1, 0.2], [0.3, -0.6, 2.6]]
    numbers = [types[0], types[1 % len(types)]]
    return Atoms(numbers=numbers, scaled_positions=[[0.1, 0.1, 0.1], [0.58, 0.43, 0.61]], cell=cell, pbc=True)


def slab(types: Sequence[int] = (1, 6, 8)) -> Atoms:
    """Four atoms, periodic along two of the three cell vectors."""
    cell = [[3.3, 0.4, 0.1], [-0.5, 3.9, 0.2], [0.1, 0.3, 9.0]]
    positions = [[0.2, 0.1, 4.0], [1.9, 1.7, 4.6], [0.4, 2.2, 5.5], [2.1, 0.2, 6.1]]
    numbers = [types[i % len(types)] for i in (0, 1, 2, 1)]
    return Atoms(numbers=numbers, positions=positions, cell=cell, pbc=[True, True, False])


def default_systems(types: Sequence[int] = (1, 6, 8)) -> list[Atoms]:
    """A molecule, a triclinic crystal of mixed types, a small cell and a slab, made of the given types.

    >>> [len(atoms) for atoms in default_systems()]
    [9, 5, 2, 4]
    """
    return [molecule(types), crystal(types), small_cell(types), slab(types)]


def generator() -> np.random.Generator:
    """Random numbers that are the same in every run: a law that breaks, breaks again."""
    return np.random.default_rng(20)


def random_rotation(rng: np.random.Generator) -> np.ndarray:
    """A proper rotation, uniform over the group (QR of a Gaussian matrix)."""
    q, r = np.linalg.qr(rng.normal(size=(3, 3)))
    q *= np.sign(np.diag(r))
    return q * np.linalg.det(q)  # -> [3, 3]
