"""Which part of the basis a selection asks for: only this much is computed."""

import numpy as np
import torch

from .blocks import Maker, contiguous
from .expansion import Expansion
from .selection import Selection


class Wanted:
    """The radial indices ``n`` [property, 1] and the largest degree ``l_max`` that blocks need."""

    def __init__(self, expansion: Expansion, selection: Selection):
        self.expansion, self.selection = expansion, selection
        every = np.arange(expansion.n_max + 1)[:, None]
        chosen = selection.choose_properties(every)
        self.n = every if chosen is None else every[chosen]  # -> [property, 1]
        degrees = selection.wanted("o3_lambda")
        columns = {size: np.flatnonzero(self.n[:, 0] < size) for size in set(expansion.sizes)}
        self.columns = [columns[size] for size in expansion.sizes]  # of each l
        self.l_max = expansion.l_max if degrees is None else min(max((0, *degrees)), expansion.l_max)

    def table(
        self, like: torch.Tensor, types: tuple[int, ...], l_max: int | None = None
    ) -> torch.Tensor:  # -> [row, l, n], or [type, row, l, n]
        """The part of the radial table for neighbours of these ``types`` that is needed, up to ``l_max`` if given, in
        the dtype and on the device of ``like``."""
        table, l_max = self.expansion.table_like(like, types), self.l_max if l_max is None else l_max
        if len(self.n) == table.shape[-1] and l_max == self.expansion.l_max:
            return table
        return table[..., : l_max + 1, self.n[:, 0]].contiguous()

    def keys(self, found: list[tuple[int, int]]) -> list[tuple[int, int, int, int]]:
        """The keys (o3_lambda, o3_sigma, types …) to make, of the pairs of types that were found, or as selected.

        :raises ValueError: for selected keys that this expansion cannot have.
        """
        degrees = self.expansion.basis.angular_channels()
        keys = self.selection.choose_keys([(l, 1, *types) for types in found for l in degrees])
        for l, sigma, *_ in keys:
            if l not in degrees or sigma != 1:
                raise ValueError(
                    f"selected key o3_lambda={l}, o3_sigma={sigma} is not in this expansion: "
                    f"o3_lambda is one of {', '.join(map(str, degrees))}, o3_sigma 1"
                )
        return keys

    def labels(self, make: Maker) -> list:
        """The properties of the blocks of each l."""
        return [self._labels(make, self.n[columns, 0].tolist()) for columns in self.columns]

    @staticmethod
    def _labels(make: Maker, n: list[int]):
        if n == list(range(len(n))):
            return make.range("n", 0, len(n))
        return make.labels(["n"], np.array(n))

    def properties(self, key: tuple[int, ...]) -> tuple[slice | np.ndarray | None, np.ndarray | None]:
        """Places of one block's properties among :attr:`n` (None: all; −1: not there), and their n where a TensorMap
        says so."""
        columns, here = self.selection.properties_of(key, self.n), self.columns[key[0]]
        if columns is None:
            return None if len(here) == len(self.n) else contiguous(here), None
        columns = np.where(np.isin(columns, here), columns, -1)  # other l may have this n
        return columns, self.selection.labels_of(key, "properties")
