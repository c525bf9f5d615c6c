"""What happens where a neighbour crosses the cutoff radius."""

import numpy as np
from ase import Atoms

from .rows import LawBroken, NotApplicable, compare, rows, settle

BEYOND = 1e-6  # Å
INSIDE = 1e-3  # Å; well within any smoothing width
QUADRATIC = 1.7  # order of vanishing that is asked for; 2 for continuous derivatives, 1 for a kink, 0 for a jump


def zero_beyond(calculator, systems, *, cutoff, rtol=1e-9) -> float:
    """A neighbour beyond the cutoff leaves no trace."""
    radius, _ = radius_and_smoothness(cutoff)
    far = rows(calculator.compute(_dimer(systems, 3.0 * radius)))
    just_beyond = rows(calculator.compute(_dimer(systems, radius + BEYOND)))
    reference = rows(calculator.compute(_dimer(systems, 0.7 * radius)))
    return settle("zero_beyond", compare(far, just_beyond, scale=reference), rtol)


def smooth_at_cutoff(calculator, systems, *, cutoff, rtol=1e-9) -> float:
    """Values and their first derivative vanish as a neighbour leaves: as d² a distance d inside."""
    radius, smooth = radius_and_smoothness(cutoff)
    if not smooth:
        raise NotApplicable("the cutoff is a step")
    far = rows(calculator.compute(_dimer(systems, 3.0 * radius)))
    reference = rows(calculator.compute(_dimer(systems, 0.7 * radius)))

    def left(distance):
        actual = rows(calculator.compute(_dimer(systems, radius - distance)))
        return max(deviation.value for deviation in compare(far, actual, scale=reference))

    near, nearer = left(INSIDE), left(INSIDE / 2)
    if near <= rtol:
        return near
    order = np.log2(near / nearer) if nearer > 0 else np.inf
    if not order >= QUADRATIC:
        where = f"values vanish as d^{order:.1f} at a distance d inside the cutoff {radius}, d^2 is asked for"
        raise LawBroken("smooth_at_cutoff", where, near, rtol)
    return near


def radius_and_smoothness(cutoff) -> tuple[float, bool]:
    """Of a number (taken as smooth) or of an object with ``radius`` and ``smoothing``."""
    if cutoff is None:
        raise NotApplicable("the cutoff is not known; give cutoff=")
    if isinstance(cutoff, int | float):
        return float(cutoff), True
    smoothing = getattr(cutoff, "smoothing", None)
    return float(cutoff.radius), smoothing is not None and type(smoothing).__name__ != "Step"


def _dimer(systems, distance: float) -> list[Atoms]:
    numbers = next((atoms.numbers[[0, -1]] for atoms in systems if len(atoms) > 1), systems[0].numbers[[0, 0]])
    direction = np.array([0.48, -0.6, 0.64])
    return [Atoms(numbers=numbers, positions=[[0.0, 0.0, 0.0], distance * direction])]
