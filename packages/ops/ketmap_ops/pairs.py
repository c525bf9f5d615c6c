"""Terms of single pairs of the density expansion, and their derivatives: what is summed over neighbours elsewhere."""

import torch

from . import reference
from .expansion import expand_vjp
from .library import native


def pair_terms(vectors, table, spacing: float, cutoff: float, width: float) -> torch.Tensor:
    """f_c(r) R_nl(r) Y_lm(r̂) of each pair, ``[pair, lm, n]``; zero at and beyond the cutoff.

    Differentiable in ``vectors`` ``[pair, 3]``, any number of times (from the second on by the torch reference). Other
    arguments as for :func:`ketmap_ops.expand`.
    """
    road = torch.ops.ketmap.pair_terms if native(vectors) else reference.pair_terms
    return road(vectors.contiguous(), table, spacing, cutoff, width)


def pair_gradients(left, vectors, starts, table, spacing: float, cutoff: float, width: float) -> torch.Tensor:
    """Derivatives of :func:`pair_terms` by the vectors, times the factors ``left``, ``[row, xyz, lm, n]``.

    :param left: factor of each row of the result, ``[row]``
    :param starts: rows ``starts[p]`` … ``starts[p + 1]`` are those of pair p, int64 ``[pair + 1]``
    """
    road = torch.ops.ketmap.pair_gradients if native(vectors) else reference.pair_gradients
    return road(left.contiguous(), vectors.contiguous(), starts, table, spacing, cutoff, width)


def _setup(ctx, inputs, output):
    vectors, table, *ctx.numbers = inputs
    ctx.save_for_backward(vectors, table)


def _backward(ctx, grad):
    vectors, table = ctx.saved_tensors
    each = torch.arange(len(vectors) + 1, device=vectors.device)  # every pair is a centre with one neighbour
    return expand_vjp(grad.unsqueeze(1).contiguous(), vectors, each, table, *ctx.numbers), *[None] * 4


if hasattr(torch.ops.ketmap, "pair_terms"):
    torch.library.register_autograd("ketmap::pair_terms", _backward, setup_context=_setup)
    torch.library.register_fake(
        "ketmap::pair_terms",
        lambda vectors, table, *_: vectors.new_empty(vectors.shape[0], table.shape[1] ** 2, table.shape[2]),
    )
    torch.library.register_fake(
        "ketmap::pair_gradients",
        lambda left, vectors, starts, table, *_: vectors.new_empty(
            left.shape[0], 3, table.shape[1] ** 2, table.shape[2]
        ),
    )
