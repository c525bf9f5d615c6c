"""What the density is expanded on, under featomic's names."""

from ketmap_density import (
    Basis,
    Custom,
    Explicit,
    Gto,
    LaplacianEigenstate,
    Monomials,
    RadialBasis,
    SphericalBessel,
    Tabulated,
    TensorProduct,
)

ExpansionBasis = Basis  #: featomic's name

__all__ = [
    "Custom",
    "ExpansionBasis",
    "Explicit",
    "Gto",
    "LaplacianEigenstate",
    "Monomials",
    "RadialBasis",
    "SphericalBessel",
    "Tabulated",
    "TensorProduct",
]
