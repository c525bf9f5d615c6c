"""What stands at every neighbour: the atomic density g(r)."""

import dataclasses
import math
from collections.abc import Mapping

import numpy as np

from .basis import Basis
from .hypers import FrozenDict, Hypers, hypers, integer, number
from .integral import gaussian_integral
from .scaling import RadialScaling


class Density(Hypers):
    """An atomic density; the density around atom i is ρ_i(r) = Σ_j f_c(r_ij) u(r_ij) g(r − r_ij).

    The centre sees its own density times ``center_atom_weight``; u is the radial ``scaling``, 1 unless given.
    Subclasses give :meth:`integrals`, and :attr:`types` and :meth:`of` where g differs between neighbour types.
    """

    center_atom_weight: float
    scaling: RadialScaling | None

    def __post_init__(self):
        self._set(
            center_atom_weight=number(self.center_atom_weight, "center_atom_weight"),
            scaling=None if self.scaling is None else RadialScaling.from_dict(self.scaling),
        )

    @property
    def types(self) -> tuple[int, ...] | None:
        """The neighbour types, ascending, whose densities differ; None: those of all types are alike."""
        return None

    def of(self, neighbor_type: int) -> "Density":
        """The density of the neighbours of one of these types."""
        return self

    @property
    def smooth(self) -> bool:
        """Whether R_nl(−r) = (−1)^l R_nl(r) is smooth, so that :meth:`radial_integrals` has derivatives."""
        return False

    def integrals(self, r: np.ndarray, basis: Basis, derivative: int = 0) -> np.ndarray:  # -> [r, l, n]
        """Of g(r' − r) on the functions of a ``basis`` that is bound to a radius; derivatives where it is smooth."""
        raise NotImplementedError(f"{type(self).__name__} is no density of neighbours within a cutoff")

    def radial_integrals(self, r: np.ndarray, basis: Basis, derivative: int = 0) -> np.ndarray:  # -> [r, l, n]
        """R_nl(r), or a derivative: the density of a neighbour at distance r, scaled, integrated on the basis."""
        if self.scaling is None:
            return self.integrals(r, basis, derivative)
        u = [self.scaling.compute(r)]
        if derivative > 0:
            u.append(self.scaling.compute(r, derivative=True))
        if derivative > 1:
            u.append(self.scaling.second_derivative(r))
        terms = [
            math.comb(derivative, k) * u[k][:, None, None] * self.integrals(r, basis, derivative - k)
            for k in range(derivative + 1)
        ]
        return sum(terms)


@hypers
class Gaussian(Density):
    """g(r) = (πσ²)^(−3/4) exp(−r²/2σ²), σ = ``width`` (Å): ∫ g² d³r = 1, as in featomic.

    ``width`` may be a dictionary, with a width for every neighbour type: ``{1: 0.2, 8: 0.3}``.
    """

    width: float | dict[int, float]
    center_atom_weight: float = 1.0
    scaling: RadialScaling | None = None

    def __post_init__(self):
        super().__post_init__()
        width = self.width
        if not isinstance(width, Mapping):
            return self._set(width=number(width, "Gaussian width", above=0))
        if not width:
            raise ValueError("Gaussian width must be a number, or a dictionary {type: number}; got an empty one")
        found = {}
        for t, value in width.items():
            t = int(t) if isinstance(t, str) and t.isdigit() else t  # JSON has no other keys
            found[integer(t, "type in Gaussian width", minimum=0)] = number(value, f"Gaussian width of {t}", above=0)
        self._set(width=FrozenDict(sorted(found.items())))

    @property
    def types(self) -> tuple[int, ...] | None:
        return tuple(self.width) if isinstance(self.width, Mapping) else None

    def of(self, neighbor_type: int) -> "Gaussian":
        return self if self.types is None else dataclasses.replace(self, width=self.width[neighbor_type])

    @property
    def smooth(self) -> bool:
        return self.scaling is None or self.scaling.even

    @property
    def normalization(self) -> float:
        """The factor (πσ²)^(−3/4)."""
        return (math.pi * self.width**2) ** -0.75

    def integrals(self, r: np.ndarray, basis: Basis, derivative: int = 0) -> np.ndarray:  # -> [r, l, n]
        return gaussian_integral(r, basis, self.width, self.normalization, derivative)


@hypers
class DiracDelta(Density):
    """g(r) = δ(r): coefficients are the basis functions at the neighbours, R_nl(r) = φ_nl(r), as in the atomic cluster
    expansion (Drautz, PRB 99, 014104 (2019)).

    Functions are taken as they are, also beyond their radius.
    """

    center_atom_weight: float = 1.0
    scaling: RadialScaling | None = None

    def integrals(self, r: np.ndarray, basis: Basis, derivative: int = 0) -> np.ndarray:  # -> [r, l, n]
        return basis.functions(r)
