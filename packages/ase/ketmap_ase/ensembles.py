"""What molecular dynamics keeps constant; each is a small object that makes its ASE integrator."""

from dataclasses import dataclass, fields

import numpy as np
from ase import Atoms, units
from ase.md.langevinbaoab import LangevinBAOAB
from ase.md.md import MolecularDynamics
from ase.md.nose_hoover_chain import MTKNPT, IsotropicMTKNPT
from ase.md.verlet import VelocityVerlet


class Ensemble:
    """Base of the ensembles: numbers are checked where they are given."""

    def __post_init__(self):
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name not in ("pressure", "fixed_shape") and not (np.isfinite(value) and value > 0):
                raise ValueError(f"{type(self).__name__}: {field.name} must be a positive number, got {value}")

    def check(self, atoms: Atoms) -> None:
        """Raise a ValueError if the ensemble makes no sense for these atoms."""

    def integrator(self, atoms: Atoms, rng: np.random.Generator) -> MolecularDynamics:
        """ASE's integrator of these atoms."""
        raise NotImplementedError

    def conserved(self, integrator: MolecularDynamics) -> float | None:
        """What would not change if the time step were infinitely small, in eV; None if there is no such thing."""
        raise NotImplementedError


@dataclass(frozen=True)
class NVE(Ensemble):
    """Constant energy: velocity Verlet. timestep: fs."""

    timestep: float = 0.5

    def integrator(self, atoms: Atoms, rng: np.random.Generator) -> MolecularDynamics:
        return VelocityVerlet(atoms, self.timestep * units.fs)

    def conserved(self, integrator: MolecularDynamics) -> float:
        """The total energy."""
        return integrator.atoms.get_total_energy()


@dataclass(frozen=True)
class Langevin(Ensemble):
    """Constant temperature: BAOAB (Leimkuhler, Matthews, J. Chem. Phys. 138, 174102, 2013).

    timestep: fs. temperature: K. relaxation: fs, inverse of the friction. Nothing is conserved.
    """

    timestep: float = 0.5
    temperature: float = 300.0
    relaxation: float = 100.0

    def integrator(self, atoms: Atoms, rng: np.random.Generator) -> MolecularDynamics:
        return LangevinBAOAB(
            atoms,
            self.timestep * units.fs,
            temperature_K=self.temperature,
            T_tau=self.relaxation * units.fs,
            rng=rng,
        )

    def conserved(self, integrator: MolecularDynamics) -> float | None:
        """None: energy is exchanged with the bath."""
        return None


@dataclass(frozen=True)
class NPT(Ensemble):
    """Constant temperature and pressure (Martyna, Tobias, Klein, J. Chem. Phys. 101, 4177, 1994).

    timestep: fs. temperature: K. pressure: GPa. relaxation, cell_relaxation: fs, of thermostat and
    barostat.
    fixed_shape: the cell only breathes; otherwise lengths and angles change as well.
    """

    timestep: float = 0.5
    temperature: float = 300.0
    pressure: float = 0.0
    relaxation: float = 100.0
    cell_relaxation: float = 1000.0
    fixed_shape: bool = True

    def check(self, atoms: Atoms) -> None:
        """:raises ValueError: if the cell is not periodic in three directions."""
        if not atoms.pbc.all():
            raise ValueError(
                f"constant pressure needs a cell that is periodic in three directions; "
                f"{atoms.get_chemical_formula()} has pbc {atoms.pbc.tolist()}. Use NVE or Langevin."
            )

    def integrator(self, atoms: Atoms, rng: np.random.Generator) -> MolecularDynamics:
        self.check(atoms)
        kind = IsotropicMTKNPT if self.fixed_shape else MTKNPT
        return kind(
            atoms,
            self.timestep * units.fs,
            temperature_K=self.temperature,
            pressure_au=self.pressure * units.GPa,
            tdamp=self.relaxation * units.fs,
            pdamp=self.cell_relaxation * units.fs,
        )

    def conserved(self, integrator: MolecularDynamics) -> float:
        """Energy of atoms, cell, thermostat and barostat together, in eV."""
        return integrator.get_conserved_energy()
