"""What models need: design rows, weights as TensorMaps, the potential. Every number is met on three roads."""

import dataclasses

import ase.build
import numpy as np
import pytest
import torch
from ketmap_core import UnknownTypesError, as_batch
from ketmap_soap import SoapPowerSpectrum

TYPES = (1, 6, 8, 11, 14, 17)


@pytest.fixture
def calculator(hypers):
    return SoapPowerSpectrum(**hypers())


@pytest.fixture
def weights(calculator):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(calculator.n_features(TYPES), generator=generator, dtype=torch.float64)


def close(a, b, tolerance=1e-12):
    assert a.shape == b.shape
    assert (a - b).abs().max() <= tolerance * b.abs().max()


def per_system(batch, energies):
    return energies.new_zeros(len(batch)).index_add(0, batch.system.long(), energies)


def test_design_rows_are_the_derivatives_of_the_potential(calculator, weights, systems):
    batch = as_batch(systems)
    if set(batch.types.tolist()) - set(TYPES):
        batch = dataclasses.replace(batch, types=torch.full_like(batch.types, 6))
    potential = calculator.potential(weights, TYPES)
    found = potential(batch, potential.environments(batch))
    design = calculator.design(batch, TYPES)
    close(design.values @ weights, per_system(batch, found.energies))
    scale = found.energies.abs().max()
    assert (design.positions @ weights + found.forces).abs().max() < 1e-12 * scale
    assert (design.strain @ weights - found.virial).abs().max() < 1e-11 * scale


def test_potential_is_its_own_derivative(calculator, weights, mixed):
    """Fused forces and virial = autograd through torch operators; cells too, at fixed fractional coordinates."""
    batch = as_batch(mixed)
    potential = calculator.potential(weights, TYPES)
    found = potential(batch, potential.environments(batch))
    strain = torch.zeros(len(batch), 3, 3, dtype=torch.float64, requires_grad=True)
    deform = torch.eye(3, dtype=torch.float64) + strain
    positions = batch.positions.clone().requires_grad_()
    strained = dataclasses.replace(
        batch,
        positions=torch.einsum("ax,axy->ay", positions, deform[batch.system.long()]),
        cells=batch.cells @ deform,
    )
    energies = potential.differentiable(strained)
    close(energies.detach(), found.energies)
    to_positions, to_strain = torch.autograd.grad(energies.sum(), (positions, strain))
    close(-to_positions, found.forces)
    close(to_strain, found.virial)


def test_weights_as_a_tensor(calculator, weights, mixed):
    """E_i = Σ over blocks of ⟨features, weights⟩; and back to the same weights."""
    tensor = calculator.weights_to_tensor(weights, TYPES)
    assert tensor.keys.names == ["center_type", "neighbor_1_type", "neighbor_2_type"]
    close(calculator.tensor_to_weights(tensor, TYPES), weights, 1e-15)
    batch = as_batch(mixed)
    energies = np.zeros(batch.n_atoms)
    for key, block in calculator.compute(mixed).items():
        atoms = batch.starts.numpy()[block.samples.column("system")] + block.samples.column("atom")
        np.add.at(energies, atoms, block.values @ tensor.block(key).values[0])
    potential = calculator.potential(weights, TYPES)
    close(torch.from_numpy(energies), potential(batch, potential.environments(batch)).energies)


def test_columns_keep_scalar_products(calculator):
    """Unique columns, weighted: the kernel of two structures is that of the full features."""
    water = [ase.build.molecule("H2O") for _ in range(2)]
    water[1].rattle(0.1, seed=1)
    values = calculator.design(water, (1, 8)).values
    full = np.zeros((2, 2))
    for block in calculator.compute(water).blocks():
        sums = np.zeros((2, block.values.shape[1]))
        np.add.at(sums, block.samples.column("system"), block.values)
        full += sums @ sums.T
    assert np.allclose((values @ values.T).numpy(), full, rtol=1e-13)


def test_n_features(hypers):
    """Four types at n = 8, l = 6: 7·64·6 + 7·36·4 unique columns for each type of centre."""
    calculator = SoapPowerSpectrum(**hypers(max_radial=7, max_angular=6))
    assert calculator.n_features((1, 6, 7, 8)) == 4 * (7 * 64 * 6 + 7 * 36 * 4)


def test_design_of_a_part(calculator, mixed):
    whole = calculator.design(mixed, TYPES)
    values = calculator.design(mixed, TYPES, gradients=())
    assert values.positions is None and values.strain is None
    assert torch.equal(values.values, whole.values)
    alone = [calculator.design(atoms, TYPES) for atoms in mixed]
    close(torch.cat([d.positions for d in alone]), whole.positions, 1e-14)
    with pytest.raises(ValueError, match="the cell's follow"):
        calculator.design(mixed, TYPES, gradients=["cell"])


def test_diagonal_invariants(calculator, weights):
    atoms = ase.build.molecule("H2O")
    batch, potential = as_batch(atoms), calculator.potential(weights, TYPES)
    features = potential(batch, potential.environments(batch), diagonal=True).features
    features = features.reshape(3, len(TYPES), 4, 4)  # -> [atom, type, l, n]
    block = calculator.compute(atoms).block({"center_type": 8, "neighbor_1_type": 1, "neighbor_2_type": 1})
    expected = np.einsum("lnn->ln", block.values[0].reshape(4, 4, 4)) * (-1.0) ** np.arange(4)[:, None]
    assert np.allclose(features[0, 0].numpy(), expected, rtol=1e-13)


def test_skin(calculator, weights, mixed):
    """With a skin, environments serve after a small move."""
    batch, potential = as_batch(mixed), calculator.potential(weights, TYPES)
    around = potential.environments(batch, skin=1.0)
    generator = torch.Generator().manual_seed(1)
    step = 0.2 * torch.rand(batch.positions.shape, generator=generator, dtype=torch.float64)
    moved = dataclasses.replace(batch, positions=batch.positions + step)
    found, exact = potential(moved, around), potential(moved, potential.environments(moved))
    close(found.energies, exact.energies)
    close(found.forces, exact.forces)


def test_bad_input(calculator, weights):
    water = as_batch(ase.build.molecule("H2O"))
    with pytest.raises(UnknownTypesError, match="not fitted to: 8"):
        calculator.design(water, (1, 6))
    with pytest.raises(UnknownTypesError, match=r"system 0 .* not fitted to: 1, 8"):
        calculator.potential(torch.zeros(calculator.n_features((6,))), (6,)).environments(water)
    with pytest.raises(ValueError, match=f"expected {calculator.n_features(TYPES)} weights"):
        calculator.potential(weights[:-1], TYPES)
    tensor = calculator.weights_to_tensor(weights, TYPES)
    with pytest.raises(ValueError, match="expected center_type, neighbor_1_type, neighbor_2_type of types"):
        calculator.tensor_to_weights(tensor, TYPES[:-1])
    other = SoapPowerSpectrum.from_dict(calculator.to_dict() | {"basis": _fewer(calculator.to_dict()["basis"])})
    with pytest.raises(ValueError, match="expected 48: l = 0 … 2"):
        other.tensor_to_weights(tensor, TYPES)


def _fewer(basis: dict) -> dict:
    return basis | {"max_angular": 2}
