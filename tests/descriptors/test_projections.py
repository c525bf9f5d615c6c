"""Symmetry functions are linear in the density correlations ρ^{⊗1} and ρ^{⊗2}.

Willatt, Musil, Ceriotti, JCP 150, 154110 (2019), section on Behler-Parrinello functions: for Dirac densities, G² is an
integral over ρ_i, and G⁴ and G⁵ are integrals over ρ_i ⊗ ρ_i averaged over rotations, which the power spectrum expands.
"""

import ase.build
import numpy as np
import pytest
from ketmap_density import Cutoff, DiracDelta, Monomials, ShiftedCosine, SphericalExpansion, TensorProduct
from ketmap_descriptors import G2, G4, G5, AngularSymmetryFunctions, RadialSymmetryFunctions
from ketmap_soap import SoapPowerSpectrum

RADIUS = 3.0
CUTOFF = Cutoff(RADIUS, smoothing=ShiftedCosine(RADIUS))
NODES, WEIGHTS = np.polynomial.legendre.leggauss(64)
R, DR = RADIUS / 2 * (NODES + 1), RADIUS / 2 * WEIGHTS
ATOMS = [ase.build.molecule(name) for name in ("CH3OH", "CH3CONH2", "CH3CHO")]


def density(max_radial, max_angular):
    radial = Monomials(angular_channel=0, max_radial=max_radial)
    basis = TensorProduct(max_angular=max_angular, radial=radial, spline_accuracy=1e-7)
    return {"cutoff": CUTOFF, "density": DiracDelta(center_atom_weight=0.0), "basis": basis}


def functions(max_radial):  # -> [r, n]
    return Monomials(angular_channel=0, max_radial=max_radial).bound(RADIUS).functions(R)


def integral(rho, key, samples, weight):
    """∫ ρ(r) w(|r|) d³r of the ν = 1 coefficients, with w given at the nodes. -> [sample]"""
    block = rho.block(dict(o3_lambda=0, center_type=key[0], neighbor_type=key[1]))
    w = functions(block.values.shape[-1] - 1).T @ (DR * R**2 * weight)  # -> [n]
    return np.sqrt(4 * np.pi) * block.values[block.samples.select(samples)][:, 0] @ w


@pytest.mark.parametrize("eta, shift", [(1.0, 0.0), (1.5, 1.2), (0.5, 2.5)])
def test_g2(eta, shift):
    """G² = √4π Σ_n w_n ⟨n00|ρ_i⟩, w_n = ∫ φ_n exp(−η (r − R_s)²) r² dr."""
    expected = RadialSymmetryFunctions(cutoff=CUTOFF, functions=[G2(eta, shift)]).compute(ATOMS)
    errors = []
    for max_radial in (1, 4, 8):
        rho = SphericalExpansion(**density(max_radial, 0)).compute(ATOMS)
        found = {
            tuple(key): integral(rho, key, b.samples, np.exp(-eta * (R - shift) ** 2)) for key, b in expected.items()
        }
        errors.append(max(np.abs(found[tuple(key)] - b.values[:, 0]).max() for key, b in expected.items()))
    assert errors[2] < errors[0] / 20 and errors[2] < 3e-3, errors


def correlated(soap, key, samples, weights):
    """Σ_l 4π/(2l+1) Σ_nn' w_lnn' Σ_m ⟨anlm|ρ_i⟩⟨bn'lm|ρ_i⟩ from the power spectrum. -> [sample]"""
    block = soap.block(dict(center_type=key[0], neighbor_1_type=key[1], neighbor_2_type=key[2]))
    l = block.properties.column("l")
    factor = (-1.0) ** l * np.sqrt(2 * l + 1) / (1 if key[1] == key[2] else np.sqrt(2))
    summed = block.values[block.samples.select(samples)] * factor * 4 * np.pi / (2 * l + 1)
    return summed @ weights[l, block.properties.column("n_1"), block.properties.column("n_2")]


def angular_kernel(function, max_angular):
    """k_l(r, r') = (2l + 1)/2 ∫ P_l(x) K(r, r', x) dx of a function at the nodes. -> [l, r, r']"""
    x, dx = np.polynomial.legendre.leggauss(60)
    r, s = R[:, None, None], R[None, :, None]
    squares = r**2 + s**2
    third = squares - 2 * r * s * x
    if function.closed:
        squares = squares + third
    kernel = 2 ** (1 - function.zeta) * (1 + function.lambda_ * x) ** function.zeta * np.exp(-function.eta * squares)
    if function.closed:
        kernel = kernel * CUTOFF.function(np.sqrt(third.clip(0)))
    legendre = np.polynomial.legendre.legvander(x, max_angular)  # -> [x, l]
    return np.einsum("rsx,xl,x,l->lrs", kernel, legendre, dx, np.arange(max_angular + 1) + 0.5, optimize=True)


@pytest.mark.parametrize(
    "function, sizes, accuracy",
    [
        (G5(0.3, 1, 1), [(2, 1), (4, 1), (7, 1)], 1e-3),
        (G5(0.1, 4, -1), [(1, 4), (3, 4), (6, 4)], 1e-6),
        (G4(0.1, 1, 1), [(2, 2), (4, 6), (7, 12)], 0.05),
        (G4(0.3, 2, -1), [(2, 2), (4, 6), (7, 12)], 0.05),
    ],
    ids=str,
)
def test_angular(function, sizes, accuracy):
    """The pairs j ≠ k of the power spectrum: half of all pairs less those of a neighbour with itself, linear in ρ_i.

    (1 + λ cos θ)^ζ is a polynomial: for G⁵ l = 0 … ζ are enough. The cutoff function of r_jk has no end in l.
    """
    expected = AngularSymmetryFunctions(cutoff=CUTOFF, functions=[function]).compute(ATOMS)
    errors = []
    for max_radial, max_angular in sizes:
        given = density(max_radial, max_angular)
        rho, soap = (kind(**given).compute(ATOMS) for kind in (SphericalExpansion, SoapPowerSpectrum))
        radial = functions(max_radial) * (DR * R**2)[:, None]  # -> [r, n]
        weights = np.einsum("lrs,rn,sk->lnk", angular_kernel(function, max_angular), radial, radial, optimize=True)
        # K(r, r, 1): r_jk = 0, where f_c is 1
        own = 2 ** (1 - function.zeta) * (1 + function.lambda_) ** function.zeta * np.exp(-2 * function.eta * R**2)
        worst = 0.0
        for key, block in expected.items():
            found = correlated(soap, key, block.samples, weights)
            if key[1] == key[2]:
                found = 0.5 * (found - integral(rho, key, block.samples, own * CUTOFF.function(R)))
            worst = max(worst, np.abs(found - block.values[:, 0]).max())
        errors.append(worst / max(np.abs(block.values).max() for block in expected.blocks()))
    assert errors[2] < errors[0] / 9 and errors[2] < accuracy, errors
