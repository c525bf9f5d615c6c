"""
Pseudo-elements
===============

Descriptions of atoms by the types of their neighbours grow with the square of the number of elements, and what is
learnt of one element says nothing about its neighbour in the periodic table. Alchemical channels mix elements into a
few pseudo-elements: each neighbour of type :math:`a` adds its density to channel :math:`q` with the weight
:math:`u_{aq}`. The weights come from the periodic table, or are learnt (Willatt, Musil, Ceriotti, Phys. Chem. Chem.
Phys. 20, 29661 (2018)).

The data are elpasolites, crystals :math:`ABC_2D_6` of 34 main-group elements, all with the same geometry: only *which*
element stands where tells their formation energies apart.
"""

# %%
# Structures
# ----------
#
# Energies are density-functional formation energies of Faber *et al.*, Phys. Rev. Lett. 117, 135502 (2016), from the
# data folder (``KETMAP_DATA``). Without it, a stand-in is made here: the same crystals of ten elements with the energy
# of a simple rule, that pairs of different electronegativity attract each other.

import os
from itertools import combinations
from pathlib import Path

import ketmap
import matplotlib.pyplot as plt
import numpy as np
import torch
from ase import Atoms
from ase.data import chemical_symbols
from ketmap_density.periodic_table import Elements
from metatomic.torch import systems_to_torch

A = 8.0  # Å, of the cubic cell
CELL = A / 2 * np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]])
SITES = A * np.array(
    [[0, 0, 0], [0.5] * 3, [0.25] * 3, [-0.25] * 3, *(0.25 * s * e for e in np.eye(3) for s in (1, -1))]
)


def made_up():
    """Stand-in for the data set: every choice of four of ten elements."""
    elements = [3, 11, 19, 37, 13, 31, 9, 17, 35, 53]
    structures = []
    for chosen in combinations(elements, 4):
        a, b, c, d = chosen
        numbers = [a, b, c, c, *[d] * 6]
        chi = Elements.of(numbers).electronegativity
        difference = chi[:, None] - chi
        energy = -0.1 * np.sum(difference[:4, 4:] ** 2) + 0.02 * np.sum(difference[0, 1:4] ** 2)
        structures.append(Atoms(numbers, SITES, cell=CELL, pbc=True, info={"energy": energy}))
    return structures


folder = os.environ.get("KETMAP_DATA")
if folder:
    structures = ketmap.read(Path(folder) / "elpasolites/elpasolites_train.xyz.gz")
    for atoms in structures:
        atoms.info["energy"] = atoms.info["formation_energy_per_atom"] * len(atoms)
else:
    print("KETMAP_DATA is not set: made-up energies")
    structures = made_up()
order = np.random.default_rng(0).permutation(len(structures))
structures = [structures[i] for i in order[:1200]]
n_test = len(structures) // 4
energies = torch.tensor([atoms.info["energy"] / len(atoms) for atoms in structures], dtype=torch.float64)
types = sorted({int(t) for atoms in structures for t in atoms.numbers})
print(len(structures), "crystals of", len(types), "elements; first", structures[0].symbols)
print(f"energies {energies.mean():.2f} ± {energies.std():.2f} eV per atom")

# %%
# Channels from the periodic table
# --------------------------------
#
# Elements that stand near each other, in period, group and electronegativity, are alike. The leading eigenvectors of
# the kernel that says so are the weights.

table = ketmap.AlchemicalChannels.from_periodic_table(types, n_channels=4)
print(table.mixing.shape)


def describe(species, structures):
    """Power spectra, with the centre mixed like its neighbours, summed over each crystal: [crystal, feature].

    Torch structures give torch TensorMaps, through which gradients flow to the mixing.
    """
    soap = ketmap.SoapPowerSpectrum(
        cutoff=ketmap.Cutoff(4.5, smoothing=ketmap.ShiftedCosine(0.5)),
        density=ketmap.Gaussian(0.5),
        basis=ketmap.TensorProduct(max_angular=2, radial=ketmap.Gto(max_radial=1)),
        species=species,
    )
    tensor = soap.compute(structures)
    pairs = list(zip(*np.triu_indices(species.n_channels)))
    weights = species.weights(types, energies)  # -> [type, channel]
    summed = []
    for pair in pairs:
        parts = torch.zeros(len(structures), species.n_channels, tensor.block(0).values.shape[1], dtype=torch.float64)
        for place, t in enumerate(types):
            where = dict(center_type=t, neighbor_1_channel=int(pair[0]), neighbor_2_channel=int(pair[1]))
            block = tensor.block(where)
            mixed = weights[place][:, None] * block.values[:, None, :]  # -> [sample, channel, property]
            parts = parts.index_add(0, block.samples.column("system").long(), mixed)
        summed.append(parts.flatten(1))
    return torch.cat(summed, dim=1)


systems = systems_to_torch(structures, dtype=torch.float64)
composition = torch.tensor([[np.mean(atoms.numbers == t) for t in types] for atoms in structures])


def regression(features, train, test, alpha=1e-7):
    """Errors on ``test`` of a ridge regression on composition and features; differentiable."""
    columns = torch.cat(
        [composition[: len(features)], features / features[train].detach().norm() * len(train) ** 0.5], dim=1
    )
    x, y = columns[train], energies[train]
    gram = x.T @ x + alpha * len(train) * torch.eye(x.shape[1], dtype=x.dtype)
    return columns[test] @ torch.linalg.solve(gram, x.T @ y) - energies[test]


# %%
# Learning curves
# ---------------
#
# One channel only counts neighbours; with more of them, elements differ.

sizes = [100, 200, 400, 900] if folder else [20, 40, 80, 150]
sizes = [n for n in sizes if n <= len(structures) - n_test]
test = range(len(structures) - n_test, len(structures))
curves = {"composition": torch.ones(len(structures), 1, dtype=torch.float64)}
for n in (1, 2, 4):
    curves[f"{n} of the table"] = describe(ketmap.AlchemicalChannels.from_periodic_table(types, n), systems)


def curve(features):
    return [1000 * float(regression(features, range(n), test).abs().mean()) for n in sizes]


errors = {name: curve(features) for name, features in curves.items()}
for name, values in errors.items():
    print(f"{name:<16}", " ".join(f"{value:6.1f}" for value in values), "meV per atom")

# %%
# Learning the weights
# --------------------
#
# Weights that are a torch parameter get gradients like any other. Here the parameter starts at the table's weights,
# and what is minimised is the error of each half of some crystals under a regression on the other half: the
# regression itself is differentiated. Only crystals of the smallest training sets are used.

some = range(min(300, sizes[-2]))
first, second = range(0, len(some), 2), range(1, len(some), 2)
u = torch.nn.Parameter(table.mixing.clone())
learned = ketmap.AlchemicalChannels(types, u)
optimiser = torch.optim.Adam([u], lr=0.03)
history = []
for _ in range(20):
    optimiser.zero_grad()
    features = describe(learned, systems[: len(some)])
    loss = regression(features, first, second).square().mean() + regression(features, second, first).square().mean()
    loss.backward()
    optimiser.step()
    history.append(float(loss) ** 0.5)
print(f"root mean square error, left out: {1000 * history[0]:.0f} -> {1000 * history[-1]:.0f} meV per atom")

with torch.no_grad():
    errors["4, learned"] = curve(describe(learned, systems))
print("4, learned      ", " ".join(f"{value:6.1f}" for value in errors["4, learned"]), "meV per atom")
figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
for name, values in errors.items():
    axes.loglog(sizes, values, "o-", label=name.replace(" of", " channels of").replace("4,", "4 channels,"))
axes.set(xlabel="crystals in the training set", ylabel="mean absolute error / meV per atom")
axes.set_xticks(sizes, map(str, sizes), minor=False)
axes.legend()
plt.show()

# %%
# The map of the elements
# -----------------------
#
# Rows of :math:`u` are places of the elements. Their two principal axes make a map: that of the table before, that
# of the energies after learning. Colours are groups.

groups = Elements.of(types).group
figure, panels = plt.subplots(1, 2, figsize=(9, 4.5), layout="constrained")
for axes, mixing, title in zip(panels, (table.mixing, u.detach()), ("from the periodic table", "learned")):
    centred = mixing - mixing.mean(dim=0)
    places = (centred @ torch.linalg.svd(centred)[2].T[:, :2]).numpy()
    axes.scatter(*places.T, c=groups, cmap="turbo", s=220, alpha=0.35)
    for place, t in zip(places, types):
        axes.text(*place, chemical_symbols[t], ha="center", va="center", fontsize=8)
    axes.set(title=title, xticks=[], yticks=[])
plt.show()

# %%
# A model keeps its weights :math:`u` in its file, and features keep them in their ``info``: what was mixed can always
# be told.

soap = ketmap.SoapPowerSpectrum(
    cutoff=ketmap.Cutoff(4.5, smoothing=ketmap.ShiftedCosine(0.5)),
    density=ketmap.Gaussian(0.5),
    basis=ketmap.TensorProduct(max_angular=1, radial=ketmap.Gto(max_radial=1)),
    species=learned,
)
model = ketmap.Model(soap, ketmap.Ridge(alpha=1e-6)).fit(structures[: sizes[0]], energy="energy")
print(model.weights.keys.names, soap.to_dict()["species"]["types"][:5], "…")
