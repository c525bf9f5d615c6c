"""Other branches of the tree as TensorMaps: symmetry functions, matrices, distances, structure factors."""

from .composition import AtomicComposition
from .distances import SortedDistances
from .neighbors import NeighborList

__version__ = "0.1.0"
__all__ = ["AtomicComposition", "NeighborList", "SortedDistances"]
