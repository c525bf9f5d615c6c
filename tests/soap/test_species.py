"""Power spectra of alchemical channels: values, kernels, selections, design rows, potentials, models, learning u."""

import dataclasses

import ase.build
import ketmap_ops as ops
import metatensor
import numpy as np
import pytest
import torch
from ase.calculators.lj import LennardJones
from ketmap_core import as_batch, info
from ketmap_density import AlchemicalChannels, LaplacianEigenstate
from ketmap_linear import Model, Ridge, load
from ketmap_soap import SoapPowerSpectrum

from ..labels import labels
from ..structures import torch_system

TYPES = (1, 6, 7, 8, 11, 14, 17)
U = np.random.default_rng(3).normal(size=(len(TYPES), 3))
GRADIENTS = ["positions", "strain", "cell"]


@pytest.fixture(params=["tensor product", "laplacian"])
def calculator(hypers, request):
    given = hypers(max_radial=2)
    if request.param == "laplacian":  # fewer n for higher l
        given["basis"] = LaplacianEigenstate(max_radial=2, max_angular=3)
    return SoapPowerSpectrum(**given, species=AlchemicalChannels(TYPES, U))


def test_values_are_the_invariants_of_mixed_coefficients(hypers, systems):
    calculator = SoapPowerSpectrum(**hypers(), species=AlchemicalChannels(TYPES, U))
    tensor = calculator.compute(systems)
    assert tensor.keys.names == ["center_type", "neighbor_1_channel", "neighbor_2_channel"]
    batch = as_batch(systems)
    environments = calculator.expansion.environments(batch)
    p = ops.power_spectrum(calculator.expansion.coefficients(environments, batch))  # -> [centre, ab, l, n1, n2]
    p = p[environments.rank.long()].flatten(2).numpy()  # -> [atom, ab, property]
    assert len(tensor.keys) == 6 * len(torch.unique(batch.types))
    for key, block in tensor.items():
        center, a, b = map(int, key.values)
        atoms = np.flatnonzero(batch.types.numpy() == center)
        samples = np.stack([batch.system[atoms], atoms - batch.starts[batch.system[atoms].long()].numpy()], axis=1)
        assert np.array_equal(block.samples.values, samples)  # all centres
        np.testing.assert_allclose(block.values, p[atoms, (0, 3, 5)[a] + b - a], atol=1e-13)


def test_channels_of_all_types_are_the_alchemical_kernel(hypers, mixed):
    """⟨p, p'⟩ over channels = Σ κ_aa' κ_bb' ⟨p_ab, p'_a'b'⟩ over types, κ = u uᵀ (De et al., PCCP 18, 13754 (2016))."""
    species = AlchemicalChannels.from_periodic_table(TYPES, len(TYPES), period=3.0, group=8.0)
    systems = [ase.build.molecule("CH3OH"), ase.build.molecule("H2O")]
    kappa = (species.mixing @ species.mixing.T).numpy()

    def features(calculator, n):  # -> [atom, a, b, property], over all ordered pairs
        tensor = calculator.compute(systems)
        dense = np.zeros((9, n, n, 64))
        labels = list(range(n)) if calculator.species else list(TYPES)
        for key, block in tensor.items():
            _, a, b = (int(v) for v in key.values)
            a, b = labels.index(a), labels.index(b)
            rows = 6 * block.samples.column("system") + block.samples.column("atom")
            factor = 1.0 if a == b else 0.5**0.5
            dense[rows, a, b] = factor * block.values
            values = (
                block.values.reshape(-1, 4, 4, 4).transpose(0, 1, 3, 2).reshape(-1, 64)
            )  # n_1 and n_2 change places
            dense[rows, b, a] = factor * values
        return dense

    p = features(SoapPowerSpectrum(**hypers()), len(TYPES))
    kernel = np.einsum("iabx,ac,bd,jcdx->ij", p, kappa, kappa, p)
    q = features(SoapPowerSpectrum(**hypers(), species=species), len(TYPES)).reshape(9, -1)
    np.testing.assert_allclose(q @ q.T, kernel, rtol=1e-10, atol=1e-12 * kernel.max())


KEYS = ["center_type", "neighbor_1_channel", "neighbor_2_channel"]


@pytest.mark.parametrize(
    "selection",
    [
        {"selected_keys": labels(KEYS[1:], [0, 2], [2, 2])},
        {"selected_keys": labels(KEYS, [8, 1, 2], [6, 0, 0])},
        {"selected_keys": labels(["neighbor_1_channel"], [1])},
        {"selected_samples": labels(["system", "atom"], [1, 0], [0, 1])},
        {"selected_properties": labels(["l", "n_1"], [1, 2], [2, 0])},
        {
            "selected_keys": labels(KEYS[:2], [6, 1]),
            "selected_samples": labels(["system"], [1]),
            "selected_properties": labels(["l"], [2]),
        },
    ],
)
def test_selections_give_parts_of_the_whole(calculator, mixed, selection):
    whole, part = (calculator.compute(mixed, gradients=GRADIENTS, **given) for given in ({}, selection))
    assert len(part.keys) > 0
    for key, block in part.items():
        full = whole.block(key)
        columns = [full.properties.position(entry) for entry in block.properties]
        rows = [full.samples.position(entry) for entry in block.samples]
        np.testing.assert_allclose(block.values, full.values[rows][:, columns], rtol=0, atol=1e-13)
        for name in GRADIENTS:
            ours, theirs = block.gradient(name), full.gradient(name)
            samples = np.array(theirs.samples.values)
            kept = np.isin(samples[:, 0], rows)
            samples[kept, 0] = np.searchsorted(rows, samples[kept, 0])
            assert np.array_equal(ours.samples.values, samples[kept])
            np.testing.assert_allclose(ours.values, theirs.values[kept][..., columns], rtol=0, atol=1e-11)


def test_wrong_keys(calculator, mixed):
    with pytest.raises(ValueError, match="the block of these two is neighbor_1_channel=0, neighbor_2_channel=1"):
        calculator.compute(mixed, selected_keys=labels(KEYS, [6, 1, 0]))
    with pytest.raises(ValueError, match="there are 3: 0 … 2"):
        calculator.compute(mixed, selected_keys=labels(KEYS, [6, 1, 3]))
    with pytest.raises(ValueError, match="unknown dimension in the selection of keys 'neighbor_1_type'"):
        calculator.compute(mixed, selected_keys=labels(["neighbor_1_type"], [6]))


@pytest.fixture
def weights(calculator):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(calculator.n_features(TYPES), generator=generator, dtype=torch.float64)


def test_design_rows_and_the_potential_and_its_derivatives(calculator, weights, systems):
    batch = as_batch(systems)
    potential = calculator.potential(weights, TYPES)
    found = potential(batch, potential.environments(batch))
    scale = float(found.energies.abs().max())
    energies = found.energies.new_zeros(len(batch)).index_add(0, batch.system.long(), found.energies)
    design = calculator.design(batch, TYPES)
    torch.testing.assert_close(design.values @ weights, energies, rtol=0, atol=1e-12 * scale)
    torch.testing.assert_close(design.positions @ weights, -found.forces, rtol=0, atol=1e-11 * scale)
    torch.testing.assert_close(design.strain @ weights, found.virial, rtol=0, atol=1e-11 * scale)
    positions = batch.positions.clone().requires_grad_()
    again = potential.differentiable(dataclasses.replace(batch, positions=positions))
    torch.testing.assert_close(again.detach(), found.energies, rtol=0, atol=1e-12 * scale)
    (slope,) = torch.autograd.grad(again.sum(), positions)
    torch.testing.assert_close(-slope, found.forces, rtol=0, atol=1e-11 * scale)


def test_weights_as_a_tensor(calculator, weights, mixed):
    """E_i = Σ over blocks of ⟨features, weights⟩; and back to the same weights."""
    tensor = calculator.weights_to_tensor(weights, TYPES)
    torch.testing.assert_close(calculator.tensor_to_weights(tensor, TYPES), weights, rtol=1e-14, atol=1e-15)
    batch = as_batch(mixed)
    energies = np.zeros(batch.n_atoms)
    for key, block in calculator.compute(mixed).items():
        atoms = batch.starts.numpy()[block.samples.column("system")] + block.samples.column("atom")
        np.add.at(energies, atoms, block.values @ tensor.block(key).values[0])
    potential = calculator.potential(weights, TYPES)
    expected = potential(batch, potential.environments(batch)).energies
    np.testing.assert_allclose(energies, expected, rtol=0, atol=1e-12 * float(expected.abs().max()))
    with pytest.raises(ValueError, match=r"and channels \(0, 1, 2\)"):
        calculator.tensor_to_weights(metatensor.rename_dimension(tensor, "keys", KEYS[1], "neighbor_1_type"), TYPES)


def alloys(n):
    """Rattled cells of four metals, with Lennard-Jones energies and forces."""
    rng = np.random.default_rng(0)
    for _ in range(n):
        atoms = ase.build.bulk("Cu", cubic=True, a=3.7)
        atoms.numbers = rng.choice([26, 27, 28, 29], size=4)
        atoms.rattle(0.15, rng=rng)
        atoms.calc = LennardJones(sigma=2.3, epsilon=0.3, rc=4.0)
        atoms.get_forces()
        yield atoms


def test_a_model_of_channels(tmp_path):
    """Energies and forces are fitted, the file gives the same bits, forces are the derivative of the energy."""
    structures = list(alloys(12))
    soap = SoapPowerSpectrum(
        cutoff={"radius": 4.0, "smoothing": {"type": "ShiftedCosine", "width": 1.0}},
        density={"type": "Gaussian", "width": 0.5},
        basis={"type": "TensorProduct", "max_angular": 2, "radial": {"type": "Gto", "max_radial": 3}},
        species=AlchemicalChannels.from_periodic_table((26, 27, 28, 29), 2),
    )
    model = Model(soap, Ridge(alpha=1e-8)).fit(structures, energy="energy", forces="forces")
    forces = np.concatenate([atoms.get_forces() for atoms in structures])
    predicted = model.predict(structures, ["energy", "forces", "stress"])
    error = predicted["forces"].block().values[..., 0] - forces
    assert np.sqrt(np.mean(error**2)) < 0.1 * np.sqrt(np.mean(forces**2))
    assert model.weights.keys.names == KEYS
    model.save(tmp_path / "alloy.ketmap")
    again = load(tmp_path / "alloy.ketmap")
    assert again.representation.species == soap.species
    for name, tensor in again.predict(structures, ["energy", "forces", "stress"]).items():
        assert np.array_equal(tensor.block().values, predicted[name].block().values)

    atoms = structures[0].copy()
    step, direction = 1e-4, np.random.default_rng(1).normal(size=(4, 3))
    ends = []
    for sign in (1, -1):
        moved = atoms.copy()
        moved.positions += sign * step * direction
        ends.append(float(model.predict(moved, ["energy"])["energy"].block().values[0, 0]))
    slope = -np.sum(direction * predicted["forces"].block().values[:4, :, 0])
    assert (ends[0] - ends[1]) / (2 * step) == pytest.approx(slope, rel=1e-6)


def test_gradients_of_the_mixing(hypers):
    """Through torch TensorMaps, and through the energies of a model: u is learned like any parameter."""
    structures = [torch_system(ase.build.molecule(name)) for name in ("CH3OH", "H2O")]
    u = torch.tensor(U[:4, :2], requires_grad=True)

    def scalar(mixing):
        soap = SoapPowerSpectrum(**hypers(max_radial=1, max_angular=2), species=AlchemicalChannels(TYPES[:4], mixing))
        return sum((block.values.sin()).sum() for block in soap.compute(structures).blocks())

    assert torch.autograd.gradcheck(scalar, u)
    assert torch.autograd.gradgradcheck(scalar, u)
    soap = SoapPowerSpectrum(**hypers(max_radial=1, max_angular=2), species=AlchemicalChannels(TYPES[:4], u))
    w = torch.randn(soap.n_features(TYPES[:4]), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    total = soap.potential(w, TYPES[:4]).differentiable(as_batch(structures)).sum()
    (slope,) = torch.autograd.grad(total, u)
    step = torch.zeros_like(u)
    step[1, 0] = 1e-5
    ends = [
        SoapPowerSpectrum(
            **hypers(max_radial=1, max_angular=2), species=AlchemicalChannels(TYPES[:4], (u + d).detach())
        )
        .potential(w, TYPES[:4])
        .differentiable(as_batch(structures))
        .sum()
        for d in (step, -step)
    ]
    assert float(ends[0] - ends[1]) / 2e-5 == pytest.approx(float(slope[1, 0]), rel=1e-6)


def test_what_made_it_says_the_mixing(calculator, mixed):
    species = info(calculator.compute(mixed))["hypers"]["species"]
    assert species["mixing"] == U.tolist() and species["types"] == list(TYPES)
