"""Grouping of neighbour pairs by centre and neighbour channel."""

import torch

from . import reference
from .library import native


def group(first, second, shifts, vectors, rank, channel, n_centers: int, n_channels: int):
    """Full pairs sorted by (centre, channel, neighbour atom, shift), from half pairs in any order.

    The order is canonical: results computed from it do not depend on how the pairs were found.

    :param first: atoms of the pairs, int32 ``[half]``; each pair stands once
    :param second: the other atoms, int32 ``[half]``
    :param shifts: cell shifts of the second atoms, int32 ``[half, 3]``
    :param vectors: r_second - r_first + shift · cell, ``[half, 3]``
    :param rank: place of each atom among the centres, -1 if it is none, int32 ``[atom]``
    :param channel: neighbour channel of each atom, -1 if it is not wanted, int32 ``[atom]``
    :return: ``starts`` int64 ``[n_centers * n_channels + 1]`` (the pairs of segment ``centre * n_channels + channel``
        are ``starts[segment]:starts[segment + 1]``), ``neighbors`` int32 ``[pair]``, ``shifts`` int32 ``[pair, 3]``,
        ``vectors`` ``[pair, 3]`` from centre to neighbour, ``reverse`` int64 ``[pair]``: place of the same pair seen
        from its neighbour, -1 if it is not in the list
    """
    road = torch.ops.ketmap.group if native(vectors) else reference.group
    return road(first, second, shifts, vectors, rank, channel, n_centers, n_channels)


def _shapes(first, second, shifts, vectors, rank, channel, n_centers, n_channels):
    n_pairs = torch.library.get_ctx().new_dynamic_size()
    return (
        first.new_empty(n_centers * n_channels + 1, dtype=torch.int64),
        first.new_empty(n_pairs),
        shifts.new_empty(n_pairs, 3),
        vectors.new_empty(n_pairs, 3),
        first.new_empty(n_pairs, dtype=torch.int64),
    )


if hasattr(torch.ops.ketmap, "group"):
    torch.library.register_fake("ketmap::group", _shapes)
