"""Labels of the exchange contract, and coincident atoms."""

import warnings

import ketmap_core
import numpy as np
from ase import Atoms

from .rows import LawBroken, compute, rows


def contract(calculator, systems, *, rtol=1e-9) -> float:
    """``ketmap_core.check`` has no complaint about the TensorMap, gradients included."""
    for gradients in ((), ["positions"], ["strain"], ["cell"]):
        report = ketmap_core.check(compute(calculator, systems, gradients)[0])
        if not report:
            raise LawBroken("contract", "; ".join(report.problems), np.inf, rtol)
    return 0.0


def coincident(calculator, systems, *, rtol=1e-9) -> float:
    """Two atoms at one point give finite values and gradients."""
    numbers = [systems[0].numbers[0]] * 2 + [systems[0].numbers[-1]]
    atoms = Atoms(numbers=numbers, positions=[[0.1, 0.2, 0.3], [0.1, 0.2, 0.3], [1.2, 0.1, -0.3]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tensor, gradients = compute(calculator, [atoms], ["positions"])
    for gradient in (None, *gradients):
        for block in rows(tensor, gradient=gradient).values():
            if not np.isfinite(block.values).all():
                raise LawBroken("coincident", f"{block.label} is not finite", np.inf, rtol)
    return 0.0
