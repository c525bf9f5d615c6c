"""What stands at every neighbour, under featomic's names."""

from ketmap_density import Gaussian
from ketmap_lode import SmearedPowerLaw

__all__ = ["Gaussian", "SmearedPowerLaw"]
