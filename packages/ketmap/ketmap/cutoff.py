"""Which neighbours count, under featomic's names."""

from ketmap_density import Cutoff, ShiftedCosine, Step
from ketmap_density.cutoff import Smoothing

SmoothingFunction = Smoothing  #: featomic's name

__all__ = ["Cutoff", "ShiftedCosine", "SmoothingFunction", "Step"]
