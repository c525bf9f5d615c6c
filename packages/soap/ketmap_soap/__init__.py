"""SOAP: radial spectrum and power spectrum."""

from .calculator import SoapPowerSpectrum
from .design import Design
from .potential import Energies, Potential
from .radial_spectrum import SoapRadialSpectrum

__all__ = ["Design", "Energies", "Potential", "SoapPowerSpectrum", "SoapRadialSpectrum"]
