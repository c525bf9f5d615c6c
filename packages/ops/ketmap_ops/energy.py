"""Energy, forces and virial of a quadratic form of the density: what a linear power-spectrum model needs in MD."""

import torch

from . import reference
from .library import native


def soap_energy(
    positions,
    cells,
    system,
    rank,
    centers,
    starts,
    neighbors,
    shifts,
    reverse,
    own,
    table,
    spacing: float,
    cutoff: float,
    width: float,
    center_weight: float,
    kind,
    quadratic,
    diagonal: bool,
    mixing=None,
):
    """Energies E_i = Σ_l Σ_m c_lmᵀ Q_l c_lm of the atoms, with forces and virial, in one pass.

    No feature, no feature gradient and no coefficient array is stored. All atoms are centres. Forces are gathered in a
    fixed order: results have the same bits for any number of threads. Not differentiable: for training through autograd
    compose :func:`expand` with :func:`power_spectrum`.

    :param positions: ``[atom, 3]``, Å, float32 or float64
    :param cells: ``[system, 3, 3]``
    :param system: system of each atom, int32 ``[atom]``
    :param rank: place of each atom among the centres, int32 ``[atom]``
    :param centers: atom of each centre, int32 ``[centre]``
    :param starts: with ``neighbors``, ``shifts`` and ``reverse`` the pairs as :func:`group` gives them; may hold a skin
    :param table: this, ``own``, ``spacing``, ``cutoff``, ``width`` and ``center_weight`` are as for :func:`expand`
    :param kind: row of ``quadratic`` for each centre, int32 ``[centre]``
    :param quadratic: ``[kind, l, channel n, channel n]``, symmetric
    :param diagonal: also return Σ_m c_alm n² / √(2l+1)
    :param mixing: weights ``[type, channel]`` with which types are mixed into channels, see
        :func:`ketmap_ops.expand_mixed`; None: every type is a channel
    :return: energies ``[centre]``, forces -dE/dr ``[atom, 3]``, virial dE/dε for r → r (1 + ε)
        ``[system, xyz_1, xyz_2]``, diagonal invariants ``[centre, channel, l, n]`` (empty without ``diagonal``)
    """
    road = torch.ops.ketmap.soap_energy if native(positions) else reference.soap_energy
    return road(
        positions, cells, system, rank, centers, starts, neighbors, shifts, reverse, own, table, spacing, cutoff, width,
        center_weight, kind, quadratic, diagonal, mixing,
    )  # fmt: skip


def _shapes(positions, cells, system, rank, centers, *rest):
    table, quadratic, diagonal = rest[5], rest[11], rest[12]
    n, n_channels = centers.shape[0], quadratic.shape[2] // table.shape[-1]
    features = (n, n_channels, *table.shape[-2:]) if diagonal else (0,)
    shapes = ((n,), positions.shape, cells.shape, features)
    return tuple(positions.new_empty(shape) for shape in shapes)


if hasattr(torch.ops.ketmap, "soap_energy"):
    torch.library.register_fake("ketmap::soap_energy", _shapes)
