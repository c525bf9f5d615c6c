"""Rotations and inversions: Wigner matrices, Clebsch-Gordan coefficients, Cartesian tensors; for real harmonics.

Real harmonics Y_lm have no Condon-Shortley phase, are orthonormal on the sphere, m = -l … l, so that λ=1 is (y, z, x)
times sqrt(3/4π): those of sphericart. Rotations are 3×3 matrices acting on column vectors, r → R r.
"""

from .cartesian import cartesian_to_spherical, spherical_to_cartesian
from .clebsch_gordan import Couplings, clebsch_gordan, couplings
from .rotations import wigner_d

__all__ = [
    "Couplings",
    "cartesian_to_spherical",
    "clebsch_gordan",
    "couplings",
    "spherical_to_cartesian",
    "wigner_d",
]
