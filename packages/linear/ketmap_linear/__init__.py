"""Linear models: features to energies, forces and stress."""

from ketmap_core import NotFittedError

from .model import Model
from .potential import Evaluation
from .ridge import MemoryLimitError, Ridge, Solution
from .scores import Deviation, Errors
from .storage import load

__version__ = "0.1.0"
__all__ = [
    "Deviation",
    "Errors",
    "Evaluation",
    "MemoryLimitError",
    "Model",
    "NotFittedError",
    "Ridge",
    "Solution",
    "load",
]
