"""Pairs in the order of the blocks of a by-pair TensorMap, and where the pairs of atoms with themselves stand."""

import dataclasses

import numpy as np
import torch
from ketmap_core import Batch
from ketmap_core.names import PAIR

from .blocks import parts
from .environments import Environments
from .selection import Selection

#: places in the rows of a block: the atom and itself; nothing
SELF, NOTHING = -1, -2

Types = tuple[int, int]


@dataclasses.dataclass(frozen=True)
class PairRows:
    """The wanted pairs, block after block: sorted by (first type, second type, system, first atom, second atom,
    shift)."""

    index: torch.Tensor  # int64 [row], the pair among those of the environments
    first: np.ndarray  # int64 [row], atom of the batch
    samples: np.ndarray  # int32 [row, (system, first_atom, second_atom, cell_shift_a, b, c)]
    slices: dict[Types, slice]  # rows of each block
    itself: dict[int, np.ndarray]  # by type: int32 [atom, dimension of the samples], the pairs of atoms with themselves

    @classmethod
    def of(
        cls, environments: Environments, batch: Batch, selection: Selection, wanted: set[Types] | None = None
    ) -> "PairRows":
        """Rows for the blocks of the ``wanted`` pairs of types, by default all."""
        n_channels, device = len(environments.types), environments.starts.device
        by_type = parts(environments)
        blocks, slots = [], [torch.zeros(0, dtype=torch.int64, device=device)]
        for center, part in by_type.items():
            rows = torch.arange(part.rows.start, part.rows.stop, device=device) * n_channels
            for channel, neighbor in enumerate(environments.types):
                if wanted is None or (center, neighbor) in wanted:
                    blocks.append((center, neighbor))
                    slots.append(rows + channel)
        sizes = [len(part) for part in slots[1:]]
        slots = torch.cat(slots)
        first_pair, counts = environments.starts[slots], environments.starts[slots + 1] - environments.starts[slots]
        before = counts.cumsum(0) - counts
        index = torch.arange(int(counts.sum()), device=device) + torch.repeat_interleave(first_pair - before, counts)
        first = environments.centers[torch.repeat_interleave(slots // max(n_channels, 1), counts)].long()
        samples = _samples(batch, first, environments.neighbors[index].long(), environments.shifts[index])
        edges = np.concatenate([[0], np.cumsum(counts.cpu().numpy())])[
            np.concatenate([[0], np.cumsum(sizes)]).astype(int)
        ]
        kept = selection.needed_samples(samples)
        if kept is not None:
            edges = running(kept)[edges]
            here = torch.from_numpy(np.flatnonzero(kept)).to(device)
            index, first, samples = index[here], first[here], samples[kept]
        slices = {types: slice(int(a), int(b)) for types, a, b in zip(blocks, edges, edges[1:])}
        itself = {}
        for center in {center for center, neighbor in blocks if center == neighbor}:
            atoms = environments.centers[by_type[center].rows].long()
            entries = _samples(batch, atoms, atoms, torch.zeros(len(atoms), 3, dtype=torch.int32, device=device))
            kept = selection.needed_samples(entries)
            itself[center] = entries if kept is None else entries[kept]
        return cls(index, first.cpu().numpy(), samples, slices, itself)

    def of_types(self, types: Types) -> slice:
        """Rows of the pairs of two types, those of atoms and themselves not among them."""
        return self.slices.get(types, slice(0, 0))

    def block(self, types: Types, itself: bool) -> tuple[slice | np.ndarray, np.ndarray]:
        """Rows of one block, among those of its types (or :data:`SELF`), and its samples; with ``itself`` atoms are
        their own neighbours, too."""
        rows = self.of_types(types)
        samples, own = self.samples[rows], self.itself.get(types[0])
        if not itself or types[0] != types[1] or own is None or not len(own):
            return slice(0, len(samples)), samples
        every = np.concatenate([samples, own])
        order = np.lexsort(every.T[::-1])
        source = np.concatenate([np.arange(len(samples)), np.full(len(own), SELF)])
        return source[order], every[order]


def _samples(batch: Batch, first: torch.Tensor, second: torch.Tensor, shifts: torch.Tensor) -> np.ndarray:
    system = batch.system[first]
    start = batch.starts[system.long()]
    columns = [system, first - start, second - start]
    samples = torch.empty(len(first), len(PAIR), dtype=torch.int32)
    for place, column in enumerate(columns):
        samples[:, place] = column
    samples[:, 3:] = shifts
    return samples.numpy()


def running(counts) -> np.ndarray:  # -> int64 [count + 1]
    """Sums of the counts before each, and of all."""
    return np.concatenate([[0], np.cumsum(np.asarray(counts, dtype=np.int64))])
