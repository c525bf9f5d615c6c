"""Torch reference of the derivatives of the density coefficients by strain and cell."""

import torch

from .expansion import pair_channels, pair_jacobian

CHUNK = 512  # pairs differentiated at once


def expand_outer(left, vectors, starts, own, table, spacing, cutoff, width):
    n_slots = starts.shape[0] - 1
    n_channels = n_slots // max(own.shape[0], 1)
    slots, channel = pair_channels(starts, n_channels)
    outer = vectors.new_zeros(n_slots, 3, 3, table.shape[-2] ** 2, table.shape[-1])
    for pairs in torch.arange(len(vectors), device=starts.device).split(CHUNK):
        jacobian = pair_jacobian(vectors[pairs], table, spacing, cutoff, width, channel[pairs])
        outer.index_add_(0, slots[pairs], left[pairs][:, :, None, None, None] * jacobian[:, None])
    return outer.reshape(own.shape[0], n_channels, *outer.shape[1:])
