"""Torch reference of the grouping of pairs by centre and neighbour channel."""

import torch


def group(first, second, shifts, vectors, rank, channel, n_centers: int, n_channels: int):
    """Half pairs to full pairs, sorted by (centre, channel, neighbour atom, shift); see :func:`ketmap_ops.group`."""
    n_half = first.shape[0]
    center = torch.cat([first, second])  # -> [2 half]
    neighbor = torch.cat([second, first])
    shift = torch.cat([shifts, -shifts])
    vector = torch.cat([vectors, -vectors])
    here = torch.arange(2 * n_half, device=first.device)
    mirrored = torch.cat([here[n_half:], here[:n_half]])

    kept = ((rank[center.long()] >= 0) & (channel[neighbor.long()] >= 0)).nonzero()[:, 0]
    segment = rank[center[kept].long()].long() * n_channels + channel[neighbor[kept].long()].long()
    order = kept
    # stable sorts, least significant key first
    for key in (*shift.T.flip(0), neighbor):
        order = order[torch.argsort(key[order], stable=True)]
    segment_of = torch.empty(2 * n_half, dtype=torch.int64, device=first.device)
    segment_of[kept] = segment
    order = order[torch.argsort(segment_of[order], stable=True)]

    counts = torch.bincount(segment, minlength=n_centers * n_channels)
    starts = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
    place = torch.full((2 * n_half,), -1, dtype=torch.int64, device=first.device)
    place[order] = torch.arange(order.shape[0], device=first.device)
    return (
        starts,
        neighbor[order].contiguous(),
        shift[order].contiguous(),
        vector[order].contiguous(),
        place[mirrored[order]],
    )
