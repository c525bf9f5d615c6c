"""Which wave vectors stand for the Fourier integral, and with what weights: one of k and −k each."""

import dataclasses
import math

import numpy as np
import torch

from .sites import Sites


@dataclasses.dataclass(frozen=True)
class WaveVectors:
    """∫ d³k/(2π)³ F(k) ≈ Σ weights · Re F(k), through which gradients flow to the cell."""

    k: torch.Tensor  # [k, 3]
    weights: torch.Tensor  # [k], 1/Å³


def lattice_points(rows: np.ndarray, cutoff: float) -> np.ndarray:  # -> int [point, dimension]
    """One of m and −m, m ≠ 0, with |2π m h⁻ᵀ| < ``cutoff``, h = ``rows`` [dimension, 3]."""
    reach = (cutoff / (2 * math.pi) * np.sqrt((rows**2).sum(axis=1))).astype(int)
    sizes = 2 * reach + 1
    # in this order m and −m lie opposite each other, zero between them
    behind = np.arange(sizes.prod() // 2 + 1, sizes.prod())
    m = np.stack(np.unravel_index(behind, sizes), axis=1) - reach
    inverse = np.linalg.inv(rows @ rows.T) @ rows
    k = m @ (2 * math.pi * inverse)
    return m[(k**2).sum(axis=1) < cutoff**2]


def crystal_vectors(sites: Sites, cutoff: float) -> WaveVectors:
    """The reciprocal lattice in a sphere, without k = 0."""
    cell = sites.cell
    m = torch.from_numpy(lattice_points(_plain(cell), cutoff)).to(cell)
    k = m @ (2 * math.pi * torch.linalg.inv(cell).T)
    return WaveVectors(k, (2 / sites.volume).expand(len(k)))


def slab_vectors(sites: Sites, cutoff: float, largest: float, reach: float, accuracy: float) -> WaveVectors:
    """The plane's reciprocal lattice below ``cutoff`` without 0, and for each of its vectors a sum along the normal, up
    to |k| = ``largest``, for the integral.

    The integrand is analytic for |Im k_z| < k∥, so sums with spacing 2π/L are exact but for exp(−k∥ (L − z)), z the
    largest distance along the normal of what acts on each other: atoms, and the reach of the basis around them.
    """
    cell = sites.cell[list(sites.pbc)]  # -> [2, 3]
    rows, normal = _plain(cell), plane_normal(sites)
    m = lattice_points(rows, cutoff)
    parallel = np.linalg.norm(2 * math.pi * m @ np.linalg.pinv(rows).T, axis=1)
    heights = (sites.positions.detach() @ normal.detach()).cpu()
    thickness = float(heights.max() - heights.min()) if len(heights) else 0.0
    index, along, step = [], [], []
    for place, k in enumerate(parallel):
        length = thickness + reach - math.log(accuracy) / k
        count = math.floor(math.sqrt(largest**2 - k**2) * length / (2 * math.pi))
        index.append(np.full(2 * count + 1, place))
        along.append(np.arange(-count, count + 1) * (2 * math.pi / length))
        step.append(np.full(2 * count + 1, 1 / length))
    index, along, step = (np.concatenate([np.zeros(0), *parts]) for parts in (index, along, step))
    m = torch.from_numpy(m[index.astype(int)]).to(cell)
    k = 2 * math.pi * m @ torch.linalg.pinv(cell).T + torch.from_numpy(along).to(cell)[:, None] * normal
    return WaveVectors(k, 2 * torch.from_numpy(step).to(cell) / sites.volume)


def plane_normal(sites: Sites) -> torch.Tensor:  # -> [3]
    """Unit vector across a system that is periodic along two directions."""
    first, second = sites.cell[list(sites.pbc)]
    across = torch.linalg.cross(first, second)
    return across / torch.linalg.vector_norm(across)


def _plain(cell: torch.Tensor) -> np.ndarray:
    return cell.detach().to("cpu", torch.float64).numpy()
