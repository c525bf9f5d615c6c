"""The engine below the calculator: environments and dense coefficients."""

import ase.build
import numpy as np
import pytest
import torch
from ketmap_core import as_batch
from ketmap_density import Expansion


@pytest.fixture
def expansion(hypers):
    return Expansion(**hypers())


@pytest.fixture
def batch(nacl):
    return as_batch([nacl, ase.build.molecule("CH3OH"), ase.Atoms("Na")])


def test_environments(expansion, batch):
    """Centres by (type, system, atom), pairs by (centre, channel, neighbour), complete and with their mirror images."""
    around = expansion.environments(batch, reverse=True)
    assert around.types == (1, 6, 8, 11, 17)
    assert around.centers.tolist() == [4, 5, 6, 7, 2, 3, 0, 8, 1]
    assert around.center_types.tolist() == batch.types[around.centers.long()].tolist()
    assert torch.equal(around.rank[around.centers.long()], torch.arange(9, dtype=torch.int32))
    assert torch.equal(around.own, around.kind)
    slots = around.slots()
    center, channel = around.centers.long()[slots // 5], slots % 5
    assert torch.equal(torch.tensor(around.types)[channel], batch.types[around.neighbors.long()].long())
    order = slots * batch.n_atoms + around.neighbors
    assert torch.all(torch.diff(order) >= 0)
    assert around.counts().sum() == len(slots)
    vectors = batch.positions[around.neighbors.long()] - batch.positions[center]
    shifts = torch.einsum("pa,pax->px", around.shifts.double(), batch.cells[batch.system[center].long()])
    assert torch.allclose(around.vectors, vectors + shifts, atol=1e-12)
    assert torch.allclose(around.vectors, around.differentiable_vectors(batch), atol=1e-12)
    assert torch.allclose(around.vectors[around.reverse], -around.vectors)
    assert around.vectors.norm(dim=1).max() < 3.5


def test_chosen_types_and_centers(expansion, batch):
    """Channels of a model are fixed: neighbours of other types are left out, its own may be missing."""
    every = expansion.environments(batch)
    c = expansion.coefficients(every, batch)
    few = expansion.environments(batch, types=(1, 8, 92), centers=torch.isin(batch.types, torch.tensor([6, 8])))
    d = expansion.coefficients(few, batch)
    assert d.shape == (2, 3, 16, 5)
    assert torch.equal(d[:, 0], c[4:6, 0]) and torch.equal(d[:, 1], c[4:6, 2])
    assert torch.all(d[:, 2] == 0)
    assert few.own.tolist() == [-1, 1]


def test_skin(expansion, batch):
    """Pairs in the skin add nothing, so lists may be used again after small moves."""
    exact = expansion.coefficients(expansion.environments(batch), batch)
    wide = expansion.environments(batch, skin=1.0)
    assert wide.cutoff == 4.5
    assert len(wide.neighbors) > len(expansion.environments(batch).neighbors)
    assert torch.allclose(expansion.coefficients(wide, batch), exact, atol=1e-14)


def test_part_of_the_table(expansion, batch):
    """Fewer n and lower l are computed alone by a part of the table."""
    around = expansion.environments(batch)
    part = expansion.table[:, :2, [3, 1]].contiguous()
    c = expansion.coefficients(around, batch)[:, :, :4][..., [3, 1]]
    assert torch.allclose(expansion.coefficients(around, batch, part), c, atol=1e-14)


def test_tables(expansion):
    """One table per dtype and device; equal hyper-parameters share the spline."""
    assert expansion.table.shape[1:] == (expansion.l_max + 1, expansion.n_max + 1)
    single = expansion.table_like(torch.zeros(1, dtype=torch.float32))
    assert single.dtype == torch.float32 and single is expansion.table_like(torch.ones(3, dtype=torch.float32))
    again = Expansion(**expansion.to_dict())
    assert again.spline is expansion.spline


def test_center_weight(hypers):
    """An isolated atom sees its own density: R_n0(0) Y_00 times the weight."""
    batch = as_batch(ase.Atoms("He"))
    values = []
    for weight in (0.0, 0.5, 1.0):
        expansion = Expansion(**hypers(weight=weight))
        c = expansion.coefficients(expansion.environments(batch), batch)
        assert torch.all(c[0, 0, 1:] == 0)
        values.append(c[0, 0, 0].numpy())
    own = expansion.spline(np.zeros(1))[0, 0] / np.sqrt(4 * np.pi)
    assert np.allclose(values, np.outer([0.0, 0.5, 1.0], own), atol=1e-14)


def test_jacobian(expansion, batch):
    """Of any slice of centres; summed over neighbours, minus the derivative for the centre."""
    around = expansion.environments(batch)
    pairs, jacobian = expansion.jacobian(around)
    assert pairs == slice(0, len(around.neighbors))
    some, part = expansion.jacobian(around, slice(6, 8))
    assert torch.allclose(part, jacobian[some], atol=1e-14)
    weights = torch.rand(expansion.coefficients(around, batch).shape, dtype=torch.float64)
    vectors = around.vectors.clone().requires_grad_()
    slots = around.slots()
    moved = torch.einsum("pxmn,pmn->px", jacobian, weights.flatten(0, 1)[slots])
    import ketmap_ops

    c = ketmap_ops.expand(
        vectors,
        around.starts,
        around.own,
        expansion.table,
        expansion.spacing,
        expansion.cutoff.radius,
        expansion.cutoff.width,
        1.0,
    )
    assert torch.allclose(torch.autograd.grad((c * weights).sum(), vectors)[0], moved, atol=1e-12)
