"""Matrices of rotations and inversions that act on real spherical harmonics."""

from functools import cache
from typing import Any

import numpy as np
import sphericart.torch
import torch


def wigner_d(l: int, rotation: Any) -> Any:
    """Matrix D of a proper or improper rotation R: Y_l(R r) = D Y_l(r).

    Orthogonal, and D(R₁ R₂) = D(R₁) D(R₂); an inversion gives (-1)^l. It is the projection
    D_mm' = ∫ Y_lm(R r) Y_lm'(r) dΩ by a product quadrature that is exact for polynomials of degree 2l
    (Gauss-Legendre along z times equal steps around it), hence accurate to rounding for any l and R.

    :param l: order of the harmonics.
    :param rotation: orthogonal matrix R, NumPy or torch (then differentiable). -> [3, 3]
    :returns: of the same kind. -> [2l + 1, 2l + 1]
    :raises ValueError: if R is not orthogonal to 1e-6, or l < 0.

    >>> wigner_d(1, np.diag([-1.0, -1.0, 1.0])).round(9) + 0.0  # half a turn around z, on (y, z, x)
    array([[-1.,  0.,  0.],
           [ 0.,  1.,  0.],
           [ 0.,  0., -1.]])
    """
    if l < 0:
        raise ValueError(f"the order l of harmonics must be 0 or more, got {l}")
    matrix = rotation if isinstance(rotation, torch.Tensor) else torch.tensor(np.asarray(rotation, dtype=float))
    identity = torch.eye(3, dtype=matrix.dtype, device=matrix.device)
    if matrix.shape != (3, 3) or not torch.allclose(matrix @ matrix.T, identity, atol=1e-6):
        raise ValueError(f"expected an orthogonal 3×3 matrix (R Rᵀ = 1 to 1e-6), got {matrix.tolist()}")
    points, weights = (part.to(matrix) for part in _quadrature(l))  # -> [point, 3], [point]
    start = points @ matrix.T
    before, after = _harmonics(l, points), _harmonics(l, start)  # -> [point, m]
    result = (after * weights[:, None]).T @ before  # -> [m, m']
    return result if isinstance(rotation, torch.Tensor) else result.numpy()


def _harmonics(l: int, points: torch.Tensor) -> torch.Tensor:
    return _calculator(l)(points.contiguous())[:, l * l :]  # -> [point, m]


@cache
def _calculator(l: int) -> Any:
    return sphericart.torch.SphericalHarmonics(l)


@cache
def _quadrature(l: int) -> tuple[torch.Tensor, torch.Tensor]:
    z, along = np.polynomial.legendre.leggauss(l + 1)
    around = 2 * np.pi * (np.arange(2 * l + 1) + 0.5) / (2 * l + 1)
    rho = np.sqrt(1 - z**2)
    points = np.stack(
        [np.outer(rho, np.cos(around)), np.outer(rho, np.sin(around)), np.outer(z, np.ones_like(around))],
        axis=-1,
    )
    weights = np.repeat(along * 2 * np.pi / (2 * l + 1), 2 * l + 1)
    return torch.from_numpy(points.reshape(-1, 3)), torch.from_numpy(weights)
