"""Other branches of the tree as TensorMaps: symmetry functions, matrices, distances, structure factors."""

__version__ = "0.1.0"
__all__ = []
