"""Lists of pairs made once and used again while atoms move little."""

from collections.abc import Callable, Hashable
from typing import Any

import torch

from .structures import Batch


class PairMemory:
    """What was made of all pairs within some cutoff + ``skin``, for use again where atoms are now.

    A batch carries it (``dataclasses.replace(batch, memory=memory)``) to those who look for pairs and can do with some
    that are too far apart now. Who keeps the memory sees to it that no pair can have come within :attr:`cutoff` that
    was not within cutoff + skin at the beginning, as ``ketmap_ase.skin.Skin`` does.

    :param batch: where atoms are at the beginning.
    :param skin: Å.
    """

    def __init__(self, batch: Batch, skin: float):
        self.skin = float(skin)
        self.cutoff = 0.0  #: Å: the largest that has been asked for
        self._positions, self._cells = batch.positions.detach().clone(), batch.cells.detach().clone()
        self._lists: dict[Hashable, Any] = {}

    def recall(self, name: Hashable, cutoff: float, batch: Batch, make: Callable[[float], Any]) -> Any:
        """What ``make(cutoff + skin)`` gave at the beginning; ``make(cutoff)``, not remembered, if ``name`` was not
        asked for then."""
        if name in self._lists:
            return self._lists[name]
        if not (_same(batch.positions, self._positions) and _same(batch.cells, self._cells)):
            return make(cutoff)
        self.cutoff = max(self.cutoff, cutoff)
        return self._lists.setdefault(name, make(cutoff + self.skin))


def _same(now: torch.Tensor, then: torch.Tensor) -> bool:
    return now.shape == then.shape and torch.equal(now.detach(), then)
