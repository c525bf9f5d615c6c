"""
From structures to molecular dynamics
=====================================

The whole road on one small molecule: read structures with reference energies and forces, turn them into features, learn
a potential from them, and run molecular dynamics with it. The data are those that come with ketmap: 500 configurations
of ethanol from molecular dynamics at 300 and 600 K, with energies and forces of GFN2-xTB.
"""

# %%
# Structures
# ----------
#
# ``read`` takes all formats that ASE or chemfiles know and keeps the energies and forces that it finds, in eV and eV/Å.

import tempfile
from importlib import resources
from pathlib import Path

import ketmap
import matplotlib.pyplot as plt
import numpy as np

structures = ketmap.read(resources.files("ketmap") / "data" / "ethanol_xtb.extxyz.gz")
train, test = structures[:300], structures[300:400]
print(len(structures), "structures; the first:", structures[0].symbols)
print("energy", structures[0].info["energy"], "eV; forces", structures[0].arrays["forces"].shape)

# %%
# Features
# --------
#
# The SOAP power spectrum describes the surroundings of every atom by numbers that do not change when the molecule is
# turned or moved. It comes as a TensorMap, in which every number says what it is: the block's key tells the types of
# the centre and of two neighbours, samples tell which atom, properties which basis functions.

soap = ketmap.SoapPowerSpectrum(
    cutoff=ketmap.Cutoff(5.0, smoothing=ketmap.ShiftedCosine(1.0)),
    density=ketmap.Gaussian(0.3),
    basis=ketmap.TensorProduct(max_angular=4, radial=ketmap.Gto(max_radial=4)),
)
features = soap.compute(structures)
block = features.block(dict(center_type=8, neighbor_1_type=1, neighbor_2_type=1))
print(features.keys)
print(block)

# %%
# Does it keep the contract that other tools rely on, and what made it?

print(ketmap.check(features))
print(ketmap.info(features)["calculator"], ketmap.info(features)["units"])

# %%
# The surroundings of the oxygen atom know how the hydroxyl group is turned: the first principal component of its
# features leads from the *gauche* to the *anti* conformer. The two gauche forms are mirror images and, rightly, fall
# together.

values = np.hstack([b.values for b in features.blocks(center_type=8)])
values = values - values.mean(axis=0)
components = np.linalg.svd(values, full_matrices=False)[0][:, :2]


def torsion(atoms):
    """C-C-O-H in degrees: 180 is anti, 60 and 300 are gauche."""
    distances = atoms.get_all_distances()
    (oxygen,) = np.flatnonzero(atoms.numbers == 8)
    near, far = sorted(np.flatnonzero(atoms.numbers == 6), key=lambda c: distances[c, oxygen])
    hydrogen = min(np.flatnonzero(atoms.numbers == 1), key=lambda h: distances[h, oxygen])
    return atoms.get_dihedral(far, near, oxygen, hydrogen)


figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
angles = np.array([torsion(atoms) for atoms in structures])
points = axes.scatter(*components.T, c=np.minimum(angles, 360 - angles), s=12, cmap="viridis")
axes.set(xlabel="first principal component", ylabel="second principal component", title="Surroundings of oxygen")
figure.colorbar(points, label="C-C-O-H torsion / degrees")
plt.show()

# %%
# A potential
# -----------
#
# A model is a representation and a regressor. Energies and forces are learnt together; the strength of the
# regularisation is found by cross-validation unless it is given.

model = ketmap.Model(soap, ketmap.Ridge(alpha=1e-9)).fit(train, energy="energy", forces="forces")
errors = model.score(test, "test")
print(errors)
print(f"condition number {model.condition_number:.1e}")

# %%
# Predictions are TensorMaps too.

predicted = model.predict(test, ["energy", "forces"])
energies = predicted["energy"].block().values[:, 0]
forces = predicted["forces"].block().values[..., 0]
reference = np.array([atoms.info["energy"] for atoms in test])
reference_forces = np.concatenate([atoms.arrays["forces"] for atoms in test])

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
shift = reference.mean()
for axes, x, y, label in (
    (left, reference - shift, energies - shift, "energy / eV"),
    (right, reference_forces.ravel(), forces.ravel(), "force components / eV/Å"),
):
    axes.plot([x.min(), x.max()], [x.min(), x.max()], color="0.7", lw=1)
    axes.plot(x, y, ".", ms=4)
    axes.set(xlabel=f"GFN2-xTB {label}", ylabel=f"predicted {label}", aspect="equal")
plt.show()

# %%
# The file of a model says all about it: hyper-parameters, units, versions, errors. After reading, predictions are the
# same bit for bit.

path = Path(tempfile.mkdtemp()) / "ethanol.ketmap"
model.save(path)
again = ketmap.load(path).predict(test, ["energy"])["energy"].block().values[:, 0]
print(path.stat().st_size // 1000, "kB; the same predictions:", np.array_equal(again, energies))

# %%
# Molecular dynamics
# ------------------
#
# The model drives ASE. At constant energy, the total energy is conserved as well as the time step allows: the smooth
# cutoff and exact forces leave nothing else to drift.

atoms = test[0].copy()
atoms.calc = ketmap.Calculator(model)
run = ketmap.run_dynamics(atoms, ketmap.NVE(timestep=0.5), steps=2000, temperature=300.0, every=5, seed=1)
print(f"drift {run.drift:.3f} meV per atom and ps; mean temperature {run.column('temperature').mean():.0f} K")

figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
time, potential = run.column("time"), run.column("potential")
axes.plot(time, potential - potential.min(), label="potential")
axes.plot(time, run.column("conserved") - potential.min(), label="total")
axes.set(xlabel="time / ps", ylabel="energy / eV", ylim=(0, None))
axes.legend(loc=(0.78, 0.76))
plt.show()

# %%
# Next: :doc:`the conventions </conventions>` behind the numbers, :doc:`the command line </cli>` that does the same
# without a line of Python, and how :doc:`the parts fit together </architecture>`.
