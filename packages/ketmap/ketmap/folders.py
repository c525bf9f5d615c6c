"""Output folders: checked before the work, complete or not there after it, and nobody else's data removed."""

import contextlib
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from ketmap_core.errors import KetmapError

CONFIG = "config.yaml"
SIGNATURE = "written by ketmap"


class FolderError(KetmapError, OSError):
    """An output folder that exists already or cannot be written."""


@contextlib.contextmanager
def new_folder(path: Path, overwrite: bool = False) -> Iterator[Path]:
    """A folder to fill, which gets its name ``path`` when the block ends well and is removed otherwise.

    :raises FolderError: if ``path`` exists and ``overwrite`` is false or it was not written by ketmap; if it
        cannot be written.
    """
    _may_be_made(path, overwrite)
    made = _make_parents(path)
    partial = path.parent / f".{path.name}.{secrets.token_hex(4)}.partial"
    _make(partial)
    try:
        yield partial
        _replace(path, partial)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        for folder in made:
            with contextlib.suppress(OSError):  # not empty: somebody else uses it by now
                folder.rmdir()
        raise


def make_folder(path: Path, overwrite: bool = False) -> None:
    """An empty folder, for what is to be seen while it is written; raises as :func:`new_folder`."""
    with new_folder(path, overwrite):
        pass


def _may_be_made(path: Path, overwrite: bool) -> None:
    if not path.exists():
        return
    if not overwrite:
        raise FolderError(f"output folder '{path}' exists already; choose another --output, or add --overwrite")
    if not path.is_dir():
        raise FolderError(f"'{path}' is a file, expected a folder; choose another --output")
    if any(path.iterdir()) and not _is_ours(path):
        raise FolderError(
            f"'{path}' was not written by ketmap (it has no {CONFIG} that says so) and is not overwritten; "
            "choose another --output"
        )


def _is_ours(path: Path) -> bool:
    config = path / CONFIG
    return config.is_file() and SIGNATURE in config.read_text(errors="replace").partition("\n")[0]


def _make_parents(path: Path) -> list[Path]:
    """The parents that had to be made, deepest first."""
    missing = [folder for folder in path.parents if not folder.exists()]
    for folder in reversed(missing):
        _make(folder)
    return missing


def _make(folder: Path) -> None:
    try:
        folder.mkdir()
    except OSError as error:
        raise FolderError(f"cannot write into '{folder.parent}': {error.strerror}; choose another --output") from None


def _replace(path: Path, partial: Path) -> None:
    if not path.exists():
        partial.rename(path)
        return
    old = partial.with_suffix(".old")
    path.rename(old)
    partial.rename(path)
    shutil.rmtree(old)
