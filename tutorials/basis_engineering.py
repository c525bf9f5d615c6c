"""
Basis engineering
=================

The density around an atom is expanded on radial functions times spherical harmonics, and everything that is made of
it costs what the number of radial functions says: a power spectrum, its square. This tutorial makes bases, looks at
the splines through which all of them are evaluated, and contracts a large basis to a few functions that lose least.
"""

# %%
# Bases
# -----
#
# Gaussian type orbitals are the usual choice. Eigenstates of the Laplacian are the smoothest functions in the sphere,
# the fewer the higher their angular momentum. Any Python functions can be a basis, too.

import os
from importlib import resources
from pathlib import Path

import ketmap
import matplotlib.pyplot as plt
import numpy as np
from ketmap_density import RadialBasis

RADIUS = 4.5  # Å
r = np.linspace(0, RADIUS, 200)


class Bumps(RadialBasis):
    """Gaussians around the points of a grid."""

    def compute_primitive(self, positions, n, *, derivative=False):
        centers = np.linspace(0, self.radius, self.size)
        return np.exp(-(((positions - centers[n]) / 0.5) ** 2))


gto = ketmap.Gto(max_radial=5, radius=RADIUS)
bessel = ketmap.LaplacianEigenstate(max_radial=5, radius=RADIUS, max_angular=4)
print("eigenstates of each angular momentum:", bessel.sizes)

figure, panels = plt.subplots(1, 3, figsize=(10, 3), layout="constrained", sharey=True)
for axes, values, title in zip(
    panels,
    (gto.functions(r), bessel.functions(r)[:, 0], Bumps(max_radial=5, radius=RADIUS).functions(r)),
    ("Gaussian type orbitals", "Laplacian eigenstates, l = 0", "bumps, orthonormalised"),
):
    axes.plot(r, values * r[:, None])
    axes.set(xlabel="r / Å", title=title)
panels[0].set(ylabel="r φ(r)")
plt.show()

# %%
# Splines
# -------
#
# What enters the kernels is not the basis but the density of a neighbour at distance r, integrated on it. These
# integrals are tabulated once, as splines to the accuracy that was asked for; from there on all bases cost the same.


def calculator(basis, kind=ketmap.SphericalExpansion):
    return kind(
        cutoff=ketmap.Cutoff(RADIUS, smoothing=ketmap.ShiftedCosine(0.5)), density=ketmap.Gaussian(0.4), basis=basis
    )


for accuracy in (1e-6, 1e-8):
    basis = ketmap.TensorProduct(max_angular=4, radial=gto, spline_accuracy=accuracy)
    table = calculator(basis).expansion.table
    print(f"accuracy {accuracy:.0e}: {len(table)} rows of {table.shape[1]} l and {table.shape[2]} n")

# %%
# Contraction
# -----------
#
# A contraction combines the functions of a large basis into few. The first kind knows data: principal components of
# the coefficients found in structures. The second knows none: the smoothest functions that vanish at the cutoff.
# Structures are molecules of QM7 from the data folder (``KETMAP_DATA``), else configurations of ethanol.

ethanol = ketmap.read(resources.files("ketmap") / "data" / "ethanol_xtb.extxyz.gz")
folder = os.environ.get("KETMAP_DATA")
if folder:
    structures = ketmap.read(Path(folder) / "qm7/qm7_train.xyz.gz", ":600:30")
else:
    print("KETMAP_DATA is not set: ethanol instead of QM7")
    structures = ethanol[::50]
seen, unseen = structures[::2], structures[1::2]

large = ketmap.TensorProduct(max_angular=2, radial=ketmap.Gto(max_radial=8), spline_accuracy=1e-6)
pca = ketmap.pca_contraction(calculator(large), seen)
smooth = ketmap.smooth_contraction(large, RADIUS)
print(pca)
for l, values in ketmap.info(pca)["hypers"]["spectrum"].items():
    print(f"l = {l}: the first three components hold {sum(values[:3]) / sum(values):.2%} of the density")

figure, panels = plt.subplots(1, 3, figsize=(10, 3), layout="constrained", sharey=True)
for l, axes in enumerate(panels):
    for contraction, style in ((pca, "-"), (smooth, "--")):
        values = ketmap.contracted_basis(contraction, 2).bound(RADIUS).functions(r)[:, l]
        axes.set_prop_cycle(None)
        axes.plot(r, r[:, None] * values * np.sign(values[20]), style)
    axes.set(xlabel="r / Å", title=f"l = {l}")
panels[0].set(ylabel="r φ(r)")
panels[0].legend(panels[0].lines[::3], ["principal components", "smooth"])
plt.show()

# %%
# What is lost
# ------------
#
# Functions are orthonormal, so the squared norm of the coefficients is the part of the density that a basis holds.
# What it loses is the difference to a nearly complete basis. Principal components lose least, on molecules that they
# have not seen, too.

complete = ketmap.Explicit(
    by_angular={l: ketmap.SphericalBessel(l, 15, RADIUS + 2.0) for l in range(3)}, spline_accuracy=1e-5
)
whole = ketmap.density_norms(calculator(complete), unseen).sum()
numbers = [2, 4, 6]
lost = {"Gaussian type orbitals": [], "smooth contraction": [], "principal components": []}
for n in numbers:
    bases = (
        ketmap.TensorProduct(max_angular=2, radial=ketmap.Gto(max_radial=n - 1), spline_accuracy=1e-6),
        ketmap.contracted_basis(smooth, n - 1, spline_accuracy=1e-6),
        ketmap.contracted_basis(pca, n - 1, spline_accuracy=1e-6),
    )
    for values, basis in zip(lost.values(), bases):
        values.append(1 - ketmap.density_norms(calculator(basis), unseen).sum() / whole)
for name, values in lost.items():
    print(f"{name:<23}", " ".join(f"{value:.1e}" for value in values))

figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
for name, values in lost.items():
    axes.semilogy(numbers, values, "o-", label=name)
axes.set(xlabel="radial functions", ylabel="lost share of the density")
axes.legend()
plt.show()

# %%
# What it is worth
# ----------------
#
# A potential for ethanol, with the same number of radial functions of either kind. The contraction is a TensorMap in
# a file of a kilobyte; the model that uses it has it in its own file.

train, test = ethanol[:80], ethanol[300:340]
of_ethanol = ketmap.pca_contraction(calculator(large), train[::5])
figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
for name, make in (
    (
        "Gaussian type orbitals",
        lambda n: ketmap.TensorProduct(max_angular=2, radial=ketmap.Gto(max_radial=n - 1), spline_accuracy=1e-7),
    ),
    ("principal components", lambda n: ketmap.contracted_basis(of_ethanol, n - 1, spline_accuracy=1e-7)),
):
    rmse = []
    for n in (2, 3):
        soap = calculator(make(n), ketmap.SoapPowerSpectrum)
        model = ketmap.Model(soap, ketmap.Ridge(alpha=1e-9)).fit(train, energy="energy", forces="forces")
        rmse.append(1000 * model.score(test).forces.rmse)
    print(f"{name:<23}", " ".join(f"{value:6.0f}" for value in rmse), "meV/Å")
    axes.plot((2, 3), rmse, "o-", label=name)
axes.set(xlabel="radial functions", ylabel="root mean square error of forces / meV/Å", xticks=(2, 3), ylim=(0, None))
axes.legend()
plt.show()
