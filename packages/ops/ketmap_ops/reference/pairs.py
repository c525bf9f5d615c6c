"""Torch reference of the terms of single pairs and their derivatives."""

import torch

from .expansion import pair_jacobian, pair_terms

__all__ = ["pair_gradients", "pair_terms"]


def pair_gradients(left, vectors, starts, table, spacing, cutoff, width):
    pair = torch.repeat_interleave(torch.arange(len(vectors), device=vectors.device), starts[1:] - starts[:-1])
    jacobian = pair_jacobian(vectors, table, spacing, cutoff, width)  # -> [pair, xyz, lm, n]
    return left[:, None, None, None] * jacobian[pair]
