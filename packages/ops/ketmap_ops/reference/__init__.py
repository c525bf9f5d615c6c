"""The operators written with torch: any device, float32 and float64, differentiable any number of times."""

from .energy import soap_energy
from .expansion import expand, expand_jacobian, expand_vjp
from .group import group
from .mixing import expand_mixed, expand_mixed_vjp, mixing_vjp
from .pairs import pair_gradients, pair_terms
from .search import half_pairs, neighbors
from .waves import lattice_points, wave_field, wave_field_vjp

__all__ = [
    "expand",
    "expand_jacobian",
    "expand_mixed",
    "expand_mixed_vjp",
    "expand_vjp",
    "group",
    "half_pairs",
    "lattice_points",
    "mixing_vjp",
    "neighbors",
    "pair_gradients",
    "pair_terms",
    "soap_energy",
    "wave_field",
    "wave_field_vjp",
]
