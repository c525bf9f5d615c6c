"""The power spectrum, its vector-Jacobian product, and explicit derivatives of it."""

import torch

from .library import native
from .reference import power_spectrum as reference
from .reference.power_spectrum import channel_pairs, packing, position_rows

__all__ = [
    "channel_pairs",
    "packing",
    "position_rows",
    "power_spectrum",
    "power_spectrum_design",
    "power_spectrum_jvp",
    "power_spectrum_of_pairs",
    "power_spectrum_positions",
    "power_spectrum_rows",
    "power_spectrum_sums",
    "power_spectrum_vjp",
]


def power_spectrum(c: torch.Tensor) -> torch.Tensor:
    """Invariants of second order of density coefficients, for all pairs of channels; differentiable.

    p[ab, l, n1, n2] = f_ab (−1)^l/√(2l+1) Σ_m c[a, lm, n1] c[b, lm, n2], channel pairs a ≤ b in the order
    (0,0) (0,1) … (1,1) …, f = 1 for a = b and √2 for a < b (Bartók, Kondor, Csányi, PRB 87, 184115 (2013)).

    :param c: ``[centre, channel, lm, n]``, float32 or float64
    :return: ``[centre, ab, l, n1, n2]``

    >>> power_spectrum(torch.ones(1, 2, 1, 1))[0, :, 0, 0, 0]
    tensor([1.0000, 1.4142, 1.0000])
    """
    n_ab = c.shape[1] * (c.shape[1] + 1) // 2
    place = torch.arange(len(c) * n_ab, device=c.device).reshape(len(c), n_ab)
    return power_spectrum_rows(c, place, place.numel()).unflatten(0, tuple(place.shape))


def power_spectrum_rows(c: torch.Tensor, place: torch.Tensor, n_rows: int) -> torch.Tensor:
    """Those of the invariants that are wanted, where they are wanted; differentiable in ``c`` any number of times.

    :param place: row of the result for each centre and pair of channels, -1: not wanted, int64 ``[centre, ab]``;
        every row of the result must occur once
    :return: ``[row, l, n1, n2]``
    """
    road = torch.ops.ketmap.power_spectrum if native(c) else reference.power_spectrum
    return road(c, place, n_rows)


def power_spectrum_of_pairs(
    vectors,
    starts,
    own,
    table,
    spacing: float,
    cutoff: float,
    width: float,
    center_weight: float,
    place: torch.Tensor,
    n_rows: int,
) -> torch.Tensor:
    """The rows of :func:`power_spectrum_rows` for the coefficients that :func:`ketmap_ops.expand` makes of these pairs.

    The coefficients are not stored; not differentiable.
    """
    road = torch.ops.ketmap.power_spectrum_of_pairs if native(vectors) else reference.power_spectrum_of_pairs
    return road(vectors, starts, own, table, spacing, cutoff, width, center_weight, place, n_rows)


def power_spectrum_vjp(grad: torch.Tensor, c: torch.Tensor, place: torch.Tensor) -> torch.Tensor:
    """Gradient with respect to ``c`` from ``grad``, the one with respect to the rows of the power spectrum."""
    road = torch.ops.ketmap.power_spectrum_vjp if native(c) else reference.power_spectrum_vjp
    return road(grad, c, place)


def power_spectrum_jvp(dc: torch.Tensor, c: torch.Tensor, place: torch.Tensor, n_rows: int) -> torch.Tensor:
    """Derivatives ``[row, x, l, n1, n2]`` of the rows along directions ``dc`` ``[centre, channel, x, lm, n]``."""
    road = torch.ops.ketmap.power_spectrum_jvp if native(c) else reference.power_spectrum_jvp
    return road(dc, c, place, n_rows)


def power_spectrum_positions(
    c,
    vectors,
    starts,
    neighbors,
    centers,
    table,
    spacing: float,
    cutoff: float,
    width: float,
    place,
    row_starts,
) -> torch.Tensor:
    """∂p/∂r of every row by the centre itself and by its neighbours of the row's two types.

    The derivatives of a row follow each other in the ascending order of atoms, see :func:`position_rows`.

    :param c: coefficients of these pairs, as made by :func:`ketmap_ops.expand`, ``[centre, channel, lm, n]``
    :param centers: atom of each centre, int32 ``[centre]``
    :param row_starts: the first derivative of each row of p, int64 ``[row + 1]``
    :return: ``[gradient row, 3, l, n1, n2]``
    """
    road = torch.ops.ketmap.power_spectrum_positions if native(c) else reference.power_spectrum_positions
    return road(c, vectors, starts, neighbors, centers, table, spacing, cutoff, width, place, row_starts)


def power_spectrum_sums(dc: torch.Tensor, c: torch.Tensor, segments: torch.Tensor) -> torch.Tensor:
    """Derivatives of the power spectra along ``dc``, summed over the centres of each segment.

    p itself is the derivative along c/2. Only unique features are kept, see :func:`packing`.

    :param dc: ``[centre, channel, x, lm, n]``
    :param segments: cut the centre axis, int64 ``[segment + 1]``
    :return: ``[segment, x, feature]``
    """
    road = torch.ops.ketmap.power_spectrum_sums if native(c) else reference.power_spectrum_sums
    return road(dc, c, segments)


def power_spectrum_design(
    c, vectors, starts, neighbors, centers, own, table, spacing: float, cutoff: float, width: float
) -> torch.Tensor:
    """∂/∂r of the power spectra summed over all centres of each type, without the rows of single pairs.

    Every atom must be a centre, and its type one of the channels: ``own`` int32 ``[centre]``.

    :return: ``[atom, 3, own · feature]``, unique features of each type of centre, see :func:`packing`
    """
    road = torch.ops.ketmap.power_spectrum_design if native(c) else reference.power_spectrum_design
    return road(c, vectors, starts, neighbors, centers, own, table, spacing, cutoff, width)


def _setup(ctx, inputs, output):
    ctx.save_for_backward(inputs[0], inputs[1])


def _backward(ctx, grad):
    return power_spectrum_vjp(grad.contiguous(), *ctx.saved_tensors), None, None


def _setup_vjp(ctx, inputs, output):
    ctx.save_for_backward(*inputs)


def _backward_vjp(ctx, grad_grad):
    grad, c, place = ctx.saved_tensors
    # everything is bilinear, so the operators are closed under differentiation
    dgrad = power_spectrum_jvp(grad_grad.unsqueeze(2).contiguous(), c, place, len(grad)).squeeze(1)
    return dgrad, power_spectrum_vjp(grad, grad_grad.contiguous(), place), None


def _setup_jvp(ctx, inputs, output):
    ctx.save_for_backward(*inputs[:3])


def _backward_jvp(ctx, grad):
    dc, c, place = ctx.saved_tensors
    each = [grad[:, x].contiguous() for x in range(grad.shape[1])]
    to_dc = torch.stack([power_spectrum_vjp(g, c, place) for g in each], dim=2)
    to_c = sum(power_spectrum_vjp(g, dc[:, :, x].contiguous(), place) for x, g in enumerate(each))
    return to_dc, to_c, None, None


def _rows_shape(c, place, n_rows):
    n_l = next(l for l in range(c.shape[2] + 1) if l * l >= c.shape[2])
    return c.new_empty(n_rows, n_l, c.shape[3], c.shape[3])


if hasattr(torch.ops.ketmap, "power_spectrum"):
    torch.library.register_autograd("ketmap::power_spectrum", _backward, setup_context=_setup)
    torch.library.register_autograd("ketmap::power_spectrum_vjp", _backward_vjp, setup_context=_setup_vjp)
    torch.library.register_autograd("ketmap::power_spectrum_jvp", _backward_jvp, setup_context=_setup_jvp)
    torch.library.register_fake("ketmap::power_spectrum", _rows_shape)
    torch.library.register_fake("ketmap::power_spectrum_vjp", lambda grad, c, place: torch.empty_like(c))
