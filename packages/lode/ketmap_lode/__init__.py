"""The long-range field expanded around every atom."""

from .calculator import LodeSphericalExpansion
from .density import SmearedPowerLaw
from .expansion import FieldExpansion
from .spliner import LodeSpliner

__version__ = "0.1.0"
__all__ = ["FieldExpansion", "LodeSphericalExpansion", "LodeSpliner", "SmearedPowerLaw"]
