"""From dense arrays to TensorMap blocks: views where possible, labels made once and shared."""

import dataclasses
import functools
import importlib
from collections.abc import Sequence
from types import ModuleType

import numpy as np
import torch
from ketmap_core import Batch
from ketmap_core.tensors import is_torch, library

from .environments import Environments

#: labels of fewer entries are kept
SMALL = 256

#: rows of the centre axis: a slice where the block can be a view, places otherwise (−1: zeros)
Rows = slice | np.ndarray


@dataclasses.dataclass(frozen=True)
class Maker:
    """Makes labels, blocks and maps of the kind that ``batch`` asks for: NumPy, or torch on its device."""

    module: ModuleType
    device: torch.device | None

    @classmethod
    def of(cls, batch: Batch) -> "Maker":
        if not batch.is_torch:
            return cls(importlib.import_module("metatensor"), None)

        return cls(importlib.import_module("metatensor.torch"), batch.positions.device)

    @classmethod
    def like(cls, tensor) -> "Maker":
        """For results of the kind of another TensorMap."""
        return cls(library(tensor), tensor.device if is_torch(tensor) else None)

    def labels(self, names: Sequence[str], values: np.ndarray):
        """Labels of ``values`` [entry, dimension], which must be unique."""
        values = np.ascontiguousarray(values, dtype=np.int32).reshape(-1, len(names))
        if self.device is None:
            return self.module.Labels(list(names), values, assume_unique=True)
        return self.module.Labels(list(names), torch.from_numpy(values).to(self.device), assume_unique=True)

    def range(self, name: str, start: int, stop: int):
        """Labels of one dimension that counts; they cannot be changed, so those made once serve all."""
        return _range(self, name, start, stop) if stop - start < SMALL else self._made_range(name, start, stop)

    def _made_range(self, name: str, start: int, stop: int):
        return self.labels([name], np.arange(start, stop)[:, None])

    def array(self, values: torch.Tensor):
        """``values`` as the kind of array that blocks of this maker hold; no copy.

        Of a tensor on torch's ``meta`` device, which has no numbers, one zero that is seen in the whole shape.
        """
        if values.is_meta:
            values = torch.zeros((), dtype=values.dtype, device=self.device).expand(values.shape)
        return values if self.device is not None else values.detach().numpy()

    def block(self, values, samples, components, properties):
        return self.module.TensorBlock(values, samples, list(components), properties)

    def tensor(self, names: Sequence[str], keys: list[tuple[int, ...]], blocks: list):
        return self.module.TensorMap(self.labels(names, np.array(keys, dtype=np.int32)), blocks)


@functools.lru_cache(maxsize=1024)
def _range(make: Maker, name: str, start: int, stop: int):
    return make._made_range(name, start, stop)


@dataclasses.dataclass(frozen=True)
class Part:
    """The centres of one type: a slice of the centre axis, and which of them have which neighbours."""

    rows: slice
    has: np.ndarray  # bool [centre, channel]: has such a neighbour, or is it

    def present(self, channel: int) -> Rows:
        """The centres that have this neighbour: a slice if all do."""
        has = self.has[:, channel]
        return self.rows if has.all() else self.rows.start + np.flatnonzero(has)


def neighbors_of_centers(environments: Environments) -> np.ndarray:  # -> bool [centre, channel]
    """Which types each centre has around it, or is."""
    has = (environments.counts() > 0).cpu().numpy()
    own = environments.own.cpu().numpy()
    known = np.flatnonzero(own >= 0)
    has[known, own[known]] = True
    return has


def parts(environments: Environments) -> dict[int, Part]:
    """The centres by type, types ascending."""
    has = neighbors_of_centers(environments)
    types, first = np.unique(environments.center_types.cpu().numpy(), return_index=True)
    last = [*first[1:], len(has)]
    return {int(t): Part(slice(int(a), int(b)), has[a:b]) for t, a, b in zip(types, first, last)}


def samples_of(environments: Environments, batch: Batch) -> np.ndarray:  # -> int32 [centre, (system, atom)]
    """System and atom, counted within the system, of every centre."""
    atoms = environments.centers.cpu().numpy()
    system, starts = batch.system.cpu().numpy()[atoms], batch.starts.cpu().numpy()
    return np.stack([system, atoms - starts[system]], axis=1).astype(np.int32)


def take(values, rows: Rows):
    """``values[rows]`` along the first axis: a view for a slice; zeros where a place is −1."""
    taken = values[rows]
    if isinstance(rows, np.ndarray) and len(rows) and rows.min() < 0:
        taken[rows < 0] = 0.0
    return taken


def take_columns(data, columns: slice | np.ndarray | None):
    """The properties that one block wants, by place; −1: zeros."""
    if columns is None:
        return data
    data = data[..., columns]
    if not isinstance(columns, slice):
        data[..., columns < 0] = 0.0
    return data


def contiguous(places: np.ndarray) -> slice | np.ndarray:
    """A slice for ``places`` 0 … k − 1, so that blocks are views."""
    return slice(0, len(places)) if np.array_equal(places, np.arange(len(places))) else places
