"""Structures for the command line: read, checked, shared out."""

import glob
from collections.abc import Collection
from pathlib import Path

import ase
import numpy as np
from ketmap_core import read
from ketmap_core.errors import KetmapError

from .config import DataSet, Split, Target

SOURCE = "ketmap_source"
PARTS = ("train", "validation", "test")
TARGETS = ("energy", "forces", "stress")


class DataError(KetmapError, ValueError):
    """A data set that does not hold what it has to."""


def files(data: DataSet) -> list[Path]:
    """The files of a data set: a folder stands for all files in it, a pattern (``*``) for those that match, by name.

    :raises DataError: for folders without files and patterns that nothing matches.
    :raises FileNotFoundError: for files that do not exist.
    """
    found: list[Path] = []
    for text in data.paths():
        path = Path(text)
        if path.is_dir():
            inside = sorted(p for p in path.iterdir() if p.is_file() and not p.name.startswith("."))
        elif path.exists() or not glob.has_magic(text):
            inside = [path]
        else:
            inside = sorted(p for p in map(Path, glob.glob(text, recursive=True)) if p.is_file())
        if not inside:
            raise DataError(f"'{text}' " + ("is a folder without files" if path.is_dir() else "matches no file"))
        found += [p for p in inside if p not in found]
    for path in found:
        if not path.exists():
            raise FileNotFoundError(f"there is no file '{path}'")
    return found


def source(path: Path, number: int, index: str) -> str:
    """Where a structure came from, for its ``info`` and for errors."""
    return f"'{path}' (structure {number} of index \"{index}\")"


def load_structures(data: DataSet) -> list[ase.Atoms]:
    """All frames of all files; each says in its ``info`` where it came from."""
    structures = []
    for path in files(data):
        frames = read(path, data.index, units=data.units or None, names=data.names or None)
        if not frames:
            raise DataError(f"'{path}' with index \"{data.index}\" holds no structure, expected at least one")
        for number, atoms in enumerate(frames):
            atoms.info[SOURCE] = source(path, number, data.index)
        structures += frames
    return structures


def absolute(data: DataSet | None, config: Path) -> DataSet | None:
    """The data set of a configuration file, with absolute paths."""
    return None if data is None else data.beside(config.parent)


def reference(atoms: ase.Atoms, target: Target) -> np.ndarray | None:
    """What a structure that was read carries: energy, forces [atom, 3], stress [3, 3]; None without."""
    value = atoms.arrays.get(target) if target == "forces" else atoms.info.get(target)
    return None if value is None else np.asarray(value, dtype=float)


def with_target(structures: list[ase.Atoms], target: Target) -> list[ase.Atoms]:
    """Those structures that can have a target: all; for stress, those periodic in three directions."""
    return [atoms for atoms in structures if target != "stress" or atoms.pbc.all()]


def demand(structures: list[ase.Atoms], targets: list[Target]) -> None:
    """Every structure must have every target that it can have.

    :raises DataError: naming file and structure, what is missing and what is there.
    """
    for target in targets:
        for atoms in with_target(structures, target):
            if reference(atoms, target) is None:
                there = [name for name in TARGETS if reference(atoms, name) is not None]
                raise DataError(
                    f"{atoms.info[SOURCE]} has no {target}, which targets asks for; it has "
                    f"{', '.join(there) or 'no energy, forces or stress'}. Say what the file calls it "
                    f"(data: names: {{{target}: …}}), leave the structure out, or take {target} off targets"
                )


def share_out(n: int, split: Split, elsewhere: Collection[str] = ()) -> dict[str, list[int]]:
    """Places [0, n) of the structures of each part; parts that come from ``elsewhere`` take none.

    :raises DataError: for more structures than there are, places that do not exist or occur twice, and an
        empty training set.
    """
    given = {name: getattr(split, name) for name in PARTS}
    if isinstance(split.train, str | list):
        parts = {name: [] if name in elsewhere else _places(name, part, n) for name, part in given.items()}
    else:
        counts = {name: 0 if name in elsewhere else _count(part, n) for name, part in given.items()}
        counts["train"] = n - sum(counts.values()) if split.train is None else counts["train"]
        if sum(counts.values()) > n or counts["train"] < 0:
            wanted = ", ".join(f"{name} {part}" for name, part in given.items())
            raise DataError(f"split asks for more structures ({wanted}) than the data set has ({n})")
        order = np.random.default_rng(split.seed).permutation(n)
        cuts = np.split(order, np.cumsum(list(counts.values())))
        parts = {name: sorted(cut.tolist()) for name, cut in zip(PARTS, cuts)}
    if not parts["train"]:
        raise DataError(f"split leaves nothing to train on: {n} structures, train: {split.train}")
    _check_disjoint(parts)
    return parts


def _count(part: float | None, n: int) -> int:
    """Numbers above 1 count structures, others are fractions."""
    return 0 if part is None else round(part * n) if part <= 1 else int(part)


def _places(name: str, part: str | list[int], n: int) -> list[int]:
    if isinstance(part, str):
        try:
            return list(range(n))[slice(*(int(x) if x.strip() else None for x in part.split(":")))]
        except (ValueError, TypeError):
            raise DataError(f"split: {name} is '{part}', expected a slice such as \"0:100\"") from None
    for place in part:
        if not 0 <= place < n:
            raise DataError(f"split: {name} lists structure {place}, the data set has 0 to {n - 1}")
    return part


def _check_disjoint(parts: dict[str, list[int]]) -> None:
    seen: dict[int, str] = {}
    for name, places in parts.items():
        for place in places:
            if place in seen:
                raise DataError(f"split: structure {place} is in {seen[place]} and in {name}")
            seen[place] = name
