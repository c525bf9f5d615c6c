"""Pairs of different structures that representations of low order cannot tell apart, made by functions.

An environment is a carbon atom (index 0) and hydrogen atoms around it. Orders ν are those of the density correlations
of the centre: ν = 1 knows the distances of the neighbours, 2 the angles between two of them, 3 the tetrahedra of
the centre and three neighbours, 4 five-body figures.

Sources: Pozdnyakov, Willatt, Bartók, Ortner, Csányi, Ceriotti, *Phys. Rev. Lett.* **125**, 166001 (2020), for the
environments that ν = 2 and ν = 3 cannot tell apart; Bartók, Kondor, Csányi, *Phys. Rev. B* **87**, 184115 (2013), for
structures with equal distances; Joshi, Bodnar, Mathis, Cohen, Liò, ICML 2023, for the ladder of such pairs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms


@dataclass(frozen=True)
class Twins:
    """Two structures that differ by more than a rigid motion."""

    name: str
    first: Atoms
    second: Atoms
    center: int | None  #: the atom whose environment is meant; None: the whole structure, features summed over atoms
    order: int  #: the lowest correlation order ν whose invariants tell them apart
    sigma: int = 1  #: whether true scalars (+1) do, or only pseudoscalars (−1): mirror images


def equal_radii() -> Twins:
    """Two neighbours at the same distances, seen at 53° and at 180°: told apart from ν = 2 on."""
    near = [0.9, 0.0, 0.0]
    other = 1.1 * np.array([0.6, 0.0, 0.8])
    return Twins("equal radii", _environment([near, other]), _environment([near, [-1.1, 0.0, 0.0]]), 0, 2)


def equal_distances(edges: Sequence[float] = (1.30, 1.42, 1.51, 1.38, 1.60, 1.47)) -> Twins:
    """Two tetrahedra with the same six distances, two of which changed places: told apart from ν = 2 on.

    :param edges: the distances 12, 13, 14, 23, 24, 34 in Å; the second tetrahedron has 12 and 13 exchanged.
    :raises ValueError: if there are no such tetrahedra.
    """
    swapped = [edges[1], edges[0], *edges[2:]]
    return Twins("equal distances", _tetrahedron(edges), _tetrahedron(swapped), None, 2)


def equal_angles(
    first: float = 112.5, polar: float = 120.0, azimuth: float = -36.0, last: float = 144.0, radius: float = 1.09
) -> Twins:
    """Four neighbours with the same angles (and distances): told apart from ν = 3 on.

    A lies in the xz plane, B and B′ are exchanged by half a turn around x, and C± lie in the xy plane, mirrored at xz.
    Half a turn around x takes C₊ to C₋ and A to its mirror image, which has the same angles with B, B′ and C.

    :param first: degrees from x to A. :param polar: of B, from z. :param azimuth: of B. :param last: of C₊.
    :param radius: distance of all neighbours, Å.
    """
    common = [_direction(90 - first, 0.0), _direction(polar, azimuth), -_direction(polar, azimuth) * [-1, 1, 1]]
    plus, minus = (radius * np.array([*common, _direction(90.0, angle)]) for angle in (last, -last))
    return Twins("equal angles", _environment(minus), _environment(plus), 0, 3)


def methane_manifold(steps: int = 9) -> tuple[list[Atoms], list[Atoms]]:
    """Two sheets of methane structures, C₋ and C₊ on a grid about :func:`equal_angles`, which they meet in the middle.

    Frame i of both sheets differs by the mirrored last hydrogen: azimuth ∓(126 … 162)°, elevation 18 … −18°.
    Where the elevation is zero (one in ``steps``), the power spectra of the carbon atoms are equal.
    """
    twins = equal_angles()
    sheets = []
    for atoms, sign in ((twins.first, -1), (twins.second, 1)):
        sheet = []
        for azimuth in np.linspace(126.0, 162.0, steps):
            for elevation in np.linspace(18.0, -18.0, steps):
                moved = atoms.copy()
                moved.positions[4] = 1.09 * _direction(90.0 - elevation, sign * azimuth)
                sheet.append(moved)
        sheets.append(sheet)
    return sheets[0], sheets[1]


def equal_tetrahedra(radius: float = 1.2, height: float = 0.45, turn: float = 18.0) -> Twins:
    """Seven neighbours with the same tetrahedra around the centre: told apart from ν = 4 on.

    Three neighbours on a circle above the centre, their mirror images below, turned about the axis, and one more above
    (first) or below (second) the centre. Triples of ring atoms are the same in both; those with the seventh atom
    come in pairs with equal figures, turned, never mirrored.

    :param radius: distance of all neighbours, Å. :param height: of the circle, Å. :param turn: degrees.
    """
    ring = np.sqrt(radius**2 - height**2)
    angles = np.radians([0.0, 90.0, 217.0])
    upper = np.stack([ring * np.cos(angles), ring * np.sin(angles), np.full(3, height)], axis=1)
    angles = angles + np.radians(turn)
    lower = np.stack([ring * np.cos(angles), ring * np.sin(angles), np.full(3, -height)], axis=1)
    above, below = (_environment([*upper, *lower, [0, 0, sign * radius]]) for sign in (1, -1))
    return Twins("equal tetrahedra", above, below, 0, 4)


def mirror_images() -> Twins:
    """A chiral environment and its mirror image: told apart by no true scalar, but by pseudoscalars from ν = 3 on."""
    positions = np.array([[1.0, 0.1, 0.2], [-0.3, 1.1, 0.1], [0.2, -0.4, 1.2], [-0.7, -0.5, -0.8]])
    return Twins("mirror images", _environment(positions), _environment(positions * [1, 1, -1]), 0, 3, -1)


def known_twins() -> list[Twins]:
    """All pairs of this module, by the order that they ask for.

    >>> [(pair.name, pair.order) for pair in known_twins()][:3]
    [('equal radii', 2), ('equal distances', 2), ('equal angles', 3)]
    """
    return [equal_radii(), equal_distances(), equal_angles(), equal_tetrahedra(), mirror_images()]


def _environment(neighbors) -> Atoms:
    return Atoms(numbers=[6] + [1] * len(neighbors), positions=[[0.0, 0.0, 0.0], *np.asarray(neighbors, dtype=float)])


def _direction(polar: float, azimuth: float) -> np.ndarray:
    """Unit vector at these angles in degrees."""
    polar, azimuth = np.radians([polar, azimuth])
    return np.array([np.sin(polar) * np.cos(azimuth), np.sin(polar) * np.sin(azimuth), np.cos(polar)])


def _tetrahedron(edges: Sequence[float]) -> Atoms:
    """Four hydrogen atoms with the distances 12, 13, 14, 23, 24, 34."""
    distances = np.zeros((4, 4))
    distances[np.triu_indices(4, 1)] = edges
    squares = (distances + distances.T) ** 2
    gram = (squares[:1, 1:] + squares[1:, :1] - squares[1:, 1:]) / 2  # scalar products of the vectors from atom 1
    values = np.linalg.eigvalsh(gram)
    if values[0] <= 1e-10 * values[-1]:
        raise ValueError(f"there is no tetrahedron with the distances {list(edges)}; take more equal ones")
    return Atoms("H4", positions=np.vstack([np.zeros(3), np.linalg.cholesky(gram)]))
