"""Pairs of neighbours as a TensorMap."""

import numpy as np
import torch
from ketmap_core import Batch, Pairs
from ketmap_density.hypers import number
from ketmap_density.selection import Selection

from .calculator import Descriptor, Key, Part, Parts, atom_labels, checked_pairs, chosen_properties
from .slopes import Slopes


class NeighborList(Descriptor):
    """The vectors r_j − r_i + S·cell between all pairs of atoms nearer than a cutoff, with featomic's names.

    Keys ``first_atom_type, second_atom_type``; samples ``system, first_atom, second_atom, cell_shift_a,
    cell_shift_b, cell_shift_c``; component ``pair_xyz``; property ``distance`` (as featomic calls the vector).

    :param cutoff: radius in Å; pairs are strictly shorter.
    :param full_neighbor_list: whether a pair is there twice, as i–j and as j–i; otherwise once, with the lower type
        first and, for equal types, the lower atom first.
    :param self_pairs: whether each atom is a neighbour of itself at distance zero.

    >>> import ase.build
    >>> tensor = NeighborList(cutoff=1.2, full_neighbor_list=False).compute(ase.build.molecule("H2O"))
    >>> block = tensor.block(dict(first_atom_type=1, second_atom_type=8))
    >>> block.samples.values.tolist(), block.values[0, :, 0].round(3).tolist()
    ([[0, 1, 0, 0, 0, 0], [0, 2, 0, 0, 0, 0]], [0.0, -0.763, 0.596])
    """

    key_names = ("first_atom_type", "second_atom_type")
    sample_names = ("system", "first_atom", "second_atom", "cell_shift_a", "cell_shift_b", "cell_shift_c")
    property_names = ("distance",)
    component_names = ("pair_xyz",)

    def __init__(self, *, cutoff: float, full_neighbor_list: bool, self_pairs: bool = False):
        self.cutoff = number(cutoff, "cutoff", above=0)
        self.full_neighbor_list, self.self_pairs = bool(full_neighbor_list), bool(self_pairs)

    @property
    def exempt_laws(self) -> dict[str, str]:
        exempt = {"smooth_at_cutoff": "a pair vector is there or it is not"}
        if not self.full_neighbor_list:
            why = "which of two atoms comes first in a half list depends on their order and on the cell"
            exempt |= {law: why for law in ("permutation", "wrapped", "supercell", "cell_choice", "left_handed")}
        return exempt

    def to_dict(self) -> dict:
        return {
            "cutoff": self.cutoff,
            "full_neighbor_list": self.full_neighbor_list,
            "self_pairs": self.self_pairs,
        }

    def parts(self, batch: Batch, selection: Selection) -> Parts:
        pairs = _List.of(batch, checked_pairs(batch, self.cutoff), self.full_neighbor_list, self.self_pairs)
        properties = chosen_properties(selection, np.array([[0]]))
        kinds = batch.types[torch.stack([pairs.first, pairs.second], dim=1)].long()  # -> [pair, 2]
        available = [tuple(key) for key in torch.unique(kinds, dim=0).tolist()]

        def part(key: Key) -> Part:
            here = torch.nonzero((kinds == kinds.new_tensor(key)).all(dim=1))[:, 0]
            chosen = pairs.take(here)
            values = chosen.vectors(batch)[:, :, None]  # -> [pair, pair_xyz, property]
            return Part(
                chosen.labels(batch), values[..., : len(properties)], lambda: chosen.slopes(values, len(properties))
            )

        return Parts(available, properties, part)


class _List:
    """Directed pairs, ascending by first atom, second atom and shift."""

    def __init__(self, first: torch.Tensor, second: torch.Tensor, shifts: torch.Tensor):
        self.first, self.second = first, second  # int64 [pair]
        self.shifts = shifts  # int64 [pair, 3]

    @classmethod
    def of(cls, batch: Batch, pairs: Pairs, full: bool, own: bool) -> "_List":
        first, second, shifts = pairs.first.long(), pairs.second.long(), pairs.shifts.long()
        swap = (first > second) | ((first == second) & _backward(shifts))
        first, second = torch.where(swap, second, first), torch.where(swap, first, second)
        shifts = torch.where(swap[:, None], -shifts, shifts)
        if full:
            first, second = torch.cat([first, second]), torch.cat([second, first])
            shifts = torch.cat([shifts, -shifts])
        else:
            swap = batch.types[first] > batch.types[second]
            first, second = torch.where(swap, second, first), torch.where(swap, first, second)
            shifts = torch.where(swap[:, None], -shifts, shifts)
        if own:
            atoms = torch.arange(batch.n_atoms, device=first.device)
            first, second = torch.cat([first, atoms]), torch.cat([second, atoms])
            shifts = torch.cat([shifts, shifts.new_zeros(len(atoms), 3)])
        order = _lexsort([first, second, *shifts.T])
        first, second, shifts = first[order], second[order], shifts[order]
        return cls(first, second, shifts)

    def take(self, places: torch.Tensor) -> "_List":
        return _List(self.first[places], self.second[places], self.shifts[places])

    def vectors(self, batch: Batch) -> torch.Tensor:  # -> [pair, 3]
        positions, cells = batch.positions, batch.cells[batch.system[self.first].long()]
        along = torch.einsum("pa,pax->px", self.shifts.to(positions.dtype), cells)
        return positions[self.second] - positions[self.first] + along

    def labels(self, batch: Batch) -> np.ndarray:  # -> [pair, dimension]
        system, first = atom_labels(batch, self.first).T
        second = atom_labels(batch, self.second)[:, 1]
        return np.column_stack([system, first, second, self.shifts.cpu().numpy()])

    def slopes(self, vectors: torch.Tensor, n_properties: int) -> Slopes:
        """The derivative of a vector with respect to itself; an atom against itself does not move."""
        rows = torch.arange(len(self.first), device=self.first.device)
        vectors = vectors.detach()[:, :, 0]
        same = torch.eye(3, dtype=vectors.dtype, device=vectors.device)[None, :, :, None]
        values = same.expand(len(rows), 3, 3, n_properties).contiguous()
        return Slopes(rows, self.first, self.second, vectors, self.shifts.to(vectors.dtype), values)


def _backward(shifts: torch.Tensor) -> torch.Tensor:  # [pair, 3] -> bool [pair]
    """Of an atom and its image, the direction that a half list leaves out."""
    a, b, c = shifts.T
    total = a + b + c
    return (total < 0) | ((total == 0) & ((c < 0) | ((c == 0) & (b < 0))))


def _lexsort(columns: list[torch.Tensor]) -> torch.Tensor:
    """Places in ascending order of the first column, then the second …: a sort of numbers that hold all columns."""
    code = torch.zeros_like(columns[0])
    if len(code):
        for column in columns:
            low, high = (int(limit) for limit in torch.aminmax(column))
            code = code * (high - low + 1) + (column - low)
    return torch.argsort(code)
