"""Torch reference of the sums over wave vectors: any device, any float, differentiable any number of times."""

import math
from itertools import pairwise

import torch
import torch.utils.checkpoint

BLOCK = 1 << 20  # phases held at once


def lattice_points(cells, cutoff):
    plain = cells.detach().to("cpu", torch.float64)
    found = [_half_sphere(rows, cutoff) for rows in plain]
    starts = torch.tensor([0, *map(len, found)]).cumsum(0)
    return torch.cat([plain.new_zeros(0, plain.shape[1]), *found]).to(cells), starts.to(cells.device)


def _half_sphere(rows, cutoff):  # [direction, 3] -> [point, direction]
    reach = (cutoff / (2 * math.pi) * torch.linalg.vector_norm(rows, dim=1)).long()
    m = torch.cartesian_prod(*(torch.arange(-n, n + 1) for n in reach.tolist())).to(rows)
    m = m.reshape(-1, len(rows))[len(m) // 2 + 1 :]  # in this order m and −m lie opposite each other, 0 between them
    k = m @ (2 * math.pi * torch.linalg.inv(rows @ rows.T) @ rows)
    return m[(k**2).sum(dim=1) < cutoff**2]


def wave_field(positions, channel, centers, k, weights, starts, n_channels):
    odd = torch.tensor([math.isqrt(lm) % 2 == 1 for lm in range(weights.shape[1])], device=k.device)
    parts = [weights.new_zeros(0, n_channels, *weights.shape[1:])]
    for (atom, next_atom), (place, next_place), (wave, next_wave) in zip(*map(pairwise, starts.tolist())):
        here = positions[atom:next_atom], channel[atom:next_atom], centers[place:next_place].long() - atom
        c = weights.new_zeros(next_place - place, n_channels, *weights.shape[1:])
        size = max(1, BLOCK // max(1, next_atom - atom))
        for first in range(wave, next_wave, size):
            last = min(next_wave, first + size)
            c = c + _run(_of_some, *here, k[first:last], weights[first:last], odd, n_channels)
        parts.append(c)
    return torch.cat(parts)


def _of_some(positions, channel, centers, k, weights, odd, n_channels):  # -> [centre, channel, lm, n]
    angles = positions @ k.T
    cosine, sine = torch.cos(angles), torch.sin(angles)  # -> [atom, k]
    members = (channel == torch.arange(n_channels, device=k.device)[:, None]).to(k.dtype)  # -> [channel, atom]
    c, s = cosine[centers, None], sine[centers, None]
    total_c, total_s = members @ cosine, members @ sine  # -> [channel, k]
    out = weights.new_zeros(len(centers), n_channels, *weights.shape[1:])
    out[:, :, ~odd] = torch.einsum("iak,kmn->iamn", c * total_c + s * total_s, weights[:, ~odd])
    out[:, :, odd] = torch.einsum("iak,kmn->iamn", c * total_s - s * total_c, weights[:, odd])
    return out


def _run(function, *arguments):
    """Phases are computed again on the way back, rather than kept."""
    if torch.is_grad_enabled() and any(getattr(x, "requires_grad", False) for x in arguments):
        return torch.utils.checkpoint.checkpoint(function, *arguments, use_reentrant=False)
    return function(*arguments)


def wave_field_vjp(grad, positions, channel, centers, k, weights, starts, waves):
    given = (positions, k, weights) if waves else (positions,)
    with torch.enable_grad():
        # gradients flow on to all of them where they are asked for
        own = [x if x.requires_grad else x.detach().requires_grad_() for x in given]
        r, q, w = own if waves else (*own, k, weights)
        total = (grad * wave_field(r, channel, centers, q, w, starts, grad.shape[1])).sum()
        total = total + sum(0 * x.sum() for x in own)  # no waves or no atoms: zeros
        onward = any(x.requires_grad for x in (grad, positions, k, weights))
        found = torch.autograd.grad(total, own, create_graph=onward)
    return tuple(found) if waves else (*found, k.new_empty(0, 3), weights.new_empty(0, *weights.shape[1:]))
