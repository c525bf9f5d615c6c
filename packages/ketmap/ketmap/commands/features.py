"""Structures to a file of features."""

from pathlib import Path

from ketmap_core import save_tensor

from .. import console, documents
from ..config import DataSet, FeaturesConfig
from ..datasets import DataError, absolute, load_structures
from ..folders import FolderError


def features(config: Path, structures: list[Path], output: Path | None = None, overwrite: bool = False) -> Path:
    """Compute the features that a YAML file describes; the file that is left."""
    settings = documents.load(config, FeaturesConfig)
    data = DataSet(file=[str(path) for path in structures]) if structures else absolute(settings.data, config)
    if data is None:
        raise DataError(f"no structures: name files on the command line, or give data: file: … in '{config}'")
    path = Path(output or settings.output or "features.mts")
    may_write(path, ".mts", overwrite)
    frames = load_structures(data)
    with console.err.status(f"features of {len(frames)} structures"):
        tensor = settings.representation.build().compute(frames, gradients=settings.gradients or None)
    save_tensor(path, tensor)
    console.out.print(
        f"[bold]{path}[/bold]: {len(tensor)} blocks of {len(frames)} structures; "
        f"keys {', '.join(tensor.keys.names)}; properties {', '.join(tensor.property_names)}"
    )
    return path


def may_write(path: Path, suffix: str | tuple[str, ...], overwrite: bool) -> None:
    """Whether a file may be written, asked before long work.

    :raises FolderError: if it exists, has another ending, or its folder does not exist.
    """
    suffixes = (suffix,) if isinstance(suffix, str) else suffix
    if path.suffix not in suffixes:
        raise FolderError(f"output '{path}': expected a name ending with {' or '.join(suffixes)}")
    if path.is_dir():
        raise FolderError(f"output '{path}' is a folder, expected the name of a file")
    if path.exists() and not overwrite:
        raise FolderError(f"output '{path}' exists already; choose another --output, or add --overwrite")
    try:
        probe = path.parent / f".{path.name}.probe"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise FolderError(f"cannot write into '{path.parent}': {error.strerror}; choose another --output") from None
