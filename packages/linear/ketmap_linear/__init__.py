"""Linear models: features to energies, forces and stress."""

from ketmap_core import NotFittedError

from .invariants import Invariants
from .model import Model
from .potential import Evaluation
from .representations import Together
from .ridge import MemoryLimitError, Ridge, Solution
from .scores import Deviation, Errors
from .storage import load

__version__ = "0.1.0"
__all__ = [
    "Deviation",
    "Errors",
    "Evaluation",
    "Invariants",
    "MemoryLimitError",
    "Model",
    "NotFittedError",
    "Ridge",
    "Solution",
    "Together",
    "load",
]
