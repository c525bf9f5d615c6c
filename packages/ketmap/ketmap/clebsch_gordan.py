"""Products and correlations of densities, under featomic's names."""

from ketmap_cg import (
    ClebschGordanProduct,
    DensityCorrelations,
    EquivariantPowerSpectrum,
    EquivariantPowerSpectrumByPair,
    PowerSpectrum,
)
from ketmap_core.o3 import cartesian_to_spherical, spherical_to_cartesian

__all__ = [
    "ClebschGordanProduct",
    "DensityCorrelations",
    "EquivariantPowerSpectrum",
    "EquivariantPowerSpectrumByPair",
    "PowerSpectrum",
    "cartesian_to_spherical",
    "spherical_to_cartesian",
]
