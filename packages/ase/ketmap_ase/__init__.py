"""A fitted model as an ASE calculator, and molecular dynamics with it."""

from .calculator import Calculator, ExtrapolationWarning
from .dynamics import DynamicsError, Run, run_dynamics, start_velocities
from .ensembles import NPT, NVE, Langevin

__all__ = [
    "NPT",
    "NVE",
    "Calculator",
    "DynamicsError",
    "ExtrapolationWarning",
    "Langevin",
    "Run",
    "run_dynamics",
    "start_velocities",
]
