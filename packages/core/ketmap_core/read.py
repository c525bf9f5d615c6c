"""Files of structures in, by ASE or chemfiles."""

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import ase
import ase.io
import ase.units
import chemfiles
import numpy as np
from ase.io.formats import open_with_compression

from .binary import ends_within_frame
from .errors import FileFormatError
from .quantities import adopt_results, convert, rename, stress_from_virial
from .structures import chemfiles_parts

# formats that chemfiles reads and ASE does not, or not as well
_CHEMFILES = (
    *(".xtc", ".trr", ".tng", ".tpr", ".dcd", ".nc", ".ncrst", ".mmtf", ".mol2", ".psf", ".sdf", ".gro"),
    *(".cml", ".cssr", ".mmcif", ".arc", ".smi"),
)
_COMPRESSED = (".gz", ".bz2", ".xz")


def read(
    path: str | Path,
    index: str | int | slice = ":",
    units: Mapping[str, str] | None = None,
    names: Mapping[str, str] | None = None,
    *,
    topology: str | Path | None = None,
) -> list[ase.Atoms]:
    """Structures of a file, with the energies, forces, stresses and arrays found there.

    Whatever the file called them, they are in ``atoms.info["energy"]``, ``atoms.arrays["forces"]`` and
    ``atoms.info["stress"]`` (3×3, ASE's sign: (1/V) dE/dε). A frame that lacks a quantity stays without.
    Where ``names`` says nothing, the names in ``ketmap_core.quantities.GUESSES`` are looked for. A ``virial``
    (QUIP's, −V times the stress) becomes the stress of frames that have none.

    :param path: xyz, extxyz, cif, pdb, POSCAR, LAMMPS data, traj and all else that ASE reads; xtc, trr, tng,
        gro, mol2 and others by chemfiles. Also compressed (``.gz``).
    :param index: which frames, as in ASE: ``":"``, ``"::10"``, ``-1``. The result is a list in any case.
    :param units: quantity -> unit in the file, ``{"energy": "Ha", "force": "Ha/bohr", "length": "bohr"}``:
        converted to eV, Å and e. Nothing else is converted. ``atoms.info["units"]`` says the units that hold.
    :param names: quantity -> name in the file, ``{"forces": "force", "energy": "dft_energy"}``.
    :param topology: a file with the elements, for trajectories that hold none (xtc, trr, dcd).
    :raises FileFormatError: if the file is empty, cut or in no known format, naming file and frame.
    :raises FileNotFoundError: if there is none.
    :raises ValueError: for names and units that are unknown or do not fit.
    """
    frames = list(_frames(Path(path), index, topology))
    _spell(frames, path, names, units)
    return frames


def iread(
    path: str | Path,
    index: str | int | slice = ":",
    units: Mapping[str, str] | None = None,
    names: Mapping[str, str] | None = None,
    *,
    topology: str | Path | None = None,
) -> Iterator[ase.Atoms]:
    """The structures of :func:`read`, one at a time: memory does not grow with the length of a trajectory.

    Each frame is looked at by itself: ``names`` and ``units`` of what a frame does not carry do nothing, and a frame in
    another spelling than the first is read nevertheless.

    :raises FileFormatError: as :func:`read`, when the frame's turn comes.
    """
    path = Path(path)
    for number, atoms in enumerate(_frames(path, index, topology)):
        carried = {*atoms.info, *atoms.arrays}
        here = {name: source for name, source in (names or {}).items() if source in carried}
        _spell([atoms], path, here, units, number)
        yield atoms


def _frames(path: Path, index: str | int | slice, topology: str | Path | None) -> Iterator[ase.Atoms]:
    if not path.exists():
        raise FileNotFoundError(f"there is no file '{path}'")
    if path.is_file() and path.stat().st_size == 0:
        raise FileFormatError(f"'{path}' is empty")
    by_chemfiles = topology is not None or _suffix(path) in _CHEMFILES
    for atoms in _chemfiles_frames(path, index, topology) if by_chemfiles else _ase_frames(path, index):
        adopt_results(atoms)
        yield atoms


def _spell(
    frames: list[ase.Atoms],
    path: str | Path,
    names: Mapping[str, str] | None,
    units: Mapping[str, str] | None,
    first: int = 0,
) -> None:
    """Quantities under our names and in our units; ``first``: the number of the first of the ``frames``."""
    try:
        rename(frames, names, first)
        convert(frames, units)
        stress_from_virial(frames)
    except ValueError as error:
        raise ValueError(f"'{path}': {error}") from None


def _suffix(path: Path) -> str:
    return Path(path.stem if path.suffix in _COMPRESSED else path.name).suffix.lower()


def _ase_frames(path: Path, index: str | int | slice) -> Iterator[ase.Atoms]:
    kind = _ase_format(path)
    n_read = 0
    try:
        for atoms in ase.io.iread(path, index, format=kind, parallel=False):
            yield atoms
            n_read += 1
    except ase.io.formats.UnknownFileTypeError as error:
        raise FileFormatError(f"'{path}' is in no format that ASE or chemfiles know by its name") from error
    except Exception as error:  # each parser has its own
        found = _xyz_damage(path) if _suffix(path) in (".xyz", ".extxyz") else None
        where = found or f"frame {n_read}" + ("" if index == ":" else f" of those asked for, {index}")
        raise FileFormatError(f"'{path}' is cut or damaged at {where}: {error}") from error
    if n_read == 0:
        _nothing_read(path, index)


def _nothing_read(path: Path, index: str | int | slice) -> None:
    if index == ":":
        raise FileFormatError(f"'{path}' holds no structures")
    if isinstance(_as_index(index), int):
        raise IndexError(f"'{path}' has no frame {index}")


def _as_index(index: str | int | slice) -> int | slice:
    return ase.io.formats.string2index(index) if isinstance(index, str) else index


def _ase_format(path: Path) -> str | None:
    """The format where ASE would not see it by the name, or would take LAMMPS' atom types for atomic numbers."""
    suffix, by_suffix = _suffix(path), ase.io.formats.extension2format
    named = path.name.lower().startswith(("data.", "lammps.data")) and suffix[1:] not in by_suffix  # not data.xyz
    if suffix in (".lammpstrj", ".dump"):
        return _lammps(path, "lammps-dump-text", r"ITEM: ATOMS .*\b(element|mass)\b", "column element or mass")
    if suffix in (".data", ".lmp", ".lammps") or named:
        return _lammps(path, "lammps-data", r"\s*Masses\b", "section Masses")
    return None


def _lammps(path: Path, kind: str, elements: str, what: str) -> str:
    with open_with_compression(path, "rt") as file:
        if not any(re.match(elements, line) for line in file):
            raise FileFormatError(
                f"'{path}' has no {what}, so its elements are unknown; add it, give topology='file.pdb', or use "
                f"ase.io.read(path, format='{kind}', ...) with its argument for the elements"
            )
    return kind


def _xyz_damage(path: Path) -> str | None:
    """The first frame of an xyz file that is not whole, if there is one."""
    frame = 0
    try:
        with open_with_compression(path, "rt") as file:
            while line := file.readline():
                n_atoms = int(line)
                rows = [file.readline() for _ in range(n_atoms + 1)][1:]
                whole = [row for row in rows if row.strip() and row.endswith("\n")]
                if len(whole) < n_atoms:
                    return f"frame {frame}, after {len(whole)} of {n_atoms} atoms"
                frame += 1
    except ValueError:
        return f"frame {frame}, where the number of atoms was expected"
    except (OSError, EOFError):  # the compressed stream ends
        return f"frame {frame}"
    return None


def _chemfiles_frames(path: Path, index: str | int | slice, topology: str | Path | None) -> Iterator[ase.Atoms]:
    step = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", chemfiles.misc.ChemfilesWarning)  # what matters is raised as well
            with chemfiles.Trajectory(str(path)) as trajectory:
                if topology is not None:
                    trajectory.set_topology(str(topology))
                for step in _steps(trajectory.nsteps, _as_index(index)):
                    yield _from_chemfiles(trajectory.read_step(step), path)
                n_whole = trajectory.nsteps
    except chemfiles.ChemfilesError as error:
        where = "" if step is None else f" at frame {step}"
        raise FileFormatError(f"'{path}' is cut, damaged or of another format{where}: {error}") from error
    if ends_within_frame(path):
        raise FileFormatError(f"'{path}' is cut at frame {n_whole}; take a whole copy")
    if step is None:
        _nothing_read(path, index)


def _steps(count: int, index: int | slice) -> Sequence[int]:
    if isinstance(index, slice):
        return range(count)[index]
    return range(count)[index:][:1] if -count <= index < count else ()


def _from_chemfiles(frame: chemfiles.Frame, path: Path) -> ase.Atoms:
    try:
        positions, cell, pbc, numbers = chemfiles_parts(frame)
    except ValueError as error:
        raise FileFormatError(f"'{path}': {error}, or give the elements with topology='file.pdb'") from error
    atoms = ase.Atoms(numbers=numbers, positions=positions, cell=cell, pbc=pbc)
    if frame.has_velocities():  # Å/ps
        atoms.set_velocities(np.array(frame.velocities) / (1000 * ase.units.fs))
    atoms.info.update((name, frame[name]) for name in frame.list_properties())
    charges = [atom.charge for atom in frame.atoms]
    if any(charges):
        atoms.set_initial_charges(charges)
    return atoms
