"""A linear model of a salt, long range included: stress along a strain, and dynamics that keep their energy."""

import ase.build
import ase.neighborlist
import numpy as np
import pytest
import torch
import torchpme
from ase import units
from ketmap_ase import NVE, Calculator, run_dynamics
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


@pytest.fixture(scope="module")
def salts():
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


@pytest.fixture(scope="module")
def fit(salts):
    """A model of a density at short range and the field, its waves cut off as told."""
    density = {"cutoff": Cutoff(5.0, ShiftedCosine(1.0)), "density": Gaussian(0.3)}
    short = SoapRadialSpectrum(**density, basis={"type": "TensorProduct", "max_angular": 0, "radial": Gto(6)})

    def make(**waves):
        basis = TensorProduct(max_angular=0, radial=Gto(max_radial=2, radius=2.0))
        field = LodeSphericalExpansion(density=SmearedPowerLaw(1.0, exponent=1), basis=basis, **waves)
        frames, energies, forces = salts
        return Model([short, field], Ridge(alpha=1e-8)).fit(frames, energy=energies, forces=forces)

    return make


def along_a_strain(model, atoms):
    """Energies, and ∂E/∂ε, at strains of ± 2 %: one axis more than the others, and a shear."""
    direction = np.array([[1.0, 0.3, 0.0], [0.3, 0.6, 0.0], [0.0, 0.0, 0.6]])
    strains = np.linspace(-0.02, 0.02, 81)
    energies, slopes = [], []
    strained = atoms.copy()
    strained.calc = Calculator(model, grade=None)
    for strain in strains:
        deform = np.eye(3) + strain * direction
        strained.set_cell(atoms.cell.array @ deform)
        strained.positions = atoms.positions @ deform
        energies.append(strained.get_potential_energy())
        stress = strained.get_stress(voigt=False) * strained.get_volume()
        slopes.append(np.trace(stress @ np.linalg.inv(deform) @ direction))
    return strains, np.array(energies), np.array(slopes)


def jumps(strains, energies, slopes):
    """What energies change by from one strain to the next beyond their slopes, eV: Simpson's rule over two steps."""
    step = strains[1] - strains[0]
    integral = step / 3 * (slopes[:-2] + 4 * slopes[1:-1] + slopes[2:])
    return np.abs(energies[2:] - energies[:-2] - integral)


def test_stress_is_the_slope_of_the_energy(fit, salts):
    """To an accuracy waves fade out as the cell changes; at a cutoff they enter and leave, and energies jump."""
    atoms = salts[0][0]
    strains, energies, slopes = along_a_strain(fit(accuracy=0.09), atoms)  # as coarse as may be
    differences = (energies[2:] - energies[:-2]) / (strains[2:] - strains[:-2])
    assert np.abs(differences - slopes[1:-1]).max() < 1e-4 * np.abs(slopes).max()
    assert jumps(strains, energies, slopes).max() < 1e-6
    # about as many waves; some pass the cutoff of 1.2 π/σ on the way
    assert jumps(*along_a_strain(fit(), atoms)).max() > 1e-4


@pytest.mark.slow
def test_energy_is_kept(fit, salts):
    """64 ions from rest at 600 K: half of that remains as heat, and the total energy remains."""
    model = fit(accuracy=1e-3)
    assert model.errors["train"].forces.rmse < 0.02 * salts[2].std()
    atoms = ase.build.bulk("NaCl", "rocksalt", 5.6, cubic=True) * (2, 2, 2)
    atoms.calc = Calculator(model, grade=None)
    run = run_dynamics(atoms, NVE(timestep=1.0), 200, temperature=600.0, every=5)
    total = run.column("conserved")
    assert np.abs(total - total[0]).max() < 2e-5 * len(atoms)  # Verlet's swing, of order dt²
    assert abs(run.drift) < 0.03  # meV per atom and ps; most of it the swing, in so short a time
