"""What descriptors of whole systems share: one function of positions and cell, and its derivatives by autograd."""

import dataclasses
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch
from ketmap_core import Batch
from ketmap_density.selection import Selection

from .calculator import Descriptor, Key, Part, Parts, chosen_properties


@dataclasses.dataclass(frozen=True)
class System:
    """One structure of a batch, as tensors that may carry autograd history."""

    index: int  # in the batch
    types: torch.Tensor  # int32 [atom]
    positions: torch.Tensor  # [atom, 3]
    cell: torch.Tensor  # [3, 3], rows are the cell vectors
    pbc: tuple[bool, bool, bool]


class WholeDescriptor(Descriptor):
    """Features of each system that has atoms, in one block: key ``_``, sample ``system``."""

    key_names = ("_",)
    sample_names = ("system",)

    def all_properties(self) -> np.ndarray:  # -> int [property, dimension]
        raise NotImplementedError

    def prepare(self, system: System) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
        """The features as a function of positions [atom, 3] and cell [3, 3]. -> [property]

        :raises ValueError: for systems that this descriptor is not made for, naming them.
        """
        raise NotImplementedError

    def rows(self, systems: list[System]) -> tuple[torch.Tensor, list[Callable]]:
        """Features of all ``systems`` (one at least), and the functions that give them. -> [system, property]"""
        functions = [self.prepare(system) for system in systems]
        values = [function(system.positions, system.cell) for function, system in zip(functions, systems)]
        return torch.stack(values), functions

    def parts(self, batch: Batch, selection: Selection) -> Parts:
        every = self.all_properties()
        properties = chosen_properties(selection, every)
        place = {tuple(row): index for index, row in enumerate(every.tolist())}
        columns = torch.tensor([place[tuple(row)] for row in properties.tolist()], dtype=torch.int64)
        columns = columns.to(batch.positions.device)
        systems = [system for system in _systems(batch) if len(system.types)]
        systems = [system for system in systems if _wanted(selection, system.index)]
        samples = np.array([[system.index] for system in systems], dtype=np.int64).reshape(-1, 1)

        def part(key: Key) -> Part:
            nothing = batch.positions.new_zeros(0, len(columns))
            if key != (0,):
                return Part(samples[:0], nothing, lambda: _Jacobians([], [], len(columns), nothing))
            if not systems:
                return Part(samples, nothing, lambda: _Jacobians([], [], len(columns), nothing))
            values, functions = self.rows(systems)
            values, functions = values[:, columns], [_chosen(function, columns) for function in functions]
            return Part(samples, values, lambda: _Jacobians(systems, functions, len(columns), values))

        return Parts([(0,)], properties, part)


class _Jacobians:
    """Derivatives of the rows of a block, each by the positions and the cell of its own system."""

    def __init__(self, systems: list[System], functions: list[Callable], n_properties: int, like: torch.Tensor):
        self.systems, self.functions, self.n_properties, self.like = systems, functions, n_properties, like

    def gradient(self, name: str, batch: Batch, n_rows: int) -> tuple[np.ndarray, torch.Tensor]:
        """As :meth:`Slopes.gradient`."""
        labels = np.arange(n_rows)[:, None]
        found = [self._of(name, *each) for each in zip(self.systems, self.functions)]
        if name == "positions":
            labels = [
                np.column_stack(np.broadcast_arrays(row, system.index, np.arange(len(system.types))))
                for row, system in enumerate(self.systems)
            ]
            labels = np.concatenate([np.zeros((0, 3), dtype=np.int64), *labels])
        else:
            found = [gradient[None] for gradient in found]
        middle = (3,) if name == "positions" else (3, 3)
        return labels, torch.cat([self.like.detach().new_zeros(0, *middle, self.n_properties), *found])

    def _of(self, name: str, system: System, function: Callable) -> torch.Tensor:
        positions, cell = system.positions.detach(), system.cell.detach()
        by_positions, by_cell = torch.autograd.functional.jacobian(function, (positions, cell), vectorize=True)
        if name == "positions":
            return by_positions.permute(1, 2, 0)  # -> [atom, xyz, property]
        if name == "cell":
            return by_cell.permute(1, 2, 0)  # -> [abc, xyz, property]
        strain = torch.einsum("nx,pny->xyp", positions, by_positions)
        return strain + torch.einsum("ax,pay->xyp", cell, by_cell)


def _chosen(function: Callable, columns: torch.Tensor) -> Callable:
    return lambda positions, cell: function(positions, cell)[columns]


def _systems(batch: Batch) -> list[System]:
    pbc = batch.pbc.tolist()
    parts = pairwise(batch.starts.tolist())
    return [
        System(i, batch.types[a:b], batch.positions[a:b], batch.cells[i], tuple(pbc[i]))
        for i, (a, b) in enumerate(parts)
    ]


def _wanted(selection: Selection, system: int) -> bool:
    needed = selection.needed_samples(np.array([[system]]))
    return needed is None or bool(needed.any())
