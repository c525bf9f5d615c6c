"""Clebsch-Gordan products of equivariant TensorMaps, density correlations of any order, their contraction."""

__version__ = "0.1.0"
__all__ = []
