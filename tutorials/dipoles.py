"""
λ-SOAP: learning dipoles of water
=================================

A dipole is a vector: turn the molecule, and it turns along. The equivariant power spectrum (λ-SOAP) holds features
that do the same, so that a linear model of its λ = 1 blocks predicts dipoles that turn with the molecule exactly,
whatever it was trained on (Grisafi, Wilkins, Csányi, Ceriotti, *Phys. Rev. Lett.* **120**, 036002 (2018)).
"""

# %%
# Molecules
# ---------
#
# With the real data sets at hand (``KETMAP_DATA``), distorted water molecules with coupled-cluster dipoles; otherwise
# molecules # distorted here, with the dipole of a model: each O-H bond has one along itself that grows with its length.

import os
from pathlib import Path

import ase.build
import ase.io
import ketmap
import metatensor
import numpy as np
from ketmap_core.o3 import cartesian_to_spherical, wigner_d
from metatensor import Labels

file = Path(os.environ.get("KETMAP_DATA", "")) / "water_tensors" / "monomer_train.xyz.gz"
if file.is_file():
    molecules = ase.io.read(file, ":400")
    dipoles = np.array([atoms.info["mu"] for atoms in molecules])
else:
    molecules, dipoles = [], []
    for seed in range(400):
        atoms = ase.build.molecule("H2O")
        atoms.rattle(0.06, seed=seed)
        bonds = atoms.positions[1:] - atoms.positions[0]
        length = np.linalg.norm(bonds, axis=1, keepdims=True)
        molecules.append(atoms)
        dipoles.append((bonds / length * (0.35 + 0.2 * (length - 0.97))).sum(axis=0))
    dipoles = np.array(dipoles)
print(len(molecules), "molecules; the first dipole:", dipoles[0].round(3))

# %%
# Features that turn
# ------------------
#
# Only the blocks λ = 1, σ = +1 are asked for: proper vectors. Pseudovectors (σ = −1) do not change under an
# inversion, so no # dipole can be made of them.

density = ketmap.SphericalExpansion(
    cutoff=ketmap.Cutoff(4.0, smoothing=ketmap.ShiftedCosine(0.5)),
    density=ketmap.Gaussian(0.4),
    basis=ketmap.TensorProduct(max_angular=3, radial=ketmap.Gto(max_radial=3)),
)
spectrum = ketmap.EquivariantPowerSpectrum(density)
vectors = Labels(["o3_lambda", "o3_sigma"], np.array([[1, 1]]))


def features(systems):
    """The blocks of all types side by side, summed over the atoms of each molecule: [molecule, M, feature]."""
    tensor = spectrum.compute(systems, selected_keys=vectors, neighbors_to_properties=True)
    tensor = metatensor.sum_over_samples(tensor, ["atom"])
    return np.concatenate([block.values for block in tensor.blocks()], axis=2)


x = features(molecules)
print("features of a molecule:", x.shape[1:])

# %%
# Dipoles come as (x, y, z); the spherical basis has (y, z, x).

block = metatensor.TensorBlock(
    dipoles[:, :, None],
    Labels.range("system", len(dipoles)),
    [Labels.range("xyz", 3)],
    Labels.range("dipole", 1),
)
target = cartesian_to_spherical(metatensor.TensorMap(Labels.single(), [block]), ["xyz"])
y = target.block(0).values[:, :, 0]  # -> [molecule, M]

# %%
# A linear model
# --------------
#
# One weight for each feature, the same for all three components: this is what keeps the symmetry. Each molecule gives
# three # equations.

train, test = slice(0, 300), slice(300, 400)
a, b = x[train].reshape(-1, x.shape[2]), y[train].reshape(-1)
scale = np.sqrt((a**2).sum(axis=1).mean())
gram = a @ a.T / scale**2
weights = a.T @ np.linalg.solve(gram + 1e-9 * np.eye(len(gram)), b) / scale**2
error = np.sqrt(np.mean((x[test] @ weights - y[test]) ** 2)) / np.std(y[test])
print(f"error of unseen molecules: {100 * error:.3f} % of the spread")
assert error < 0.05

# %%
# Turned molecules
# ----------------
#
# A molecule that is turned has the turned dipole, to rounding, though no turned one was ever seen.

rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
turned = [atoms.copy() for atoms in molecules[test]]
for atoms in turned:
    atoms.positions = atoms.positions @ rotation.T
difference = features(turned) @ weights - (x[test] @ weights) @ wigner_d(1, rotation).T
print(f"largest deviation from the turned prediction: {np.abs(difference).max():.1e}")
assert np.abs(difference).max() < 1e-8
