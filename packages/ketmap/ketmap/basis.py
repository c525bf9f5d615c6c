"""What the density is expanded on, under featomic's names."""

from ketmap_density import (
    Basis,
    Explicit,
    Gto,
    LaplacianEigenstate,
    Monomials,
    RadialBasis,
    SphericalBessel,
    TensorProduct,
)

ExpansionBasis = Basis  #: featomic's name

__all__ = [
    "ExpansionBasis",
    "Explicit",
    "Gto",
    "LaplacianEigenstate",
    "Monomials",
    "RadialBasis",
    "SphericalBessel",
    "TensorProduct",
]
