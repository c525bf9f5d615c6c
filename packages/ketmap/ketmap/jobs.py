"""Long jobs: structures are read one at a time, features written in chunks, and after a stop the job goes on.

A chunk ends at a structure that the settings alone decide, so a job that was stopped leaves the same files as one that
was not.
"""

import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ase
from ketmap_core import TensorFolder, iread, join, open_tensors
from ketmap_core.chunks import FORMAT, INDEX, written_alone
from ketmap_core.provenance import differences

from .config import DataSet, FeaturesConfig
from .datasets import SOURCE, DataError, files, source
from .folders import FolderError

ATOMS = 256  # in a batch that is computed at once: enough to keep all cores busy


def write_features(
    settings: FeaturesConfig,
    data: DataSet,
    path: Path,
    overwrite: bool = False,
    progress: Callable[[str, int, int], None] = lambda stage, done, total: None,
) -> tuple[TensorFolder, int]:
    """Write the features of all structures into a folder of chunks, or the rest of them into a folder that is begun.

    The folder, and how many structures were in it before.

    :param progress: told (stage, done, total) of files and structures; total 0: not known.
    :raises FolderError: for a folder of other features or settings, and where input files have changed since.
    :raises FileFormatError: for a frame that cannot be read; what comes before it is kept.
    :raises DataError: for a structure that has no features, naming file and frame.
    :raises OSError: if the disk is full; what was written is kept.
    """
    inputs = files(data)
    job = _job(settings, data, inputs)
    folder = _folder(path, job, overwrite)
    with written_alone(path):
        for file in _unfinished(path):  # of a job that was killed
            file.unlink()
        folder = open_tensors(path)  # as it is now that nobody else writes
        before = folder.n_systems
        if not folder.about["done"]:
            _compute(settings, data, inputs, folder, progress)
    return folder, before


def _compute(settings: FeaturesConfig, data: DataSet, inputs: list[Path], folder: TensorFolder, progress) -> None:
    calculator, job = settings.representation.build(), folder.about["job"]
    frames = _frames(data, inputs, folder.about["place"], progress)
    parts: list[Any] = []
    counts: list[int] = []
    for batch, place in _batches(frames, settings.chunk.systems):
        parts.append(_features(calculator, batch, settings.gradients))
        counts.append(len(batch))
        if _full(settings, parts, counts):
            _append(folder, parts, counts, {"job": job, "place": place, "done": False})
            progress("structures", folder.n_systems, 0)
            parts, counts = [], []
    if parts:
        _append(folder, parts, counts, {"job": job, "place": place, "done": True})
    elif folder.n_systems:
        folder.note({**folder.about, "done": True})
    else:
        raise DataError(f'index "{data.index}" leaves no structure of {", ".join(map(str, inputs))}')


def _append(folder: TensorFolder, parts: list[Any], counts: list[int], about: dict) -> None:
    tensor = join(parts, n_systems=counts) if len(parts) > 1 else parts[0]
    folder.append(tensor, n_systems=sum(counts), about=about)


def _full(settings: FeaturesConfig, parts: list[Any], counts: list[int]) -> bool:
    if settings.chunk.systems is not None:
        return sum(counts) >= settings.chunk.systems
    return sum(map(_bytes, parts)) >= settings.chunk.megabytes * 1e6


def _bytes(tensor: Any) -> int:
    """Of all values and gradients."""
    total = 0
    for block in tensor.blocks():
        total += block.values.nbytes + sum(gradient.values.nbytes for _, gradient in block.gradients())
    return total


def _frames(data: DataSet, inputs: list[Path], place: list[int], progress) -> Iterator[tuple[ase.Atoms, list[int]]]:
    """Structures from ``place`` (file, frames of it that are done) on, each with the place after it."""
    for number in range(place[0], len(inputs)):
        progress("files", number, len(inputs))
        path, done = inputs[number], place[1] if number == place[0] else 0
        for frame, atoms in _from(path, data, done):
            atoms.info[SOURCE] = source(path, frame, data.index)
            yield atoms, [number, frame + 1]
    progress("files", len(inputs), len(inputs))


def _from(path: Path, data: DataSet, done: int) -> Iterator[tuple[int, ase.Atoms]]:
    """The frames of a file but the first ``done`` of those asked for, numbered; those skipped unread if possible."""
    index = data.index
    parts = [int(part) if part.strip() else None for part in index.split(":")] if ":" in index else [-1]
    start, stop, step = (*parts, None, None)[:3] if len(parts) > 1 else (None, -1, None)
    if done and all(part is None or part >= 0 for part in (start, stop, step)):
        first = (start or 0) + done * (step or 1)
        index = f"{first}:{'' if stop is None else max(stop, first)}:{step or 1}"
        skipped = 0
    else:
        skipped = done
    frames = iread(path, index, units=data.units or None, names=data.names or None)
    return zip(itertools.count(done), itertools.islice(frames, skipped, None))


def _batches(
    frames: Iterator[tuple[ase.Atoms, list[int]]], limit: int | None
) -> Iterator[tuple[list[ase.Atoms], list[int]]]:
    """Structures until they have enough atoms or a chunk of ``limit`` systems is full; each with the place after it."""
    batch: list[ase.Atoms] = []
    in_chunk = 0
    for atoms, place in frames:
        batch.append(atoms)
        in_chunk += 1
        if sum(map(len, batch)) >= ATOMS or in_chunk == limit:
            yield batch, place
            batch, in_chunk = [], 0 if in_chunk == limit else in_chunk
    if batch:
        yield batch, place


def _features(calculator: Any, batch: list[ase.Atoms], gradients: list[str]) -> Any:
    try:
        return calculator.compute(batch, gradients=gradients or None)
    except ValueError:
        for atoms in batch:
            try:
                calculator.compute([atoms], gradients=gradients or None)
            except ValueError as error:
                raise DataError(f"{atoms.info[SOURCE]}: {str(error).removeprefix('system 0: ')}") from error
        raise


# ---------------------------------------------------------------------------- what a job is


def _job(settings: FeaturesConfig, data: DataSet, inputs: list[Path]) -> dict:
    """All that decides what is written, for comparison with that of a folder that is there."""
    job = settings.model_dump(mode="json", include={"representation", "gradients", "chunk"})
    job["data"] = {"index": data.index, "units": data.units, "names": data.names}
    job["inputs"] = {}
    for path in inputs:
        about = path.stat()
        job["inputs"][str(path.resolve())] = {"bytes": about.st_size, "modified_ns": about.st_mtime_ns}
    return json.loads(json.dumps(job))


def _folder(path: Path, job: dict, overwrite: bool) -> TensorFolder:
    if path.exists() and not path.is_dir():
        raise FolderError(f"'{path}' is a file, expected a folder; choose another --output")
    if path.is_dir() and any(path.iterdir()):
        if not _is_ours(path):
            raise FolderError(f"'{path}' holds something else than a folder of features; choose another --output")
        if not overwrite:
            folder = open_tensors(path)
            _must_be_the_same(path, folder.about.get("job"), job)
            return folder
        _remove(path)
    try:
        return TensorFolder.create(path, about={"job": job, "place": [0, 0], "done": False})
    except OSError as error:
        raise FolderError(f"cannot write into '{path.parent}': {error.strerror}; choose another --output") from None


def _must_be_the_same(path: Path, known: dict | None, job: dict) -> None:
    if known is None:
        raise FolderError(f"'{path}' was not made by ketmap features, so it cannot go on; choose another --output")
    before, now = known.pop("inputs"), job["inputs"]
    for file in now:
        if file in before and before[file] != now[file]:
            raise FolderError(f"'{file}' has changed since '{path}' was begun; {_WAYS_OUT}")
    if list(before) != list(now):
        only = [*(f"'{file}' is new" for file in now if file not in before)]
        only += [*(f"'{file}' is not asked for any more" for file in before if file not in now)]
        raise FolderError(f"'{path}' was begun with other files: {(only or ['their order differs'])[0]}; {_WAYS_OUT}")
    for name, old, new in differences(known, {k: v for k, v in job.items() if k != "inputs"}, ""):
        raise FolderError(f"'{path}' was begun with {name[1:]} {old}, now it is {new}; {_WAYS_OUT}")
    known["inputs"] = before


_WAYS_OUT = "choose another --output, or add --overwrite to begin anew"


def _is_ours(path: Path) -> bool:
    try:
        return json.loads((path / INDEX).read_text())["format"] == FORMAT
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _unfinished(path: Path) -> list[Path]:
    """Temporary files of chunks and indices."""
    return [*path.glob(".chunk-*.mts"), *path.glob(".index.*.json")]


def _remove(path: Path) -> None:
    """Take away what ketmap wrote into a folder, and nothing else."""
    with written_alone(path):
        for file in [*path.glob("chunk-*.mts"), *_unfinished(path), path / INDEX]:
            file.unlink(missing_ok=True)
    (path / ".lock").unlink()
    if left := sorted(file.name for file in path.iterdir()):
        raise FolderError(f"'{path}' also holds {left[0]}, which ketmap did not write; choose another --output")
