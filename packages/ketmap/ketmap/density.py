"""What stands at every neighbour, under featomic's names."""

from ketmap_density import Density, DiracDelta, Gaussian, RadialScaling, Willatt2018
from ketmap_lode import SmearedPowerLaw

AtomicDensity = Density  #: featomic's name

__all__ = ["AtomicDensity", "DiracDelta", "Gaussian", "RadialScaling", "SmearedPowerLaw", "Willatt2018"]
