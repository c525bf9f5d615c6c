"""The expansion with neighbour types mixed into channels: alchemical mixing of elements into pseudo-elements.

Willatt, Musil, Ceriotti, Phys. Chem. Chem. Phys. 20, 29661 (2018).
"""

import torch

from .library import native
from .reference import mixing as reference

__all__ = ["expand_mixed", "expand_mixed_vjp", "mixing_vjp"]


def expand_mixed(
    vectors, starts, own, mixing, table, spacing: float, cutoff: float, width: float, center_weight: float
) -> torch.Tensor:
    """Σ_type mixing[type, channel] c[type], c the coefficients of :func:`ketmap_ops.expand`, which are not stored.

    Differentiable in ``vectors`` and ``mixing``, any number of times (from the second on by the torch reference).

    :param starts: pairs grouped by centre and type, as :func:`ketmap_ops.group` gives them with types for channels,
        int64 ``[centre * type + 1]``
    :param own: type of each centre, -1 if none of these, int32 ``[centre]``: it adds ``center_weight`` R_n0(0) Y_00
        times its weights
    :param mixing: weights ``[type, channel]``
    :return: ``[centre, channel, lm, n]``; other arguments as for :func:`ketmap_ops.expand`
    """
    road = torch.ops.ketmap.expand_mixed if native(vectors) else reference.expand_mixed
    return road(vectors, starts, own, mixing, table, spacing, cutoff, width, center_weight)


def expand_mixed_vjp(grad, vectors, starts, mixing, table, spacing: float, cutoff: float, width: float):
    """Gradient with respect to ``vectors``, ``[pair, 3]``, from ``grad``, the one of the coefficients."""
    road = torch.ops.ketmap.expand_mixed_vjp if native(vectors) else reference.expand_mixed_vjp
    return road(grad, vectors, starts, mixing, table, spacing, cutoff, width)


def mixing_vjp(
    grad, vectors, starts, own, mixing, table, spacing: float, cutoff: float, width: float, center_weight: float
) -> torch.Tensor:
    """Gradient with respect to ``mixing``, ``[type, channel]``, from ``grad``, the one of the coefficients."""
    road = torch.ops.ketmap.mixing_vjp if native(vectors) else reference.mixing_vjp
    return road(grad, vectors, starts, own, mixing, table, spacing, cutoff, width, center_weight)


def _setup(ctx, inputs, output):
    vectors, starts, own, mixing, table, *numbers = inputs
    ctx.save_for_backward(vectors, starts, own, mixing, table)
    ctx.numbers = numbers


def _backward(ctx, grad):
    vectors, starts, own, mixing, table = ctx.saved_tensors
    grad = grad.contiguous()
    dv = dm = None
    if ctx.needs_input_grad[0]:
        dv = expand_mixed_vjp(grad, vectors, starts, mixing, table, *ctx.numbers[:3])
    if ctx.needs_input_grad[3]:
        dm = mixing_vjp(grad, vectors, starts, own, mixing, table, *ctx.numbers)
    return dv, None, None, dm, *[None] * 5


def _again(function, inputs, grad_output, wanted):
    """Partial derivatives of ``function`` by the ``wanted`` of its tensor ``inputs``, on the reference."""
    third = torch.is_grad_enabled()  # only then the result is part of a graph
    with torch.enable_grad():
        # new nodes, since one input may depend on another further up: partial derivatives are asked for here
        fresh = [
            (x.view_as(x) if x.requires_grad else x.detach().requires_grad_()) if i in wanted else x
            for i, x in enumerate(inputs)
        ]
        found = torch.autograd.grad(
            function(*fresh), [fresh[i] for i in wanted], grad_output, create_graph=third, allow_unused=True
        )
    return dict(zip(wanted, found))


def _setup_vjp(ctx, inputs, output):
    *tensors, spacing, cutoff, width = inputs
    ctx.save_for_backward(*tensors)
    ctx.numbers = (spacing, cutoff, width)


def _backward_vjp(ctx, grad_grad):
    found = _again(lambda *x: reference.expand_mixed_vjp(*x, *ctx.numbers), ctx.saved_tensors, grad_grad, (0, 1, 3))
    return found[0], found[1], None, found[3], *[None] * 4


def _setup_mixing_vjp(ctx, inputs, output):
    *tensors, spacing, cutoff, width, center_weight = inputs
    ctx.save_for_backward(*tensors)
    ctx.numbers = (spacing, cutoff, width, center_weight)


def _backward_mixing_vjp(ctx, grad_grad):
    found = _again(lambda *x: reference.mixing_vjp(*x, *ctx.numbers), ctx.saved_tensors, grad_grad, (0, 1))
    return found[0], found[1], *[None] * 8


def _shapes(vectors, starts, own, mixing, table, *numbers):
    return vectors.new_empty(own.shape[0], mixing.shape[1], table.shape[-2] ** 2, table.shape[-1])


if hasattr(torch.ops.ketmap, "expand_mixed"):
    torch.library.register_autograd("ketmap::expand_mixed", _backward, setup_context=_setup)
    torch.library.register_autograd("ketmap::expand_mixed_vjp", _backward_vjp, setup_context=_setup_vjp)
    torch.library.register_autograd("ketmap::mixing_vjp", _backward_mixing_vjp, setup_context=_setup_mixing_vjp)
    torch.library.register_fake("ketmap::expand_mixed", _shapes)
    torch.library.register_fake("ketmap::expand_mixed_vjp", lambda grad, vectors, *rest: torch.empty_like(vectors))
    torch.library.register_fake(
        "ketmap::mixing_vjp", lambda grad, vectors, starts, own, mixing, *rest: torch.empty_like(mixing)
    )
