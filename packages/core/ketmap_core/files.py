"""Files that are either complete or not there, and say what they are.

TensorMaps are ``.mts`` files of metatensor. Everything else is an *archive*: a stored (uncompressed) ZIP with
a ``manifest.json`` that names format, format version and package versions. Nothing is ever unpickled.
"""

import importlib
import io
import json
import os
import secrets
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import metatensor

from .errors import FileFormatError
from .provenance import versions
from .tensors import is_torch

MANIFEST = "manifest.json"
_BROKEN = (zipfile.BadZipFile, metatensor.MetatensorError, RuntimeError, ValueError, EOFError, KeyError)


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A temporary path beside ``path``, with the same suffix, that replaces it when the block ends well.

    Whatever ends it otherwise (an error, Ctrl-C, a full disk) removes the temporary file and leaves ``path``
    as it was.

    :raises OSError: of the fitting kind, naming ``path``.
    """
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise IsADirectoryError(f"'{path}' is a folder; give the name of a file in it")
    if not target.parent.is_dir():
        raise FileNotFoundError(f"cannot write '{path}': there is no folder '{target.parent}'; make it first")
    temporary = target.parent / f".{target.stem}.{secrets.token_hex(4)}{target.suffix}"
    try:
        yield temporary
        _sync(temporary)
        os.replace(temporary, target)
    except OSError as error:
        text = f"cannot write '{path}': {error.strerror or error}; what was there before is untouched"
        raise type(error)(error.errno, text) from error
    finally:
        temporary.unlink(missing_ok=True)


def write_atomic(path: str | Path, content: bytes | Callable[[BinaryIO], Any]) -> None:
    """Write a whole file or nothing.

    :param content: the bytes, or a function that writes into the open binary file it is given.
    """
    with replacing(path) as temporary, open(temporary, "xb") as file:
        if callable(content):
            content(file)
        else:
            file.write(content)


def save_tensor(path: str | Path, tensor: Any) -> None:
    """Write a TensorMap (of metatensor or metatensor.torch) as ``.mts``, a whole file or nothing."""
    must_be_mts(path)
    with replacing(path) as temporary:
        if is_torch(tensor):
            tensor.save(str(temporary))
        else:
            metatensor.save(temporary, tensor)


def load_tensor(path: str | Path, *, torch: bool = False) -> Any:
    """Read a TensorMap from ``.mts``: of metatensor, or of metatensor.torch on request.

    :raises FileFormatError: if the file is cut or is no TensorMap.
    :raises FileNotFoundError: if there is none.
    """
    must_be_mts(path)
    with explained(path, "TensorMap"):
        with zipfile.ZipFile(path) as archive:
            must_be_tensor(path, archive)
        return unpack_tensor(Path(path).read_bytes(), torch=torch)


def pack_tensor(tensor: Any) -> bytes:
    """A TensorMap as bytes, to be kept in an archive."""
    if is_torch(tensor):
        return tensor.save_buffer().numpy().tobytes()
    return bytes(metatensor.io.save_buffer(tensor))


def unpack_tensor(content: bytes, *, torch: bool = False) -> Any:
    """The TensorMap in bytes made by :func:`pack_tensor`."""
    if not torch:
        return metatensor.io.load_buffer(content)
    from metatensor.torch import load_buffer
    from torch import frombuffer, uint8

    return load_buffer(frombuffer(bytearray(content), dtype=uint8))


def save_archive(path: str | Path, members: Mapping[str, bytes], *, kind: str = "ketmap", version: int = 1) -> None:
    """Write named byte strings and a manifest as one stored ZIP with checksums, a whole file or nothing.

    Equal content gives equal files, byte for byte.

    :param members: file name in the archive -> content.
    :param kind: what the archive is, written into the manifest.
    :param version: of the format; raise it when older programs cannot read the file.
    :raises ValueError: if a member is called like the manifest.
    """
    if MANIFEST in members:
        raise ValueError(f"'{MANIFEST}' is written by save_archive; give this member another name")
    manifest = {"format": kind, "format_version": version, "packages": versions()}
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo(MANIFEST), json.dumps(manifest, indent=1))
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    write_atomic(path, content.getvalue())


def load_archive(path: str | Path, *, kind: str = "ketmap", version: int = 1) -> dict[str, bytes]:
    """Read what :func:`save_archive` wrote, without the manifest; every checksum is verified.

    :raises FileFormatError: if the file is cut, damaged, foreign, of another kind or of a newer version.
    :raises FileNotFoundError: if there is none.
    """
    with explained(path, f"{kind} file"), zipfile.ZipFile(path) as archive:
        if MANIFEST not in archive.namelist():
            if any(member.header_offset for member in archive.infolist()[:1]):
                raise zipfile.BadZipFile("it ends in a member, which is a ZIP file too")
            raise FileFormatError(f"'{path}' is a ZIP file but no {kind} file; it holds {_some(archive)}")
        manifest = json.loads(archive.read(MANIFEST))
        if manifest["format"] != kind:
            raise FileFormatError(f"'{path}' is a {manifest['format']} file, expected a {kind} file")
        must_be_known(path, manifest, version)
        return {name: archive.read(name) for name in archive.namelist() if name != MANIFEST}


def must_be_known(path: str | Path, manifest: Mapping, version: int) -> None:
    """:raises FileFormatError: for a format later than ``version``."""
    if manifest["format_version"] > version:
        made_by = manifest["packages"].get("ketmap-core", "a newer version")
        raise FileFormatError(
            f"'{path}' has format version {manifest['format_version']}, written by ketmap {made_by}; "
            f"this ketmap reads up to version {version}: update ketmap"
        )


@contextmanager
def explained(path: str | Path, what: str) -> Iterator[None]:
    """Errors of reading the file become a FileFormatError that says what is wrong with it."""
    if not Path(path).exists():
        raise FileNotFoundError(f"there is no file '{path}'")
    if Path(path).is_dir():
        raise IsADirectoryError(f"'{path}' is a folder, expected a {what}")
    try:
        yield
    except FileFormatError:
        raise
    except _BROKEN as error:
        with open(path, "rb") as file:
            start = file.read(4)
        reason = "is cut or damaged" if start[:2] == b"PK" else "is empty" if not start else f"is no {what}"
        raise FileFormatError(f"'{path}' {reason} ({error}); write it again or take a copy") from error


def ketmap_class(path: str | Path, module: str, name: str, what: str) -> type:
    """The class of ketmap that a file names; a file must not make anything else be imported.

    :param what: what the class is, the argument that takes it instead: ``"representation"``.
    :raises FileFormatError: for classes of other packages.
    """
    package = module.partition(".")[0]
    if not package.startswith("ketmap_"):
        raise FileFormatError(
            f"'{path}' needs the {what} {name} of {package}, which is no part of ketmap; "
            f"give its class: load(path, {what}=...)"
        )
    return getattr(importlib.import_module(package), name)


def must_be_mts(path: str | Path) -> None:
    """TensorMaps are in files of this ending, or metatensor would take them for something else."""
    if Path(path).suffix != ".mts":
        raise ValueError(f"TensorMaps are kept in files that end in .mts, got '{path}'")


def must_be_tensor(path: str | Path, archive: zipfile.ZipFile) -> None:
    """Whether this ZIP file holds a TensorMap."""
    if "keys.npy" not in archive.namelist():
        raise FileFormatError(f"'{path}' is a ZIP file but no TensorMap; it holds {_some(archive)}")


def _some(archive: zipfile.ZipFile) -> str:
    return ", ".join(archive.namelist()[:3]) or "nothing"


def _sync(path: Path) -> None:
    with open(path, "rb+") as file:
        os.fsync(file.fileno())
