"""Spherical expansion of the neighbour density, by centre and by pair."""

from .basis import Basis, ByNeighborType, Explicit, LaplacianEigenstate, TensorProduct
from .by_pair import SphericalExpansionByPair
from .calculator import SphericalExpansion
from .contraction import Contracted, contracted_basis, density_norms, pca_contraction, smooth_contraction
from .cutoff import Cutoff, ShiftedCosine, Step
from .density import Density, DiracDelta, Gaussian
from .environments import Environments
from .expansion import Expansion
from .radial import Gto, Monomials, RadialBasis, SphericalBessel
from .scaling import RadialScaling, Willatt2018
from .species import AlchemicalChannels, Species

__all__ = [
    "AlchemicalChannels",
    "Basis",
    "ByNeighborType",
    "Contracted",
    "Cutoff",
    "Density",
    "DiracDelta",
    "Environments",
    "Expansion",
    "Explicit",
    "Gaussian",
    "Gto",
    "LaplacianEigenstate",
    "Monomials",
    "RadialBasis",
    "RadialScaling",
    "ShiftedCosine",
    "Species",
    "SphericalBessel",
    "SphericalExpansion",
    "SphericalExpansionByPair",
    "Step",
    "TensorProduct",
    "Willatt2018",
    "contracted_basis",
    "density_norms",
    "pca_contraction",
    "smooth_contraction",
]
