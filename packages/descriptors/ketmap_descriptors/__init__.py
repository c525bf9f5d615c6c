"""Other branches of the tree as TensorMaps: symmetry functions, matrices, distances, structure factors."""

from .composition import AtomicComposition
from .diffraction import StructureFactor, reflections
from .distances import SortedDistances
from .functions import G1, G2, G3, G4, G5
from .histograms import RadialDistribution
from .matrices import CoulombMatrix, SineMatrix
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
    "CoulombMatrix",
    "NeighborList",
    "RadialDistribution",
    "RadialSymmetryFunctions",
    "SineMatrix",
    "SortedDistances",
    "StructureFactor",
    "reflections",
]
