"""The Fourier transform of the smeared power law, v̂_p(k) = ∫ v_p(r) exp(−ik·r) d³r, in torch.

v̂_p(k) = π^{3/2} 2^{3−p}/Γ(p/2) k^{p−3} Γ((3−p)/2, k²σ²/2) for p ≥ 1 (Huguenin-Dumittan et al., JPCL 14, 9612 (2023),
supplementary information D), v̂_0(k) = (4πσ²)^{3/4} exp(−k²σ²/2) for SOAP's Gaussian.
Differentiable any number of times.
"""

import math

import torch

EULER = 0.5772156649015329
SERIES_TERMS = 30
FRACTION_TERMS = 60
SPLIT = 2.0  # where series and continued fraction of E₁ meet: both are good to 1e-15 there


class ExponentialIntegral(torch.autograd.Function):
    """E₁(x) = ∫_x^∞ exp(−t)/t dt for x > 0; torch has none."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        small, large = x.clamp(max=SPLIT), x.clamp(min=SPLIT)
        # E₁ = −γ − ln x − Σ (−x)^k/(k k!)
        series = torch.zeros_like(x)
        for k in range(SERIES_TERMS, 0, -1):
            series = -small / k * (1 / k + series)
        series = -EULER - small.log() - series
        # E₁ = exp(−x) 1/(x + 1 − 1/(x + 3 − 4/(x + 5 − …)))
        tail = large + 2 * FRACTION_TERMS + 1
        for k in range(FRACTION_TERMS, 0, -1):
            tail = large + 2 * k - 1 - k * k / tail
        return torch.where(x < SPLIT, series, torch.exp(-large) / tail)

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return -grad * torch.exp(-x) / x


def upper_gamma(twice: int, x: torch.Tensor) -> torch.Tensor:
    """Γ(a, x) = ∫_x^∞ t^{a−1} exp(−t) dt for a = ``twice``/2 ≤ 1 and x > 0.

    Downwards by Γ(a + 1, x) = a Γ(a, x) + x^a exp(−x).
    """
    if twice == 2:
        return torch.exp(-x)
    if twice % 2:
        a, value = 0.5, math.sqrt(math.pi) * torch.special.erfc(x.sqrt())
    else:
        a, value = 0.0, ExponentialIntegral.apply(x)
    while 2 * a > twice:
        a -= 1.0
        value = (value - x**a * torch.exp(-x)) / a
    return value


def transform(k: torch.Tensor, exponent: int, smearing: float) -> torch.Tensor:
    """v̂_p(k) for ``k`` > 0 (1/Å), of the shape of ``k``; of an infinite smearing nothing remains."""
    if math.isinf(smearing):
        return torch.zeros_like(k)
    x = 0.5 * (k * smearing) ** 2
    if exponent == 0:
        return (4 * math.pi * smearing**2) ** 0.75 * torch.exp(-x)
    factor = math.pi**1.5 * 2.0 ** (3 - exponent) / math.gamma(exponent / 2)
    return factor * k ** (exponent - 3) * upper_gamma(3 - exponent, x)


def at_zero(exponent: int, smearing: float) -> float:
    """v̂_p(0) = ∫ v_p d³r where that is finite (p = 0 and p > 3); 0 where it is not, p = 1, 2, 3: as featomic does."""
    if exponent == 0:
        return (4 * math.pi * smearing**2) ** 0.75
    if exponent <= 3:
        return 0.0
    return 2 * math.pi**1.5 * (2 * smearing**2) ** (1.5 - exponent / 2) / (math.gamma(exponent / 2) * (exponent - 3))
