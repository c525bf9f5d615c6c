"""Expansion of the neighbour density, its vector-Jacobian product and its Jacobian."""

import torch

from . import reference
from .library import native


def expand(vectors, starts, own, table, spacing: float, cutoff: float, width: float, center_weight: float):
    """Density coefficients c = Σ_j f_c(r_ij) R_nl(r_ij) Y_lm(r̂_ij) of each centre and neighbour channel.

    The centre adds ``center_weight`` R_n0(0) Y_00 to channel ``own``. Pairs at or beyond the cutoff add nothing, so
    lists may hold a skin. At r = 0 the functions with l > 0 vanish. Differentiable in ``vectors``, any number of times
    (from the second on by the torch reference).

    :param vectors: from centre to neighbour, ``[pair, 3]``, float32 or float64
    :param starts: segments of :func:`group`, int64 ``[centre * channel + 1]``
    :param own: channel of each centre's own type, -1 if none, int32 ``[centre]``
    :param table: coefficients ``[row, l, n]`` of uniform quintic B-splines:
        R_nl(r) = Σ_{k=0..5} B_k(t) table[i + k, l, n] with i = ⌊r / spacing⌋, t = r / spacing - i; or one such table
        for every channel, ``[channel, row, l, n]``
    :param spacing: distance of the knots, Å
    :param cutoff: cutoff radius, Å
    :param width: width of the shifted cosine, Å; zero makes a step
    :param center_weight: weight of the centre's own density
    :return: ``[centre, channel, lm, n]`` with lm = l² + l + m
    """
    road = torch.ops.ketmap.expand if native(vectors) else reference.expand
    return road(vectors, starts, own, table, spacing, cutoff, width, center_weight)


def expand_vjp(grad, vectors, starts, table, spacing: float, cutoff: float, width: float):
    """Gradient with respect to ``vectors``, ``[pair, 3]``, from the one with respect to the coefficients, ``grad``."""
    road = torch.ops.ketmap.expand_vjp if native(vectors) else reference.expand_vjp
    return road(grad, vectors, starts, table, spacing, cutoff, width)


def expand_jacobian(vectors, starts, own, table, spacing: float, cutoff: float, width: float):
    """Derivative of each pair's term of the coefficients by its vector, ``[pair, 3, lm, n]``."""
    road = torch.ops.ketmap.expand_jacobian if native(vectors) else reference.expand_jacobian
    return road(vectors, starts, own, table, spacing, cutoff, width)


def _setup(ctx, inputs, output):
    vectors, starts, _, table, *numbers, _ = inputs
    ctx.save_for_backward(vectors, starts, table)
    ctx.numbers = numbers


def _backward(ctx, grad):
    vectors, starts, table = ctx.saved_tensors
    return expand_vjp(grad.contiguous(), vectors, starts, table, *ctx.numbers), *[None] * 7


def _setup_vjp(ctx, inputs, output):
    grad, vectors, starts, table, *numbers = inputs
    ctx.save_for_backward(grad, vectors, starts, table)
    ctx.numbers = numbers


def _backward_vjp(ctx, grad_grad):
    grad, vectors, starts, table = ctx.saved_tensors
    third = torch.is_grad_enabled()  # only then the result is part of a graph
    with torch.enable_grad():
        # new nodes, since ``grad`` may depend on ``vectors`` further up: partial derivatives are asked for here
        g, v = (x.view_as(x) if x.requires_grad else x.detach().requires_grad_() for x in (grad, vectors))
        vjp = reference.expand_vjp(g, v, starts, table, *ctx.numbers)
        dg, dv = torch.autograd.grad(vjp, (g, v), grad_grad, create_graph=third)
    return dg, dv, *[None] * 5


def _expand_shapes(vectors, starts, own, table, *numbers):
    n_channels = (starts.shape[0] - 1) // max(own.shape[0], 1)
    return vectors.new_empty(own.shape[0], n_channels, table.shape[-2] ** 2, table.shape[-1])


def _jacobian_shapes(vectors, starts, own, table, *numbers):
    return vectors.new_empty(vectors.shape[0], 3, table.shape[-2] ** 2, table.shape[-1])


if hasattr(torch.ops.ketmap, "expand"):
    torch.library.register_autograd("ketmap::expand", _backward, setup_context=_setup)
    torch.library.register_autograd("ketmap::expand_vjp", _backward_vjp, setup_context=_setup_vjp)
    torch.library.register_fake("ketmap::expand", _expand_shapes)
    torch.library.register_fake("ketmap::expand_vjp", lambda grad, vectors, *rest: torch.empty_like(vectors))
    torch.library.register_fake("ketmap::expand_jacobian", _jacobian_shapes)
