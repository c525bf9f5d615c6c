"""Random neighbourhoods: pairs, centres of three types, a spline table."""

from types import SimpleNamespace

import pytest
import torch

N_CHANNELS = 3


def neighbourhoods(n_atoms=20, n_pairs=60, l_max=4, n_max=3, dtype=torch.float64, seed=0):
    """One system of ``n_atoms`` in a box of 3 Å, with periodic images; all atoms are centres."""
    import ketmap_ops as ops

    generator = torch.Generator().manual_seed(seed)
    cell = 3.0 * torch.eye(3, dtype=dtype)
    positions = 3.0 * torch.rand(n_atoms, 3, generator=generator, dtype=dtype)
    # distinct half pairs (i < j, or images of one atom) with one shift each
    first, second = torch.triu_indices(n_atoms, n_atoms)[
        :, torch.randperm(n_atoms * (n_atoms + 1) // 2, generator=generator)[:n_pairs]
    ]
    shifts = torch.randint(-1, 2, (n_pairs, 3), generator=generator)
    shifts[(first == second) & (shifts == 0).all(1)] = 1
    vectors = positions[second] - positions[first] + shifts.to(dtype) @ cell
    types = torch.randint(0, N_CHANNELS, (n_atoms,), generator=generator)
    centers = torch.argsort(types, stable=True).int()
    rank = torch.empty_like(centers)
    rank[centers.long()] = torch.arange(n_atoms, dtype=torch.int32)
    half = (first.int(), second.int(), shifts.int(), vectors)
    places = (rank, types.int(), n_atoms, N_CHANNELS)
    starts, neighbors, shifts, vectors, reverse = ops.group(*half, *places)
    own = types[centers.long()].int()
    table = torch.randn(30, l_max + 1, n_max, generator=generator, dtype=dtype)
    size = N_CHANNELS * n_max
    quadratic = torch.randn(N_CHANNELS, l_max + 1, size, size, generator=generator, dtype=dtype)
    return SimpleNamespace(
        positions=positions, cells=cell[None].contiguous(), system=torch.zeros(n_atoms, dtype=torch.int32), rank=rank,
        centers=centers, half=half, places=places, starts=starts, neighbors=neighbors,
        shifts=shifts, vectors=vectors, reverse=reverse,
        own=own, table=table, spacing=0.1, cutoff=2.2, width=0.5, center_weight=0.7, kind=own,
        quadratic=quadratic + quadratic.transpose(-1, -2),
    )  # fmt: skip


def radial(x):
    return x.table, x.spacing, x.cutoff, x.width


def energy_arguments(x, diagonal=True):
    return (
        x.positions, x.cells, x.system, x.rank, x.centers, x.starts, x.neighbors, x.shifts, x.reverse, x.own,
        *radial(x), x.center_weight, x.kind, x.quadratic, diagonal,
    )  # fmt: skip


def everything(road, x):
    """What the operators of expansion, mixing and energy give, by the ``road`` of native or reference kernels."""
    c = road.expand(x.vectors, x.starts, x.own, *radial(x), x.center_weight)
    grad = torch.randn(c.shape, generator=torch.Generator().manual_seed(1), dtype=c.dtype)
    mixing = torch.randn(N_CHANNELS, 2, generator=torch.Generator().manual_seed(2), dtype=c.dtype)
    mixed = (x.vectors, x.starts, x.own, mixing, *radial(x), x.center_weight)
    rows = torch.arange(len(x.vectors) + 1) * 3 // 2  # one or two of each pair
    left = torch.randn(int(rows[-1]), generator=torch.Generator().manual_seed(2), dtype=c.dtype)
    shared = x.table if x.table.ndim == 3 else x.table[0]  # that of single pairs is the same for all
    return [
        c,
        road.expand_mixed(*mixed),
        road.expand_mixed_vjp(grad[:, :2].contiguous(), x.vectors, x.starts, mixing, *radial(x)),
        road.mixing_vjp(grad[:, :2].contiguous(), *mixed),
        road.expand_vjp(grad, x.vectors, x.starts, *radial(x)),
        road.expand_jacobian(x.vectors, x.starts, x.own, *radial(x)),
        road.pair_terms(x.vectors, shared, *radial(x)[1:]),
        road.pair_gradients(left, x.vectors, rows, shared, *radial(x)[1:]),
        *road.soap_energy(*energy_arguments(x)),
    ]


@pytest.fixture(params=[(4, 3), (6, 8), (2, 5), (9, 1), (7, 10), (0, 2)], ids=lambda p: f"l{p[0]}n{p[1]}")
def random_system(request):
    l_max, n_max = request.param
    return neighbourhoods(l_max=l_max, n_max=n_max)
