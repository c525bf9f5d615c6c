"""When does a neighbour list with a skin have to be built again?"""

import numpy as np


def same(one: np.ndarray, other: np.ndarray) -> bool:
    """Equal in shape and values (NumPy's own function takes thrice as long on small arrays)."""
    return one.shape == other.shape and bool((one == other).all())


class Skin:
    """Validity of a list that held all pairs within ``cutoff + skin`` when it was built.

    Let h₀ → h = h₀F be the cell then and now (rows are vectors; directions without periodicity do not
    count) and u_i = r_i − r⁰_i F what the atoms moved beyond the strain. A pair at D now was at D₀ = (D −
    u_j + u_i)F⁻¹ then, so

        |D₀| ≤ (|D| + 2 max|u|) ‖F⁻¹‖₂

    and no pair within the cutoff is missing as long as the right side with |D| = cutoff stays below
    ``cutoff + skin``. In a fixed cell this is the usual rule, max|u| < skin/2. A common translation of all
    atoms changes nothing and is left out of u.

    cutoff, skin: in the unit of the positions. positions [atom, 3], cell [3, 3], pbc [3]: when the list was
    built.
    nearest: the smallest distance in the list; as long as even this pair cannot have met, no two atoms
    coincide.
    """

    def __init__(self, cutoff, skin, positions, cell, pbc, nearest):
        self.cutoff, self.skin, self.nearest = cutoff, skin, nearest
        self.positions, self.cell = positions.copy(), cell.copy()
        self.periodic = np.flatnonzero(pbc)
        self.inverse = np.linalg.pinv(cell[self.periodic])  # -> [3, periodic]

    def holds(self, positions: np.ndarray, cell: np.ndarray) -> bool:
        """Whether the list serves for these ``positions`` [atom, 3] and ``cell`` [3, 3]."""
        if same(cell, self.cell):
            moved, shrunk = positions - self.positions, 1.0
        else:
            strain = np.eye(3) + self.inverse @ (cell - self.cell)[self.periodic]  # F -> [3, 3]
            smallest = np.linalg.svd(strain, compute_uv=False)[-1]
            if smallest <= 0.0:
                return False
            moved, shrunk = positions - self.positions @ strain, 1.0 / smallest
        moved -= moved.mean(axis=0)
        apart = 2.0 * np.sqrt(np.einsum("ix,ix->i", moved, moved).max())
        return (self.cutoff + apart) * shrunk < self.cutoff + self.skin and apart * shrunk < self.nearest
