"""Laws of calculators that take metatomic systems: autograd, once and twice; float32."""

import numpy as np
import torch
from metatomic.torch import System, systems_to_torch

from .derivatives import SHARE, SIXTH_ORDER, STEP, differs
from .rows import Deviation, NotApplicable, array, compare, rows, settle
from .systems import generator

SINGLE_PRECISION = 1e-4


def autograd(calculator, systems, *, rtol=1e-9) -> float:
    """The gradient by autograd is that of the explicit gradient blocks, for positions and cell."""
    deviations = []
    for atoms in systems:
        system, leaves = _differentiable(atoms)
        names = ["positions", "cell"][: len(leaves)]
        score, weights = _weighted_sum(_compute(calculator, [system]))
        contracted = _gradient(score, leaves)
        tensor = calculator.compute([atoms], gradients=names)
        for name, found in zip(names, contracted, strict=True):
            explicit = _contracted(tensor, name, weights, len(atoms))
            gap, scale = np.abs(array(found) - explicit).max(), np.abs(explicit).max() or 1.0
            deviations.append(Deviation(float(gap / scale), f"{name} of {atoms.get_chemical_formula()}"))
    return settle("autograd", deviations, rtol)


def second_order(calculator, systems, *, rtol=1e-9) -> float:
    """The second derivative by autograd (positions and cell) is the finite difference of the first."""
    rng = generator()
    deviations = []
    for atoms in systems:
        directions = [SHARE * rng.normal(size=(n, 3)) for n in (len(atoms), 3)]
        directions[1] *= atoms.pbc[:, None]
        leaves, slopes = _slopes(calculator, atoms, directions, 0.0)
        along = sum((slope * torch.as_tensor(u)).sum() for slope, u in zip(slopes, directions, strict=False))
        curvatures = _gradient(along, leaves)
        points = {k: _slopes(calculator, atoms, directions, k * STEP)[1] for k in SIXTH_ORDER}
        for i, name in enumerate(["positions", "cell"][: len(leaves)]):
            label = f"{name} of {atoms.get_chemical_formula()}"
            values = {k: array(point[i]) for k, point in points.items()}
            deviations += differs(array(curvatures[i]), values, label, rtol)
    return settle("second_order", deviations, rtol)


def float32(calculator, systems, *, rtol=1e-9) -> float:
    """Values in single precision are those in double precision to 1e-4."""
    single, double = (
        rows(_compute(calculator, systems_to_torch(systems, dtype=dtype))) for dtype in (torch.float32, torch.float64)
    )
    for block in single.values():
        if block.values.dtype != np.float32:
            raise AssertionError(f"float32: {block.label} of float32 systems is {block.values.dtype}")
    return settle("float32", compare(double, single), max(rtol, SINGLE_PRECISION))


def _compute(calculator, systems):
    try:
        return calculator.compute(systems)
    except TypeError as error:
        raise NotApplicable(f"the calculator takes no metatomic systems ({error})") from error


def _differentiable(atoms):
    """A metatomic system and its leaves: positions [atom, xyz] and, if it is periodic, cell [abc, xyz]."""
    positions = torch.tensor(atoms.positions, requires_grad=True)
    cell = torch.tensor(atoms.cell.array * atoms.pbc[:, None], requires_grad=bool(atoms.pbc.any()))
    types = torch.tensor(atoms.numbers, dtype=torch.int32)
    system = System(types=types, positions=positions, cell=cell, pbc=torch.tensor(atoms.pbc))
    return system, [positions, cell] if atoms.pbc.any() else [positions]


def _slopes(calculator, atoms, directions, t):
    """Leaves of the system displaced by t along the directions, and the slopes of the weighted sum."""
    moved = atoms.copy()
    moved.positions += t * directions[0]
    moved.set_cell(moved.cell.array + t * directions[1])
    system, leaves = _differentiable(moved)
    score, _ = _weighted_sum(_compute(calculator, [system]))
    return leaves, _gradient(score, leaves, create_graph=True)


def _gradient(score, leaves, create_graph=False):
    if not score.requires_grad:
        return [torch.zeros_like(leaf) for leaf in leaves]
    slopes = torch.autograd.grad(score, leaves, create_graph=create_graph, allow_unused=True)
    return [torch.zeros_like(leaf) if slope is None else slope for leaf, slope in zip(leaves, slopes, strict=True)]


def _weighted_sum(tensor):
    """Σ w·f over all values, with random weights w: the sum, and the weights by key."""
    rng = generator()
    score, weights = torch.zeros((), dtype=torch.float64), {}
    for key, block in tensor.items():
        weight = rng.normal(size=tuple(block.values.shape))
        weights[tuple(array(key.values).tolist())] = weight
        score = score + (torch.as_tensor(weight) * block.values).sum()
    return score, weights


def _contracted(tensor, name: str, weights: dict, n_atoms: int) -> np.ndarray:
    """The explicit gradient blocks contracted with the weights -> [atom, xyz] or [abc, xyz]."""
    result = np.zeros((n_atoms, 3) if name == "positions" else (3, 3))
    for key, block in tensor.items():
        gradient = block.gradient(name)
        samples, values = array(gradient.samples.values), array(gradient.values)
        if not len(samples):
            continue
        weight = weights[tuple(array(key.values).tolist())][samples[:, 0]].reshape(len(samples), -1)
        flat = values.reshape(len(samples), -1, weight.shape[1])
        if name == "positions":
            np.add.at(result, samples[:, 2], np.einsum("rk,rxk->rx", weight, flat))
        else:
            by_cell = np.einsum("rk,rxk->x", weight, flat).reshape(3, 3)
            result += by_cell if gradient.components[0].names[0].startswith("abc") else by_cell.T
    return result
