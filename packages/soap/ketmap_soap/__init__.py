"""SOAP power spectrum."""

from .calculator import SoapPowerSpectrum

__all__ = ["SoapPowerSpectrum"]
