"""What stands at every atom: the smeared power law v_p(r), whose sum over all atoms is the field."""

import math
from collections.abc import Sequence

import numpy as np
import scipy.special
from ketmap_density.hypers import Hypers, hypers, integer, number

#: largest potential exponent: beyond, the field is no longer of long range
LARGEST = 9


class FieldDensity(Hypers):
    """The field of one atom; the field is its sum over all atoms, V(r) = Σ_j v(|r − r_j|)."""


@hypers
class SmearedPowerLaw(FieldDensity):
    """v_p(r) = γ(p/2, r²/2σ²) / (Γ(p/2) r^p), p = ``exponent``, σ = ``smearing`` (Å), as in featomic.

    p = 1 is the Coulomb potential of a normalised Gaussian charge, erf(r/√2σ)/r; p = 0 is by definition SOAP's
    Gaussian density, (πσ²)^(−3/4) exp(−r²/2σ²) (Huguenin-Dumittan, Loche, Ni, Ceriotti, JPCL 14, 9612 (2023)).

    :param smearing: σ in Å.
    :param exponent: p = 0 … 9, or several in a list: then keys have a last dimension ``exponent``.
    :param center_atom_weight: 1, the field of the centre itself belongs to it; here for featomic's sake.
    """

    smearing: float
    exponent: int | list[int]  # kept as a tuple, so that equal objects hash alike
    center_atom_weight: float = 1.0

    _absent = ("scaling",)

    def __post_init__(self):
        several = isinstance(self.exponent, Sequence) and not isinstance(self.exponent, str)
        given = tuple(self.exponent) if several else (self.exponent,)
        found = tuple(integer(p, "exponent", minimum=0) for p in given)
        if not found:
            raise ValueError("exponent must be a number or a list of numbers, got an empty list")
        if len(set(found)) < len(found):
            raise ValueError(f"every exponent stands once, got {list(found)}")
        if max(found) > LARGEST:
            raise ValueError(f"exponent must be at most {LARGEST}, got {max(found)}")
        if number(self.center_atom_weight, "center_atom_weight") != 1.0:
            raise ValueError(
                f"center_atom_weight must be 1, got {self.center_atom_weight:g}: the field of the centre is part of "
                "the field"
            )
        self._set(
            smearing=number(self.smearing, "smearing", above=0),
            exponent=found if several else found[0],
            center_atom_weight=1.0,
        )

    def to_dict(self) -> dict:
        """The object in featomic's nested-dictionary spelling."""
        written = super().to_dict()
        return {**written, "exponent": list(self.exponents)} if self.several else written

    @property
    def several(self) -> bool:
        """Whether the exponents were given as a list."""
        return isinstance(self.exponent, tuple)

    @property
    def exponents(self) -> tuple[int, ...]:
        """All exponents, one or several."""
        return self.exponent if self.several else (self.exponent,)


def smeared(r: np.ndarray, exponent: int, smearing: float) -> np.ndarray:
    """v_p(r) for ``r`` ≥ 0, of the shape of ``r``.

    >>> smeared(np.array([0.0, 2.0]), 1, 0.5).round(6)
    array([1.595769, 0.499968])
    """
    x = np.asarray(r, dtype=float) ** 2 / (2 * smearing**2)
    if exponent == 0:
        return (math.pi * smearing**2) ** -0.75 * np.exp(-x)
    # γ(a, x)/(Γ(a) x^a) = 1/Γ(a + 1) (1 − a x/(a + 1) + …): the series where the quotient is 0/0
    a = exponent / 2
    near = x < 1e-3
    safe = np.where(near, 1.0, x)
    series = np.zeros_like(x)
    for k in range(5, -1, -1):
        series = series * -np.where(near, x, 0.0) / (k + 1) + 1 / (a + k)
    quotient = np.where(near, series / scipy.special.gamma(a), scipy.special.gammainc(a, safe) / safe**a)
    return quotient * (2 * smearing**2) ** -a
