"""A small analytic representation, so that the model is tested without any other package."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from ase import Atoms
from ketmap_core import find_pairs
from metatensor import Labels, TensorBlock, TensorMap


@dataclasses.dataclass(frozen=True)
class PairFunctions:
    """Gaussians of the distance, smoothly cut off, summed over neighbours of each type."""

    radius: float = 3.0
    n: int = 4

    cutoff_radius = property(lambda self: self.radius)

    def to_dict(self):
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, given):
        return cls(**given)

    def n_features(self, types):
        return len(types) ** 2 * self.n

    def features(self, batch, types):  # -> [atom, feature], differentiable
        pairs = find_pairs(batch, self.radius)
        first, second = pairs.first.long(), pairs.second.long()
        shifts = torch.einsum("pa,pax->px", pairs.shifts.double(), batch.cells[batch.system[first].long()])
        distances = (batch.positions[second] - batch.positions[first] + shifts).norm(dim=1)
        centers = torch.linspace(0.5, self.radius, self.n, dtype=torch.float64)
        smooth = 0.5 * (1 + torch.cos(torch.pi * distances / self.radius))
        values = torch.exp(-4 * (distances[:, None] - centers) ** 2) * smooth[:, None]  # -> [pair, n]
        kind = torch.searchsorted(torch.tensor(types, dtype=batch.types.dtype), batch.types)
        found = torch.zeros(batch.n_atoms, len(types), len(types), self.n, dtype=torch.float64)
        for i, j in ((first, second), (second, first)):
            found = found.index_put((i, kind[i], kind[j]), values, accumulate=True)
        return found.flatten(start_dim=1)

    def strained(self, batch):
        strain = torch.eye(3, dtype=torch.float64).repeat(len(batch), 1, 1).requires_grad_()
        positions = batch.positions.detach().requires_grad_()
        moved = torch.einsum("ax,axy->ay", positions, strain[batch.system.long()])
        return positions, strain, dataclasses.replace(batch, positions=moved, cells=batch.cells @ strain)

    def design(self, batch, types, gradients=()):
        positions, strain, moved = self.strained(batch)
        features = self.features(moved, types)
        values = torch.zeros(len(batch), features.shape[1], dtype=torch.float64)
        values = values.index_add(0, batch.system.long(), features)
        found = [torch.autograd.grad(column.sum(), (positions, strain), retain_graph=True) for column in values.T]
        by_positions = torch.stack([p for p, _ in found], dim=-1)
        by_strain = torch.stack([s for _, s in found], dim=-1)
        return SimpleNamespace(
            values=values.detach(),
            positions=by_positions if "positions" in gradients else None,
            strain=by_strain if "strain" in gradients else None,
        )

    def weights_to_tensor(self, weights, types):
        blocks = [
            TensorBlock(row.reshape(1, -1) * 2**0.5, Labels.single(), [], Labels.range("n", self.n))
            for row in np.asarray(weights).reshape(-1, self.n)
        ]
        keys = [(a, b) for a in types for b in types]
        return TensorMap(Labels(["center_type", "neighbor_type"], np.array(keys, dtype=np.int32)), blocks)

    def tensor_to_weights(self, tensor, types):
        return np.concatenate([block.values[0] for block in tensor.blocks()]) / 2**0.5

    def potential(self, weights, types):
        return PairPotential(self, torch.from_numpy(weights), types)


@dataclasses.dataclass(frozen=True)
class PairPotential:
    representation: PairFunctions
    weights: torch.Tensor
    types: tuple

    def environments(self, batch, skin=0.0):
        return None

    def __call__(self, batch, environments, diagonal=False):
        positions, strain, moved = self.representation.strained(batch)
        features = self.representation.features(moved, self.types)
        energies = features @ self.weights
        by_positions, by_strain = torch.autograd.grad(energies.sum(), (positions, strain))
        return SimpleNamespace(
            energies=energies.detach(),
            forces=-by_positions,
            virial=by_strain,
            features=features.detach() ** 2 if diagonal else None,
        )


@pytest.fixture(scope="session")
def representation():
    return PairFunctions()


def _label(atoms, representation, weights):
    """Energies, forces and stress of a potential that the representation can express."""
    from ase.calculators.singlepoint import SinglePointCalculator
    from ketmap_core import as_batch

    batch = as_batch(atoms)
    found = representation.potential(weights, (1, 6, 8))(batch, None)
    baseline = {1: -13.0, 6: -1030.0, 8: -2040.0}
    energy = float(found.energies.sum()) + sum(baseline[t] for t in atoms.numbers)
    results = {"energy": energy, "forces": found.forces.numpy()}
    if atoms.pbc.all():
        results["stress"] = found.virial[0].numpy() / atoms.get_volume()
    atoms.calc = SinglePointCalculator(atoms, **results)
    return atoms


@pytest.fixture(scope="session")
def make_structures(representation):
    """Random crystals (or molecules) of H, C and O with exactly learnable energies, forces and stress."""
    weights = np.random.default_rng(7).normal(size=representation.n_features((1, 6, 8)))

    def make(count, seed=0, pbc=True, size=6):
        rng = np.random.default_rng(seed)
        found = []
        for _ in range(count):
            cell = 4.0 * (np.eye(3) + 0.1 * rng.normal(size=(3, 3)))
            grid = np.stack(np.meshgrid([0, 1], [0, 1], [0, 1]), axis=-1).reshape(-1, 3) / 2
            chosen = rng.permutation(8)[:size]
            positions = grid[chosen] @ cell + 0.25 * rng.normal(size=(size, 3))
            atoms = Atoms(numbers=rng.choice([1, 6, 8], size=size), positions=positions, cell=cell, pbc=pbc)
            found.append(_label(atoms, representation, weights))
        return found

    return make
