"""Madelung constants, isolated molecules as limits of large boxes, cells of one crystal, potentials of torch-pme."""

import ase
import ase.build
import ase.neighborlist
import numpy as np
import pytest
import torch
import torchpme
from ketmap_density import Gto, TensorProduct
from ketmap_lode import LodeSphericalExpansion, SmearedPowerLaw
from ketmap_lode.density import smeared
from scipy.integrate import quad


def potentials(atoms, charges, smearing=0.25, k_cutoff=26.0):
    """Electrostatic potential of the other point charges at each nucleus (1/Å, tin-foil), from l = 0 of p = 1.

    The mean over a sphere that no other charge enters is the value at its centre, so the projection on any function
    that ends before the neighbours, less that of the centre's own field, is the potential times its integral.
    """
    radial = Gto(max_radial=0, radius=0.35)
    lode = LodeSphericalExpansion(
        density=SmearedPowerLaw(smearing, exponent=1), basis=TensorProduct(0, radial), k_cutoff=k_cutoff
    )
    tensor = lode.compute(atoms)
    total = np.zeros(len(atoms))
    for key, block in tensor.items():
        total[block.samples["atom"]] += charges[int(key["neighbor_type"])] * block.values[:, 0, 0]

    def weighted(function):
        integrand = lambda r: r**2 * radial.functions(np.array([r]))[0, 0] * function(r)  # noqa: E731
        return quad(integrand, 0, 6, epsabs=1e-13, epsrel=1e-12, limit=200)[0] * np.sqrt(4 * np.pi)

    own = weighted(lambda r: float(smeared(np.array(r), 1, smearing)))
    q = np.array([charges[int(z)] for z in atoms.numbers])
    return (total - q * own) / weighted(lambda r: 1.0), q


def crystal(name):
    """Atoms, charges by type, formula units in the cell, and the length the constant refers to."""
    bulk = ase.build.bulk
    if name == "NaCl":
        return bulk("NaCl", "rocksalt", 5.6), {11: 1, 17: -1}, 1, 2.8
    if name == "CsCl":
        return bulk("CsCl", "cesiumchloride", 4.1), {55: 1, 17: -1}, 1, 4.1 * np.sqrt(3) / 2
    if name == "zincblende":
        return bulk("ZnS", "zincblende", 5.4), {30: 2, 16: -2}, 1, 5.4 * np.sqrt(3) / 4
    if name == "wurtzite":
        a = 3.8
        return bulk("ZnS", "wurtzite", a, c=a * np.sqrt(8 / 3), u=3 / 8), {30: 2, 16: -2}, 2, a * np.sqrt(3 / 8)
    if name == "fluorite":
        return bulk("CaF2", "fluorite", 5.46), {20: 2, 9: -1}, 1, 5.46 * np.sqrt(3) / 4
    if name == "cuprite":
        a = 4.27
        places = [[0.25, 0.25, 0.25], [0.75, 0.75, 0.25], [0.75, 0.25, 0.75], [0.25, 0.75, 0.75]]
        scaled = [[0, 0, 0], [0.5, 0.5, 0.5], *places]
        return (
            ase.Atoms("O2Cu4", scaled_positions=scaled, cell=[a] * 3, pbc=True),
            {29: 1, 8: -2},
            2,
            a * np.sqrt(3) / 4,
        )
    a = 3.9
    scaled = [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
    return ase.Atoms("CaTiO3", scaled_positions=scaled, cell=[a] * 3, pbc=True), {20: 2, 22: 4, 8: -2}, 1, a


# M = −E d/(e²/4πε₀) per formula unit, d the shortest distance (perovskite: the lattice parameter).
# NaCl, CsCl, zincblende, wurtzite, fluorite, cuprite: Borwein, Glasser, Zucker, "Lattice Sums Then and Now" (Cambridge
# 2013), and Tosi, Solid State Physics 16, 1 (1964), table 1, for charges of ±1 (zincblende and wurtzite here times 4).
MADELUNG = {
    "NaCl": 1.747564594633,
    "CsCl": 1.762674773071,
    "zincblende": 4 * 1.638055053389,
    "wurtzite": 4 * 1.641321627,
    "fluorite": 5.0387848,
    "cuprite": 4.4424752,
    "perovskite": None,  # several definitions are in use: against torch-pme
}


def ewald(atoms, charges):
    """Potentials of the other charges by torch-pme's Ewald sum."""
    q = torch.tensor([[float(charges[int(z)])] for z in atoms.numbers], dtype=torch.float64)
    positions = torch.tensor(atoms.positions)
    cell = torch.tensor(atoms.cell.array)
    cutoff = 9.0
    torch.set_default_dtype(torch.float64)  # what torch-pme keeps its own numbers in
    try:
        calculator = torchpme.EwaldCalculator(
            torchpme.CoulombPotential(smearing=1.2), lr_wavelength=0.8, full_neighbor_list=True
        )
    finally:
        torch.set_default_dtype(torch.float32)
    i, j, d = ase.neighborlist.neighbor_list("ijd", atoms, cutoff)
    pairs = torch.tensor(np.stack([i, j], axis=1))
    # torch-pme halves the sum over pairs: its energies are Σ q V
    return 2 * calculator(q, cell, positions, pairs, torch.tensor(d))[:, 0].numpy()


@pytest.mark.parametrize("name", MADELUNG)
def test_madelung(name):
    """The published constants, and torch-pme's potential of every atom."""
    atoms, charges, units, distance = crystal(name)
    scale = 1.7  # neighbours far outside the basis and the smearing
    atoms.set_cell(scale * atoms.cell.array, scale_atoms=True)
    found, q = potentials(atoms, charges)
    constant = -0.5 * (q * found).sum() * scale * distance / units
    if MADELUNG[name] is not None:
        assert abs(constant / MADELUNG[name] - 1) < 2e-8, constant
    assert np.allclose(found, ewald(atoms, charges), rtol=1e-7)


def test_convergence_with_the_cutoff():
    """What a cutoff in k leaves out falls as exp(−k²σ²/2), order by order."""
    atoms, charges, _, distance = crystal("NaCl")
    errors = []
    cutoffs = np.array([10.0, 12.0, 14.0])
    for k_cutoff in cutoffs:
        found, q = potentials(atoms, charges, k_cutoff=k_cutoff)
        errors.append(abs(-0.5 * (q * found).sum() * distance - MADELUNG["NaCl"]))
    # the own field is removed in full, so its Fourier terms beyond the cutoff are the error; the basis adds its width
    slopes = np.diff(np.log(errors)) / np.diff(cutoffs**2)
    width = 0.5 * (0.25**2 + 0.35**2)
    assert np.all(slopes < -0.5 * width) and np.all(slopes > -3 * width), (errors, slopes)


@pytest.mark.parametrize("exponent", [1, 4])
def test_supercell(lode, exponent):
    """Every copy of an atom in a supercell has its features."""
    atoms = ase.build.bulk("ZnS", "wurtzite", 3.8, c=6.2, u=0.38)
    calculator = lode(exponent, max_angular=2)
    one, many = calculator.compute(atoms), calculator.compute(atoms * (2, 1, 3))
    scale = max(np.abs(block.values).max() for block in one.blocks())
    for key, block in one.items():
        copies = many.block(key)
        expected = block.values[[block.samples.position((0, a % len(atoms))) for a in copies.samples["atom"]]]
        assert np.abs(copies.values - expected).max() < 1e-10 * scale


@pytest.mark.parametrize("exponent", [1, 2, 4])
def test_isolated_molecule_is_the_limit_of_a_box(lode, exponent):
    """A cube of side L adds the fields of the images, less the mean: L^−p for l = 0, L^−(p+2) for l = 1 and p = 1.

    For l = 2 and higher, a cubic lattice adds nothing before L^−(p+4). The limit, by Richardson's extrapolation in
    the powers that follow, is the plain sum.
    """
    molecule = ase.Atoms("CO", positions=[[0.3, 0.2, 0.1], [0.9, 1.0, 0.6]])
    calculator = lode(exponent, k_cutoff=6.5, max_angular=2)
    exact = calculator.compute(molecule)
    sides = np.array([12.0, 15.0, 18.0, 22.0])
    boxed = []
    for side in sides:
        box = molecule.copy()
        box.set_cell([side] * 3)
        box.pbc = True
        boxed.append(calculator.compute(box))
    for l in (0, 1):
        key = {"o3_lambda": l, "center_type": 6, "neighbor_type": 8}
        values = np.stack([tensor.block(key).values[0] for tensor in boxed])
        limit = exact.block(key).values[0]
        # for 1 < p ≤ 3 the mean is left out, for p > 3 k = 0 is not: both leave a sum over images, of order L^−p
        leading = exponent + 2 * l if exponent != 4 or l == 0 else exponent + 2
        errors = np.abs(values - limit).max(axis=(1, 2))
        order = -np.diff(np.log(errors)) / np.diff(np.log(sides))
        assert abs(order[-1] - leading) < 0.35, (l, order)
        powers = [0, *range(leading, leading + 6, 2)]
        design = (sides[:, None] / sides[0]) ** -np.array(powers, dtype=float)
        extrapolated = np.linalg.solve(design, values.reshape(len(sides), -1))[0].reshape(limit.shape)
        assert np.abs(extrapolated - limit).max() < 0.02 * errors[-1] + 1e-7 * np.abs(limit).max()
