"""The neighbour search: pairs nearer than a cutoff, periodic images included."""

import torch

from . import reference
from .library import built


def half_pairs(positions, cells, pbc, systems, cutoff: float):
    """Of every pair of atoms and its mirror image one: that whose second atom comes later in the batch.

    Of the images of one atom, those whose shifts have a positive sum (or of sum zero, the last component that is not
    zero positive). A distance equal to the cutoff is beyond it. Not differentiable.

    :param positions: of all systems, one after the other, ``[atom, 3]``
    :param cells: rows are cell vectors; rows without periodicity mean nothing, ``[system, 3, 3]``
    :param pbc: bool ``[system, 3]``
    :param systems: first atom of each system, int64 ``[system + 1]``
    :return: ``first``, ``second`` int32 ``[pair]``, ``shifts`` int32 ``[pair, 3]``, ``vectors`` ``[pair, 3]``:
        r_second - r_first + shift · cell
    :raises RuntimeError: for atoms more than 10⁹ cells away, and for more than 2³¹ images within reach
    """
    return _anywhere("half_pairs", positions, cells, pbc, systems, float(cutoff))


def neighbors(
    positions, cells, pbc, systems, rank, channel, n_centers: int, n_channels: int, cutoff: float, reverse: bool = True
):
    """All neighbours of the chosen centres, sorted by (centre, channel, neighbour atom, shift).

    The same as :func:`ketmap_ops.group` makes of :func:`half_pairs`, without the list of what lies around other atoms.

    :param rank: place of each atom among the centres, -1 if it is none, int32 ``[atom]``; each place at most once
    :param channel: neighbour channel of each atom, -1 if it is not wanted, int32 ``[atom]``
    :param reverse: whether the places of the reversed pairs are needed
    :return: as of :func:`ketmap_ops.group`; ``reverse`` is empty if it is not needed
    """
    return _anywhere(
        "neighbors", positions, cells, pbc, systems, rank, channel, n_centers, n_channels, float(cutoff), reverse
    )


def _anywhere(name: str, positions, cells, *rest):
    """Searches on the CPU, wherever the atoms are."""
    if not built():
        return getattr(reference, name)(positions.detach(), cells.detach(), *rest)
    search, positions, cells = getattr(torch.ops.ketmap, name), positions.detach(), cells.detach()
    cells = cells.to(positions.dtype)
    if positions.device.type == "cpu":
        return search(*(a.contiguous() if isinstance(a, torch.Tensor) else a for a in (positions, cells, *rest)))
    here = (a.cpu().contiguous() if isinstance(a, torch.Tensor) else a for a in (positions, cells, *rest))
    return tuple(part.to(positions.device) for part in search(*here))


def _half_shapes(positions, cells, pbc, systems, cutoff):
    n_pairs = torch.library.get_ctx().new_dynamic_size()
    return (
        positions.new_empty(n_pairs, dtype=torch.int32),
        positions.new_empty(n_pairs, dtype=torch.int32),
        positions.new_empty(n_pairs, 3, dtype=torch.int32),
        positions.new_empty(n_pairs, 3),
    )


def _shapes(positions, cells, pbc, systems, rank, channel, n_centers, n_channels, cutoff, with_reverse):
    n_pairs = torch.library.get_ctx().new_dynamic_size()
    return (
        rank.new_empty(n_centers * n_channels + 1, dtype=torch.int64),
        rank.new_empty(n_pairs),
        rank.new_empty(n_pairs, 3),
        positions.new_empty(n_pairs, 3),
        rank.new_empty(n_pairs if with_reverse else 0, dtype=torch.int64),
    )


if hasattr(torch.ops.ketmap, "neighbors"):
    torch.library.register_fake("ketmap::half_pairs", _half_shapes)
    torch.library.register_fake("ketmap::neighbors", _shapes)
