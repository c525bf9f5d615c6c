"""Gradients against finite differences, along random directions.

The sixth-order difference with steps of 5e-4 Å reaches 1e-11 of smooth functions. A stencil that straddles a
kink (the second derivative of a shifted-cosine cutoff jumps) proves nothing: the fourth-order difference of
the same points disagrees with it there, and such elements are left out. At least half of the elements have to
remain.
"""

import numpy as np

from .rows import FLOOR, Deviation, NotApplicable, Rows, align, largest, rows, settle
from .systems import generator

STEP = 5e-4  # Å, or the same fraction of a strain
SHARE = 0.1  # of it for cells and strains, which move distant neighbours far: few stencils should meet a kink
SIXTH_ORDER = {-3: -1 / 60, -2: 3 / 20, -1: -3 / 4, 1: 3 / 4, 2: -3 / 20, 3: 1 / 60}
FOURTH_ORDER = {-2: 1 / 12, -1: -2 / 3, 1: 2 / 3, 2: -1 / 12}


def positions_gradient(calculator, systems, *, rtol=1e-9) -> float:
    """Gradient blocks ``positions`` are the derivative of the values with respect to the atoms' positions."""
    rng = generator()
    directions = [rng.normal(size=(len(atoms), 3)) for atoms in systems]

    def moved(atoms, direction, t):
        atoms.positions += t * direction

    def contract(block, direction):  # the last sample column is the atom that moves
        return np.einsum("sx...,sx->s...", block.values, direction[block.samples[:, -1]])

    return _matches("positions", calculator, systems, directions, moved, contract, rtol)


def strain_gradient(calculator, systems, *, rtol=1e-9) -> float:
    """Gradient blocks ``strain`` are the derivative for r -> r (1 + ε) of atoms and cell, [row, column]."""
    rng = generator()
    directions = [SHARE * rng.normal(size=(3, 3)) for _ in systems]

    def strained(atoms, direction, t):
        deformation = np.eye(3) + t * direction
        atoms.set_cell(atoms.cell.array @ deformation)
        atoms.positions = atoms.positions @ deformation

    def contract(block, direction):
        return np.einsum("sxy...,xy->s...", block.values, direction)

    return _matches("strain", calculator, systems, directions, strained, contract, rtol)


def cell_gradient(calculator, systems, *, rtol=1e-9) -> float:
    """Gradient blocks ``cell`` are the derivative for the cell vectors at fixed Cartesian positions."""
    systems = [atoms for atoms in systems if atoms.pbc.any()]
    if not systems:
        raise NotApplicable("none of the systems is periodic")
    rng = generator()
    directions = [SHARE * rng.normal(size=(3, 3)) * atoms.pbc[:, None] for atoms in systems]  # [abc, xyz]

    def changed(atoms, direction, t):
        atoms.set_cell(atoms.cell.array + t * direction)

    def contract(block, direction):
        axes = "ax" if block.components[0].startswith("abc") else "xa"
        return np.einsum(f"s{axes}...,ax->s...", block.values, direction)

    return _matches("cell", calculator, systems, directions, changed, contract, rtol)


def _matches(name, calculator, systems, directions, change, contract, rtol) -> float:
    def values_at(t):
        displaced = [atoms.copy() for atoms in systems]
        for atoms, direction in zip(displaced, directions, strict=True):
            change(atoms, direction, t)
        return rows(calculator.compute(displaced))

    tensor = calculator.compute(systems, gradients=[name])
    values, gradients = rows(tensor), rows(tensor, gradient=name)
    points = {k: values_at(k * STEP) for k in SIXTH_ORDER}
    slopes = {key: _along(block, gradients[key], directions, contract) for key, block in values.items()}
    floor = FLOOR * max((np.abs(slope).max() for slope in slopes.values() if slope.size), default=0.0)
    deviations = []
    for key, block in values.items():
        aligned = {k: align(block, point.get(key)) for k, point in points.items()}
        deviations += differs(slopes[key], aligned, block.label, rtol, floor, size=largest([values]))
    return settle(f"{name}_gradient", deviations, rtol)


def _along(block: Rows, gradient: Rows, directions, contract) -> np.ndarray:
    """The gradient contracted with the direction of each system, in the rows of the block."""
    slope = np.zeros(block.values.shape)
    width = block.samples.shape[1]
    _, place = np.unique(np.vstack([block.samples, gradient.samples[:, :width]]), axis=0, return_inverse=True)
    place = place.reshape(-1)
    row_of = np.empty(len(block.samples) and place.max() + 1, dtype=int)
    row_of[place[: len(block.samples)]] = np.arange(len(block.samples))
    system = gradient.samples[:, gradient.names.index("system")]
    for index in np.unique(system):
        here = np.flatnonzero(system == index)
        part = Rows(**{**vars(gradient), "samples": gradient.samples[here], "values": gradient.values[here]})
        np.add.at(slope, row_of[place[len(block.samples) :][here]], contract(part, directions[index]))
    return slope


def differs(slope: np.ndarray, points: dict[int, np.ndarray], label: str, rtol: float, scale=0.0, size=0.0):
    """Deviation of a slope from the finite difference of values at multiples of STEP.

    scale: of slopes, size: of values, where those of this block are not all that counts: terms that cancel leave
    rounding noise.
    """
    if not slope.size:
        return
    numeric = sum(weight * points[k] for k, weight in SIXTH_ORDER.items()) / STEP
    rougher = sum(weight * points[k] for k, weight in FOURTH_ORDER.items()) / STEP
    scale = max(scale, np.abs(slope).max(), np.abs(numeric).max()) or 1.0
    noise = 10 * np.finfo(float).eps * max(size, *(np.abs(point).max() for point in points.values())) / STEP
    smooth = np.abs(numeric - rougher) <= 0.3 * max(rtol * scale, noise)
    if smooth.mean() < 0.5:
        yield Deviation(float("inf"), f"{label}: most values are too rough for a finite difference")
        return
    gap = np.abs(np.where(smooth, slope - numeric, 0.0)).max()
    if not gap <= rtol * scale:
        gap = max(gap - noise, 0.0) if np.isfinite(gap) else float("inf")
    yield Deviation(float(gap / scale), label)
