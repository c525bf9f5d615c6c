"""
Long range in motion: a salt at constant energy and pressure
============================================================

Ions feel one another at any distance. A linear model of the density around each ion and of the long-range field of all
others learns that from small cells, and drives molecular dynamics in larger ones. Here it shows what such a model has
to keep: the total energy, and, where the cell changes, the conserved quantity of the ensemble.
"""

# %%
# A salt whose energy is known
# ----------------------------
#
# Point charges ±1, by the Ewald sum of torch-pme (``pip install torch-pme``), and Born and Mayer's repulsion of unlike
# ions: rock salt at rest has an edge of 5.6 Å.

import ase.build
import ase.neighborlist
import ase.units
import ketmap
import matplotlib.pyplot as plt
import numpy as np
import torch
import torchpme

torch.set_default_dtype(torch.float64)  # what torch-pme keeps its own numbers in
ewald = torchpme.EwaldCalculator(torchpme.CoulombPotential(smearing=1.2), lr_wavelength=0.8, full_neighbor_list=True)
torch.set_default_dtype(torch.float32)
coulomb = ase.units.Hartree * ase.units.Bohr  # eV Å


def ions(atoms):
    """Energy and forces."""
    charges = torch.tensor(np.where(atoms.numbers == 11, 1.0, -1.0))[:, None]
    positions, cell = torch.tensor(atoms.positions, requires_grad=True), torch.tensor(atoms.cell.array)
    i, j, shifts = ase.neighborlist.neighbor_list("ijS", atoms, 9.0)
    distances = torch.linalg.vector_norm(positions[j] - positions[i] + torch.tensor(shifts @ atoms.cell.array), dim=1)
    field = ewald(charges, cell, positions, torch.tensor(np.stack([i, j], axis=1)), distances)
    unlike = torch.tensor(atoms.numbers[i] != atoms.numbers[j])
    energy = coulomb * (charges * field).sum() + 550.0 * torch.exp(-distances[unlike] / 0.32).sum()
    return energy.item(), -torch.autograd.grad(energy, positions)[0].numpy()


rng = np.random.default_rng(0)
salt = ase.build.bulk("NaCl", "rocksalt", 5.6, cubic=True)
frames = []
for _ in range(24):
    atoms = salt.copy()
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + 0.03 * rng.normal(size=(3, 3))), scale_atoms=True)
    atoms.positions += 0.15 * rng.normal(size=(8, 3))
    atoms.info["energy"], atoms.arrays["forces"] = ions(atoms)
    frames.append(atoms)

# %%
# The model
# ---------
#
# Short range is the radial spectrum of the density, long range the field V of :class:`~ketmap.LodeSphericalExpansion`:
# what is linear in V₀ is a sum of charges times potentials. How the field of a crystal is summed is told in one of two
# ways: ``accuracy`` asks for the complete sum, to a relative error; ``k_cutoff`` (the default: 1.2 π/σ) for the waves
# below a cutoff.


def learn(**waves):
    short = ketmap.SoapRadialSpectrum(
        cutoff=ketmap.Cutoff(5.0, ketmap.ShiftedCosine(1.0)),
        density=ketmap.Gaussian(0.3),
        basis=ketmap.Gto(max_radial=6),
    )
    field = ketmap.LodeSphericalExpansion(
        density=ketmap.SmearedPowerLaw(smearing=1.0, exponent=1),
        basis=ketmap.TensorProduct(max_angular=0, radial=ketmap.Gto(max_radial=2, radius=2.0)),
        **waves,
    )
    return ketmap.Model([short, field], ketmap.Ridge(alpha=1e-8)).fit(frames, energy="energy", forces="forces")


models = {"accuracy 0.001": learn(accuracy=1e-3), "k_cutoff": learn()}
for name, model in models.items():
    errors = model.errors["train"]
    print(f"{name}: {1000 * errors.energy.rmse:.2f} meV per atom, {1000 * errors.forces.rmse:.0f} meV/Å")

# %%
# Constant energy
# ---------------
#
# 64 ions start from their sites, half of the heat becomes potential energy. Energies of pairs, and of waves, are smooth
# in the positions, and forces are their exact derivatives: the total energy keeps to the swing of the time step.

atoms = salt * (2, 2, 2)
atoms.calc = ketmap.Calculator(models["accuracy 0.001"], grade=None)
run = ketmap.run_dynamics(atoms, ketmap.NVE(timestep=2.0), 500, temperature=1200.0, every=5)
time, total = run.column("time"), run.column("conserved")
swing = 1e6 * np.abs(total - total[0]).max() / len(atoms)
print(f"{run.column('temperature')[20:].mean():.0f} K; the total energy stays within {swing:.0f} µeV per atom")
assert swing < 300

figure, (upper, lower) = plt.subplots(2, 1, sharex=True, figsize=(7, 5), layout="constrained")
for name in ("potential", "kinetic"):
    values = run.column(name)
    upper.plot(time, 1000 * (values - values[0]) / len(atoms), label=name)
lower.plot(time, 1000 * (total - total[0]) / len(atoms), "k", label="total")
upper.set(ylabel="meV per atom")
lower.set(ylabel="meV per atom", xlabel="time / ps")
for axes in (upper, lower):
    axes.legend()
plt.show()

# %%
# The wave vectors of a crystal shrink as its cell grows. Those that pass a cutoff change the energy by a jump that no
# stress knows of. To an ``accuracy``, the last tenth of the waves fades out, and nothing jumps. Along a strain, less
# the polynomial of fourth degree that fits best:

strains = np.linspace(-0.02, 0.02, 101)
figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
for name, model in models.items():
    energies = []
    for strain in strains:
        strained = frames[0].copy()
        strained.set_cell(strained.cell.array * (1 + strain), scale_atoms=True)
        strained.calc = ketmap.Calculator(model, grade=None)
        energies.append(strained.get_potential_energy() / len(strained))
    fit = np.polynomial.Polynomial.fit(strains, energies, 4)
    axes.plot(100 * strains, 1000 * (energies - fit(strains)), label=name)
axes.set(xlabel="strain / %", ylabel="energy less a smooth fit / meV per atom")
axes.legend()
plt.show()

# %%
# Constant pressure
# -----------------
#
# Thermostat and barostat (Martyna, Tobias, Klein, J. Chem. Phys. 101, 4177, 1994) exchange energy with the ions; what
# all have together is conserved, if the stress is the derivative of the energy and the energy is smooth.

figure, axes = plt.subplots(3, 1, sharex=True, figsize=(7, 7), layout="constrained")
steps = {}
for name, model in models.items():
    atoms = salt * (2, 2, 2)
    atoms.calc = ketmap.Calculator(model, grade=None)
    npt = ketmap.NPT(timestep=2.0, temperature=600.0, pressure=0.0, cell_relaxation=500.0)
    run = ketmap.run_dynamics(atoms, npt, 300, temperature=900.0, every=1)
    conserved = 1e6 * run.column("conserved") / len(atoms)
    steps[name] = np.abs(np.diff(conserved)).max()
    print(f"{name}: what is conserved changes by {steps[name]:.1f} µeV per atom from one step to the next, at most")
    axes[0].plot(run.column("time"), 0.001 * (conserved - conserved[0]), label=name)
    axes[1].plot(run.column("time"), run.column("volume") / len(atoms))
    axes[2].plot(run.column("time"), run.column("temperature"))
for panel, label in zip(axes, ("conserved / meV per atom", "volume / Å³ per atom", "temperature / K")):
    panel.set(ylabel=label)
axes[2].set(xlabel="time / ps")
axes[0].legend()
plt.show()
assert 3 * steps["accuracy 0.001"] < steps["k_cutoff"]

# %%
# ``benchmarks/ionic_md.py`` runs the same for 20 ps and tells slopes with their errors.
