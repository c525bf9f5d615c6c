"""A model simple enough to be right by inspection, with the interface of a fitted one."""

import ase.build
import numpy as np
import pytest
import torch
from ketmap_ase import Calculator
from ketmap_core import find_pairs


class Environments:
    """Full neighbour lists by centre and channel, as the expansion makes them."""

    def __init__(self, batch, cutoff, types):
        pairs = find_pairs(batch, cutoff)
        first = torch.cat([pairs.first, pairs.second]).long()
        second = torch.cat([pairs.second, pairs.first]).long()
        shifts, vectors = (torch.cat([x, -x]) for x in (pairs.shifts, pairs.vectors))
        channel = torch.searchsorted(torch.tensor(types), batch.types[second].long())
        self.types, self.cutoff = types, cutoff
        self.centers = torch.argsort(batch.types, stable=True)
        rank = torch.argsort(self.centers)
        slot = rank[first] * len(types) + channel
        order = torch.argsort(slot, stable=True)
        self.neighbors, self.shifts, self.vectors = second[order], shifts[order], vectors[order]
        counts = torch.bincount(slot, minlength=batch.n_atoms * len(types))
        self.starts = torch.cat([torch.zeros(1, dtype=torch.int64), torch.cumsum(counts, 0)])


class Evaluation:
    def __init__(self, energies, forces, virial, leverage):
        self.energies, self.forces, self.virial, self.leverage = energies, forces, virial, leverage


class Largest:
    maximum = 2.0


class Morse:
    """E_i = ½ Σ_j D [(1 − e^{−a(r−r₀)})² − 1] (1 − r²/r_c²)³, in its units; leverage: 1/nearest r, 2 at most."""

    leverage = Largest()

    def __init__(self, types, cutoff=5.0, depth=0.4, steepness=1.5, distance=2.2, units=None):
        self.types, self.cutoff = tuple(sorted(types)), cutoff
        self.depth, self.steepness, self.distance = depth, steepness, distance
        self.units = units or {"energy": "eV", "length": "Å"}
        self.graded = 0

    def environments(self, batch, skin=0.0):
        return Environments(batch, self.cutoff + skin, self.types)

    def evaluate(self, batch, environments=None, leverage=False):
        self.graded += leverage
        e = environments or self.environments(batch)
        strain = torch.eye(3, dtype=torch.float64, requires_grad=True)
        positions = batch.positions.clone().requires_grad_()
        first = e.centers.repeat_interleave(torch.diff(e.starts).reshape(-1, len(e.types)).sum(1)).long()
        second = e.neighbors.long()
        vectors = (positions[second] - positions[first] + e.shifts.double() @ batch.cells[0]) @ strain  # -> [pair, 3]
        r = torch.linalg.vector_norm(vectors, dim=1)
        inside = r < self.cutoff
        r, first = r[inside], first[inside]
        well = self.depth * ((1 - torch.exp(-self.steepness * (r - self.distance))) ** 2 - 1)
        pair = 0.5 * well * (1 - (r / self.cutoff) ** 2) ** 3
        energies = torch.zeros(batch.n_atoms, dtype=torch.float64).index_add(0, first, pair)
        slope, virial = torch.autograd.grad(energies.sum(), [positions, strain], allow_unused=True)
        grade = None
        if leverage:
            grade = torch.zeros(batch.n_atoms, dtype=torch.float64)
            grade = grade.scatter_reduce(0, first, 1.0 / r.detach(), "amax")
        return Evaluation(energies.detach(), -slope, virial[None], grade)


@pytest.fixture(scope="session")
def morse():
    """The class of the simple model."""
    return Morse


@pytest.fixture
def crystal():
    """36 atoms of two types, closely packed in a skewed cell, shaken."""
    atoms = ase.build.bulk("Na", "fcc", a=2.76) * (3, 4, 3)
    atoms.symbols[::2] = "Cl"
    atoms.rattle(0.05, seed=1)
    atoms.calc = Calculator(Morse([11, 17], distance=2.2))
    return atoms


@pytest.fixture
def cluster():
    """Nine atoms in a box without walls."""
    grid = np.stack(np.meshgrid(*3 * [np.arange(3)]), -1).reshape(-1, 3)[:9] * 2.3
    atoms = ase.Atoms("SiSiSiOOOSiSiSi", grid + 0.1 * np.sin(np.arange(27.0)).reshape(9, 3))
    atoms.calc = Calculator(Morse([8, 14]))
    return atoms
