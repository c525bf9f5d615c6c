"""Labels of products: pairs of the properties of two operands, all or those that are selected."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from .dense import Runs, runs_of
from .keys import matching


class PropertyPairs:
    """Makes the pairs of properties of two arrays, each kind once.

    :param names: of the pairs: ``l_names`` if any, then those of the first and of the second operand.
    :param selected: Labels of some of the names, or ``None`` for all pairs.
    """

    def __init__(self, names: Sequence[str], selected: Any = None):
        self.names, self.selected = list(names), selected
        self._made: dict[tuple, tuple[np.ndarray, Runs | None]] = {}

    def of(self, p: np.ndarray, q: np.ndarray, ls: tuple[int, ...] = ()) -> tuple[np.ndarray, Runs | None]:
        """Labels [pair, name] of the pairs that are wanted, the second running fastest; and the pairs as runs.

        :param p: properties [column, name] of the first array, ``q`` of the second.
        :param ls: what stands before them in each label.
        :return: labels, and runs (q1, q2, count), ``None`` for all pairs
        """
        key = (ls, p.shape, p.tobytes(), q.shape, q.tobytes())
        if key not in self._made:
            every = np.concatenate([np.repeat(p, len(q), axis=0), np.tile(q, (len(p), 1))], axis=1)
            every = np.concatenate([np.tile(np.array(ls, dtype=every.dtype), (len(every), 1)), every], axis=1)
            runs = None
            if self.selected is not None:
                kept = np.flatnonzero(matching(self.names, every, self.selected, "properties"))
                runs = runs_of(np.stack([kept // max(len(q), 1), kept % max(len(q), 1)], axis=1))
                every = every[kept]
            self._made[key] = every, runs
        return self._made[key]
