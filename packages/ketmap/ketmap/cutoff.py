"""Which neighbours count, under featomic's names."""

from ketmap_density import Cutoff, ShiftedCosine, Step

__all__ = ["Cutoff", "ShiftedCosine", "Step"]
