"""Sums over wave vectors: what all atoms of a system make around each of them, projected by a matrix of weights."""

import torch

from .library import native
from .reference import waves as reference


def lattice_points(cells, cutoff: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Integers m of the reciprocal lattices of ``cells`` with 0 < |2π m h⁻ᵀ| < ``cutoff``: one of m and −m each.

    :param cells: rows h of periodic directions, ``[system, direction, 3]``; detached from autograd
    :param cutoff: 1/Å
    :return: m ``[wave, direction]`` in the dtype of the cells, ascending within each system; and the first of each
        system, int64 ``[system + 1]``
    """
    road = torch.ops.ketmap.lattice_points if native(cells) else reference.lattice_points
    return road(cells.detach().contiguous(), cutoff)


def wave_field(positions, channel, centers, k, weights, starts, n_channels: int) -> torch.Tensor:
    """c_ia,lm,n = Σ_k weights[k, lm, n] Σ_{j∈a} cos(k·r_ij) for even l, sin(k·r_ij) for odd l; r_ij = r_j − r_i.

    The systems of a batch are summed one by one. Differentiable in ``positions``, ``k`` and ``weights``, any number of
    times (from the second on by the torch reference).

    :param positions: ``[atom, 3]``, float32 or float64
    :param channel: of each atom, -1 if none, int32 ``[atom]``
    :param centers: atoms that are centres, int32 ``[centre]``, none twice
    :param k: wave vectors, ``[wave, 3]``
    :param weights: ``[wave, lm, n]``, lm = l² + l + m up to a whole degree
    :param starts: the first atom, centre and wave of each system, int64 ``[3, system + 1]``
    :param n_channels: number of channels
    :return: ``[centre, channel, lm, n]``
    """
    road = torch.ops.ketmap.wave_field if native(positions) else reference.wave_field
    return road(positions.contiguous(), channel, centers, k.contiguous(), weights.contiguous(), starts, n_channels)


def wave_field_vjp(grad, positions, channel, centers, k, weights, starts, waves: bool):
    """Gradients with respect to ``positions``, ``k`` and ``weights`` from the one with respect to c, ``grad``.

    :param waves: whether those of ``k`` and ``weights`` are wanted, which come empty otherwise
    """
    road = torch.ops.ketmap.wave_field_vjp if native(positions) else reference.wave_field_vjp
    return road(grad.contiguous(), positions, channel, centers, k, weights, starts, waves)


def _setup(ctx, inputs, output):
    *tensors, _ = inputs
    ctx.save_for_backward(*tensors)


def _backward(ctx, grad):
    positions, channel, centers, k, weights, starts = ctx.saved_tensors
    waves = ctx.needs_input_grad[3] or ctx.needs_input_grad[4]
    to_positions, to_k, to_weights = wave_field_vjp(grad, positions, channel, centers, k, weights, starts, waves)
    return to_positions, None, None, to_k if waves else None, to_weights if waves else None, None, None


def _setup_vjp(ctx, inputs, output):
    *tensors, ctx.waves = inputs
    ctx.save_for_backward(*tensors)


def _backward_vjp(ctx, *grads):
    grad, positions, channel, centers, k, weights, starts = ctx.saved_tensors
    third = torch.is_grad_enabled()  # only then the result is part of a graph
    with torch.enable_grad():
        # new nodes, since ``grad`` may depend on the others further up: partial derivatives are asked for here
        given = (grad, positions, k, weights)
        own = [x.view_as(x) if x.requires_grad else x.detach().requires_grad_() for x in given]
        g, r, q, w = own
        vjp = reference.wave_field_vjp(g, r, channel, centers, q, w, starts, ctx.waves)
        wanted = [(out, to) for out, to in zip(vjp, grads) if out.numel()]
        outs, tos = zip(*wanted) if wanted else ((), ())
        found = torch.autograd.grad(outs, own, tos, create_graph=third, allow_unused=True) if outs else [None] * 4
    dg, dr, dk, dw = found
    return dg, dr, None, None, dk, dw, None, None


def _field_shapes(positions, channel, centers, k, weights, starts, n_channels):
    return positions.new_empty(centers.shape[0], n_channels, *weights.shape[1:])


def _vjp_shapes(grad, positions, channel, centers, k, weights, starts, waves):
    n = k.shape[0] if waves else 0
    return torch.empty_like(positions), k.new_empty(n, 3), weights.new_empty(n, *weights.shape[1:])


def _points_shapes(cells, cutoff):
    n = torch.library.get_ctx().new_dynamic_size()
    return cells.new_empty(n, cells.shape[1]), cells.new_empty(len(cells) + 1, dtype=torch.int64)


if hasattr(torch.ops.ketmap, "wave_field"):
    torch.library.register_autograd("ketmap::wave_field", _backward, setup_context=_setup)
    torch.library.register_autograd("ketmap::wave_field_vjp", _backward_vjp, setup_context=_setup_vjp)
    torch.library.register_fake("ketmap::wave_field", _field_shapes)
    torch.library.register_fake("ketmap::wave_field_vjp", _vjp_shapes)
    torch.library.register_fake("ketmap::lattice_points", _points_shapes)
