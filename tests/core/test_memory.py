"""Lists of pairs that are remembered: made where atoms were at the beginning, and only there."""

import dataclasses

import ase.build
import numpy as np
from ketmap_core import PairMemory, as_batch, find_pairs


def test_lists_are_made_at_the_beginning():
    atoms = ase.build.bulk("Si") * (2, 2, 2)
    batch = as_batch(atoms.copy())
    memory = PairMemory(batch, skin=0.5)
    made = []

    def recall(name, cutoff, where):
        def make(reach):
            made.append(reach)
            return len(find_pairs(where, reach))

        return memory.recall(name, cutoff, where, make)

    assert memory.cutoff == 0.0
    assert recall("bonds", 2.4, batch) == 4 * len(atoms) // 2
    assert recall("shells", 3.9, batch) == 16 * len(atoms) // 2
    moved = dataclasses.replace(batch, positions=batch.positions + 0.01)
    assert recall("bonds", 2.4, moved) == 4 * len(atoms) // 2
    assert made == [2.9, 4.4] and memory.cutoff == 3.9
    # too late to be remembered, be it for the positions or the cell: as far as asked for, every time
    for late in (moved, dataclasses.replace(batch, cells=1.01 * batch.cells)):
        recall("late", 5.0, late)
        recall("late", 5.0, late)
        assert made[-2:] == [5.0, 5.0] and memory.cutoff == 3.9


def test_the_beginning_is_kept():
    """Atoms whose arrays the batch shares may move on; the beginning does not."""
    atoms = ase.build.bulk("Si")
    batch = as_batch(atoms)
    memory = PairMemory(batch, skin=0.5)
    atoms.positions += np.array([0.1, 0.0, 0.0])
    assert memory.recall("late", 3.0, batch, lambda reach: reach) == 3.0
