"""Features of a structure do not depend on what else is computed, nor on how many threads compute it."""

import numpy as np
import torch
from ase import Atoms

from .rows import LawBroken, NotApplicable, compare, compute, relabel, rows, scaled, select, settle, total, without


def batch(calculator, systems, *, rtol=1e-9) -> float:
    """Structures computed together, in another order, and alone have the same features."""
    together = rows(calculator.compute(systems))
    last = len(systems) - 1
    reversed_order = rows(calculator.compute(systems[::-1]))
    deviations = list(compare(together, relabel(reversed_order, systems={i: last - i for i in range(last + 1)})))
    for i, atoms in enumerate(systems):
        alone = rows(calculator.compute([atoms]))
        deviations += compare(alone, select(together, i), note=f" of system {i} alone and in a batch")
    return settle("batch", deviations, rtol)


def threads(calculator, systems, *, rtol=1e-9, gradients=("positions",)) -> float:
    """One thread or several give the same values and gradients.

    The deviation is exactly zero for calculators that promise the same bits; ask for that with ``rtol=0``.
    """
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one, gradients = compute(calculator, systems, gradients)
        torch.set_num_threads(max(2, before))
        several, _ = compute(calculator, systems, gradients)
    finally:
        torch.set_num_threads(before)
    deviations = list(compare(rows(one), rows(several)))
    for name in gradients:
        deviations += compare(rows(one, gradient=name), rows(several, gradient=name), note=f" ({name} gradient)")
    return settle("threads", deviations, rtol)


def extensive(calculator, systems, *, rtol=1e-9) -> float:
    """Sums over the atoms of two copies, far apart, are twice those of one."""
    finite = [atoms for atoms in systems if not atoms.pbc.any() and len(atoms)]
    if not finite:
        raise NotApplicable("all systems are periodic")
    doubled = []
    for atoms in finite:
        other = atoms.copy()
        other.positions += [1000.0, 0.0, 0.0]
        doubled.append(atoms + other)
    twice = scaled(rows(calculator.compute(finite)), 2.0)
    actual = rows(calculator.compute(doubled))
    return settle("extensive", compare(total(twice), total(actual), scale=twice), rtol)


def isolated(calculator, systems, *, rtol=1e-9) -> float:
    """A lone atom has finite features, and disturbs nothing when it is computed in a batch with others."""
    lone = Atoms(numbers=systems[0].numbers[:1], positions=[[0.3, -0.2, 0.1]])
    values = rows(compute(calculator, [lone], ["positions"])[0])
    for block in values.values():
        if not np.isfinite(block.values).all():
            raise LawBroken("isolated", f"{block.label} of a lone atom is not finite", np.inf, rtol)
    others = rows(calculator.compute(systems))
    with_lone = rows(calculator.compute([lone, *systems]))
    shifted = relabel(with_lone, systems={i: i - 1 for i in range(len(systems) + 1)})
    lone_rows = select(shifted, -1)
    deviations = [*compare(values, lone_rows), *compare(others, without(shifted, -1))]
    return settle("isolated", deviations, rtol)


def empty(calculator, systems, *, rtol=1e-9) -> float:
    """An empty structure has no rows, alone or among others; an empty list is a TensorMap without rows."""
    nothing = Atoms()
    for given, what in ([], "an empty list"), ([nothing], "an empty structure"):
        for block in rows(calculator.compute(given)).values():
            if len(block.samples):
                raise LawBroken("empty", f"{block.label} of {what} has {len(block.samples)} rows", np.inf, rtol)
    with_empty = rows(calculator.compute([nothing, *systems]))
    shifted = relabel(with_empty, systems={i: i - 1 for i in range(len(systems) + 1)})
    return settle("empty", compare(rows(calculator.compute(systems)), shifted), rtol)
