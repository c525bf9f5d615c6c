"""SOAP power spectrum."""

from .calculator import SoapPowerSpectrum
from .design import Design
from .potential import Energies, Potential

__all__ = ["Design", "Energies", "Potential", "SoapPowerSpectrum"]
