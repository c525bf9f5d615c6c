"""What the density is expanded on, under featomic's names."""

from ketmap_density import Gto, TensorProduct

__all__ = ["Gto", "TensorProduct"]
