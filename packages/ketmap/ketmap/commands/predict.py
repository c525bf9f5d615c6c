"""A model's energies, forces and stress of structures in files."""

from pathlib import Path

import ase
import ase.io
from ase.calculators.singlepoint import SinglePointCalculator
from ase.stress import full_3x3_to_voigt_6_stress
from ketmap_core import save_tensor
from ketmap_core.files import replacing
from ketmap_linear import Model, load

from .. import console, reports
from ..config import DataSet, Target
from ..datasets import SOURCE, TARGETS, DataError, load_structures, reference, with_target
from .features import may_write

SUFFIXES = (".xyz", ".extxyz", ".traj", ".mts")


def predict(
    model_path: Path, structures: list[Path], output: Path, target: Target = "energy", overwrite: bool = False
) -> Path:
    """Predict, write, and print the errors where the structures carry references; the file that is left.

    Files of structures (xyz, extxyz, traj) get everything; an mts file gets the TensorMap of ``target``.
    """
    may_write(output, SUFFIXES, overwrite)
    model = load(model_path)
    if model.units != (ours := {"energy": "eV", "length": "Å"}):
        raise DataError(
            f"'{model_path}' works in {model.units}, ketmap predict reads and writes {ours}; use "
            "ketmap.Calculator, which converts"
        )
    frames = load_structures(DataSet(file=[str(path) for path in structures]))
    if output.suffix == ".mts":
        save_tensor(output, model.predict(frames, [target])[target])
    else:
        _write(output, _with_results(model, frames))
    known = [
        name
        for name in TARGETS
        if (able := with_target(frames, name)) and all(reference(atoms, name) is not None for atoms in able)
    ]
    if known:
        errors = model.score(frames, **{name: name for name in known})
        console.out.print(reports.error_table({"predicted": errors}))
    else:
        console.out.print("the structures carry no references to compare with")
    console.out.print(f"[bold]{output}[/bold]: {len(frames)} structures")
    return output


def _with_results(model: Model, frames: list[ase.Atoms]) -> list[ase.Atoms]:
    """Copies of the structures that carry what the model says instead of their references."""
    with console.err.status(f"{len(frames)} structures"):
        found = model.predict(frames, ["energy", "energies", "forces"])
        solid = with_target(frames, "stress")
        found |= model.predict(solid, ["stress"]) if solid else {}
    block = {name: tensor.block(0).values for name, tensor in found.items()}
    stresses = iter(block.get("stress", ()))
    results, start = [], 0
    for i, atoms in enumerate(frames):
        here = slice(start, start := start + len(atoms))
        copy = ase.Atoms(numbers=atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
        copy.info = {
            k: v for k, v in atoms.info.items() if k not in (*TARGETS, SOURCE, "units", "source_units", "free_energy")
        }
        values = {
            "energy": float(block["energy"][i, 0]),
            "energies": block["energies"][here, 0],
            "forces": block["forces"][here, :, 0],
        }
        if atoms.pbc.all():
            values["stress"] = full_3x3_to_voigt_6_stress(next(stresses)[:, :, 0])
        copy.calc = SinglePointCalculator(copy, **values)
        results.append(copy)
    return results


def _write(path: Path, frames: list[ase.Atoms]) -> None:
    with replacing(path) as temporary:
        ase.io.write(temporary, frames, format="traj" if path.suffix == ".traj" else "extxyz")
