"""A salt of point charges that repel each other at short range, and a linear model of it with long range."""

import ase.build
import ase.neighborlist
import numpy as np
import torch
import torchpme
from ase import units
from ketmap_density import Cutoff, Gaussian, Gto, ShiftedCosine, TensorProduct
from ketmap_linear import Model, Ridge
from ketmap_lode import LodeSphericalExpansion, SmearedPowerLaw
from ketmap_soap import SoapRadialSpectrum

COULOMB = units.Hartree * units.Bohr  # eV Å
REPULSION, LENGTH = 1100.0, 0.32  # eV, Å: rock salt at rest with an edge of 5.6 Å
CUTOFF = 9.0


def ions(atoms):
    """Energy and forces of point charges ±1 (torch-pme's Ewald sum) with Born and Mayer's A exp(−r/ρ) of Na and Cl."""
    charges = torch.tensor([[1.0 if z == 11 else -1.0] for z in atoms.numbers], dtype=torch.float64)
    positions = torch.tensor(atoms.positions, requires_grad=True)
    i, j, shifts = ase.neighborlist.neighbor_list("ijS", atoms, CUTOFF)
    offsets = torch.tensor(shifts @ atoms.cell.array)
    distances = torch.linalg.vector_norm(positions[j] - positions[i] + offsets, dim=1)
    torch.set_default_dtype(torch.float64)  # what torch-pme keeps its own numbers in
    try:
        potential = torchpme.CoulombPotential(smearing=1.2)
        ewald = torchpme.EwaldCalculator(potential, lr_wavelength=0.8, full_neighbor_list=True)
    finally:
        torch.set_default_dtype(torch.float32)
    pairs = torch.tensor(np.stack([i, j], axis=1))
    field = ewald(charges, torch.tensor(atoms.cell.array), positions, pairs, distances)
    unlike = torch.tensor(atoms.numbers[i] != atoms.numbers[j])
    # torch-pme halves the sum over pairs
    energy = COULOMB * (charges * field).sum() + 0.5 * REPULSION * torch.exp(-distances[unlike] / LENGTH).sum()
    return energy.item(), -torch.autograd.grad(energy, positions)[0].numpy()


def rattled():
    """Rattled cells of eight atoms, some larger and some skewed, with their energies and forces."""
    rng = np.random.default_rng(0)
    frames = []
    for _ in range(24):
        atoms = ase.build.bulk("NaCl", "rocksalt", 5.6, cubic=True)
        atoms.set_cell(atoms.cell.array @ (np.eye(3) + 0.03 * rng.normal(size=(3, 3))), scale_atoms=True)
        atoms.positions += 0.15 * rng.normal(size=(8, 3))
        frames.append(atoms)
    energies, forces = zip(*(ions(atoms) for atoms in frames))
    return frames, np.array(energies), np.concatenate(forces)


def learn(salts, **waves):
    """A model of the density at short range and of the field, its waves cut off as told."""
    density = {"cutoff": Cutoff(5.0, ShiftedCosine(1.0)), "density": Gaussian(0.3)}
    short = SoapRadialSpectrum(**density, basis=TensorProduct(max_angular=0, radial=Gto(max_radial=6)))
    basis = TensorProduct(max_angular=0, radial=Gto(max_radial=2, radius=2.0))
    field = LodeSphericalExpansion(density=SmearedPowerLaw(1.0, exponent=1), basis=basis, **waves)
    frames, energies, forces = salts
    return Model([short, field], Ridge(alpha=1e-8)).fit(frames, energy=energies, forces=forces)
