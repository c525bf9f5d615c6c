"""Spherical expansion of the neighbour density."""

from .basis import TensorProduct
from .calculator import SphericalExpansion
from .cutoff import Cutoff, ShiftedCosine, Step
from .density import Gaussian
from .environments import Environments
from .expansion import Expansion
from .radial import Gto
from .species import AlchemicalChannels, Species

__all__ = [
    "AlchemicalChannels",
    "Cutoff",
    "Environments",
    "Expansion",
    "Gaussian",
    "Gto",
    "ShiftedCosine",
    "Species",
    "SphericalExpansion",
    "Step",
    "TensorProduct",
]
