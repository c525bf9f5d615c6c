"""Other branches of the tree as TensorMaps: symmetry functions, matrices, distances, structure factors."""

from .composition import AtomicComposition
from .distances import SortedDistances
from .functions import G1, G2, G3, G4, G5
from .neighbors import NeighborList
from .symmetry_functions import AngularSymmetryFunctions, RadialSymmetryFunctions

__version__ = "0.1.0"
__all__ = [
    "G1",
    "G2",
    "G3",
    "G4",
    "G5",
    "AngularSymmetryFunctions",
    "AtomicComposition",
    "NeighborList",
    "RadialSymmetryFunctions",
    "SortedDistances",
]
