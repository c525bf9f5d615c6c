"""Radial distributions against ASE, shells of lattices, an ideal gas, and the density's l = 0 projection."""

import ase
import ase.build
import ase.geometry.rdf
import ase.io
import numpy as np
import pytest
import scipy.integrate
from ketmap_core import check, info
from ketmap_density import Cutoff, Gaussian, Gto, SphericalExpansion, Step, TensorProduct
from ketmap_density.radial import RadialBasis
from ketmap_descriptors import RadialDistribution, SortedDistances


def test_shells_of_lattices():
    """Coordination numbers of the first shells: 12, 6, 24 (fcc), 8, 6, 12 (bcc), 4, 12, 12 (diamond)."""
    for name, a, expected in (
        ("fcc", 4.05, {2.864: 12, 4.05: 6, 4.96: 24}),
        ("bcc", 3.05, {2.641: 8, 3.05: 6, 4.313: 12}),
        ("diamond", 5.43, {2.35: 4, 3.84: 12, 4.5: 12}),
    ):
        atoms = ase.build.bulk("Si", name, a)
        calculator = RadialDistribution(cutoff=5.0, bins=50)
        block = calculator.compute(atoms).block(0)
        assert len(block.samples) == len(atoms)
        found = dict(zip(calculator.edges[:-1].round(9), block.values[0]))
        for r, count in expected.items():
            assert found[max(edge for edge in found if edge <= r)] == count, (name, r)


def test_ase(data):
    """g(r) of amorphous carbon."""
    atoms = ase.io.read(data("carbon_gap17/carbon_bulk_amo_64at_20.xyz.gz"), "0").repeat(2)
    reach, bins = 5.0, 40
    theirs, _ = ase.geometry.rdf.get_rdf(atoms, reach, bins)
    ours = RadialDistribution(cutoff=reach, bins=bins, per_system=True, normalized=True)
    (values,) = ours.compute(atoms).block(0).values
    assert theirs.max() > 1.3 and np.allclose(values, theirs, rtol=1e-10)


def test_ideal_gas():
    """g(r) = 1: 400 atoms at random in each of 5 boxes, 6·10⁴ pairs below 6 Å; the noise is a few per cent."""
    rng = np.random.default_rng(0)
    boxes = [ase.Atoms("He400", positions=rng.uniform(0, 15, (400, 3)), cell=[15] * 3, pbc=True) for _ in range(5)]
    tensor = RadialDistribution(cutoff=6.0, bins=6, normalized=True, per_system=True).compute(boxes)
    g = tensor.block(0).values.mean(axis=0)
    assert np.abs(g[2:] - 1).max() < 0.03 and np.abs(g - 1).max() < 0.3


def test_partial_distributions():
    """g_ab = g_ba, although there are other numbers of a and b; per centre, the mean over centres is that."""
    atoms = ase.build.bulk("CaF2", "fluorite", 5.46, cubic=True).repeat(2)
    atoms.rattle(0.1, seed=1)
    given = {"cutoff": 5.0, "bins": 20, "width": 0.1, "normalized": True}
    tensor = RadialDistribution(**given, per_system=True).compute(atoms)
    ab, ba = (tensor.block(dict(center_type=a, neighbor_type=b)).values for a, b in ((9, 20), (20, 9)))
    assert np.allclose(ab, ba, atol=1e-12)
    each = RadialDistribution(**given).compute(atoms).block(dict(center_type=9, neighbor_type=20)).values
    assert np.allclose(each.mean(axis=0), ab[0], atol=1e-12)


def test_gaussian_on_shells():
    """The closed formula is the integral of a Gaussian over a shell."""
    width, distance = 0.35, 1.1
    calculator = RadialDistribution(cutoff=2.4, bins=6, width=width)
    block = calculator.compute(ase.Atoms("HO", positions=[[0, 0, 0], [0, 0, distance]])).block(0)

    def density(s):  # averaged over directions, times 4πs²
        weight = s / (distance * width * np.sqrt(2 * np.pi))
        return weight * (np.exp(-((s - distance) ** 2) / 2 / width**2) - np.exp(-((s + distance) ** 2) / 2 / width**2))

    for b, (start, stop) in enumerate(zip(calculator.edges, calculator.edges[1:])):
        assert np.isclose(block.values[0, b], scipy.integrate.quad(density, start, stop)[0], atol=1e-12)


def test_sharp_limit(systems):
    """As the Gaussians narrow, densities on shells become counts, where no distance is near an edge."""
    sharp = RadialDistribution(cutoff=2.5, bins=3).compute(systems[0])
    narrow = RadialDistribution(cutoff=2.5, bins=3, width=1e-5).compute(systems[0])
    assert all(np.allclose(a.values, b.values, atol=1e-3) for a, b in zip(sharp.blocks(), narrow.blocks()))
    counted = SortedDistances(cutoff=2.5, max_neighbors=60, separate_neighbor_types=True).compute(systems[0])
    for key, block in counted.items():
        expected = [np.histogram(row[row < 2.5], bins=np.linspace(0, 2.5, 4))[0] for row in block.values]
        assert np.array_equal(sharp.block(key).values, expected)


def test_density_projection(systems):
    """h_b = √4π Σ_n ⟨n00|ρ_i⟩ ∫_shell φ_n r² dr / ∫g: the ν = 1 coefficients give the histogram as the basis grows.

    (Willatt, Musil, Ceriotti, JCP 150, 154110 (2019): g(r) is the projection of ρ^{⊗1} on spherical shells.)
    """
    atoms, sigma, reach = systems[0], 0.45, 3.0
    given = {"cutoff": Cutoff(8.0, smoothing=Step()), "density": Gaussian(sigma, center_atom_weight=0.0)}
    calculator = RadialDistribution(cutoff=reach, bins=6, width=sigma)
    expected = calculator.compute(atoms)
    unit = (np.pi * sigma**2) ** -0.75 * (2 * np.pi * sigma**2) ** 1.5  # ∫g, with ∫g² = 1
    nodes, weights = np.polynomial.legendre.leggauss(60)
    errors = []
    for max_radial in (3, 7, 11):
        basis: RadialBasis = Gto(max_radial=max_radial, radius=5.0)
        shells = []  # ∫_shell φ_n r² dr
        for start, stop in zip(calculator.edges, calculator.edges[1:]):
            r = start + (stop - start) * 0.5 * (nodes + 1)
            shells.append(0.5 * (stop - start) * (weights * r**2) @ basis.functions(r))
        projector = np.sqrt(4 * np.pi) / unit * np.array(shells).T  # -> [n, bin]
        rho = SphericalExpansion(**given, basis=TensorProduct(max_angular=0, radial=basis)).compute(atoms)
        worst = 0.0
        for key, block in expected.items():
            coefficients = rho.block(dict(o3_lambda=0, center_type=key[0], neighbor_type=key[1]))
            rows = coefficients.samples.select(block.samples)
            projected = coefficients.values[rows][:, 0] @ projector
            worst = max(worst, np.abs(projected - block.values).max())
        errors.append(worst)
    assert errors[0] > 3 * errors[1] > 9 * errors[2]
    assert errors[2] < 0.02


def test_per_system_is_the_sum(systems, labels):
    given = {"cutoff": 3.0, "bins": 7, "width": 0.2}
    each = RadialDistribution(**given).compute(systems)
    total = RadialDistribution(**given, per_system=True).compute(systems)
    assert each.keys == total.keys
    for a, b in zip(each.blocks(), total.blocks()):
        for (system,), row in zip(b.samples.values, b.values):
            assert np.allclose(row, a.values[a.samples.column("system") == system].sum(axis=0), rtol=1e-12)
    chosen = RadialDistribution(**given, per_system=True).compute(
        systems,
        selected_samples=labels(["system"], [1]),
        selected_properties=labels(["bin"], [4], [2]),
        gradients=["positions", "cell"],
    )
    assert check(chosen) and chosen.keys == total.keys
    for a, b in zip(chosen.blocks(), total.blocks()):
        rows = np.flatnonzero(b.samples.column("system") == 1)
        assert np.allclose(a.values, b.values[rows][:, [4, 2]], rtol=1e-13)


@pytest.mark.parametrize(
    "given, gradients, message",
    [
        ({"width": 0.0}, ["positions"], "a sharp histogram of distances has no derivatives; give"),
        ({"normalized": True}, None, "system 0 has no volume: g.r. needs periodicity in three directions"),
        ({"bins": 0}, None, "bins must be at least 1, got 0"),
        ({"width": -1.0}, None, "width must be at least 0, got -1"),
    ],
)
def test_errors(given, gradients, message):
    with pytest.raises(ValueError, match=message):
        RadialDistribution(**{"cutoff": 3.0, "bins": 3, **given}).compute(
            ase.build.molecule("H2O"), gradients=gradients
        )


def test_provenance(systems):
    found = info(RadialDistribution(cutoff=3.0, bins=3).compute(systems))
    assert RadialDistribution.from_dict(found["hypers"]).to_dict() == found["hypers"]
