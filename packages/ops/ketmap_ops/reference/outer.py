"""Torch reference of the derivatives of the density coefficients by strain and cell."""

import torch

from .expansion import expand_jacobian

CHUNK = 512  # pairs differentiated at once


def expand_outer(left, vectors, starts, own, table, spacing, cutoff, width):
    every = torch.arange(starts.shape[0] - 1, device=starts.device)
    slots = torch.repeat_interleave(every, starts[1:] - starts[:-1])  # -> [pair]
    outer = vectors.new_zeros(len(every), 3, 3, table.shape[1] ** 2, table.shape[2])
    for pairs in torch.arange(len(vectors), device=starts.device).split(CHUNK):
        jacobian = expand_jacobian(vectors[pairs], starts, own, table, spacing, cutoff, width)
        outer.index_add_(0, slots[pairs], left[pairs][:, :, None, None, None] * jacobian[:, None])
    n_channels = len(every) // max(own.shape[0], 1)
    return outer.reshape(own.shape[0], n_channels, *outer.shape[1:])
