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


def radial(r: torch.Tensor, table: torch.Tensor, spacing: float) -> torch.Tensor:
    """R_nl(r) from the spline table.  # [pair], [row, l, n] -> [pair, l, n]"""
    x = r / spacing
    i = x.detach().floor().clamp(0, table.shape[0] - 6).to(torch.int64)
    weights = bspline_weights(x - i)  # -> [pair, 6]
    rows = table[i[:, None] + torch.arange(6, device=r.device)]  # -> [pair, 6, l, n]
    return torch.einsum("pk,pkln->pln", weights, rows)


def cutoff_function(r: torch.Tensor, cutoff: float, width: float) -> torch.Tensor:
    """Shifted cosine of the given width, a step where the width is zero.  # [pair] -> [pair]"""
    inside = (r < cutoff).to(r.dtype)
    if width == 0:
        return inside
    s = ((r - cutoff + width) / width).clamp(0, 1)
    return inside * 0.5 * (1 + torch.cos(math.pi * s))


def directions(vectors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Length ``[pair]`` and direction ``[pair, 3]``; at r = 0 the direction is zero and derivatives stay finite."""
    square = (vectors**2).sum(-1)
    safe = torch.where(square > 0, square, torch.ones_like(square)).sqrt()
    r = torch.where(square > 0, safe, torch.zeros_like(safe))
    return r, torch.where(square[:, None] > 0, vectors / safe[:, None], 0.0)


def pair_terms(vectors, table, spacing, cutoff, width):
    """f_c(r) R_nl(r) Y_lm(r̂) of each pair.  # [pair, 3] -> [pair, lm, n]"""
    from sphericart.torch import SolidHarmonics

    l_max = table.shape[1] - 1
    r, unit = directions(vectors)
    harmonics = SolidHarmonics(l_max).compute(unit)  # -> [pair, lm]
    functions = radial(r, table, spacing) * cutoff_function(r, cutoff, width)[:, None, None]  # -> [pair, l, n]
    degree = torch.tensor([l for l in range(l_max + 1) for _ in range(2 * l + 1)], device=r.device)
    return harmonics[:, :, None] * functions[:, degree, :]


def expand(vectors, starts, own, table, spacing, cutoff, width, center_weight):
    n_centers = own.shape[0]
    n_channels = (starts.shape[0] - 1) // max(n_centers, 1)
    n_lm = table.shape[1] ** 2
    counts = starts[1:] - starts[:-1]
    group = torch.repeat_interleave(torch.arange(counts.shape[0], device=vectors.device), counts)
    c = vectors.new_zeros(counts.shape[0], n_lm, table.shape[2])
    c = c.index_add(0, group, pair_terms(vectors, table, spacing, cutoff, width))
    c = c.reshape(n_centers, n_channels, n_lm, table.shape[2])
    if center_weight != 0:
        self_value = radial(vectors.new_zeros(1), table, spacing)[0, 0] * (center_weight / math.sqrt(4 * math.pi))
        known = (own >= 0).nonzero()[:, 0]
        place = torch.zeros_like(c)
        place[known, own[known].long(), 0, :] = self_value
        c = c + place
    return c


def expand_vjp(grad, vectors, starts, table, spacing, cutoff, width):
    counts = starts[1:] - starts[:-1]
    group = torch.repeat_interleave(torch.arange(counts.shape[0], device=vectors.device), counts)
    per_pair = grad.reshape(counts.shape[0], *grad.shape[2:])[group]  # -> [pair, lm, n]
    with torch.enable_grad():
        # gradients flow on to vectors and grad where they are asked for
        v = vectors if vectors.requires_grad else vectors.detach().requires_grad_()
        total = (per_pair * pair_terms(v, table, spacing, cutoff, width)).sum()
        (result,) = torch.autograd.grad(total, v, create_graph=vectors.requires_grad or grad.requires_grad)
    return result


def expand_jacobian(vectors, starts, own, table, spacing, cutoff, width):
    with torch.enable_grad():
        v = vectors.detach().requires_grad_()
        terms = pair_terms(v, table, spacing, cutoff, width)  # -> [pair, lm, n]
        # pairs are independent: one backward pass per (lm, n) serves them all
        columns = [
            torch.autograd.grad(terms[:, lm, n].sum(), v, retain_graph=True)[0]
            for lm in range(terms.shape[1])
            for n in range(terms.shape[2])
        ]
    return torch.stack(columns, dim=-1).reshape(-1, 3, *terms.shape[1:])
