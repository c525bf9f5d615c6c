"""
The other branches of the tree
==============================

Density coefficients and power spectra are not the only way to write down where atoms are. Symmetry functions, radial
distributions, Coulomb matrices and diffraction patterns are projections of the same correlations of the density, and
come as the same kind of TensorMap. The structures are made here: crystals of four lattices, shaken and with vacancies.
"""

# %%
# Four lattices
# -------------

import ase.build
import ketmap
import matplotlib.pyplot as plt
import numpy as np

LATTICES = ("sc", "fcc", "bcc", "diamond")
rng = np.random.default_rng(0)


def crystal(lattice, vacancies=0.0):
    """About 60 atoms, shaken by 5 % of the lattice constant; some atoms taken away."""
    a = rng.uniform(3.0, 5.0)
    atoms = ase.build.bulk("Si", lattice, a, cubic=True)
    atoms = atoms.repeat(round((60 / len(atoms)) ** (1 / 3)))
    atoms.positions += 0.04 * a * rng.normal(size=(len(atoms), 3)) * (0.5 if lattice == "diamond" else 1.0)
    keep = rng.permutation(len(atoms))[round(vacancies * len(atoms)) :]
    return atoms[np.sort(keep)]


# %%
# Diffraction
# -----------
#
# The structure factor averaged over directions is what a powder shows. Measured in units of the cube root of the number
# density, it does not depend on the lattice constant.

diffraction = ketmap.StructureFactor(q_max=16.0, bins=160, width=0.15, scaled=True)
perfect = [ase.build.bulk("Si", lattice, 4.0) for lattice in LATTICES]
pattern = diffraction.compute(perfect).block()
q = 16.0 / 160 * (pattern.properties.column("q") + 1)
for lattice, values in zip(LATTICES, pattern.values):
    plt.plot(q, values, label=lattice)
plt.xlabel("q / (N/V)^(1/3)")
plt.ylabel("S(q)")
plt.legend()

# %%
# The reflections themselves: of the body-centred lattice those with odd h + k + l are absent.

hkl, length, intensity = ketmap.reflections(ase.build.bulk("Fe", "bcc", 2.87, cubic=True), 5.0)
for index, strength in zip(hkl[:8], intensity):
    print(index, round(float(strength), 6))

# %%
# Which lattice does a shaken crystal with 5 % vacancies have? The nearest of the four mean patterns tells.

fingerprint = ketmap.StructureFactor(q_max=16.0, bins=50, width=0.5, scaled=True)
train = [crystal(lattice) for lattice in LATTICES for _ in range(8)]
means = fingerprint.compute(train).block().values.reshape(4, 8, -1).mean(axis=1)  # -> [lattice, q]
test = [crystal(lattice, vacancies=0.05) for lattice in LATTICES for _ in range(8)]
values = fingerprint.compute(test).block().values
found = np.argmin(np.linalg.norm(values[:, None] - means, axis=2), axis=1)
print("right:", np.mean(found == np.repeat(np.arange(4), 8)))

# %%
# Radial distribution
# -------------------
#
# The same crystals by distances: the l = 0 part of the neighbour density on shells, and g(r).

gr = ketmap.RadialDistribution(cutoff=6.0, bins=120, width=0.08, per_system=True, normalized=True)
plt.figure()
centers = 0.5 * (gr.edges[1:] + gr.edges[:-1])
for lattice in LATTICES:
    plt.plot(centers, gr.compute(crystal(lattice)).block(0).values[0], label=lattice)
plt.xlabel("r / Å")
plt.ylabel("g(r)")
plt.legend()

# %%
# Symmetry functions
# ------------------
#
# Behler and Parrinello's functions of pairs and of triplets. With derivatives, which sum up to zero when all atoms move
# together.

behler = ketmap.Cutoff(6.0, smoothing=ketmap.ShiftedCosine(6.0))
radial = ketmap.RadialSymmetryFunctions(
    cutoff=behler, functions=[ketmap.G2(eta=2.0, shift=s) for s in np.linspace(1, 5, 5)]
)
angular = ketmap.AngularSymmetryFunctions(
    cutoff=behler, functions=[ketmap.G4(0.01, zeta, sign) for zeta in (1, 4) for sign in (1, -1)]
)
ethanol = ase.build.molecule("CH3CH2OH")
tensor = angular.compute(ethanol, gradients=["positions"])
print(radial.compute(ethanol).keys)
block = tensor.block(dict(center_type=8, neighbor_1_type=1, neighbor_2_type=6))
print(block.values.round(4), np.abs(block.gradient("positions").values.sum(axis=0)).max() < 1e-12)
print(ketmap.check(tensor), ketmap.info(tensor)["hypers"]["functions"][0])

# %%
# Coulomb matrices
# ----------------
#
# Molecules as a whole: the spectrum does not depend on the order of the atoms.

coulomb = ketmap.CoulombMatrix(n_atoms_max=9, permutation="eigenspectrum")
spectra = coulomb.compute([ethanol, ethanol[::-1], ase.build.molecule("H2O")]).block().values
print(spectra[:, :4].round(3))
