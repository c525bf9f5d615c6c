"""SOAP: radial spectrum, power spectrum, bispectrum."""

from .bispectrum import SoapBispectrum
from .calculator import SoapPowerSpectrum
from .design import Design
from .potential import Energies, Potential
from .radial_spectrum import SoapRadialSpectrum

__all__ = ["Design", "Energies", "Potential", "SoapBispectrum", "SoapPowerSpectrum", "SoapRadialSpectrum"]
