"""Expansion and power spectrum on every device there is, in both precisions, by the torch reference: the same tests."""

import ase.build
import numpy as np
import pytest
import torch
from ketmap_core import as_batch
from ketmap_density import (
    Cutoff,
    DiracDelta,
    Gaussian,
    Gto,
    LaplacianEigenstate,
    ShiftedCosine,
    SphericalExpansion,
    TensorProduct,
    Willatt2018,
)
from ketmap_soap import SoapPowerSpectrum
from metatomic.torch import System

DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA")),
]
TOLERANCE = {torch.float64: 1e-11, torch.float32: 5e-5}
HYPERS = {
    "gto": {"density": Gaussian(0.4, center_atom_weight=0.7), "basis": TensorProduct(3, Gto(3))},
    "eigenstates, widths by type": {
        "density": Gaussian({11: 0.4, 17: 0.6}, scaling=Willatt2018(2.0, 1.0, 4)),
        "basis": LaplacianEigenstate(2),
    },
    "delta": {"density": DiracDelta(), "basis": LaplacianEigenstate(2)},
}


@pytest.fixture(params=DEVICES)
def device(request, monkeypatch):
    """Each device, with the native kernels out of the way."""
    import ketmap_ops.library

    monkeypatch.setattr(ketmap_ops.library, "_obstacle", "reference: asked for by the test")
    return torch.device(request.param)


@pytest.fixture(params=[torch.float64, torch.float32], ids=["float64", "float32"])
def dtype(request):
    return request.param


@pytest.fixture(params=[SphericalExpansion, SoapPowerSpectrum])
def calculator(request):
    return request.param


def salt() -> ase.Atoms:
    nacl = ase.build.bulk("NaCl", "rocksalt", 5.6)
    nacl.rattle(0.1, seed=1)
    return nacl


def system_of(atoms, device, dtype, grad=False):
    def tensor(values):
        return torch.tensor(np.array(values), dtype=dtype, device=device)

    return System(
        types=torch.tensor(atoms.numbers, dtype=torch.int32, device=device),
        positions=tensor(atoms.positions).requires_grad_(grad),
        cell=tensor(atoms.cell).requires_grad_(grad),
        pbc=torch.tensor(atoms.pbc, device=device),
    )


def assert_close(found: torch.Tensor, expected: np.ndarray, dtype, slack=1):
    assert found.dtype == dtype
    error = np.abs(found.detach().cpu().double().numpy() - expected).max(initial=0)
    assert error <= slack * TOLERANCE[dtype] * max(np.abs(expected).max(initial=0), 1e-3)


@pytest.mark.parametrize("name", HYPERS)
def test_values_and_gradients(device, dtype, calculator, name):
    """The numbers of the native kernels (or the reference on CPU), in float64, with NumPy structures."""
    made = calculator(cutoff=Cutoff(3.5, ShiftedCosine(0.5)), **HYPERS[name])
    gradients = ["positions", "strain", "cell"]
    expected = made.compute(salt(), gradients=gradients)
    found = made.compute(system_of(salt(), device, dtype), gradients=gradients)
    assert len(found.keys) == len(expected.keys)
    for key, block in expected.items():
        other = found.block({name: int(value) for name, value in zip(key.names, key.values)})
        assert other.values.device.type == device.type
        assert np.array_equal(other.samples.values.cpu().numpy(), block.samples.values)
        assert_close(other.values, block.values, dtype)
        for gradient in gradients:
            ours, theirs = other.gradient(gradient), block.gradient(gradient)
            assert np.array_equal(ours.samples.values.cpu().numpy(), theirs.samples.values)
            assert_close(ours.values, theirs.values, dtype)


def test_autograd(device, dtype, calculator):
    """Gradients through positions and cell stay on the device, twice, and are those of float64 on CPU."""
    made = calculator(cutoff=Cutoff(3.5, ShiftedCosine(0.5)), **HYPERS["gto"])

    def derivatives(device, dtype):
        system = system_of(salt(), device, dtype, grad=True)
        total = sum((block.values**2).sum() for block in made.compute(system).blocks())
        first = torch.autograd.grad(total, [system.positions, system.cell], create_graph=True)
        second = torch.autograd.grad(sum((g**2).sum() for g in first), [system.positions, system.cell])
        return [*first, *second]

    expected = derivatives(torch.device("cpu"), torch.float64)
    for ours, theirs, slack in zip(derivatives(device, dtype), expected, (1, 1, 20, 20)):  # second ones lose more
        assert ours.device.type == device.type
        assert_close(ours, theirs.detach().numpy(), dtype, slack)


def test_potential_and_design(device, dtype):
    """What models run: energies, forces, virial and rows of the design."""
    soap = SoapPowerSpectrum(cutoff=Cutoff(3.5, ShiftedCosine(0.5)), **HYPERS["gto"])
    types = (11, 17)
    w = torch.randn(soap.n_features(types), dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    potential = soap.potential(w, types)
    batch = as_batch(system_of(salt(), device, dtype))
    found = potential(batch, potential.environments(batch))
    design = soap.design(system_of(salt(), device, dtype), types)
    scale = found.energies.abs().max()
    for ours, theirs in (
        (design.values @ w.to(design.values), found.energies.sum()[None]),
        (design.positions @ w.to(design.values), -found.forces),
        (design.strain @ w.to(design.values), found.virial),
    ):
        assert ours.device.type == device.type and ours.dtype == dtype
        assert (ours - theirs).abs().max() < 50 * TOLERANCE[dtype] * scale
