"""Torch reference of the expansion with neighbour types mixed into channels."""

import torch

from .expansion import pair_channels, pair_terms, self_density


def _pairs(starts: torch.Tensor, n_types: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Centre and type of each pair.  # -> int64 [pair], int64 [pair]"""
    slot, kind = pair_channels(starts, n_types)
    return slot // max(n_types, 1), kind


def expand_mixed(vectors, starts, own, mixing, table, spacing, cutoff, width, center_weight):
    center, kind = _pairs(starts, mixing.shape[0])
    terms = pair_terms(vectors, table, spacing, cutoff, width, kind)  # -> [pair, lm, n]
    zeros = terms.new_zeros(own.shape[0], *terms.shape[1:])
    # channel by channel: no array over pairs and channels, none over types
    each = [zeros.index_add(0, center, weights[kind][:, None, None] * terms) for weights in mixing.T]
    c = torch.stack(each, dim=1) if each else terms.new_zeros(own.shape[0], 0, *terms.shape[1:])
    known = (own >= 0).nonzero()[:, 0]
    value = self_density(table, spacing, center_weight, own[known])  # -> [known, n]
    own_density = mixing[own[known].long()][:, :, None] * value[:, None]  # -> [known, channel, n]
    degree_0 = c[:, :, 0].index_add(0, known, own_density)
    return torch.cat([degree_0[:, :, None], c[:, :, 1:]], dim=2)


def expand_mixed_vjp(grad, vectors, starts, mixing, table, spacing, cutoff, width):
    center, kind = _pairs(starts, mixing.shape[0])
    with torch.enable_grad():
        # gradients flow on to vectors, grad and mixing where they are asked for
        v = vectors if vectors.requires_grad else vectors.detach().requires_grad_()
        terms = pair_terms(v, table, spacing, cutoff, width, kind)
        total = sum(
            (grad[center, q] * weights[kind][:, None, None] * terms).sum() for q, weights in enumerate(mixing.T)
        )
        further = any(x.requires_grad for x in (vectors, grad, mixing))
        if not (isinstance(total, torch.Tensor) and total.requires_grad):  # no channels
            return torch.zeros_like(vectors)
        (result,) = torch.autograd.grad(total, v, create_graph=further)
    return result


def mixing_vjp(grad, vectors, starts, own, mixing, table, spacing, cutoff, width, center_weight):
    # the coefficients are linear in the mixing: ⟨grad, what each type alone would add⟩
    center, kind = _pairs(starts, mixing.shape[0])
    terms = pair_terms(vectors, table, spacing, cutoff, width, kind)
    each = [(grad[center, q] * terms).sum(dim=(1, 2)) for q in range(mixing.shape[1])]  # -> [channel][pair]
    by_pair = torch.stack(each, dim=1) if each else terms.new_zeros(len(terms), 0)
    result = torch.zeros_like(mixing).index_add(0, kind, by_pair)
    known = (own >= 0).nonzero()[:, 0]
    value = self_density(table, spacing, center_weight, own[known])  # -> [known, n]
    return result.index_add(0, own[known].long(), torch.einsum("kqn,kn->kq", grad[known, :, 0], value))
