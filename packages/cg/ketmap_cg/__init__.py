"""Clebsch-Gordan products of equivariant TensorMaps, density correlations of any order, their contraction."""

from .by_pair import EquivariantPowerSpectrumByPair
from .dense import Array, Coupled, couple, paths_of, runs_of, side_by_side
from .equivariant import EquivariantPowerSpectrum
from .power_spectrum import PowerSpectrum
from .product import ClebschGordanProduct

__version__ = "0.1.0"
__all__ = [
    "Array",
    "ClebschGordanProduct",
    "Coupled",
    "EquivariantPowerSpectrum",
    "EquivariantPowerSpectrumByPair",
    "PowerSpectrum",
    "couple",
    "paths_of",
    "runs_of",
    "side_by_side",
]
