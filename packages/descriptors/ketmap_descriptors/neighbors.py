"""Pairs of neighbours as a TensorMap."""

import numpy as np
import torch
from ketmap_core import Batch
from ketmap_core.names import PAIR
from ketmap_density import Environments
from ketmap_density.blocks import parts
from ketmap_density.environments import checked_environments
from ketmap_density.hypers import number
from ketmap_density.pair_rows import SELF, PairRows
from ketmap_density.selection import Selection

from .calculator import Descriptor, Key, Part, Parts, chosen_properties
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
    >>> block.samples.values.tolist(), block.values[0, 1:, 0].round(3).tolist()
    ([[0, 1, 0, 0, 0, 0], [0, 2, 0, 0, 0, 0]], [-0.763, 0.596])
    """

    key_names = ("first_atom_type", "second_atom_type")
    sample_names = PAIR
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
        around = checked_environments(batch, self.cutoff)
        rows = PairRows.of(around, batch, selection)
        vectors = around.vectors
        if batch.positions.requires_grad or batch.cells.requires_grad:
            vectors = around.differentiable_vectors(batch)
        vectors = vectors[rows.index][:, :, None]  # -> [pair, pair_xyz, property]
        properties = chosen_properties(selection, np.array([[0]]))

        def part(key: Key) -> Part:
            source, samples = rows.block(key, itself=self.self_pairs)
            if not self.full_neighbor_list and key[0] >= key[1]:
                kept = _forward(samples) if key[0] == key[1] else np.zeros(len(samples), dtype=bool)
                places = np.arange(len(samples)) if isinstance(source, slice) else source
                source, samples = places[kept], samples[kept]
            values = _cut(vectors[rows.of_types(key)], source)[..., : len(properties)]
            return Part(samples, values, lambda: _slopes(batch, samples, values))

        return Parts(self._available(around), properties, part)

    def _available(self, around: Environments) -> list[Key]:
        """Types of the pairs there are, whichever were selected."""
        counts = around.counts().cpu().numpy()  # -> [centre, channel]
        found = []
        for first, part in parts(around).items():
            for second, met in zip(around.types, counts[part.rows].any(axis=0)):
                here = met or (self.self_pairs and first == second)
                if here and (self.full_neighbor_list or first <= second):
                    found.append((first, second))
        return found


def _cut(vectors: torch.Tensor, source: slice | np.ndarray) -> torch.Tensor:  # -> [pair, pair_xyz, property]
    """Rows of one block; zeros for atoms and themselves."""
    if isinstance(source, slice):
        return vectors[source]
    if np.any(source == SELF):  # which is −1: the row behind all others
        vectors = torch.cat([vectors, vectors.new_zeros(1, *vectors.shape[1:])])
    return vectors[torch.from_numpy(source).to(vectors.device)]


def _slopes(batch: Batch, samples: np.ndarray, values: torch.Tensor) -> Slopes:
    """The derivative of a vector with respect to itself; an atom against itself does not move."""
    vectors = values.detach()
    samples = torch.from_numpy(samples).long().to(vectors.device)
    start = batch.starts[samples[:, 0]]
    same = torch.eye(3, dtype=vectors.dtype, device=vectors.device)[None, :, :, None]
    return Slopes(
        rows=torch.arange(len(samples), device=vectors.device),
        first=start + samples[:, 1],
        second=start + samples[:, 2],
        vectors=vectors[:, :, 0],
        shifts=samples[:, 3:].to(vectors.dtype),
        values=same.expand(len(samples), 3, 3, values.shape[2]).contiguous(),
    )


def _forward(samples: np.ndarray) -> np.ndarray:  # [pair, dimension] -> bool [pair]
    """The direction that a half list keeps: from the lower atom, and of an atom and its image one."""
    _, first, second, a, b, c = samples.T
    total = a + b + c
    backward = (total < 0) | ((total == 0) & ((c < 0) | ((c == 0) & (b < 0))))
    return (first < second) | ((first == second) & ~backward)
