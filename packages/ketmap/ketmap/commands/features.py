"""Structures to a file of features."""

from pathlib import Path
from typing import Any

from ketmap_core import Plan, TensorFolder, save_tensor
from ketmap_core import plan as plan_of

from .. import console, documents, jobs
from ..config import DataSet, FeaturesConfig
from ..datasets import DataError, absolute, load_structures
from ..folders import FolderError


def features(config: Path, structures: list[Path], output: Path | None = None, overwrite: bool = False) -> Path:
    """Compute the features that a YAML file describes; the file or folder that is left."""
    settings, data = _settings(config, structures)
    path = Path(output or settings.output or "features.mts")
    if path.is_dir() or not path.suffix:
        _in_chunks(settings, data, path, overwrite)
        return path
    if "chunk" in settings.model_fields_set:
        raise FolderError(f"output '{path}' is one file, which has no chunks; name a folder, or leave chunk out")
    may_write(path, ".mts", overwrite)
    frames = load_structures(data)
    with console.err.status(f"features of {len(frames)} structures"):
        tensor = settings.representation.build().compute(frames, gradients=settings.gradients or None)
    save_tensor(path, tensor)
    _report(path, tensor, f"{len(frames)} structures")
    return path


def plan(config: Path, structures: list[Path]) -> Plan:
    """What the features of a YAML file would be and cost; printed, and nothing is written."""
    settings, data = _settings(config, structures)
    frames = load_structures(data)
    try:
        found = plan_of(settings.representation.build(), frames, gradients=settings.gradients or None)
    except TypeError as error:
        raise DataError(str(error)) from None
    console.out.print(str(found), highlight=False)
    return found


def _settings(config: Path, structures: list[Path]) -> tuple[FeaturesConfig, DataSet]:
    settings = documents.load(config, FeaturesConfig)
    data = DataSet(file=[str(path) for path in structures]) if structures else absolute(settings.data, config)
    if data is None:
        raise DataError(f"no structures: name files on the command line, or give data: file: … in '{config}'")
    return settings, data


def _in_chunks(settings: FeaturesConfig, data: DataSet, path: Path, overwrite: bool) -> None:
    try:
        with console.progress() as advance:
            folder, before = jobs.write_features(settings, data, path, overwrite, advance)
    except (KeyboardInterrupt, OSError) as error:
        if (path / jobs.INDEX).is_file() and not isinstance(error, FolderError | BlockingIOError):
            n = jobs.open_tensors(path).n_systems
            console.err.print(f"the features of {n} structures are in {path}; the same command goes on from there")
        raise
    if folder.about["done"] and before:
        now = folder.n_systems - before
        console.out.print(f"went on after {before} structures" if now else "all structures were there already")
    _report(path, folder, f"{folder.n_systems} structures in {len(folder.chunks)} chunks")


def _report(path: Path, tensor: Any, what: str) -> None:
    template = tensor.template() if isinstance(tensor, TensorFolder) else tensor
    console.out.print(
        f"[bold]{path}[/bold]: {len(tensor)} blocks of {what}; "
        f"keys {', '.join(template.keys.names)}; properties {', '.join(template.property_names)}"
    )


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
