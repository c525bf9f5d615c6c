"""Rotation, inversion, translation and the order of atoms."""

from dataclasses import replace

import numpy as np
from ketmap_core import o3

from .rows import NotApplicable, Rows, Tensor, compare, relabel, rows, settle
from .systems import generator, random_rotation


def rotation(calculator, systems, *, rtol=1e-9) -> float:
    """f(R x) = D(R) f(x) for a proper rotation R; values without components do not change."""
    return _turned("rotation", calculator, systems, random_rotation(generator()), rtol)


def inversion(calculator, systems, *, rtol=1e-9) -> float:
    """Inversion multiplies a block of o3_lambda λ and o3_sigma σ by σ(−1)^λ."""
    return _turned("inversion", calculator, systems, -np.eye(3), rtol)


def _turned(law, calculator, systems, matrix, rtol) -> float:
    turned = []
    for atoms in systems:
        atoms = atoms.copy()
        atoms.set_cell(atoms.cell.array @ matrix.T)
        atoms.positions = atoms.positions @ matrix.T
        turned.append(atoms)
    expected = turn(rows(calculator.compute(systems)), matrix)
    return settle(law, compare(expected, rows(calculator.compute(turned))), rtol)


def turn(tensor: Tensor, matrix: np.ndarray) -> Tensor:
    """The values seen from axes turned by an orthogonal matrix: r -> matrix @ r."""
    return {key: _turned_block(block, matrix) for key, block in tensor.items()}


def _turned_block(block: Rows, matrix: np.ndarray) -> Rows:
    values = block.values
    sign = 1.0
    if np.linalg.det(matrix) < 0:
        sign = np.prod([value for name, value in block.key.items() if name.startswith("o3_sigma")])
    for axis, name in enumerate(block.components, start=1):
        if name.startswith("o3_mu"):
            order = block.key[name.replace("o3_mu", "o3_lambda")]
            acts = np.asarray(o3.wigner_d(order, matrix), dtype=float)
        elif name.startswith("xyz") or name == "pair_xyz":
            acts = matrix
        else:
            raise NotApplicable(f"how component {name!r} turns is not known")
        values = np.moveaxis(np.tensordot(acts, values, axes=(1, axis)), 0, axis)
    return replace(block, values=sign * values)


def translation(calculator, systems, *, rtol=1e-9) -> float:
    """f does not change when the whole structure moves."""
    moved = [atoms.copy() for atoms in systems]
    for atoms in moved:
        atoms.positions += [1.37, -8.21, 4.56]
    return settle("translation", compare(rows(calculator.compute(systems)), rows(calculator.compute(moved))), rtol)


def permutation(calculator, systems, *, rtol=1e-9) -> float:
    """f(P x) = P f(x): the order of the atoms renames the samples and nothing else."""
    rng = generator()
    orders = [rng.permutation(len(atoms)) for atoms in systems]
    shuffled = [atoms[order] for atoms, order in zip(systems, orders, strict=True)]
    actual = relabel(rows(calculator.compute(shuffled)), atoms=orders)
    return settle("permutation", compare(rows(calculator.compute(systems)), actual), rtol)
