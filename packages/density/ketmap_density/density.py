"""What stands at every neighbour: the atomic density g(r)."""

import math

from .hypers import Hypers, hypers, number


class Density(Hypers):
    """An atomic density; the density around atom i is ρ_i(r) = Σ_j f_c(r_ij) g(r − r_ij)."""


@hypers
class Gaussian(Density):
    """g(r) = (πσ²)^(−3/4) exp(−r²/2σ²), σ = ``width`` (Å): ∫ g² d³r = 1, as in featomic.

    The centre sees its own density times ``center_atom_weight``.
    """

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
