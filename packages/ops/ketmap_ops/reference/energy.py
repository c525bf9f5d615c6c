"""Torch reference of the fused energy: the expansion, the quadratic form, and autograd for the rest."""

import torch

from .expansion import expand
from .mixing import expand_mixed


def soap_energy(
    positions, cells, system, rank, centers, starts, neighbors, shifts, reverse, own, table, spacing, cutoff, width,
    center_weight, kind, quadratic, diagonal, mixing=None,
):  # fmt: skip
    """See :func:`ketmap_ops.soap_energy`."""
    n_centers, n_atoms = centers.shape[0], positions.shape[0]
    if n_centers != n_atoms:
        raise ValueError(
            f"ketmap::soap_energy: every atom must be a centre; got {n_centers} centres of {n_atoms} atoms"
        )
    n_l, n_max = table.shape[-2:]
    n_channels = quadratic.shape[2] // n_max
    counts = starts[1:] - starts[:-1]
    n_types = n_channels if mixing is None else mixing.shape[0]
    segment = torch.repeat_interleave(torch.arange(counts.shape[0], device=starts.device), counts)
    i = centers[segment // max(n_types, 1)].long()  # -> [pair]
    j = neighbors.long()
    cell = cells[system[i].long()]  # -> [pair, 3, 3]
    vectors = positions[j] - positions[i] + torch.einsum("pk,pkx->px", shifts.to(cells.dtype), cell)
    with torch.enable_grad():
        v = vectors.detach().requires_grad_()
        numbers = (table, spacing, cutoff, width, center_weight)
        c = expand(v, starts, own, *numbers) if mixing is None else expand_mixed(v, starts, own, mixing, *numbers)
        energies = c.new_zeros(n_centers)
        invariants = []
        for l in range(n_l):
            block = c.reshape(n_centers, n_channels, n_l**2, n_max)[
                :, :, l * l : (l + 1) ** 2
            ]  # -> [centre, channel, m, n]
            x = block.transpose(1, 2).reshape(n_centers, 2 * l + 1, n_channels * n_max)
            energies = energies + torch.einsum("cmi,cij,cmj->c", x, quadratic[kind.long(), l], x)
            invariants.append((block.detach() ** 2).sum(2) / (2 * l + 1) ** 0.5)
        (g,) = torch.autograd.grad(energies.sum(), v) if v.numel() else (torch.zeros_like(v),)
    forces = torch.zeros_like(positions).index_add(0, i, g).index_add(0, j, -g)
    virial = torch.zeros_like(cells).index_add(0, system[i].long(), vectors[:, :, None] * g[:, None, :])
    features = torch.stack(invariants, dim=2) if diagonal else positions.new_empty(0)
    return energies.detach(), forces, virial, features
