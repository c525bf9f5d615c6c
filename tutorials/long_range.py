"""
Long range: limits, lattices and a random salt
==============================================

What the long-range field is can be seen from its limits: with p = 0 it is the density of SOAP, with p = 1 it holds the
electrostatic energies of crystals, and a large box becomes free space with a known power of its side. What it is good
for shows the salt of Grisafi and Ceriotti, J. Chem. Phys. 151, 204105 (2019): ions at random places, whose energy no
cutoff sees.
"""

import os
from pathlib import Path

import ase.build
import ase.io
import ase.neighborlist
import ketmap
import matplotlib.pyplot as plt
import numpy as np
import torch
import torchpme

# %%
# Without a tail it is SOAP
# -------------------------
#
# The field :math:`v_p(r) = \gamma(p/2, r^2/2\sigma^2)\,/\,\Gamma(p/2)\,r^p` of an atom is, for p = 0, a Gaussian of
# width σ: the density of SOAP without its cutoff. Waves up to ``k_cutoff`` sum it up; what they leave out falls as a
# Gaussian too.

salt = ase.build.bulk("NaCl", "rocksalt", 5.64, cubic=True)
salt.rattle(0.1, seed=0)
sigma, basis = 1.0, ketmap.TensorProduct(max_angular=4, radial=ketmap.Gto(max_radial=4, radius=3.0))
# no atom beyond 11 Å reaches the radial functions with more than 1e-10
soap = ketmap.SphericalExpansion(
    cutoff=ketmap.Cutoff(13.0, smoothing=ketmap.Step()), density=ketmap.Gaussian(width=sigma), basis=basis
).compute(salt)


def deviation(field, reference):
    """max |a − b| over all blocks, against the largest value of all."""
    pairs = [(block.values, reference.block(key).values) for key, block in field.items()]
    return max(np.abs(a - b).max() for a, b in pairs) / max(np.abs(b).max() for _, b in pairs)


reach = np.array([2.0, 2.5, 3.0, 3.5, 3.77, 4.0, 4.5, 5.0, 5.5, 6.0, 6.5])
gaussian = ketmap.SmearedPowerLaw(smearing=sigma, exponent=0)
errors = np.array(
    [
        deviation(ketmap.LodeSphericalExpansion(density=gaussian, basis=basis, k_cutoff=x / sigma).compute(salt), soap)
        for x in reach
    ]
)
for x, error in zip(reach, errors):
    print(f"k_cutoff σ = {x:4.2f}   deviation from SOAP {error:.1e}")
assert errors[reach == 6.0][0] < 1e-6

figure, axis = plt.subplots()
axis.semilogy(reach, errors, "o-", label="p = 0 against SOAP")
axis.semilogy(reach, np.exp(-(reach**2) / 2), "k:", label=r"$e^{-(k_c\sigma)^2/2}$")
axis.axvline(1.2 * np.pi, color="0.7", label="k_cutoff unless said")
axis.set(xlabel=r"$k_c\,\sigma$", ylabel="largest deviation, relative")
axis.legend()

# %%
# Madelung constants
# ------------------
#
# The mean of a potential over a sphere without charges is its value at the centre. So the l = 0 part of the field of
# p = 1 on a function that ends before the neighbours, less the field of the atom itself, is the potential at its place.


def potentials(atoms, charges):
    """Electrostatic potential of all other charges at each atom, in units of e/4πε₀Å."""
    lode = ketmap.LodeSphericalExpansion(
        density=ketmap.SmearedPowerLaw(smearing=0.25, exponent=1),
        basis=ketmap.TensorProduct(max_angular=0, radial=ketmap.Gto(max_radial=0, radius=0.35)),
        k_cutoff=26.0,
    )
    # the same features of two lone charges: the potential 1/r there, and the field of a charge at its own place
    pair = lode.compute(ase.Atoms("HHe", positions=[[0, 0, 0], [10.0, 0, 0]]))
    one = 10.0 * pair.block(center_type=1, neighbor_type=2).values[0, 0, 0]
    own = pair.block(center_type=1, neighbor_type=1).values[0, 0, 0]
    total = np.zeros(len(atoms))
    for key, block in lode.compute(atoms).items():
        total[block.samples["atom"]] += charges[int(key["neighbor_type"])] * block.values[:, 0, 0]
    q = np.array([charges[int(z)] for z in atoms.numbers])
    return (total - q * own) / one, q


# charges, constant for the shortest distance and one formula unit (Borwein, Glasser, Zucker, Lattice Sums Then and Now,
# Cambridge 2013; Tosi, Solid State Phys. 16, 1 (1964)), shortest distance
crystals = {
    "rock salt": (ase.build.bulk("NaCl", "rocksalt", 8.0), {11: 1, 17: -1}, 1.747564594633, 4.0),
    "caesium chloride": (ase.build.bulk("CsCl", "cesiumchloride", 6.0), {55: 1, 17: -1}, 1.762674773071, 27**0.5),
    "zincblende": (ase.build.bulk("ZnS", "zincblende", 9.0), {30: 1, 16: -1}, 1.638055053389, 9.0 * 3**0.5 / 4),
    "fluorite": (ase.build.bulk("CaF2", "fluorite", 9.0), {20: 2, 9: -1}, 5.0387848, 9.0 * 3**0.5 / 4),
}
print(f"{'':20}{'p = 1 features':>18}{'published':>18}")
for name, (atoms, charges, published, distance) in crystals.items():
    found, q = potentials(atoms, charges)
    constant = -0.5 * (q * found).sum() * distance
    print(f"{name:20}{constant:18.8f}{published:18.8f}")
    assert abs(constant / published - 1) < 1e-7

# %%
# From a box to free space
# ------------------------
#
# A molecule without a cell is summed in real space, exactly. In a cube of side L its images, and the mean that a
# crystal lacks, add an error of order :math:`L^{-p}` for l = 0 and :math:`L^{-(p+2)}` for l = 1 (with a logarithm for
# p = 3).

molecule = ase.Atoms("CO", positions=[[0.3, 0.2, 0.1], [0.9, 1.0, 0.6]])
sides = np.array([12.0, 15.0, 18.0, 22.0, 26.0])
lode = ketmap.LodeSphericalExpansion(
    density=ketmap.SmearedPowerLaw(smearing=1.0, exponent=[1, 2, 4]),
    basis=ketmap.TensorProduct(max_angular=1, radial=ketmap.Gto(max_radial=2, radius=3.0)),
    k_cutoff=6.5,
)
boxes = [ase.Atoms(molecule, cell=[side] * 3, pbc=True) for side in sides]
exact, boxed = lode.compute(molecule), [lode.compute(box) for box in boxes]

figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), sharex=True, layout="constrained")
print(" p  l  power of 1/L  expected")
for exponent in (1, 2, 4):
    for l, axis in enumerate(axes):
        key = dict(o3_lambda=l, center_type=6, neighbor_type=8, exponent=exponent)
        limit = exact.block(key).values[0]
        error = np.array([np.abs(tensor.block(key).values[0] - limit).max() for tensor in boxed])
        slope = -np.polyfit(np.log(sides[2:]), np.log(error[2:]), 1)[0]
        print(f"{exponent:2}{l:3}{slope:14.2f}{exponent + 2 * l:10}")
        assert abs(slope - exponent - 2 * l) < 0.25
        axis.loglog(sides, error, "o-", label=f"p = {exponent}: $L^{{-{slope:.2f}}}$")
for l, axis in enumerate(axes):
    axis.set(xlabel="L / Å", title=f"l = {l}")
    axis.set_xticks(sides, labels=[f"{side:.0f}" for side in sides], minor=False)
    axis.set_xticks([], minor=True)
    axis.legend()
axes[0].set_ylabel("difference from the lone molecule")

# %%
# Ions at random places
# ---------------------
#
# Equal numbers of Na⁺ and Cl⁻ thrown into cubes of different sizes, and their Coulomb energy. With ``KETMAP_DATA``
# these are the 64 ions of the data set ``random_nacl``; without it smaller cells are made here, with torch-pme's Ewald
# sum.

COULOMB = 14.399645478  # e²/4πε₀ in eV Å


def ewald(atoms):
    """Energy of charges +1 (Na) and −1 (Cl), eV."""
    charges = torch.tensor([[1.0 if z == 11 else -1.0] for z in atoms.numbers], dtype=torch.float64)
    i, j, d = ase.neighborlist.neighbor_list("ijd", atoms, 6.0)
    torch.set_default_dtype(torch.float64)  # what torch-pme keeps its own numbers in
    potential = torchpme.CoulombPotential(smearing=1.0)
    calculator = torchpme.EwaldCalculator(potential, lr_wavelength=0.5, full_neighbor_list=True)
    torch.set_default_dtype(torch.float32)
    cell, positions = torch.tensor(atoms.cell.array), torch.tensor(atoms.positions)
    field = calculator(charges, cell, positions, torch.tensor(np.stack([i, j], axis=1)), torch.tensor(d))
    return COULOMB * float((charges * field).sum())  # torch-pme halves the sum over pairs


def random_salt(rng, n=16):
    """Ions no closer than 2.5 Å in a cube of 9 to 14 Å."""
    atoms = ase.Atoms(cell=[rng.uniform(9, 14)] * 3, pbc=True)
    while len(atoms) < n:
        more = atoms + ase.Atoms("Na" if len(atoms) < n // 2 else "Cl", positions=[rng.random(3) * atoms.cell[0, 0]])
        if len(atoms) == 0 or more.get_distances(-1, range(len(atoms)), mic=True).min() > 2.5:
            atoms = more
    return atoms


if os.environ.get("KETMAP_DATA"):
    frames = ase.io.read(Path(os.environ["KETMAP_DATA"]) / "random_nacl" / "nacl_train.xyz.gz", ":400")
    energies = np.array([atoms.get_potential_energy() for atoms in frames])
else:
    rng = np.random.default_rng(0)
    frames = [random_salt(rng) for _ in range(400)]
    energies = np.array([ewald(atoms) for atoms in frames])
assert abs(ewald(frames[0]) - energies[0]) < 1e-8 * abs(energies[0])
n_test = len(frames) // 4
test, sizes = np.arange(n_test), (10, 20, 40, 80, 160, 300)
print(f"{len(frames)} structures of {len(frames[0])} ions, energies spread by {energies.std():.1f} eV")

# %%
# Four models, each linear in features: the field of p = 1 (ν = 1, l = 0: two numbers for each pair of types) and three
# that end at a cutoff. Their errors hardly fall with more structures: what they miss lies beyond the cutoff. What is
# left of the field's error is its smearing, of 1 Å where ions come as close as 2.5 Å: with 0.7 Å it is below 0.1 %.


def short(calculator, cutoff, max_angular, max_radial):
    return calculator(
        cutoff=ketmap.Cutoff(cutoff, smoothing=ketmap.ShiftedCosine(1.0)),
        density=ketmap.Gaussian(0.5),
        basis=ketmap.TensorProduct(max_angular=max_angular, radial=ketmap.Gto(max_radial=max_radial)),
    )


field = ketmap.LodeSphericalExpansion(
    density=ketmap.SmearedPowerLaw(smearing=1.0, exponent=1),
    basis=ketmap.TensorProduct(max_angular=0, radial=ketmap.Gto(max_radial=1, radius=1.5)),
)
models = {
    "power spectrum, 6 Å": short(ketmap.SoapPowerSpectrum, 6.0, 3, 4),
    "radial spectrum, 6 Å": short(ketmap.SoapRadialSpectrum, 6.0, 0, 8),
    "radial spectrum, 9 Å": short(ketmap.SoapRadialSpectrum, 9.0, 0, 12),
    "field V, p = 1": field,
}
curves = {}
for name, representation in models.items():
    curves[name] = []
    for n in sizes:
        train = np.arange(n_test, n_test + n)
        model = ketmap.Model(representation, ketmap.Ridge(alpha=None, cv=5))
        model.fit([frames[i] for i in train], energy=energies[train])
        found = model.predict([frames[i] for i in test], "energy")["energy"].block(0).values[:, 0]
        curves[name].append(100 * np.sqrt(np.mean((found - energies[test]) ** 2)) / energies[test].std())

print(f"{'RMSE, % of σ':22}" + "".join(f"{n:8}" for n in sizes))
for name, curve in curves.items():
    print(f"{name:22}" + "".join(f"{error:8.2f}" for error in curve))
shortest = min(curve[-1] for name, curve in curves.items() if name != "field V, p = 1")
assert curves["field V, p = 1"][-1] < 3 and shortest > 5 * curves["field V, p = 1"][-1]

figure, axis = plt.subplots()
for name, curve in curves.items():
    axis.loglog(sizes, curve, "o-", label=name)
axis.set_xticks(sizes, labels=sizes, minor=False)
axis.set_xticks([], minor=True)
axis.set(xlabel="structures in the training set", ylabel="RMSE / % of the spread of energies")
axis.legend(loc="center right")
plt.show()
