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
from .spliner import SoapSpliner
from .tabulated import Custom, Point, Tabulated

__all__ = [
    "AlchemicalChannels",
    "Basis",
    "ByNeighborType",
    "Contracted",
    "Custom",
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
    "Point",
    "RadialBasis",
    "RadialScaling",
    "ShiftedCosine",
    "SoapSpliner",
    "Species",
    "SphericalBessel",
    "SphericalExpansion",
    "SphericalExpansionByPair",
    "Step",
    "Tabulated",
    "TensorProduct",
    "Willatt2018",
    "contracted_basis",
    "density_norms",
    "pca_contraction",
    "smooth_contraction",
]
