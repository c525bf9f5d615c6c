"""Clebsch-Gordan coefficients of real harmonics by exact integer arithmetic.

C^{λM}_{l1m1,l2m2} couples a (l1) and b (l2) to c_M = Σ C a_m1 b_m2 (λ): real, orthogonal, c(R a, R b) = D^λ(R) c(a, b)
for rotations R; an inversion multiplies it by (−1)^(l1+l2), so parities obey σ = σ1 σ2 (−1)^(l1+l2+λ).

With U^l the unitary matrix from complex harmonics (with the Condon-Shortley phase) to real ones, Y_real = U
Y_complex, and ⟨l1m1l2m2|λM⟩ in the Condon-Shortley convention, U^λ ⟨…⟩ U^l1† U^l2† is real for even l1 + l2 + λ and
imaginary for odd. C is its real part, or minus its imaginary part: the numbers that featomic multiplies by.
"""

import dataclasses
import math
from functools import cache, lru_cache

import numpy as np


@dataclasses.dataclass(frozen=True)
class Couplings:
    """The coefficients of one (l1, l2, λ) that are not zero, ascending by (M, m1, m2); indices count from zero."""

    m1: np.ndarray  #: int64 [entry], m1 + l1
    m2: np.ndarray  #: int64 [entry], m2 + l2
    mu: np.ndarray  #: int64 [entry], M + λ
    value: np.ndarray  #: float64 [entry]

    def __len__(self) -> int:
        return len(self.value)


def clebsch_gordan(l1: int, l2: int, l: int) -> np.ndarray:  # -> [m1, m2, M]
    """All coefficients C^{λM}_{l1m1,l2m2} of λ = ``l`` as one array, which is shared: it cannot be written to.

    Correctly rounded square roots of rational numbers; made once.

    :raises ValueError: if l1 and l2 do not couple to λ.

    >>> clebsch_gordan(1, 1, 0)[:, :, 0].round(4) + 0.0  # minus a scalar product
    array([[-0.5774,  0.    ,  0.    ],
           [ 0.    , -0.5774,  0.    ],
           [ 0.    ,  0.    , -0.5774]])
    """
    return _dense(int(l1), int(l2), int(l))


def couplings(l1: int, l2: int, l: int) -> Couplings:
    """The coefficients of :func:`clebsch_gordan` that are not zero. Made once.

    >>> len(couplings(3, 3, 3)), clebsch_gordan(3, 3, 3).size
    (42, 343)
    """
    return _sparse(int(l1), int(l2), int(l))


@cache
def _dense(l1: int, l2: int, l: int) -> np.ndarray:
    entries = couplings(l1, l2, l)
    dense = np.zeros((2 * l1 + 1, 2 * l2 + 1, 2 * l + 1))
    dense[entries.m1, entries.m2, entries.mu] = entries.value
    dense.flags.writeable = False
    return dense


@cache
def _sparse(l1: int, l2: int, l: int) -> Couplings:
    if min(l1, l2, l) < 0 or not abs(l1 - l2) <= l <= l1 + l2:
        raise ValueError(f"l1={l1} and l2={l2} do not couple to {l}: expected |l1 - l2| ≤ λ ≤ l1 + l2, all ≥ 0")
    found = []
    for m1 in range(-l1, l1 + 1):
        for m2 in range(-l2, l2 + 1):
            for m in {abs(m1) + abs(m2), abs(abs(m1) - abs(m2))}:
                for mu in {m, -m} if m <= l else ():
                    sign, numerator, denominator = squared_coefficient(l1, m1, l2, m2, l, mu)
                    if sign:
                        found.append((mu + l, m1 + l1, m2 + l2, sign * math.sqrt(numerator / denominator)))
    mu, m1, m2, value = map(np.array, zip(*sorted(found)))
    for array in (m1, m2, mu, value):
        array.flags.writeable = False
    return Couplings(m1, m2, mu, value)


def squared_coefficient(l1: int, m1: int, l2: int, m2: int, l: int, m: int) -> tuple[int, int, int]:
    """C^{lm}_{l1m1,l2m2} for real harmonics as sign, numerator and denominator (not reduced) of its square.

    >>> squared_coefficient(1, 0, 1, 0, 0, 0)
    (-1, 4, 12)
    """
    # Terms of U ⟨…⟩ U† U† are ±1, ±i times a coefficient; all that meet have the same one, up to its sign.
    total, square = 0j, (0, 1)
    for c1, f1 in _complex_parts(m1):
        for c2, f2 in _complex_parts(m2):
            for c, f in _complex_parts(m):
                if c1 + c2 == c:
                    sign, *root = complex_coefficient(l1, c1, l2, c2, l)
                    if sign:
                        total += sign * f * f1.conjugate() * f2.conjugate()
                        square = root
    value = int(-total.imag if (l1 + l2 + l) % 2 else total.real)
    halves = (m1 != 0) + (m2 != 0) + (m != 0)  # of the factor 1/√2 that _complex_parts leaves out
    return (value > 0) - (value < 0), square[0] * value**2, square[1] << halves


@cache
def _complex_parts(m: int) -> list[tuple[int, complex]]:
    """Y_m = Σ f Y^complex_m', times √2 unless m = 0.  # -> (m', f)"""
    if m == 0:
        return [(0, 1 + 0j)]
    phase = (-1) ** m
    return [(m, 1j), (-m, -1j * phase)] if m < 0 else [(-m, 1 + 0j), (m, phase + 0j)]


def complex_coefficient(l1: int, m1: int, l2: int, m2: int, l: int) -> tuple[int, int, int]:
    """⟨l1 m1 l2 m2|l m1+m2⟩, Condon-Shortley convention, as sign, numerator and denominator of its square.

    >>> complex_coefficient(1, 1, 1, -1, 0)
    (1, 1, 3)
    """
    if abs(m1) > l1 or abs(m2) > l2 or abs(m1 + m2) > l:
        return 0, 0, 1
    if m1 < 0 or (m1 == 0 and m2 < 0):
        sign, *square = _racah(l1, -m1, l2, -m2, l)
        return sign * (-1) ** (l1 + l2 - l), *square
    return _racah(l1, m1, l2, m2, l)


@lru_cache(maxsize=4096)  # each is needed a few times in a row
def _racah(l1: int, m1: int, l2: int, m2: int, l: int) -> tuple[int, int, int]:
    """Racah's sum, in binomials."""
    comb = math.comb
    a, b, c = l1 + l2 - l, l1 - l2 + l, l2 - l1 + l
    first, last = max(0, l1 - m1 - b, l2 + m2 - c), min(a, l1 - m1, l2 + m2)
    total = 0
    for k in range(first, last + 1):
        term = comb(a, k) * comb(b, l1 - m1 - k) * comb(c, l2 + m2 - k)
        total += -term if k % 2 else term
    numerator = comb(2 * l1, a) * comb(2 * l2, a)
    denominator = comb(l1 + l2 + l + 1, a) * comb(2 * l1, l1 - m1) * comb(2 * l2, l2 - m2) * comb(2 * l, l - m1 - m2)
    return (total > 0) - (total < 0), total**2 * numerator, denominator
