"""Sets larger than memory: a folder of ``.mts`` chunks with an index, seen as one TensorMap.

The index is written after each chunk, both a whole file or not at all, so that the folder is a valid set at any time;
a chunk that the index does not name was being written when the program was stopped, and is ignored.
"""

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .align import align
from .errors import FileFormatError
from .files import must_be_known, save_tensor, write_atomic
from .join import count_systems, join, select_systems
from .lazy import LazyTensor, open_tensor
from .provenance import info, versions
from .tensors import as_numpy

try:
    import fcntl
except ImportError:  # not a POSIX system
    fcntl = None

INDEX = "index.json"
FORMAT, VERSION = "ketmap tensor folder", 1


@dataclass(frozen=True)
class Chunk:
    """One file of the folder, and the systems that it holds."""

    file: str
    start: int  # first system
    stop: int  # one more than the last
    bytes: int
    sha256: str

    def to_dict(self) -> dict:
        """For the index."""
        return {"file": self.file, "systems": [self.start, self.stop], "bytes": self.bytes, "sha256": self.sha256}


class TensorFolder:
    """A TensorMap in many files: systems are numbered through, keys are those of all chunks.

    Made by :func:`open_tensors`, or anew by :meth:`create`. ``keys``: Labels of all blocks; ``n_systems``; ``chunks``:
    the files, in order; ``about``: what whoever made the folder noted down.
    """

    def __init__(self, path: Path, index: dict, *, torch: bool = False):
        self.path, self.torch = Path(path), torch
        self._adopt(index)

    @classmethod
    def create(cls, path: str | Path, about: Mapping[str, Any] | None = None) -> "TensorFolder":
        """A folder without chunks, made where there is none yet or where it is empty.

        :param about: notes that JSON can hold, to be found again in ``about``.
        :raises FileExistsError: if there is something already.
        """
        path = Path(path)
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise FileExistsError(f"'{path}' exists already; give the name of a folder that does not")
        path.mkdir(parents=True, exist_ok=True)
        index = {"format": FORMAT, "format_version": VERSION, "packages": versions(), "about": dict(about or {})}
        index |= {"info": {}, "keys": {"names": [], "values": [], "first": []}, "n_systems": 0, "chunks": []}
        folder = cls(path, index)
        folder._write()
        return folder

    def append(self, tensor: Any, n_systems: int | None = None, about: Mapping[str, Any] | None = None) -> None:
        """Write one more chunk, whose systems follow those that are there.

        :param tensor: of metatensor or metatensor.torch; its systems count from 0.
        :param n_systems: how many systems it holds; by default one more than the largest index in its samples.
        :param about: takes the place of the folder's notes, in the same moment in which the chunk becomes part of it.
        :raises ValueError: for other key names, and for features made in another way than those that are there.
        :raises OSError: if the disk is full, say; the folder is then as it was.
        """
        counted = count_systems(tensor)
        n = counted if n_systems is None else int(n_systems)
        if n < counted:
            raise ValueError(f"n_systems is {n}, but the samples hold {counted} systems")
        self._must_fit(tensor)
        name = f"chunk-{len(self.chunks):06d}.mts"
        save_tensor(self.path / name, tensor)
        chunk = Chunk(name, self.n_systems, self.n_systems + n, *_fingerprint(self.path / name))
        index = json.loads(json.dumps(self._index))
        if not self.chunks:
            index["info"] = dict(tensor.info())
            index["keys"]["names"] = list(tensor.keys.names)
        known = {tuple(key) for key in index["keys"]["values"]}
        for key in as_numpy(tensor.keys.values).tolist():
            if tuple(key) not in known:
                index["keys"]["values"].append(key)
                index["keys"]["first"].append(len(self.chunks))
        index["n_systems"] = chunk.stop
        index["chunks"].append(chunk.to_dict())
        if about is not None:
            index["about"] = dict(about)
        self._write(index)

    def note(self, about: Mapping[str, Any]) -> None:
        """Replace the notes."""
        self._write({**self._index, "about": dict(about)})

    def __len__(self) -> int:
        """Number of blocks."""
        return len(self._index["keys"]["values"])

    def __repr__(self) -> str:
        return f"TensorFolder('{self.path}', {self.n_systems} systems in {len(self.chunks)} chunks, {len(self)} blocks)"

    @property
    def n_systems(self) -> int:
        """Number of systems in all chunks."""
        return self._index["n_systems"]

    @property
    def nbytes(self) -> int:
        """Bytes of all files."""
        return sum(chunk.bytes for chunk in self.chunks)

    @property
    def keys(self) -> Any:
        """Labels of the blocks of all chunks."""
        return self.template().keys

    def info(self) -> dict[str, str]:
        """What made the features, as text; :func:`ketmap_core.info` decodes it."""
        return dict(self._index["info"])

    def open(self, i: int) -> LazyTensor:
        """One chunk, to be read block by block; its systems count from 0.

        :raises FileFormatError: if it is missing, cut, or not the file that was written.
        """
        chunk = self.chunks[i]
        self._must_be_there(chunk)
        lazy = open_tensor(self.path / chunk.file, torch=self.torch)
        ours, theirs = info(self).get("hash"), info(lazy).get("hash")
        if ours != theirs:
            lazy.close()
            raise FileFormatError(
                f"'{lazy.path}' holds other features than the folder: hash {theirs} instead of {ours}"
            )
        return lazy

    def iterate(self, *, fill_properties: bool = False) -> Iterator[Any]:
        """The chunks as TensorMaps, one at a time, all with the same keys; systems of each count from 0.

        :param fill_properties: see :func:`ketmap_core.align`; to be given where chunks differ in their properties.
        """
        template = self.template(fill_properties=fill_properties)
        for i in range(len(self.chunks)):
            with self.open(i) as lazy:
                tensor = lazy.load()
            yield _brought_to(template, tensor, fill_properties)

    def read(self, start: int = 0, stop: int | None = None, *, fill_properties: bool = False) -> Any:
        """Some of the systems as a TensorMap, in which they count from 0; only the chunks that hold them are read.

        :param start: first system.
        :param stop: one more than the last; by default, to the end.
        :raises IndexError: for systems that do not exist.
        """
        stop = self.n_systems if stop is None else stop
        if not 0 <= start <= stop <= self.n_systems:
            raise IndexError(f"'{self.path}' has systems 0 to {self.n_systems - 1}, asked for {start} to {stop - 1}")
        parts, counts = [], []
        for i, chunk in enumerate(self.chunks):
            first, last = max(start, chunk.start), min(stop, chunk.stop)
            if first >= last:
                continue
            with self.open(i) as lazy:
                tensor = lazy.load()
            whole = (first, last) == (chunk.start, chunk.stop)
            parts.append(tensor if whole else select_systems(tensor, first - chunk.start, last - chunk.start))
            counts.append(last - first)
        template = self.template(fill_properties=fill_properties)
        if not parts:
            return template
        whole = join(parts, n_systems=counts, fill_properties=fill_properties) if len(parts) > 1 else parts[0]
        return _brought_to(template, whole, fill_properties)

    def to_tensor(self, *, fill_properties: bool = False) -> Any:
        """All systems as one TensorMap, which has to fit into memory."""
        return self.read(fill_properties=fill_properties)

    def template(self, *, fill_properties: bool = False) -> Any:
        """A TensorMap with all keys, properties and components, and without samples; read from as few chunks as can be.

        It is what models and other data sets can be aligned to: ``align(tensor, keys=folder.template())``.
        """
        if not self.chunks:
            raise ValueError(f"'{self.path}' holds no chunks yet")
        if fill_properties not in self._templates:
            needed = range(len(self.chunks)) if fill_properties else sorted({0, *self._index["keys"]["first"]})
            empties = []
            for i in needed:
                with self.open(i) as lazy:
                    empties.append(lazy.empty())
            only = len(empties) == 1
            self._templates[fill_properties] = (
                empties[0] if only else align(empties, fill_properties=fill_properties)[0]
            )
        return self._templates[fill_properties]

    def verify(self) -> list[str]:
        """What is wrong with the files, in words; every byte of them is compared with its checksum."""
        problems = []
        for chunk in self.chunks:
            try:
                self._must_be_there(chunk)
            except FileFormatError as error:
                problems.append(str(error))
                continue
            if _fingerprint(self.path / chunk.file)[1] != chunk.sha256:
                problems.append(f"'{self.path / chunk.file}' is not the file that was written: its checksum differs")
        return problems

    # ---------------------------------------------------------------------------- below

    def _must_be_there(self, chunk: Chunk) -> None:
        path = self.path / chunk.file
        what = f"systems {chunk.start} to {chunk.stop - 1}"
        if not path.is_file():
            raise FileFormatError(f"'{path}', which holds {what}, is missing; copy the folder again or make it anew")
        if (size := path.stat().st_size) != chunk.bytes:
            raise FileFormatError(
                f"'{path}', which holds {what}, has {size} bytes instead of {chunk.bytes}; it is cut or another file: "
                "copy the folder again or make it anew"
            )

    def _must_fit(self, tensor: Any) -> None:
        if not self.chunks:
            return
        names = self._index["keys"]["names"]
        if list(tensor.keys.names) != names:
            other = ", ".join(tensor.keys.names)
            raise ValueError(f"'{self.path}' has keys {', '.join(names)}, the new chunk has {other}")
        ours, theirs = info(self).get("hash"), info(tensor).get("hash")
        if ours != theirs:
            raise ValueError(f"'{self.path}' holds features with hash {ours}, those of the new chunk have {theirs}")

    def _write(self, index: dict | None = None) -> None:
        index = self._index if index is None else index
        text = json.dumps(index, indent=1, ensure_ascii=False)
        write_atomic(self.path / INDEX, text.encode())
        self._adopt(index)

    def _adopt(self, index: dict) -> None:
        self._index = index
        self.chunks = [Chunk(c["file"], *c["systems"], c["bytes"], c["sha256"]) for c in index["chunks"]]
        self.about: dict = index["about"]
        self._templates: dict[bool, Any] = {}


def _brought_to(template: Any, tensor: Any, fill_properties: bool) -> Any:
    if tensor.keys == template.keys and not fill_properties:
        return tensor
    return align(tensor, keys=template, fill_properties=fill_properties)


@contextlib.contextmanager
def written_alone(path: str | Path) -> Iterator[None]:
    """Sees to it that one program at a time writes into a folder; a killed one is no obstacle.

    :raises BlockingIOError: if another program does.
    """
    if fcntl is None:
        yield
        return
    with open(Path(path) / ".lock", "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            text = f"another program is writing into '{path}'; wait until it has ended, or give another folder"
            raise BlockingIOError(error.errno, text) from None
        yield


def open_tensors(path: str | Path, *, torch: bool = False) -> TensorFolder:
    """A folder of chunks as one lazy view; whether all chunks are there, and as long as they should be, is looked at.

    :param torch: what is read is of metatensor.torch instead of metatensor.
    :raises FileFormatError: for a folder that is none of ours or of a newer version, and for chunks that are missing or
        cut, naming file and systems.
    :raises FileNotFoundError: if there is no such folder.

    >>> import tempfile
    >>> import numpy as np
    >>> from metatensor import Labels, TensorBlock, TensorMap
    >>> def features(n):
    ...     rows = Labels(["system", "atom"], np.array([[i, 0] for i in range(n)]))
    ...     block = TensorBlock(np.ones((n, 2)), rows, [], Labels.range("n", 2))
    ...     return TensorMap(Labels.range("center_type", 1), [block])
    >>> folder = TensorFolder.create(Path(tempfile.mkdtemp()) / "set")
    >>> folder.append(features(3))
    >>> folder.append(features(2))
    >>> both = open_tensors(folder.path)
    >>> both.n_systems, both.read(1, 4).block(0).shape, [t.block(0).shape for t in both.iterate()]
    (5, (3, 2), [(3, 2), (2, 2)])
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"there is no folder '{path}'")
    if not (path / INDEX).is_file():
        what = "a file, expected a folder" if path.is_file() else f"no folder of chunks: it has no {INDEX}"
        raise FileFormatError(f"'{path}' is {what}")
    folder = TensorFolder(path, _read_index(path), torch=torch)
    for chunk in folder.chunks:
        folder._must_be_there(chunk)
    return folder


def _read_index(path: Path) -> dict:
    try:
        index = json.loads((path / INDEX).read_text())
        if index["format"] != FORMAT:
            raise FileFormatError(f"'{path / INDEX}' is the index of a {index['format']}, expected a {FORMAT}")
        must_be_known(path, index, VERSION)
        TensorFolder(path, index)  # whatever is missing in it is missed here
        if index["n_systems"] != sum(c["systems"][1] - c["systems"][0] for c in index["chunks"]):
            raise ValueError("systems do not add up")
        if any(Path(c["file"]).name != c["file"] for c in index["chunks"]):
            raise ValueError("it names a file outside of the folder")
        return index
    except FileFormatError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FileFormatError(
            f"'{path / INDEX}' is damaged ({error}); copy the folder again or make it anew"
        ) from error


def _fingerprint(path: Path) -> tuple[int, str]:
    """Bytes and SHA-256."""
    with open(path, "rb") as file:
        return path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest()
