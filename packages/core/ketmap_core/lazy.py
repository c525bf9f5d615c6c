"""TensorMaps in files, read block by block."""

import importlib
import json
import math
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import metatensor
import numpy as np
from torch import from_numpy

from .errors import FileFormatError
from .files import explained, must_be_mts, must_be_tensor
from .provenance import derive
from .tensors import as_numpy, describe, labels_like

_PIECE = 2**20  # bytes read at once


def open_tensor(path: str | Path, *, torch: bool = False) -> "LazyTensor":
    """A view of a TensorMap in an ``.mts`` file that reads a block when it is asked for.

    :param torch: blocks are of metatensor.torch instead of metatensor.
    :raises FileFormatError: if the file is cut, foreign, or lacks a part of a block.
    :raises FileNotFoundError: if there is none.

    >>> import tempfile
    >>> from ketmap_core import from_dense, save_tensor
    >>> path = Path(tempfile.mkdtemp()) / "harmonics.mts"
    >>> save_tensor(path, from_dense(np.ones((5, 16))))
    >>> with open_tensor(path) as lazy:
    ...     len(lazy), lazy.shape(3), lazy.block({"o3_lambda": 2}).values.shape
    (4, (5, 7, 1), (5, 5, 1))
    """
    return LazyTensor(path, torch=torch)


class LazyTensor:
    """A TensorMap in a file: keys and info are here, blocks are read when they are asked for.

    Made by :func:`open_tensor`; to be closed, or used in a ``with`` statement. Every number that is read is verified
    against the checksum in the file.
    """

    def __init__(self, path: str | Path, *, torch: bool = False, _chosen: Sequence[int] | None = None):
        self.path, self.torch = Path(path), torch
        must_be_mts(path)
        with explained(path, "TensorMap"):
            self._archive = zipfile.ZipFile(path)
            must_be_tensor(path, self._archive)
            self._sizes = {member.filename: member.file_size for member in self._archive.infolist()}
            every = self._labels("keys", unique=True)
            self._info = json.loads(self._archive.read("info.json")) if "info.json" in self._sizes else {}
        self._whole = _chosen is None
        self._places = list(range(len(every))) if _chosen is None else list(_chosen)
        #: Labels of the blocks
        self.keys = labels_like(every, every.names, as_numpy(every.values)[self._places])
        for place in self._places:
            for part in ("values", "samples", "properties"):
                if f"blocks/{place}/{part}.npy" not in self._sizes:
                    self._broken(f"has no {part} of {self._where(place, every)}")

    def __enter__(self) -> "LazyTensor":
        return self

    def __exit__(self, *error: Any) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; nothing can be read after that."""
        self._archive.close()

    def __len__(self) -> int:
        """Number of blocks."""
        return len(self._places)

    def __repr__(self) -> str:
        return f"LazyTensor('{self.path}', {len(self)} blocks, keys {', '.join(self.keys.names)})"

    def info(self) -> dict[str, str]:
        """What the file's ``info`` holds, as text; :func:`ketmap_core.info` decodes it."""
        return dict(self._info)

    @property
    def nbytes(self) -> int:
        """Bytes of the blocks' numbers, gradients included, as they are in memory."""
        prefixes = tuple(f"blocks/{place}/" for place in self._places)
        total = 0
        for name in self._sizes:
            if name.endswith("/values.npy") and name.startswith(prefixes):
                with self._reading(), self._archive.open(name) as file:
                    shape, _, dtype = _header(file)
                total += math.prod(shape) * dtype.itemsize
        return total

    @property
    def n_systems(self) -> int:
        """One more than the largest index of a system in the samples; only these are read.

        :raises ValueError: for samples without ``system``.
        """
        largest = -1
        for place in self._places:
            with self._reading():
                samples = self._labels(f"blocks/{place}/samples")
            if "system" not in samples.names:
                raise ValueError(f"'{self.path}': samples are {', '.join(samples.names)}, expected some with 'system'")
            systems = as_numpy(samples.values)[:, list(samples.names).index("system")]
            largest = max(largest, int(systems.max(initial=-1)))
        return largest + 1

    def shape(self, selection: Any) -> tuple[int, ...]:
        """The shape of one block's values, from the header of their array alone."""
        place = self._place(selection)
        with self._reading(), self._archive.open(f"blocks/{place}/values.npy") as file:
            return _header(file)[0]

    def block(self, selection: Any, *, gradients: bool = True) -> Any:
        """One block, read from the file.

        :param selection: its position; or a dictionary, ``{"center_type": 6}``, or an entry of Labels that only one key
            matches.
        :param gradients: whether its gradients are read as well.
        :raises IndexError: for a position that does not exist.
        :raises ValueError: if no key matches, or several do.
        :raises FileFormatError: if the numbers in the file are damaged.
        """
        place = self._place(selection)
        with self._reading():
            return self._block(f"blocks/{place}/", gradients)

    def blocks(self, *, gradients: bool = True) -> Iterator[Any]:
        """The blocks in the order of the keys, each read when its turn comes."""
        for i in range(len(self)):
            yield self.block(i, gradients=gradients)

    def items(self) -> Iterator[tuple[Any, Any]]:
        """Keys and blocks, each block read when its turn comes."""
        return zip(self.keys, self.blocks())

    def select(self, selection: Any) -> "LazyTensor":
        """A view of some of the blocks: those whose keys match a dictionary or any entry of Labels.

        :raises ValueError: for names that are not among those of the keys.
        """
        chosen = [self._places[i] for i in self._matching(selection)]
        return LazyTensor(self.path, torch=self.torch, _chosen=chosen)

    def load(self) -> Any:
        """All blocks of this view as a TensorMap, with the file's info."""
        return self._map(list(self.blocks()))

    def empty(self) -> Any:
        """The TensorMap without its samples: labels and gradients are there, no number is read."""
        with self._reading():
            return self._map([self._block(f"blocks/{place}/", True, empty=True) for place in self._places])

    # ---------------------------------------------------------------------------- below

    @contextmanager
    def _reading(self) -> Iterator[None]:
        if self._archive.fp is None:
            raise ValueError(f"'{self.path}' has been closed; open it again")
        with explained(self.path, "TensorMap"):
            yield

    @property
    def _library(self) -> ModuleType:
        return importlib.import_module("metatensor.torch") if self.torch else metatensor

    def _map(self, blocks: list[Any]) -> Any:
        result = self._library.TensorMap(self.keys, blocks)
        if not self._whole:
            keys = {"names": list(self.keys.names), "values": as_numpy(self.keys.values).tolist()}
            return derive(result, "select_keys", self, keys, same_features=True)
        for key, value in self._info.items():
            result.set_info(key, value)
        return result

    def _place(self, selection: Any) -> int:
        if isinstance(selection, int | np.integer):
            if not -len(self) <= selection < len(self):
                raise IndexError(f"'{self.path}' has {len(self)} blocks, there is no block {selection}")
            return self._places[selection]
        found = self._matching(selection)
        if len(found) != 1:
            names = ", ".join(self.keys.names)
            raise ValueError(f"{len(found)} blocks of '{self.path}' match {selection}, expected one; keys: {names}")
        return self._places[found[0]]

    def _matching(self, selection: Any) -> list[int]:
        names, rows = _rows(selection)
        known = list(self.keys.names)
        if unknown := [name for name in names if name not in known]:
            raise ValueError(f"'{self.path}' has keys {', '.join(known)}, there is no {unknown[0]}")
        columns = as_numpy(self.keys.values)[:, [known.index(name) for name in names]]
        wanted = {tuple(row) for row in rows}
        return [i for i, row in enumerate(columns.tolist()) if tuple(row) in wanted]

    def _block(self, at: str, gradients: bool, empty: bool = False) -> Any:
        samples = self._labels(at + "samples")
        components = []
        while f"{at}components/{len(components)}.npy" in self._sizes:
            components.append(self._labels(f"{at}components/{len(components)}"))
        values = self._numbers(at + "values", empty)
        if empty:
            samples = labels_like(samples, samples.names, np.zeros((0, len(samples.names))))
        # a gradient has the properties of its values
        owner = at[: at.index("gradients/")] if "gradients/" in at else at
        block = self._library.TensorBlock(values, samples, components, self._labels(owner + "properties"))
        for name in self._gradients(at) if gradients else ():
            block.add_gradient(name, self._block(f"{at}gradients/{name}/", True, empty))
        return block

    def _gradients(self, at: str) -> list[str]:
        start = at + "gradients/"
        names = [name[len(start) :].split("/")[0] for name in self._sizes if name.startswith(start)]
        return list(dict.fromkeys(names))

    def _numbers(self, name: str, empty: bool) -> Any:
        if empty:
            with self._archive.open(name + ".npy") as file:
                shape, _, dtype = _header(file)
            values = np.zeros((0, *shape[1:]), dtype=dtype)
        else:
            values = self._array(name)
        return from_numpy(values) if self.torch else values

    def _labels(self, name: str, unique: bool = False) -> Any:
        rows = self._array(name)
        names = list(rows.dtype.names or ())
        values = rows.view(np.int32).reshape(len(rows), len(names)) if names else np.zeros((len(rows), 0))
        if unique and len(np.unique(values, axis=0)) != len(values):
            self._broken(f"holds a key twice, in {name}")
        like = self._library.Labels.single()
        return labels_like(like, names, values)

    def _array(self, name: str) -> np.ndarray:
        """An array of the archive, writable; its checksum is verified."""
        if name + ".npy" not in self._sizes:
            self._broken(f"has no {name}")
        with self._archive.open(name + ".npy") as file:
            shape, fortran, dtype = _header(file)
            content = bytearray(math.prod(shape) * dtype.itemsize)
            view, place = memoryview(content), 0
            while piece := file.read(_PIECE):  # up to the end, where the checksum is compared
                if place + len(piece) > len(content):
                    self._broken(f"holds more in {name} than its header says")
                view[place : place + len(piece)] = piece
                place += len(piece)
            if place < len(content):
                self._broken(f"holds less in {name} than its header says")
        return np.frombuffer(content, dtype=dtype).reshape(shape, order="F" if fortran else "C")

    def _broken(self, reason: str) -> None:
        raise FileFormatError(f"'{self.path}' {reason}; it is damaged: write it again or take a copy")

    def _where(self, place: int, keys: Any) -> str:
        return describe(keys.names, as_numpy(keys.values)[place].tolist())


def _rows(selection: Any) -> tuple[list[str], list[list[int]]]:
    """Names and rows of what selects keys."""
    if isinstance(selection, Mapping):
        return list(selection), [[int(value) for value in selection.values()]]
    if hasattr(selection, "names") and hasattr(selection, "values"):
        values = as_numpy(selection.values)
        return list(selection.names), values.reshape(-1, len(selection.names)).tolist()
    raise ValueError(f"blocks are selected by a position, a dictionary or Labels, got {type(selection).__name__}")


def _header(file: Any) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, order and dtype of an array in NPY format."""
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(file)
    if dtype.hasobject:
        raise ValueError("an array of Python objects, which is never loaded")
    return shape, fortran, dtype
