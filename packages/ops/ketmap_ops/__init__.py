"""The numerical kernels as torch operators, with their torch reference."""

from .energy import soap_energy
from .expansion import expand, expand_jacobian, expand_vjp
from .group import group
from .library import backend
from .mesh import mesh_gather, mesh_slopes, mesh_spread
from .mixing import expand_mixed, expand_mixed_vjp, mixing_vjp
from .pairs import pair_gradients, pair_terms
from .power_spectrum import power_spectrum
from .search import half_pairs, neighbors
from .waves import lattice_points, wave_field, wave_field_vjp

__all__ = [
    "backend",
    "expand",
    "expand_jacobian",
    "expand_mixed",
    "expand_mixed_vjp",
    "expand_vjp",
    "group",
    "half_pairs",
    "lattice_points",
    "mesh_gather",
    "mesh_slopes",
    "mesh_spread",
    "mixing_vjp",
    "neighbors",
    "pair_gradients",
    "pair_terms",
    "power_spectrum",
    "soap_energy",
    "wave_field",
    "wave_field_vjp",
]
