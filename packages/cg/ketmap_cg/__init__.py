"""Clebsch-Gordan products of equivariant TensorMaps, density correlations of any order, their contraction."""

from .by_pair import EquivariantPowerSpectrumByPair
from .correlations import DensityCorrelations
from .dense import Array, Coupled, couple, paths_of, runs_of, side_by_side
from .equivariant import EquivariantPowerSpectrum
from .messages import MessagePassing, PairFeatures
from .nice import Contraction, Nice
from .power_spectrum import PowerSpectrum
from .product import ClebschGordanProduct

__version__ = "0.1.0"
__all__ = [
    "Array",
    "ClebschGordanProduct",
    "Contraction",
    "Coupled",
    "DensityCorrelations",
    "EquivariantPowerSpectrum",
    "EquivariantPowerSpectrumByPair",
    "MessagePassing",
    "Nice",
    "PairFeatures",
    "PowerSpectrum",
    "couple",
    "paths_of",
    "runs_of",
    "side_by_side",
]
