"""metatomic Systems: torch TensorMaps with autograd, twice differentiable, in float32 and float64."""

import ase
import ase.build
import numpy as np
import pytest
import torch
from ketmap_soap import SoapPowerSpectrum

from ..structures import torch_system


def weights_of(tensor):
    generator = torch.Generator().manual_seed(0)
    return [torch.rand(block.values.shape, generator=generator, dtype=torch.float64) for block in tensor.blocks()]


def test_same_as_numpy(hypers, mixed):
    calculator, gradients = SoapPowerSpectrum(**hypers()), ["positions", "strain"]
    theirs = calculator.compute(mixed, gradients=gradients)
    ours = calculator.compute([torch_system(atoms) for atoms in mixed], gradients=gradients)
    assert isinstance(ours, torch.ScriptObject)
    assert np.array_equal(ours.keys.values.numpy(), theirs.keys.values)
    for a, b in zip(ours.blocks(), theirs.blocks()):
        assert np.array_equal(a.samples.values.numpy(), b.samples.values)
        assert np.array_equal(a.values.numpy(), b.values)
        for name in gradients:
            assert np.array_equal(a.gradient(name).samples.values.numpy(), b.gradient(name).samples.values)
            assert np.array_equal(a.gradient(name).values.numpy(), b.gradient(name).values)


def test_autograd_contracts_explicit_gradients(hypers, mixed):
    calculator, structure = SoapPowerSpectrum(**hypers()), torch_system(mixed[2], grad=True)
    tensor = calculator.compute(structure, gradients=["positions", "cell"])
    positions, cell = torch.zeros_like(structure.positions), torch.zeros_like(structure.cell)
    total = 0.0
    for w, block in zip(weights_of(tensor), tensor.blocks()):
        total = total + (w * block.values).sum()
        gradient = block.gradient("positions")
        sample, atom = gradient.samples.column("sample").long(), gradient.samples.column("atom").long()
        positions.index_add_(0, atom, torch.einsum("sp,sxp->sx", w[sample], gradient.values))
        cell += torch.einsum("sp,saxp->ax", w, block.gradient("cell").values)
    total.backward()
    assert torch.allclose(structure.positions.grad, positions, rtol=1e-10, atol=1e-12)
    assert torch.allclose(structure.cell.grad, cell, rtol=1e-10, atol=1e-12)


def test_second_derivatives(hypers):
    calculator = SoapPowerSpectrum(**hypers(max_radial=1, max_angular=2))
    structure = torch_system(ase.build.bulk("NaCl", "rocksalt", 5.0))

    def scalar(positions, cell):
        from metatomic.torch import System

        tensor = calculator.compute(System(structure.types, positions, cell, structure.pbc))
        return sum((w * block.values**2).sum() for w, block in zip(weights_of(tensor), tensor.blocks()))

    positions = (structure.positions + 0.1 * torch.rand(2, 3, dtype=torch.float64)).requires_grad_()
    cell = structure.cell.clone().requires_grad_()
    assert torch.autograd.gradcheck(scalar, (positions, cell))
    assert torch.autograd.gradgradcheck(scalar, (positions, cell))


def test_float32(hypers, mixed):
    calculator = SoapPowerSpectrum(**hypers())
    single, double = (
        calculator.compute([torch_system(atoms, dtype) for atoms in mixed], gradients=["positions"])
        for dtype in (torch.float32, torch.float64)
    )
    for a, b in zip(single.blocks(), double.blocks()):
        assert a.values.dtype == torch.float32
        assert (a.values - b.values).abs().max() < 1e-5 * b.values.abs().max()
        a, b = a.gradient("positions").values, b.gradient("positions").values
        assert (a - b).abs().max() < 1e-4 * b.abs().max().clamp(min=1.0)


def test_empty(hypers):
    tensor = SoapPowerSpectrum(**hypers()).compute([torch_system(ase.Atoms())], gradients=["positions"])
    assert len(tensor.keys) == 0


@pytest.mark.parametrize("grad", [False, True])
def test_values_carry_a_graph_only_where_asked_for(hypers, grad):
    tensor = SoapPowerSpectrum(**hypers()).compute(torch_system(ase.build.molecule("H2O"), grad=grad))
    assert tensor.block(0).values.requires_grad is grad
