"""Clebsch-Gordan coefficients: exact laws, and every library that has them."""

import math
from functools import cache

import numpy as np
import pytest
import sympy
import torch
import wigners
from ketmap_core.o3 import clebsch_gordan, couplings, wigner_d
from ketmap_core.o3.clebsch_gordan import complex_coefficient, squared_coefficient
from scipy.spatial.transform import Rotation
from sympy.physics.quantum.cg import CG

L_MAX = 12
TRIPLES = [
    (l1, l2, l)
    for l1 in range(L_MAX + 1)
    for l2 in range(L_MAX + 1)
    for l in range(abs(l1 - l2), min(l1 + l2, L_MAX) + 1)
]


@cache
def real_from_complex(l):
    """U with Y_real = U Y_complex, from the textbook's formula.  # -> [m, m']"""
    u = np.zeros((2 * l + 1, 2 * l + 1), dtype=complex)
    u[l, l] = 1
    for m in range(1, l + 1):
        u[l - m, l - m], u[l - m, l + m] = 1j / math.sqrt(2), -1j * (-1) ** m / math.sqrt(2)
        u[l + m, l - m], u[l + m, l + m] = 1 / math.sqrt(2), (-1) ** m / math.sqrt(2)
    return u


@pytest.mark.parametrize("l1", range(L_MAX + 1))
def test_orthogonal(l1):
    """All λ together are an orthogonal matrix: nothing is lost, nothing counted twice."""
    for l2 in range(L_MAX + 1):
        n = (2 * l1 + 1) * (2 * l2 + 1)
        matrix = np.concatenate([clebsch_gordan(l1, l2, l) for l in range(abs(l1 - l2), l1 + l2 + 1)], axis=2)
        matrix = matrix.reshape(n, n)
        np.testing.assert_allclose(matrix @ matrix.T, np.eye(n), atol=1e-12)


def test_sympy():
    """A few hundred complex coefficients, exact rational squares."""
    rng = np.random.default_rng(0)
    for _ in range(300):
        l1, l2, l = TRIPLES[rng.integers(len(TRIPLES))]
        m1, m2 = (int(rng.integers(-x, x + 1)) for x in (l1, l2))
        sign, numerator, denominator = complex_coefficient(l1, m1, l2, m2, l)
        expected = CG(l1, m1, l2, m2, l, m1 + m2).doit() if abs(m1 + m2) <= l else sympy.Integer(0)
        assert sign * sympy.sqrt(sympy.Rational(numerator, denominator)) == expected


def test_sympy_real():
    """Real coefficients from sympy's complex ones, as roots of rationals."""
    rng = np.random.default_rng(1)
    for _ in range(20):
        l1, l2, l = TRIPLES[rng.integers(len(TRIPLES) // 8)]
        entries = couplings(l1, l2, l)
        i = rng.integers(len(entries))
        m1, m2, m = int(entries.m1[i]) - l1, int(entries.m2[i]) - l2, int(entries.mu[i]) - l
        total = sympy.Integer(0)
        for a in {m1, -m1}:
            for b in {m2, -m2}:
                if abs(a + b) == abs(m):
                    u = [
                        complex(real_from_complex(x)[x + r, x + c])
                        for x, r, c in ((l, m, a + b), (l1, m1, a), (l2, m2, b))
                    ]
                    halves = sum(r != 0 for r in (m1, m2, m))
                    factor = sympy.nsimplify(
                        u[0] * u[1].conjugate() * u[2].conjugate() * math.sqrt(2) ** halves, rational=True
                    )
                    total += factor / sympy.sqrt(2) ** halves * CG(l1, a, l2, b, l, a + b).doit()
        expected = sympy.simplify(-sympy.im(total) if (l1 + l2 + l) % 2 else sympy.re(total))
        sign, numerator, denominator = squared_coefficient(l1, m1, l2, m2, l, m)
        assert sympy.simplify(sign * sympy.sqrt(sympy.Rational(numerator, denominator)) - expected) == 0
        assert float(expected) == pytest.approx(entries.value[i], rel=1e-15)


@pytest.mark.parametrize("l1", range(L_MAX + 1))
def test_wigners(l1):
    """All triples: wigners' complex arrays turned to real harmonics."""
    for one, l2, l in TRIPLES:
        if one == l1:
            array = wigners.clebsch_gordan_array(l1, l2, l)
            u1, u2, u = (real_from_complex(x) for x in (l1, l2, l))
            real = np.tensordot(np.tensordot(u1.conj(), array, 1).transpose(0, 2, 1) @ u2.conj().T, u, ([1], [1]))
            # -> [m1, m2, M]
            expected, other = (-real.imag, real.real) if (l1 + l2 + l) % 2 else (real.real, real.imag)
            np.testing.assert_allclose(other, 0, atol=1e-12)
            np.testing.assert_allclose(clebsch_gordan(l1, l2, l), expected, atol=1e-12)


def test_featomic():
    coefficients = pytest.importorskip("featomic.clebsch_gordan").calculate_cg_coefficients
    theirs = coefficients(6, "python-dense", "numpy", np.float64, "cpu")
    for (l1, l2, l), block in zip(theirs.keys.values.tolist(), theirs.blocks()):
        expected = (-1) ** (l1 + l2 + l) * block.values[0, ..., 0]  # the sign that its product multiplies by
        np.testing.assert_allclose(clebsch_gordan(l1, l2, l), expected, atol=1e-14)


def test_e3nn():
    """e3nn's 3j symbols have norm 1 and a sign of their own for each triple; its axes are ours moved on by one, a
    rotation, under which they do not change."""
    o3 = pytest.importorskip("e3nn.o3")
    signs = set()
    for l1, l2, l in TRIPLES:
        if max(l1, l2, l) <= 8 and l1 <= l2:
            theirs = o3.wigner_3j(l1, l2, l, dtype=torch.float64).numpy() * math.sqrt(2 * l + 1)
            sign = np.sign((clebsch_gordan(l1, l2, l) * theirs).sum())
            signs.add(sign)
            np.testing.assert_allclose(clebsch_gordan(l1, l2, l), sign * theirs, atol=1e-6)
    assert signs == {1.0, -1.0}


@pytest.mark.parametrize("improper", [False, True])
def test_equivariant(improper):
    """C(D a, D b) = σ-sign D C(a, b): λ from l1 ⊗ l2 turns like λ, and an inversion gives (−1)^(l1+l2)."""
    matrix = Rotation.random(random_state=5).as_matrix() * (-1 if improper else 1)
    for l1, l2, l in [(1, 1, 0), (1, 1, 1), (1, 1, 2), (2, 3, 4), (4, 3, 6), (12, 12, 12), (12, 7, 9), (5, 5, 3)]:
        c = clebsch_gordan(l1, l2, l)
        d1, d2, d = (wigner_d(x, matrix) for x in (l1, l2, l))
        turned = np.tensordot(d1.T, c, 1).transpose(0, 2, 1) @ d2  # -> [m1, M, m2]
        sign = (-1) ** (l1 + l2 + l) if improper else 1
        np.testing.assert_allclose(turned.transpose(0, 2, 1), sign * c @ d.T, atol=1e-12)


def test_known_values():
    """λ = 0 is a scalar product over −√3, λ = 1 a vector product over −√2; in sympy's notation exact."""
    x, y, z = np.eye(3)[[2, 0, 1]]  # in the order (y, z, x)
    np.testing.assert_allclose(np.einsum("abM,a,b->M", clebsch_gordan(1, 1, 1), x, y), -z / math.sqrt(2), atol=1e-15)
    np.testing.assert_allclose(clebsch_gordan(1, 1, 0)[:, :, 0], -np.eye(3) / math.sqrt(3), atol=1e-15)
    for l in range(6):
        expected = (-1) ** l * np.eye(2 * l + 1) / math.sqrt(2 * l + 1)
        np.testing.assert_allclose(clebsch_gordan(l, l, 0)[:, :, 0], expected, atol=1e-15)
        np.testing.assert_allclose(clebsch_gordan(0, l, l)[0], np.eye(2 * l + 1), atol=1e-15)


def test_exchange():
    for l1, l2, l in TRIPLES[::7]:
        other = clebsch_gordan(l2, l1, l).transpose(1, 0, 2)
        np.testing.assert_array_equal(clebsch_gordan(l1, l2, l), (-1) ** (l1 + l2 + l) * other)


def test_cached_and_read_only():
    assert clebsch_gordan(2, 2, 2) is clebsch_gordan(2, 2, np.int64(2))
    assert couplings(2, 2, 2) is couplings(2, 2, 2)
    with pytest.raises(ValueError, match="read-only"):
        clebsch_gordan(2, 2, 2)[0, 0, 0] = 1.0


@pytest.mark.parametrize("triple", [(1, 1, 3), (3, 1, 1), (-1, 1, 1)])
def test_only_what_couples(triple):
    with pytest.raises(ValueError, match=r"expected \|l1 - l2\| ≤ λ ≤ l1 \+ l2"):
        clebsch_gordan(*triple)
