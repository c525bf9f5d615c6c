"""metatomic Systems: torch TensorMaps with autograd, twice differentiable, in float32 and float64."""

import ase.build
import metatensor.torch as mts
import numpy as np
import pytest
import torch
from ketmap_density import SphericalExpansion
from metatomic.torch import System

from ..structures import torch_system

METHANOL = ase.build.molecule("CH3OH")


def contraction(tensor, seed=0):
    """A smooth scalar of all coefficients."""
    generator = torch.Generator().manual_seed(seed)
    total = 0.0
    for block in tensor.blocks():
        weights = torch.rand(block.values.shape, generator=generator, dtype=torch.float64).to(block.values.dtype)
        total = total + (weights * block.values.sin()).sum()
    return total


@pytest.mark.parametrize("gradients", [None, ["positions", "strain", "cell"]])
def test_same_as_numpy(hypers, nacl, gradients):
    rho = SphericalExpansion(**hypers())
    systems = [nacl, METHANOL]
    theirs = rho.compute(systems, gradients=gradients)
    ours = rho.compute([torch_system(atoms) for atoms in systems], gradients=gradients)
    assert isinstance(ours, torch.ScriptObject)
    assert ours.keys.names == theirs.keys.names
    assert np.array_equal(ours.keys.values.numpy(), theirs.keys.values)
    for a, b in zip(ours.blocks(), theirs.blocks()):
        assert np.array_equal(a.samples.values.numpy(), b.samples.values)
        assert np.allclose(a.values.numpy(), b.values, atol=1e-14)
        for name in gradients or []:
            assert np.allclose(a.gradient(name).values.numpy(), b.gradient(name).values, atol=1e-13)
            assert np.array_equal(a.gradient(name).samples.values.numpy(), b.gradient(name).samples.values)


def test_first_derivatives(hypers, nacl):
    """Autograd through positions and cell contracts the explicit gradients."""
    rho = SphericalExpansion(**hypers())
    structure = torch_system(nacl, grad=True)
    tensor = rho.compute(structure, gradients=["positions", "cell"])
    weights = [torch.rand_like(block.values) for block in tensor.blocks()]
    total = sum((w * block.values).sum() for w, block in zip(weights, tensor.blocks()))
    total.backward()
    positions, cell = torch.zeros_like(structure.positions), torch.zeros_like(structure.cell)
    for w, block in zip(weights, tensor.blocks()):
        gradient = block.gradient("positions")
        sample, atom = gradient.samples.column("sample"), gradient.samples.column("atom")
        positions.index_add_(0, atom, torch.einsum("smn,sxmn->sx", w[sample], gradient.values))
        cell += torch.einsum("smn,saxmn->ax", w, block.gradient("cell").values)
    assert torch.allclose(structure.positions.grad, positions, atol=1e-11)
    assert torch.allclose(structure.cell.grad, cell, atol=1e-11)


def energy(rho, atoms, types):
    def function(positions, cell):
        structure = System(types=types, positions=positions, cell=cell, pbc=torch.tensor(atoms.pbc))
        return contraction(rho.compute(structure))

    return function


def test_gradcheck(hypers, nacl):
    """First and second derivatives against finite differences, through positions and cell."""
    rho = SphericalExpansion(**hypers(radius=3.1, max_radial=1, max_angular=1))
    structure = torch_system(nacl, grad=True)
    function = energy(rho, nacl, structure.types)
    arguments = (structure.positions, structure.cell)
    assert torch.autograd.gradcheck(function, arguments, eps=1e-5, atol=1e-7, rtol=1e-6)
    assert torch.autograd.gradgradcheck(function, arguments, eps=1e-5, atol=1e-5, rtol=1e-5)


def test_only_positions(hypers, nacl):
    structure = torch_system(nacl)
    structure.positions.requires_grad_()
    contraction(SphericalExpansion(**hypers()).compute(structure)).backward()
    assert structure.positions.grad.abs().max() > 0.1
    assert structure.positions.grad.sum(0).abs().max() < 1e-12  # nothing changes when all atoms move together
    assert structure.cell.grad is None


def test_float32(hypers, nacl):
    rho = SphericalExpansion(**hypers())
    single = rho.compute(torch_system(nacl, torch.float32, grad=True), gradients=["positions"])
    double = rho.compute(torch_system(nacl), gradients=["positions"])
    for a, b in zip(single.blocks(), double.blocks()):
        assert a.values.dtype == torch.float32
        assert (a.values - b.values).abs().max() < 1e-5 * max(1.0, b.values.abs().max())
        slopes = [block.gradient("positions").values for block in (a, b)]
        assert (slopes[0] - slopes[1]).abs().max() < 1e-4 * max(1.0, slopes[1].abs().max())
    contraction(single).backward()


def test_selected_labels(hypers, nacl):
    """Torch Labels select, too."""
    rho = SphericalExpansion(**hypers())
    tensor = rho.compute(
        [torch_system(nacl), torch_system(METHANOL)],
        selected_keys=mts.Labels(["o3_lambda"], torch.tensor([[1]], dtype=torch.int32)),
        selected_samples=mts.Labels(["system"], torch.tensor([[1]], dtype=torch.int32)),
        selected_properties=mts.Labels(["n"], torch.tensor([[2]], dtype=torch.int32)),
    )
    assert tensor.keys.column("o3_lambda").tolist() == [1] * len(tensor)
    block = tensor.block({"center_type": 6, "neighbor_type": 1})
    assert block.samples.values.tolist() == [[1, 0]]
    assert block.properties.values.tolist() == [[2]]


def test_empty(hypers):
    nothing = torch_system(ase.build.molecule("H2O")[:0])
    tensor = SphericalExpansion(**hypers()).compute([nothing])
    assert isinstance(tensor, torch.ScriptObject) and len(tensor) == 0
