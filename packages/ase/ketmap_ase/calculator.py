"""A fitted model as an ASE calculator."""

import dataclasses
import os
import warnings

import ase.calculators.calculator
import numpy as np
import torch
from ase import Atoms, units
from ase.calculators.calculator import PropertyNotImplementedError
from ase.data import chemical_symbols
from ase.stress import full_3x3_to_voigt_6_stress
from ketmap_core import as_batch
from ketmap_core.errors import CoincidentAtomsError, UnknownTypesError

from .skin import Skin, same

COINCIDENT = 1e-6  # Å: nearer than this is one point
GRADE_EVERY = 50  # evaluations: a grade costs up to two of them, so this keeps it below 5 %


class ExtrapolationWarning(UserWarning):
    """An atomic environment lies far outside the training set."""


class Calculator(ase.calculators.calculator.Calculator):
    """A fitted model for ASE: energy, free_energy, energies, forces, stress.

    :param model: a fitted model, or the path of one on disk.
    :param skin: Å; the neighbour list holds pairs up to cutoff + skin and is used again until an atom, or the
        strain of the cell, could have brought a new pair inside the cutoff. 0: a new list as soon as
        anything moves.
    :param grade: an :class:`ExtrapolationWarning` names atom and evaluation (the step of a dynamics) once per run
        where the leverage of an environment exceeds ``grade`` times the largest of the training set. Looked
        at in every 50th evaluation, the first included. ``None``: never.

    Results are in eV and Å whatever the units of the model; stress is (1/V) dE/dε, as Voigt's six numbers
    in eV/Å³, for cells that are periodic in three directions. ``builds`` counts neighbour lists,
    ``evaluations`` geometries of the run (a structure with other types or periodicity begins a new run, and
    so does :meth:`begin`).

    :raises UnknownTypesError: for types that the model has never seen.
    :raises CoincidentAtomsError: for two atoms at one point.
    :raises ValueError: for positions that are not finite, no atoms, a negative skin.
    """

    implemented_properties = ("energy", "free_energy", "energies", "forces", "stress")
    ignored_changes = frozenset({"initial_magmoms", "initial_charges"})

    def __init__(self, model, skin: float = 1.0, grade: float | None = 1.0):
        super().__init__()
        if isinstance(model, str | os.PathLike):
            from ketmap_linear import (
                load,
            )  # here, so that a model in memory needs no regressor to be imported

            model = load(model)
        if not (np.isfinite(skin) and skin >= 0):
            raise ValueError(f"skin must be a number of Å that is not negative, got {skin}")
        self.model, self.skin, self.grade = model, float(skin), grade
        named = getattr(model, "units", None) or {}
        self._energy = _unit(named.get("energy", "eV"), {"eV": units.eV, "Ha": units.Ha})
        self._length = _unit(named.get("length", "Å"), {"Å": units.Ang, "bohr": units.Bohr})
        self._batch = None
        self.builds = 0
        self.begin()

    def begin(self) -> None:
        """Begin a run: evaluations count from zero, and a warning may be given again."""
        self.reset()
        self.evaluations, self._warned = 0, False
        if self._batch is not None:
            self._batch.choices.clear()

    def check_state(self, atoms: Atoms, tol: float = 0.0) -> list[str]:
        """What changed since the last evaluation (ASE's general comparison takes longer than nine atoms)."""
        if self.atoms is None:
            return list(ase.calculators.calculator.all_changes)
        kept = self.atoms
        changed = [name for name in ("positions", "numbers") if not same(kept.arrays[name], atoms.arrays[name])]
        if not same(kept.cell.array, atoms.cell.array):
            changed.append("cell")
        if not same(kept.pbc, atoms.pbc):
            changed.append("pbc")
        return changed

    def get_property(self, name, atoms=None, allow_calculation=True):
        """One result; ASE's protocol."""
        asked = self.atoms if atoms is None else atoms
        if name == "stress" and allow_calculation and asked is not None and not asked.pbc.all():
            raise PropertyNotImplementedError(
                f"stress needs a cell that is periodic in three directions; {asked.get_chemical_formula()} "
                f"has pbc {asked.pbc.tolist()}"
            )
        return super().get_property(name, atoms, allow_calculation)

    def calculate(self, atoms=None, properties=("energy",), system_changes=()):
        """Evaluate the model; every property comes from one pass."""
        if atoms is not None:
            self._take(atoms)
        positions, cell = self._positions, self._cell
        outdated = self._list is None or not self._list.holds(positions, cell)
        if outdated:
            self._build()
        graded = self.grade is not None and self.evaluations % GRADE_EVERY == 0 and not self._warned
        found = self.model.evaluate(self._batch, self._environments, leverage=graded)
        if graded and found.leverage is not None:
            self._judge(found.leverage)
        self.evaluations += 1
        if outdated:  # only now it is known how far pairs matter
            skin = self.skin / self._length
            cutoff = self._environments.cutoff - skin
            self._list = Skin(cutoff, skin, positions, cell, self._atoms.pbc, self._nearest)

        energies = found.energies.numpy() * self._energy
        energy = float(energies.sum())
        self.results = {
            "energy": energy,
            "free_energy": energy,
            "energies": energies,
            "forces": found.forces.numpy() * (self._energy / self._length),
        }
        if self.atoms.pbc.all():
            volume = abs(np.linalg.det(self.atoms.cell.array))
            virial = found.virial[0].numpy() * self._energy  # -> [xyz_1, xyz_2]
            self.results["stress"] = full_3x3_to_voigt_6_stress(virial / volume)

    def _take(self, atoms: Atoms) -> None:
        """Copy the geometry into the batch, which stays the same object from step to step."""
        if not np.isfinite(atoms.positions).all() or not np.isfinite(atoms.cell.array).all():
            try:
                as_batch(atoms)
            except ValueError as error:
                raise ValueError(f"evaluation {self.evaluations}: {error}") from None
        known = self._batch is not None and self._same_kind(atoms)
        if known:
            self.atoms = self._atoms
            self.atoms.positions[:] = atoms.positions
            self.atoms.cell.array[:] = atoms.cell.array
        else:
            self._start(atoms)
        np.divide(atoms.positions, self._length, out=self._positions)
        np.divide(atoms.cell.array, self._length, out=self._cell)

    def _same_kind(self, atoms: Atoms) -> bool:
        kept = self._atoms
        return same(kept.numbers, atoms.numbers) and same(kept.pbc, atoms.pbc)

    def _start(self, atoms: Atoms) -> None:
        """First sight of these atoms: everything that does not change with the geometry."""
        if len(atoms) == 0:
            raise ValueError("a structure without atoms has no energy; expected at least one atom")
        unknown = sorted(set(atoms.numbers.tolist()) - {int(t) for t in self.model.types})
        if unknown:
            raise UnknownTypesError(
                f"{atoms.get_chemical_formula()} holds {_symbols(unknown)}, never seen in training; "
                f"the model knows {_symbols(self.model.types)}. Train on structures that hold all of them."
            )
        self.begin()
        self.atoms = self._atoms = atoms.copy()
        self._batch = dataclasses.replace(as_batch(self._atoms.copy()), choices={})  # kept through the run
        self._positions = self._batch.positions.numpy()  # shared with the batch
        self._cell = self._batch.cells.numpy()[0]
        self._list = None

    def _build(self) -> None:
        self._list = None
        environments = self._environments = self.model.environments(self._batch, self.skin / self._length)
        distances = torch.linalg.vector_norm(environments.vectors, dim=1)
        self._nearest = float(distances.min()) if len(distances) else np.inf
        if self._nearest * self._length < COINCIDENT:
            self._name_pair(int(distances.argmin()))
        self.builds += 1

    def _name_pair(self, pair: int) -> None:
        environments = self._environments
        slot = int(torch.searchsorted(environments.starts, pair, right=True)) - 1
        first = int(environments.centers[slot // len(environments.types)])
        second = int(environments.neighbors[pair])
        raise CoincidentAtomsError(
            f"atoms {min(first, second)} and {max(first, second)} are at one point "
            f"(evaluation {self.evaluations}); move or remove one of them"
        )

    def _judge(self, leverage: torch.Tensor) -> None:
        """Warn where the leverage [atom] is far above that of the training set."""
        relative = leverage / self.model.leverage.maximum
        worst = int(relative.argmax())
        if relative[worst] <= self.grade:
            return
        self._warned = True
        warnings.warn(
            ExtrapolationWarning(
                f"atom {worst} ({self._atoms.symbols[worst]}) at step {self.evaluations} lies far outside "
                f"the training set: its leverage is {float(relative[worst]):.3g} times the largest of the "
                "training set; expect wrong energies and forces, and train on such structures "
                "(said once per run)"
            ),
            stacklevel=2,
        )


def _symbols(types) -> str:
    return ", ".join(f"{chemical_symbols[int(t)]} ({int(t)})" for t in types)


def _unit(name: str, known: dict[str, float]) -> float:
    if name not in known:
        raise ValueError(f"the model's unit '{name}' is not one that ASE's eV and Å can be made of: {', '.join(known)}")
    return known[name]
