"""Clebsch-Gordan products of equivariant TensorMaps, density correlations of any order, their contraction."""

from .dense import Array, Coupled, couple, paths_of, runs_of, side_by_side
from .product import ClebschGordanProduct

__version__ = "0.1.0"
__all__ = ["Array", "ClebschGordanProduct", "Coupled", "couple", "paths_of", "runs_of", "side_by_side"]
