"""
Correlations of any order
=========================

What does a representation see of the surroundings of an atom? The power spectrum (ν = 2) knows distances and angles,
and there are different structures that share them. This tutorial looks at such structures, goes to higher correlation
orders with NICE, which keeps a few components of each order, and draws learning curves of random methane for ν = 1 … 4.

If the environment variable ``KETMAP_DATA`` names the folder of the data sets, structures and energies are those of
Pozdnyakov *et al.*, *Phys. Rev. Lett.* **125**, 166001 (2020). Otherwise both are made here: hydrogen atoms at random
around carbon, with a cheap model energy that has terms of two to five bodies.
"""

# %%
# Structures that look the same
# -----------------------------
#
# ``known_twins`` are pairs of different structures, each told apart only by correlations of some order. The score card
# of a calculator says which of them it confuses, and how many independent motions of the atoms it feels.

import itertools
import os
import tempfile
from pathlib import Path

import ase.io
import ketmap
import matplotlib.pyplot as plt
import numpy as np
from ase import Atoms

hypers = dict(
    cutoff=ketmap.Cutoff(3.5, smoothing=ketmap.ShiftedCosine(0.5)),
    density=ketmap.Gaussian(0.4),
    basis=ketmap.TensorProduct(max_angular=3, radial=ketmap.Gto(max_radial=2)),
)
print(ketmap.score_card(ketmap.SoapPowerSpectrum(**hypers)))

# %%
# The bispectrum, ν = 3, tells apart the environments with equal angles, and has its own blind spot: seven neighbours,
# every three of which look the same from the centre.

print(ketmap.score_card(ketmap.SoapBispectrum(**hypers)))

# %%
# True scalars can never tell mirror images apart; pseudoscalars of third order can. Blocks are labelled by their parity
# ``o3_sigma``.

twins = next(pair for pair in ketmap.known_twins() if pair.name == "mirror images")
density = ketmap.SphericalExpansion(**hypers).compute([twins.first, twins.second]).keys_to_properties("neighbor_type")
cubic = ketmap.DensityCorrelations(n_correlations=2).compute(density, angular_cutoff=3)
for sigma in (1, -1):
    blocks = cubic.blocks(dict(o3_lambda=0, o3_sigma=sigma, center_type=6))
    left, right = np.concatenate([block.values[:, 0] for block in blocks], axis=1)
    difference, mean = np.linalg.norm(left - right), np.linalg.norm(left + right) / 2
    print(f"σ = {sigma:+d}: difference {difference:.1e}, mean {mean:.1e}")

# %%
# Random methane
# --------------
#
# Hydrogen atoms anywhere within 3 Å of carbon, at least 0.5 Å from it and each other: an ensemble without the bonds and
# angles that make molecules easy.


def random_methane(rng):
    """CH₄ with hydrogen at random."""
    while True:
        positions = rng.uniform(-3, 3, size=(5, 3))
        positions[0] = 0.0
        distances = np.linalg.norm(positions[:, None] - positions, axis=2) + np.eye(5)
        if distances[0].max() < 3.0 and distances.min() > 0.5:
            return Atoms("CH4", positions=positions)


def model_energy(atoms):
    """Products of C-H terms with functions of angles, over pairs, triples and all four hydrogens; in eV."""
    vectors = atoms.positions[1:]
    radii = np.linalg.norm(vectors, axis=1)
    terms, units = np.exp(-((radii - 1.1) ** 2)), vectors / radii[:, None]
    cosines = units @ units.T
    energy = -2.0 * terms.sum()
    for i, j in itertools.combinations(range(4), 2):
        energy += 1.5 * terms[i] * terms[j] * (cosines[i, j] + 1 / 3) ** 2
    for chosen in itertools.combinations(range(4), 3):
        i, j, k = chosen
        energy += terms[[i, j, k]].prod() * cosines[i, j] * cosines[j, k] * cosines[k, i]
    return energy + terms.prod() * np.linalg.det(cosines[:3, 1:])


sizes, n_test = [100, 300, 800], 300
folder = os.environ.get("KETMAP_DATA")
if folder:
    path = Path(folder) / "methane_random" / "methane_train.xyz.gz"
    methanes = ase.io.read(path, f":{sizes[-1] + n_test}")
    energies = np.array([atoms.get_potential_energy() for atoms in methanes]) * 27.211386  # Ha to eV
else:
    rng = np.random.default_rng(0)
    methanes = [random_methane(rng) for _ in range(sizes[-1] + n_test)]
    energies = np.array([model_energy(atoms) for atoms in methanes])
print(f"{len(methanes)} structures; standard deviation of the energy {energies.std():.2f} eV")

# %%
# NICE
# ----
#
# Order by order, features are multiplied with the density, ρ^ν = ρ^(ν−1) ⊗ ρ; the largest products are kept, what lower
# orders know of them is taken off, and the rest is contracted to its principal components. The contraction is found on
# a sample, once, and says what it leaves out. Carbon is the only centre here.

rho = ketmap.SphericalExpansion(
    cutoff=ketmap.Cutoff(4.5, smoothing=ketmap.ShiftedCosine(1.0)),
    density=ketmap.Gaussian(0.3),
    basis=ketmap.TensorProduct(max_angular=4, radial=ketmap.Gto(max_radial=5)),
)
nice = ketmap.Nice(rho, contraction=ketmap.Contraction(max_order=4, n_candidates=200, n_components=60))
nice.fit(methanes[:500], center_types=[6])
print("\n".join(nice.summary().splitlines()[:14]))

# %%
# The features are a TensorMap whose keys say the order. Each of these blocks holds scalars of one order only; a model
# of order ν has those of all orders up to it.

features = nice.compute(methanes)
print(features.keys)
by_order = [features.block(dict(order_nu=order)).values[:, 0] for order in (1, 2, 3, 4)]

# %%
# Learning curves
# ---------------
#
# Ridge regression on the sums over centres, its strength chosen by cross-validation on the training structures.


def ridge_error(x, y, n_train):
    """Root mean squared error on the test structures."""
    x = x / np.sqrt((x**2).sum(axis=1).mean())
    strengths = 10.0 ** np.arange(-12, -1)

    def squared_errors(rows, others):
        mean, level = x[rows].mean(axis=0), y[rows].mean()
        values, vectors = np.linalg.eigh((x[rows] - mean).T @ (x[rows] - mean))
        projected = vectors.T @ ((x[rows] - mean).T @ (y[rows] - level))
        weights = vectors @ (projected[:, None] / (values[:, None] + strengths))
        return np.mean(((x[others] - mean) @ weights + level - y[others][:, None]) ** 2, axis=0)

    fold = np.arange(n_train) % 5
    scores = sum(squared_errors(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(5))
    return np.sqrt(squared_errors(np.arange(n_train), np.arange(len(x) - n_test, len(x)))[np.argmin(scores)])


figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
for order in (1, 2, 3, 4):
    x = np.hstack(by_order[:order])
    errors = [ridge_error(x, energies, n) for n in sizes]
    print(f"ν ≤ {order}: " + ", ".join(f"{error:.3f}" for error in errors))
    axes.loglog(sizes, errors, "o-", label=f"ν ≤ {order}")
axes.set(xlabel="training structures", ylabel="error of the energy / eV", title="Random methane, centre C")
axes.legend()
plt.show()

# %%
# Distances alone (ν = 1) saturate at once. Angles help as far as they go; the curve of ν = 2 flattens when what
# it cannot see outweighs the lack of data, and higher orders take over.
#
# A fitted contraction is saved and read like a model, without executing anything from the file.

path = Path(tempfile.mkdtemp()) / "methane.nice"
nice.save(path)
again = ketmap.Nice.load(path).compute(methanes)
print("the same features:", all(np.array_equal(a.values, b.values) for a, b in zip(again.blocks(), features.blocks())))

# %%
# Next: :doc:`the conventions </conventions>`, where every formula of this page stands.
