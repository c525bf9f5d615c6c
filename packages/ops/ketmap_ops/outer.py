"""Explicit derivatives of the density coefficients by strain and cell."""

import torch

from .library import native
from .reference import outer as reference


def expand_outer(left, vectors, starts, own, table, spacing: float, cutoff: float, width: float) -> torch.Tensor:
    """Σ over the pairs of each centre and channel of left ⊗ ∂c/∂vector, ``[centre, channel, left, xyz, lm, n]``.

    With the vectors for ``left`` ``[pair, 3]`` these are derivatives by the strain ε in r → r (1 + ε), [row, column];
    with the cell shifts, derivatives by the cell at fixed Cartesian positions. Other arguments as for
    :func:`ketmap_ops.expand`.
    """
    road = torch.ops.ketmap.expand_outer if native(vectors) else reference.expand_outer
    return road(left, vectors, starts, own, table, spacing, cutoff, width)
