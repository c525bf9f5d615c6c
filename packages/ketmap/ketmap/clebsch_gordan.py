"""Products and correlations of densities, under featomic's names."""

from ketmap_cg import (
    ClebschGordanProduct,
    DensityCorrelations,
    EquivariantPowerSpectrum,
    EquivariantPowerSpectrumByPair,
    PowerSpectrum,
)

__all__ = [
    "ClebschGordanProduct",
    "DensityCorrelations",
    "EquivariantPowerSpectrum",
    "EquivariantPowerSpectrumByPair",
    "PowerSpectrum",
]
