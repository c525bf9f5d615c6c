"""Energies, forces and stresses of structures under one spelling and in known units."""

from collections.abc import Iterable, Mapping

import ase
import numpy as np
from ase.stress import voigt_6_to_full_3x3_stress

from .errors import unknown_name
from .units import parse_unit, unit_name

# our name -> powers of energy, length and charge
QUANTITIES = {
    "energy": (1, 0, 0),
    "free_energy": (1, 0, 0),
    "energies": (1, 0, 0),
    "forces": (1, -1, 0),
    "stress": (1, -3, 0),
    "virial": (1, 0, 0),
    "dipole": (0, 1, 1),
    "polarizability": (0, 3, 0),
    "charges": (0, 0, 1),
    "length": (0, 1, 0),
}
# Looked for in this order where nothing is said; the first that any frame carries is taken from all of them
GUESSES = {
    "energy": ("energy", "Energy", "REF_energy", "dft_energy", "DFT_energy", "potential_energy"),
    "forces": ("forces", "force", "Forces", "REF_forces", "dft_forces", "dft_force", "DFT_forces"),
    "stress": ("stress", "Stress", "REF_stress", "dft_stress", "DFT_stress"),
    "virial": ("virial", "REF_virial", "dft_virial", "DFT_virial"),
}
_ALIASES = {"force": "forces", "positions": "length", "cell": "length"}
_PER_ATOM = ("forces", "energies", "stresses", "charges", "magmoms")


def adopt_results(atoms: ase.Atoms) -> None:
    """Move what a calculator holds into ``info`` and ``arrays``."""
    if atoms.calc is not None:
        for name, value in atoms.calc.results.items():
            (atoms.arrays if name in _PER_ATOM else atoms.info)[name] = value
        atoms.calc = None


def rename(frames: list[ase.Atoms], names: Mapping[str, str] | None, first: int = 0) -> None:
    """Give energy, forces, stress and whatever is asked for our names, and their shapes.

    :param names: our name -> name in the file.
    :param first: number of the first of the frames, for errors.
    :raises ValueError: for names unknown to us or found in no frame, and for values of a wrong shape.
    """
    names = {_known(name, "quantity"): source for name, source in (names or {}).items()}
    found = list(dict.fromkeys(name for atoms in frames for name in _carried(atoms)))
    for name, source in names.items():
        if frames and source not in found:
            raise ValueError(f"no frame holds what is to become '{name}': {unknown_name(source, found, 'name')}")
    for name, guesses in GUESSES.items():
        carried = [guess for guess in guesses if guess in found and guess not in names.values()]
        if name not in names and carried:
            names[name] = carried[0]
    moved = [{name: _take(atoms, source) for name, source in names.items()} for atoms in frames]
    for index, (atoms, values) in enumerate(zip(frames, moved), first):
        for name, value in values.items():
            if value is not None:
                _put(atoms, name, value, index)


def convert(frames: list[ase.Atoms], units: Mapping[str, str] | None) -> None:
    """Convert to eV, Å, e, and write the units that quantities now have into ``info["units"]``.

    Quantities without a unit stay as they are and are taken to be in eV, Å, e; the units of those converted
    are kept in ``info["source_units"]``.

    :raises ValueError: for unknown units, units of another dimension, and quantities found in no frame.
    """
    units = {_ALIASES.get(name, name): unit for name, unit in (units or {}).items()}
    parsed = {name: parse_unit(unit) for name, unit in units.items()}
    found = list(dict.fromkeys(name for atoms in frames for name in _carried(atoms)))
    for name, (_, powers) in parsed.items():
        if name not in QUANTITIES and name not in found:
            raise ValueError(unknown_name(name, dict.fromkeys([*QUANTITIES, *found]), "quantity in units"))
        if powers != (expected := QUANTITIES.get(name, powers)):
            raise ValueError(f"'{units[name]}' is no unit of {name}; expected one like '{unit_name(expected)}'")
    for atoms in frames:
        for name in [name for name in parsed if name in _carried(atoms)]:
            place = atoms.arrays if name in atoms.arrays else atoms.info
            place[name] = _scaled(place[name], parsed[name][0])
        if "length" in parsed:
            atoms.set_cell(atoms.cell.array * parsed["length"][0])
            atoms.positions *= parsed["length"][0]
        carried = [name for name in _carried(atoms) if name in QUANTITIES or name in parsed]
        dimensions = {name: parsed[name][1] if name in parsed else QUANTITIES[name] for name in carried}
        atoms.info["units"] = {"length": "Å"} | {name: unit_name(powers) for name, powers in dimensions.items()}
        atoms.info.pop("source_units", None)  # of an earlier reading
        if source := {name: unit for name, unit in units.items() if name in atoms.info["units"]}:
            atoms.info["source_units"] = source


def _scaled(value: object, factor: float) -> float | np.ndarray:
    array = np.asarray(value, dtype=float) * factor
    return float(array) if array.ndim == 0 else array


def stress_from_virial(frames: list[ase.Atoms]) -> None:
    """Give frames that hold a virial, but no stress, the stress −virial / V; to be called after the conversion."""
    for atoms in frames:
        if "virial" in atoms.info and "stress" not in atoms.info and atoms.cell.rank == 3:
            atoms.info["stress"] = -atoms.info["virial"] / atoms.get_volume()
            atoms.info["units"]["stress"] = unit_name(QUANTITIES["stress"])


def _known(name: str, what: str) -> str:
    name = _ALIASES.get(name, name)
    if name not in QUANTITIES:
        raise ValueError(unknown_name(name, QUANTITIES, what))
    return name


def _carried(atoms: ase.Atoms) -> Iterable[str]:
    return [*atoms.info, *(name for name in atoms.arrays if name not in ("numbers", "positions"))]


def _take(atoms: ase.Atoms, name: str) -> object:
    return atoms.info.pop(name, None) if name in atoms.info else atoms.arrays.pop(name, None)


def _put(atoms: ase.Atoms, name: str, value: object, index: int) -> None:
    shapes = {
        "energy": [()],
        "free_energy": [()],
        "forces": [(len(atoms), 3)],
        "energies": [(len(atoms),)],
        "charges": [(len(atoms),)],
        "stress": [(3, 3), (6,), (9,)],
        "virial": [(3, 3), (6,), (9,)],
    }
    try:
        array = np.asarray(value, dtype=float)
    except ValueError:
        raise ValueError(f"frame {index}: {name} is {value!r}, expected numbers") from None
    if array.size == 1 and name in ("energy", "free_energy"):
        array = array.reshape(())
    if name in shapes and array.shape not in shapes[name]:
        expected = " or ".join(str(list(shape)) for shape in shapes[name])
        raise ValueError(f"frame {index}: {name} has shape {list(array.shape)}, expected {expected}")
    if name in ("stress", "virial"):
        array = voigt_6_to_full_3x3_stress(array) if array.size == 6 else array.reshape(3, 3)
    (atoms.arrays if name in _PER_ATOM else atoms.info)[name] = float(array) if array.ndim == 0 else array
