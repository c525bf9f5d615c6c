"""
Long range: pairs of charged molecules
======================================

A representation with a cutoff cannot know what happens beyond it. The long-range field can: every atom sees the Coulomb
potential of all others, however far. Here both learn the interaction of two rigid molecules from distances below 8 Å
and predict it up to 50 Å, as in Huguenin-Dumittan, Loche, Ni, Ceriotti, J. Phys. Chem. Lett. 14, 9612 (2023).

The energies are RHF/6-31G interaction energies of ammonium, formate and acetonitrile in open boundaries; the program
that made them, ``make_dimers.py``, stands beside the data.
"""

# %%
# The data
# --------

from importlib import resources

import ase.io
import ketmap
import matplotlib.pyplot as plt
import numpy as np

with resources.as_file(resources.files("ketmap") / "data" / "dimers_hf.extxyz.gz") as path:
    frames = ase.io.read(path, ":")
energy, distance = (np.array([atoms.info[name] for atoms in frames]) for name in ("interaction_energy", "distance"))
kind = np.array([atoms.info["pair"] for atoms in frames])
kinds = list(dict.fromkeys(kind.tolist()))
print(len(frames), "pairs:", ", ".join(kinds))

# %%
# Far away, two charges attract or repel each other as :math:`q_A q_B\,14.40` eV Å / R:

for name in kinds[:2]:
    far = (kind == name) & (distance == 50.0)
    charges = frames[np.flatnonzero(far)[0]].info
    product = charges["charge_1"] * charges["charge_2"]
    print(f"{name}: E R = {np.mean(energy[far] * 50.0):.2f} eV Å, expected {14.40 * product:.2f}")
    assert abs(np.mean(energy[far] * 50.0) - 14.40 * product) < 0.02 * 14.40

# %%
# Three representations
# ---------------------
#
# * the SOAP power spectrum, which sees 4 Å;
# * the field V alone (ν = 1): a model linear in it is a sum over pairs of types, each with a weight that stands for
#   the product of two charges;
# * ρ ⊗ V: the field times the density around the atom, which tells what charge the atom carries in its molecule.

cutoff, density = ketmap.Cutoff(4.0, smoothing=ketmap.ShiftedCosine(0.5)), ketmap.Gaussian(0.5)
coulomb = ketmap.SmearedPowerLaw(smearing=1.0, exponent=1)


def basis(max_angular, max_radial):
    return ketmap.TensorProduct(max_angular=max_angular, radial=ketmap.Gto(max_radial=max_radial, radius=3.0))


representations = {
    "SOAP": ketmap.SoapPowerSpectrum(cutoff=cutoff, density=density, basis=basis(2, 3)),
    "V": ketmap.LodeSphericalExpansion(density=coulomb, basis=basis(0, 1)),
    "ρ⊗V": ketmap.PowerSpectrum(
        ketmap.SphericalExpansion(cutoff=cutoff, density=density, basis=basis(1, 2)),
        ketmap.LodeSphericalExpansion(density=coulomb, basis=basis(1, 1)),
    ),
}


def learn(representation, names):
    """Fit below 8 Å; energies of all pairs of these kinds, by place."""
    here = np.flatnonzero(np.isin(kind, names))
    near = here[distance[here] < 8.0]
    model = ketmap.Model(representation, ketmap.Ridge(alpha=1e-7))
    model.fit([frames[i] for i in near], energy=energy[near])
    predicted = np.full(len(frames), np.nan)
    predicted[here] = model.predict([frames[i] for i in here], "energy")["energy"].block(0).values[:, 0]
    return predicted


def tail_error(predicted, name):
    """Root mean square error beyond 8 Å: eV, and % of the standard deviation of the energies there."""
    far = (kind == name) & (distance > 8.0)
    error = np.sqrt(np.mean((predicted[far] - energy[far]) ** 2))
    return error, 100 * error / energy[far].std()


# %%
# One pair of molecules
# ---------------------
#
# Beyond its cutoff SOAP is flat; the field goes on as 1/R, although it has never seen these distances.

one = kinds[1]
alone = {name: learn(representations[name], [one]) for name in ("SOAP", "V")}
for name, predicted in alone.items():
    error, share = tail_error(predicted, one)
    print(f"{one}, {name}: {1000 * error:.0f} meV beyond 8 Å, {share:.1f} % of the standard deviation")
assert tail_error(alone["V"], one)[1] < 10 < 100 < tail_error(alone["SOAP"], one)[1]

figure, axis = plt.subplots()
here = np.flatnonzero((kind == one) & (np.array([atoms.info["orientation"] for atoms in frames]) == 0))
axis.plot(distance[here], energy[here], "k.", label="RHF/6-31G")
for name, predicted in alone.items():
    axis.plot(distance[here], predicted[here], label=name)
axis.axvspan(distance.min(), 8.0, color="0.93", label="training")
axis.set(xlabel="distance of the centres of mass / Å", ylabel="interaction energy / eV", xscale="log", title=one)
axis.set_xticks([5, 10, 20, 50], labels=["5", "10", "20", "50"], minor=False)
axis.set_xticks([], minor=True)
axis.legend()

# %%
# All pairs together
# ------------------
#
# Hydrogen in ammonium is not hydrogen in formate. One weight for each pair of types and radial function cannot tell
# them apart; ρ ⊗ V can, at the price of many more weights. With three molecules only, V alone serves as well.

mixed = {name: learn(representation, kinds) for name, representation in representations.items()}
print(f"{'RMSE beyond 8 Å':24}" + "".join(f"{name:>22}" for name in mixed))
for name in kinds:
    errors = [tail_error(predicted, name) for predicted in mixed.values()]
    print(f"{name:24}" + "".join(f"{1000 * error:12.0f} meV {share:4.0f} %" for error, share in errors))

total = {}
for name, predicted in mixed.items():
    far = distance > 8.0
    total[name] = 100 * np.sqrt(np.mean((predicted[far] - energy[far]) ** 2)) / energy[far].std()
print(f"{'all, % of σ':24}" + "".join(f"{share:20.1f} %" for share in total.values()))
assert max(total["ρ⊗V"], total["V"]) < 10 < 100 < total["SOAP"]

# %%
# Tails of neutral molecules are a few meV: with this loss function, which counts eV, they are learnt last.

figure, axes = plt.subplots(1, len(kinds), figsize=(13, 3.2), layout="constrained")
for axis, name in zip(axes, kinds):
    here = np.flatnonzero((kind == name) & (np.array([atoms.info["orientation"] for atoms in frames]) == 0))
    axis.plot(distance[here], energy[here], "k.", label="RHF/6-31G")
    for label, predicted in mixed.items():
        axis.plot(distance[here], predicted[here], label=label)
    axis.axvspan(distance.min(), 8.0, color="0.93")
    axis.set(title=name, xscale="log", xlabel="R / Å")
    axis.set_xticks([5, 10, 20, 50], labels=["5", "10", "20", "50"], minor=False)
    axis.set_xticks([], minor=True)
axes[0].set_ylabel("E / eV")
axes[0].legend(fontsize=7)
plt.show()
