"""Torch reference of the density expansion: any device, any float, differentiable any number of times."""

import math

import torch


def bspline_weights(t: torch.Tensor) -> torch.Tensor:
    """The six pieces of the cardinal quintic B-spline at ``t`` in [0, 1).  # [pair] -> [pair, 6]"""
    u = 1 - t
    return (
        torch.stack(
            [
                u**5,
                26 + t * (-50 + t * (20 + t * (20 + t * (-20 + 5 * t)))),
                66 + t * t * (-60 + t * t * (30 - 10 * t)),
                66 + u * u * (-60 + u * u * (30 - 10 * u)),
                26 + u * (-50 + u * (20 + u * (20 + u * (-20 + 5 * u)))),
                t**5,
            ],
            dim=-1,
        )
        / 120
    )


def radial(r: torch.Tensor, table: torch.Tensor, spacing: float, channel=None) -> torch.Tensor:
    """R_nl(r) from the table [row, l, n], or from that of each pair's channel.  # [pair] -> [pair, l, n]"""
    x = r / spacing
    i = x.detach().floor().clamp(0, table.shape[-3] - 6).to(torch.int64)
    weights = bspline_weights(x - i)  # -> [pair, 6]
    if table.ndim == 4:  # one table after the other
        i, table = i + channel * table.shape[1], table.flatten(0, 1)
    rows = table[i[:, None] + torch.arange(6, device=r.device)]  # -> [pair, 6, l, n]
    return torch.einsum("pk,pkln->pln", weights, rows)


def cutoff_function(r: torch.Tensor, cutoff: float, width: float) -> torch.Tensor:
    """Shifted cosine of the given width, a step where the width is zero.  # [pair] -> [pair]"""
    inside = (r < cutoff).to(r.dtype)
    if width == 0:
        return inside
    s = ((r - cutoff + width) / width).clamp(0, 1)
    return inside * 0.5 * (1 + torch.cos(math.pi * s))


def lengths(vectors: torch.Tensor) -> torch.Tensor:  # -> [pair]
    """Length of each vector ``[pair, 3]``; derivatives stay finite at zero."""
    x, y, z = vectors.unbind(-1)  # torch sums over so short an axis slowly
    square = x * x + y * y + z * z
    return torch.where(square > 0, torch.where(square > 0, square, 1.0).sqrt(), 0.0)


def directions(vectors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Length ``[pair]`` and direction ``[pair, 3]``; at r = 0 the direction is zero and derivatives stay finite."""
    r = lengths(vectors)
    there = r > 0
    return r, torch.where(there[:, None], vectors / torch.where(there, r, 1.0)[:, None], 0.0)


def pair_channels(starts: torch.Tensor, n_channels: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Segment, and channel, of each pair.  # -> int64 [pair], int64 [pair]"""
    every = torch.arange(starts.shape[0] - 1, device=starts.device)
    segment = torch.repeat_interleave(every, starts[1:] - starts[:-1])
    return segment, segment % max(n_channels, 1)


def self_density(table: torch.Tensor, spacing: float, center_weight: float, own: torch.Tensor) -> torch.Tensor:
    """What centres of channels ``own`` add to their own.  # [centre] -> [centre, n]"""
    r = torch.zeros(own.shape[0], dtype=table.dtype, device=table.device)
    return radial(r, table, spacing, own.long())[:, 0] * (center_weight / math.sqrt(4 * math.pi))


def pair_terms(vectors, table, spacing, cutoff, width, channel=None):
    """f_c(r) R_nl(r) Y_lm(r̂) of each pair.  # [pair, 3] -> [pair, lm, n]"""
    from sphericart.torch import SolidHarmonics

    l_max = table.shape[-2] - 1
    r, unit = directions(vectors)
    harmonics = SolidHarmonics(l_max).compute(unit)  # -> [pair, lm]
    functions = radial(r, table, spacing, channel) * cutoff_function(r, cutoff, width)[:, None, None]  # -> [pair, l, n]
    degree = torch.tensor([l for l in range(l_max + 1) for _ in range(2 * l + 1)], device=r.device)
    return harmonics[:, :, None] * functions[:, degree, :]


def expand(vectors, starts, own, table, spacing, cutoff, width, center_weight):
    n_centers = own.shape[0]
    n_channels = (starts.shape[0] - 1) // max(n_centers, 1)
    n_l, n = table.shape[-2:]
    segment, channel = pair_channels(starts, n_channels)
    c = vectors.new_zeros(starts.shape[0] - 1, n_l**2, n)
    c = c.index_add(0, segment, pair_terms(vectors, table, spacing, cutoff, width, channel))
    c = c.reshape(n_centers, n_channels, n_l**2, n)
    if center_weight != 0:
        known = (own >= 0).nonzero()[:, 0]
        place = torch.zeros_like(c)
        place[known, own[known].long(), 0, :] = self_density(table, spacing, center_weight, own[known])
        c = c + place
    return c


def expand_vjp(grad, vectors, starts, table, spacing, cutoff, width):
    segment, channel = pair_channels(starts, grad.shape[1])
    per_pair = grad.flatten(0, 1)[segment]  # -> [pair, lm, n]
    with torch.enable_grad():
        # gradients flow on to vectors and grad where they are asked for
        v = vectors if vectors.requires_grad else vectors.detach().requires_grad_()
        total = (per_pair * pair_terms(v, table, spacing, cutoff, width, channel)).sum()
        (result,) = torch.autograd.grad(total, v, create_graph=vectors.requires_grad or grad.requires_grad)
    return result


def expand_jacobian(vectors, starts, own, table, spacing, cutoff, width):
    _, channel = pair_channels(starts, (starts.shape[0] - 1) // max(own.shape[0], 1))
    return pair_jacobian(vectors, table, spacing, cutoff, width, channel)


def pair_jacobian(vectors, table, spacing, cutoff, width, channel=None):
    """Derivative of each pair's term by its vector.  # [pair, 3] -> [pair, 3, lm, n]"""
    with torch.enable_grad():
        v = vectors.detach().requires_grad_()
        terms = pair_terms(v, table, spacing, cutoff, width, channel)  # -> [pair, lm, n]
        # pairs are independent: one backward pass per (lm, n) serves them all
        columns = [
            torch.autograd.grad(terms[:, lm, n].sum(), v, retain_graph=True)[0]
            for lm in range(terms.shape[1])
            for n in range(terms.shape[2])
        ]
    return torch.stack(columns, dim=-1).reshape(-1, 3, *terms.shape[1:])
