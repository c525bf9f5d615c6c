"""What stands at every neighbour: the atomic density g(r)."""

import math

import numpy as np

from .basis import Basis
from .hypers import Hypers, hypers, number
from .integral import gaussian_integral


class Density(Hypers):
    """An atomic density; the density around atom i is ρ_i(r) = Σ_j f_c(r_ij) g(r − r_ij).

    The centre sees its own density times ``center_atom_weight``.
    """

    center_atom_weight: float

    def radial_integrals(self, r: np.ndarray, basis: Basis, derivative: int = 0) -> np.ndarray:  # -> [r, l, n]
        """R_nl(r), or a derivative: the density of a neighbour at distance r, integrated on the
        functions of a ``basis`` that is bound to a radius."""
        raise NotImplementedError


@hypers
class Gaussian(Density):
    """g(r) = (πσ²)^(−3/4) exp(−r²/2σ²), σ = ``width`` (Å): ∫ g² d³r = 1, as in featomic."""

    width: float
    center_atom_weight: float = 1.0

    _absent = ("scaling",)

    def __post_init__(self):
        self._set(
            width=number(self.width, "Gaussian width", above=0),
            center_atom_weight=number(self.center_atom_weight, "center_atom_weight"),
        )

    @property
    def normalization(self) -> float:
        """The factor (πσ²)^(−3/4)."""
        return (math.pi * self.width**2) ** -0.75

    def radial_integrals(self, r: np.ndarray, basis: Basis, derivative: int = 0) -> np.ndarray:  # -> [r, l, n]
        return gaussian_integral(r, basis, self.width, self.normalization, derivative)
