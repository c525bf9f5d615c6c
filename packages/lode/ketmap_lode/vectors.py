"""Which wave vectors stand for the Fourier integral, and with what weights: one of k and −k each."""

import dataclasses
import math

import ketmap_ops as ops
import numpy as np
import torch

from .sites import Sites


@dataclasses.dataclass(frozen=True)
class WaveVectors:
    """∫ d³k/(2π)³ F(k) ≈ Σ weights · Re F(k), through which gradients flow to the cell."""

    k: torch.Tensor  # [k, 3]
    weights: torch.Tensor  # [k], 1/Å³


def crystal_vectors(sites: Sites, cutoff: float) -> WaveVectors:
    """The reciprocal lattice in a sphere, without k = 0."""
    m, _ = ops.lattice_points(sites.cell[None], cutoff)
    k = m @ (2 * math.pi * torch.linalg.inv(sites.cell).T)
    return WaveVectors(k, (2 / sites.volume).expand(len(k)))


def slab_vectors(sites: Sites, cutoff: float, largest: float, reach: float, accuracy: float) -> WaveVectors:
    """The plane's reciprocal lattice below ``cutoff`` without 0, and for each of its vectors a sum along the normal, up
    to |k| = ``largest``, for the integral.

    The integrand is analytic for |Im k_z| < k∥, so sums with spacing 2π/L are exact but for exp(−k∥ (L − z)), z the
    largest distance along the normal of what acts on each other: atoms, and the reach of the basis around them.
    """
    cell = sites.cell[list(sites.pbc)]  # -> [2, 3]
    normal = plane_normal(sites)
    m, _ = ops.lattice_points(cell[None], cutoff)
    parallel = np.linalg.norm(2 * math.pi * _plain(m) @ np.linalg.pinv(_plain(cell)).T, axis=1)
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
    m = m[torch.from_numpy(index.astype(int)).to(m.device)]
    k = 2 * math.pi * m @ torch.linalg.pinv(cell).T + torch.from_numpy(along).to(cell)[:, None] * normal
    return WaveVectors(k, 2 * torch.from_numpy(step).to(cell) / sites.volume)


def plane_normal(sites: Sites) -> torch.Tensor:  # -> [3]
    """Unit vector across a system that is periodic along two directions."""
    first, second = sites.cell[list(sites.pbc)]
    across = torch.linalg.cross(first, second)
    return across / torch.linalg.vector_norm(across)


def _plain(values: torch.Tensor) -> np.ndarray:
    return values.detach().to("cpu", torch.float64).numpy()
