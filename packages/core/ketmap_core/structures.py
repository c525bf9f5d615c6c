"""Structures in: whatever holds atoms becomes one :class:`Batch` of tensors."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import ase
import numpy as np
import torch

_KINDS = "ase.Atoms, chemfiles.Frame, metatomic System"


@dataclass(frozen=True)
class Batch:
    """The atoms of all systems, one after the other. Lengths in Å.

    Positions and cells keep the dtype, device and autograd history of torch structures. A lone NumPy
    structure shares its memory with the batch.
    """

    positions: torch.Tensor  # -> [atom, 3]
    cells: torch.Tensor  # -> [system, 3, 3], rows are the cell vectors; rows without periodicity mean nothing
    pbc: torch.Tensor  # -> [system, 3] bool
    types: torch.Tensor  # -> [atom] int32, atomic numbers
    system: torch.Tensor  # -> [atom] int32, index of the system of each atom
    starts: torch.Tensor  # -> [system + 1] int64, first atom of each system
    is_torch: bool = False  # whether results go out as torch TensorMaps
    # of these atoms where they were before; parts of a batch have neither
    memory: Any = None  # a PairMemory: lists for use again
    choices: dict | None = None  # how something is computed, by name: kept, so that energies do not jump on the way

    def __len__(self) -> int:
        """Number of systems."""
        return len(self.cells)

    @property
    def n_atoms(self) -> int:
        """Number of atoms in all systems."""
        return len(self.types)

    def places(self, atoms: torch.Tensor) -> torch.Tensor:  # -> int64 [atom, (system, atom)]
        """System of these ``atoms`` of the batch, and the atom as counted within it."""
        atoms = atoms.long()
        system = self.system[atoms].long()
        return torch.stack([system, atoms - self.starts[system]], dim=1)

    def cut(self, first: int, last: int) -> "Batch":
        """The systems ``first`` … ``last`` − 1, without copying."""
        begin, end = int(self.starts[first]), int(self.starts[last])
        return Batch(
            positions=self.positions[begin:end],
            cells=self.cells[first:last],
            pbc=self.pbc[first:last],
            types=self.types[begin:end],
            system=self.system[begin:end] - first,
            starts=self.starts[first : last + 1] - begin,
            is_torch=self.is_torch,
        )

    def parts(self, n_atoms: int) -> Iterator["Batch"]:
        """Pieces of whole systems with about ``n_atoms`` atoms: what is made of one at a time needs memory that does
        not grow with the number of systems."""
        starts, first = self.starts.tolist(), 0
        for last in range(1, len(self) + 1):
            if last == len(self) or starts[last + 1] - starts[first] > n_atoms:
                yield self.cut(first, last)
                first = last


def as_batch(systems: Any) -> Batch:
    """One or many structures as a :class:`Batch`.

    :param systems: one of, or a list of, :class:`ase.Atoms`, ``chemfiles.Frame``, metatomic ``System``; a
        :class:`Batch` is given back as it is. The list may be empty, and so may be structures.
    :raises ValueError: for positions or cells that are not finite and for periodic directions without volume,
        naming system and atom; for systems of different dtype or device.
    :raises TypeError: for objects that are no structures, and for torch and NumPy structures in one list.

    >>> batch = as_batch(ase.Atoms("OH", positions=[[0, 0, 0], [0, 0, 1]]))
    >>> len(batch), batch.n_atoms, batch.types.tolist()
    (1, 2, [8, 1])
    """
    if isinstance(systems, Batch):
        return systems
    if not isinstance(systems, list | tuple):
        systems = [systems] if _is_structure(systems) else _as_list(systems)
    is_torch = bool(systems) and _is_torch(systems[0])
    parts = _torch_parts if is_torch else _numpy_parts
    rows = []
    for index, structure in enumerate(systems):
        try:
            rows.append(parts(structure))
        except (TypeError, ValueError) as error:
            raise type(error)(f"system {index}: {error}") from None
    batch = (_join_torch if is_torch else _join_numpy)(rows)
    _validate(batch)
    return batch


def _as_list(systems: Any) -> list:
    if isinstance(systems, str | bytes) or not hasattr(systems, "__iter__"):
        hint = "; files are read with ketmap_core.read(path)" if isinstance(systems, str) else ""
        raise TypeError(f"expected {_KINDS} or a list of these, got {type(systems).__name__}{hint}")
    return list(systems)


def _is_structure(system: Any) -> bool:
    return isinstance(system, ase.Atoms) or _is_torch(system) or _is_chemfiles(system)


def _is_torch(system: Any) -> bool:
    # metatomic's System is a TorchScript object, known by what it carries (and metatomic is slow to import)
    return isinstance(getattr(system, "positions", None), torch.Tensor) and hasattr(system, "pbc")


def _is_chemfiles(system: Any) -> bool:
    return type(system).__module__.partition(".")[0] == "chemfiles" and hasattr(system, "positions")


def _numpy_parts(structure: Any) -> tuple:
    if isinstance(structure, ase.Atoms):
        arrays = structure.arrays
        return arrays["positions"], structure.cell.array, structure.pbc, arrays["numbers"]
    if _is_chemfiles(structure):
        return chemfiles_parts(structure)
    if _is_torch(structure):
        raise TypeError("torch and NumPy structures in one list; convert them to one kind")
    raise TypeError(f"expected {_KINDS}, got {type(structure).__name__}")


def chemfiles_parts(frame: Any) -> tuple:
    """Positions, cell, periodicity and atomic numbers of a chemfiles Frame.

    :raises ValueError: for atoms whose type is no element.
    """
    numbers = [atom.atomic_number for atom in frame.atoms]
    if 0 in numbers:
        atom = numbers.index(0)
        name = frame.atoms[atom].type
        raise ValueError(f"atom {atom} has type '{name}', which is no element; set its type to an element")
    matrix = np.array(frame.cell.matrix).T  # chemfiles keeps the vectors as columns
    pbc = np.full(3, bool(np.any(matrix)))  # no periodicity of single axes in chemfiles
    return np.array(frame.positions), matrix, pbc, numbers


def _torch_parts(system: Any) -> tuple:
    if not _is_torch(system):
        raise TypeError(f"torch structures and {type(system).__name__} in one list; convert them to one kind")
    return system.positions, system.cell, system.pbc, system.types


def _join_numpy(rows: Sequence[tuple]) -> Batch:
    counts = [len(row[0]) for row in rows]
    for index, (positions, cell, _, numbers) in enumerate(rows):
        _check_shapes(index, positions, cell, numbers)
    if not rows:
        rows = [(np.zeros((0, 3)), np.zeros((0, 3)), np.zeros((0,), dtype=bool), np.zeros(0, dtype=np.int32))]
    positions = rows[0][0] if len(rows) == 1 else np.concatenate([row[0] for row in rows])
    cells = np.concatenate([row[1] for row in rows]).reshape(-1, 3, 3)
    pbc = np.concatenate([row[2] for row in rows]).reshape(-1, 3)
    types = np.concatenate([row[3] for row in rows])
    return Batch(
        positions=torch.from_numpy(np.ascontiguousarray(positions, dtype=np.float64)),
        cells=torch.from_numpy(np.asarray(cells, dtype=np.float64)),
        pbc=torch.from_numpy(np.asarray(pbc, dtype=bool)),
        types=torch.from_numpy(types.astype(np.int32)),
        **_places(counts, torch.device("cpu")),
    )


def _join_torch(rows: Sequence[tuple]) -> Batch:
    first = rows[0][0]
    for index, (positions, cell, _, types) in enumerate(rows):
        _check_shapes(index, positions, cell, types)
        if positions.dtype != first.dtype or positions.device != first.device:
            raise ValueError(
                f"system {index}: positions are {positions.dtype} on {positions.device}, those of system 0 "
                f"are {first.dtype} on {first.device}; use .to(dtype=..., device=...)"
            )
    return Batch(
        positions=first if len(rows) == 1 else torch.cat([row[0] for row in rows]),
        cells=torch.stack([row[1] for row in rows]),
        pbc=torch.stack([row[2] for row in rows]),
        types=torch.cat([row[3] for row in rows]).to(torch.int32),
        **_places([len(row[0]) for row in rows], first.device),
        is_torch=True,
    )


def _places(counts: list[int], device: torch.device) -> dict[str, torch.Tensor]:
    starts = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]).astype(np.int64)
    system = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    return {"system": torch.from_numpy(system).to(device), "starts": torch.from_numpy(starts).to(device)}


def _check_shapes(index: int, positions: Any, cell: Any, types: Any) -> None:
    if positions.ndim != 2 or positions.shape[1] != 3 or len(types) != len(positions):
        raise ValueError(f"system {index}: expected positions of shape [{len(types)}, 3], got {list(positions.shape)}")
    if tuple(cell.shape) != (3, 3):
        raise ValueError(f"system {index}: expected a cell of shape [3, 3], got {list(cell.shape)}")


def _validate(batch: Batch) -> None:
    """Everything finite, and volume in every periodic direction; one pass over all systems."""
    finite = np.isfinite(batch.positions.detach().cpu().numpy())
    if not finite.all():
        atom = int(np.nonzero(~finite.all(axis=1))[0][0])
        system = int(batch.system[atom])
        raise ValueError(
            f"system {system}: position of atom {atom - int(batch.starts[system])} is not finite: "
            f"{batch.positions[atom].tolist()}"
        )
    cells = batch.cells.detach().to("cpu", torch.float64).numpy()  # -> [system, 3, 3]
    if not np.isfinite(cells).all():
        system = int(np.nonzero(~np.isfinite(cells).all(axis=(1, 2)))[0][0])
        raise ValueError(f"system {system}: cell is not finite: {cells[system].tolist()}")
    flat = _without_volume(cells, batch.pbc.cpu().numpy())
    if flat.any():
        system = int(np.nonzero(flat)[0][0])
        raise ValueError(
            f"system {system}: periodic along {batch.pbc[system].tolist()}, but its cell "
            f"{cells[system].tolist()} has no volume there; give a cell, or pbc=False for an isolated system"
        )


def _without_volume(cells: np.ndarray, pbc: np.ndarray) -> np.ndarray:
    rows = cells * pbc[:, :, None]
    gram = rows @ rows.transpose(0, 2, 1)
    diagonal = np.einsum("sii->si", gram)  # a view: non-periodic directions count as unit vectors across the others
    diagonal[~pbc] = 1.0
    return np.linalg.det(gram) <= 1e-14 * diagonal.prod(axis=1)  # (volume / product of lengths)²
