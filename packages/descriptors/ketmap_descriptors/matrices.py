"""Matrices of a whole structure with an entry for every pair of atoms: Coulomb and sine matrix."""

import math
import warnings

import numpy as np
import torch
from ketmap_core import CoincidentAtomsWarning
from ketmap_core.errors import coincident_message, unknown_name
from ketmap_core.pairs import COINCIDENT
from ketmap_density.hypers import integer
from ketmap_ops.reference.expansion import directions

from .calculator import NO_CUTOFF
from .whole import System, WholeDescriptor

PERMUTATIONS = ("none", "sorted_l2", "eigenspectrum")


class _Matrix(WholeDescriptor):
    """What both matrices share: order, spectrum and padding."""

    def __init__(self, *, n_atoms_max: int, permutation: str = "sorted_l2"):
        self.n_atoms_max = integer(n_atoms_max, "n_atoms_max", minimum=1)
        if permutation not in PERMUTATIONS:
            raise ValueError(unknown_name(str(permutation), PERMUTATIONS, "permutation"))
        self.permutation = permutation

    @property
    def property_names(self) -> tuple[str, ...]:
        return ("eigenvalue",) if self.permutation == "eigenspectrum" else ("row", "column")

    @property
    def exempt_laws(self) -> dict[str, str]:
        exempt = NO_CUTOFF | {law: "a larger structure has a larger matrix" for law in ("extensive", "supercell")}
        return exempt | ({"permutation": "rows are in the order of the atoms"} if self.permutation == "none" else {})

    def to_dict(self) -> dict:
        return {"n_atoms_max": self.n_atoms_max, "permutation": self.permutation}

    def all_properties(self) -> np.ndarray:
        shape = (self.n_atoms_max,) if self.permutation == "eigenspectrum" else (self.n_atoms_max, self.n_atoms_max)
        return np.stack(np.unravel_index(np.arange(math.prod(shape)), shape), axis=1)

    def distance(self, positions: torch.Tensor, cells: torch.Tensor) -> torch.Tensor:  # -> [system, atom, atom]
        """Of systems of equal size: [system, atom, 3] and [system, 3, 3]."""
        raise NotImplementedError

    def prepare(self, system: System):
        n_atoms = len(system.types)
        if n_atoms > self.n_atoms_max:
            raise ValueError(f"system {system.index} has {n_atoms} atoms, more than n_atoms_max={self.n_atoms_max}")
        return lambda positions, cell: self._features(
            system.types[None], self.distance(positions[None], cell[None])
        ).squeeze(0)

    def rows(self, systems: list[System]):
        functions = [self.prepare(system) for system in systems]
        by_size: dict[int, list[int]] = {}
        for place, system in enumerate(systems):
            by_size.setdefault(len(system.types), []).append(place)
        values, order, found = [], [], []
        for places in by_size.values():
            here = [systems[place] for place in places]
            positions, cells = (torch.stack(each) for each in zip(*((s.positions, s.cell) for s in here)))
            r = self.distance(positions, cells)
            near = torch.nonzero(torch.triu(r.detach() < COINCIDENT, diagonal=1)).tolist()
            found += [(here[which].index, *pair) for which, *pair in near]
            values.append(self._features(torch.stack([system.types for system in here]), r))
            order += places
        if found:
            warnings.warn(coincident_message(sorted(found)), CoincidentAtomsWarning, stacklevel=4)
        return torch.cat(values)[torch.from_numpy(np.argsort(order)).to(values[0].device)], functions

    def _features(self, types: torch.Tensor, r: torch.Tensor) -> torch.Tensor:  # -> [system, property]
        """From the types [system, atom] and distances [system, atom, atom] of systems of equal size."""
        charges, missing = types.to(r.dtype), self.n_atoms_max - types.shape[1]
        apart = r.detach() > COINCIDENT  # the diagonal, and atoms at one point
        products = charges[:, :, None] * charges[:, None, :]
        off_diagonal = torch.where(apart, products / torch.where(apart, r, 1.0), 0.0)
        matrix = off_diagonal + torch.diag_embed(0.5 * charges**2.4)
        if self.permutation == "eigenspectrum":
            eigenvalues = torch.linalg.eigvalsh(matrix)
            order = torch.argsort(eigenvalues.detach().abs(), dim=1, descending=True, stable=True)
            return torch.nn.functional.pad(eigenvalues.gather(1, order), (0, missing))
        if self.permutation == "sorted_l2":
            order = torch.argsort(matrix.detach().norm(dim=2), dim=1, descending=True, stable=True)
            which = torch.arange(len(order), device=order.device)[:, None, None]
            matrix = matrix[which, order[:, :, None], order[:, None, :]]
        return torch.nn.functional.pad(matrix, (0, missing, 0, missing)).flatten(1)


def _differences(positions: torch.Tensor) -> torch.Tensor:  # [system, atom, 3] -> [system, atom, atom, 3]
    return positions[:, None] - positions[:, :, None]


def _lengths(vectors: torch.Tensor) -> torch.Tensor:  # [..., 3] -> [...]
    return directions(vectors.reshape(-1, 3))[0].reshape(vectors.shape[:-1])


def _times(vectors: torch.Tensor, cells: torch.Tensor) -> torch.Tensor:  # [system, atom, atom, 3], [system, 3, 3]
    """Rows times matrices, with the same rounding for one system and for many."""
    a, b, c = cells[:, None, None].unbind(dim=3)
    return vectors[..., :1] * a + vectors[..., 1:2] * b + vectors[..., 2:] * c


class CoulombMatrix(_Matrix):
    """The Coulomb matrix of a molecule: Z_i Z_j / r_ij off the diagonal, Z_i^2.4 / 2 on it (r in Å).

    Rupp, Tkatchenko, Müller, von Lilienfeld, PRL 108, 058301 (2012); names and values are dscribe's. Key ``_``; sample
    ``system``; properties ``row, column`` (padded with zeros), or ``eigenvalue``.

    :param n_atoms_max: size of the matrix.
    :param permutation: order of the atoms: ``"sorted_l2"``: rows by descending norm; ``"none"``: as they come;
        ``"eigenspectrum"``: eigenvalues by descending size instead of the matrix.
    :raises ValueError: (from ``compute``) for periodic systems and for more atoms than ``n_atoms_max``.

    >>> import ase.build
    >>> tensor = CoulombMatrix(n_atoms_max=3).compute(ase.build.molecule("H2O"))
    >>> tensor.block().values.reshape(3, 3).round(3).tolist()
    [[73.517, 8.26, 8.26], [8.26, 0.5, 0.655], [8.26, 0.655, 0.5]]
    """

    @property
    def exempt_laws(self) -> dict[str, str]:
        laws = ("wrapped", "cell_choice", "left_handed", "cell_gradient")
        return super().exempt_laws | {law: "only for systems without periodicity" for law in laws}

    def distance(self, positions, cells):
        return _lengths(_differences(positions))

    def prepare(self, system):
        if any(system.pbc):
            raise ValueError(f"system {system.index} is periodic; CoulombMatrix is for molecules, see SineMatrix")
        return super().prepare(system)


class SineMatrix(_Matrix):
    """The sine matrix of a crystal: the Coulomb matrix with r_ij replaced by |Σ_k h_k sin²(π s_k)|.

    s are the fractional coordinates of r_j − r_i in the cell with vectors h_k: Faber, Lindmaa, von Lilienfeld,
    Armiento, Int. J. Quantum Chem. 115, 1094 (2015); names and values are dscribe's. Key ``_``; sample ``system``;
    properties ``row, column`` (padded with zeros), or ``eigenvalue``.

    :param n_atoms_max: size of the matrix.
    :param permutation: as for :class:`CoulombMatrix`.
    :raises ValueError: (from ``compute``) for systems that are not periodic in three directions and for more atoms than
        ``n_atoms_max``.
    """

    @property
    def exempt_laws(self) -> dict[str, str]:
        exempt = super().exempt_laws
        exempt |= {
            law: "the sine matrix depends on the vectors that span the lattice"
            for law in ("cell_choice", "left_handed")
        }
        return exempt | {law: "only for periodic systems" for law in ("isolated", "coincident")}

    def distance(self, positions, cells):
        fractions = _times(_differences(positions), torch.linalg.inv(cells))
        return _lengths(_times(torch.sin(math.pi * fractions) ** 2, cells))

    def prepare(self, system):
        if not all(system.pbc):
            raise ValueError(
                f"system {system.index} is periodic along {list(system.pbc)}; SineMatrix needs three directions"
            )
        return super().prepare(system)
