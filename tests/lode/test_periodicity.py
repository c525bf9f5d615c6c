"""Molecules, slabs, crystals: each against a road of its own."""

import ase
import ase.build
import numpy as np
import pytest
import scipy.special
from ketmap_lode.density import smeared
from ketmap_lode.radial import PlaneField, plane_field


def harmonics(l, m, directions):
    theta, phi = np.arccos(directions[:, 2]), np.arctan2(directions[:, 1], directions[:, 0])
    y = scipy.special.sph_harm_y(l, abs(m), theta, phi) * (-1) ** m
    return y.real if m == 0 else np.sqrt(2) * (y.real if m > 0 else y.imag)


@pytest.mark.parametrize("exponent", [0, 1, 2, 3, 6])
def test_molecule_by_quadrature(lode, exponent):
    """∫ φ_n Y_lm V d³r on a grid of points, with V as a plain sum over atoms."""
    calculator = lode(exponent, max_angular=2)
    atoms = ase.build.molecule("CH3OH")
    tensor = calculator.compute(atoms)
    radial = calculator.basis.radial
    s, weights = np.polynomial.legendre.leggauss(60)
    s, weights = 6 * (s + 1), 6 * weights  # the basis is below 1e-9 beyond 12 Å
    x, x_weights = np.polynomial.legendre.leggauss(40)
    phi = 2 * np.pi * np.arange(80) / 80
    z, phi = (a.ravel() for a in np.meshgrid(x, phi, indexing="ij"))
    directions = np.stack([np.sqrt(1 - z**2) * np.cos(phi), np.sqrt(1 - z**2) * np.sin(phi), z], axis=1)
    solid = np.repeat(x_weights, 80) * 2 * np.pi / 80
    points = atoms.positions[0] + s[:, None, None] * directions  # around the carbon
    for neighbor in (1, 6, 8):
        sources = atoms.positions[atoms.numbers == neighbor]
        distances = np.linalg.norm(points[:, :, None] - sources, axis=-1)
        field = smeared(distances, exponent, 1.0).sum(-1)  # -> [s, direction]
        for l in range(3):
            block = tensor.block({"o3_lambda": l, "center_type": 6, "neighbor_type": neighbor})
            for m in range(-l, l + 1):
                projected = field @ (solid * harmonics(l, m, directions))  # -> [s]
                expected = (weights * s**2 * projected) @ radial.functions(s)
                assert np.allclose(block.values[0, l + m], expected, atol=1e-8 * np.abs(block.values).max() + 1e-9)


def test_mixed_list(lode, crystals, slab, differ):
    """Molecules, slabs and crystals in one call are what they are alone."""
    systems = [ase.build.molecule("H2O"), crystals[0], slab, ase.build.molecule("CO2"), ase.Atoms("N"), ase.Atoms()]
    together = lode().compute(systems, gradients=["positions", "strain", "cell"])
    for index, atoms in enumerate(systems[:5]):
        alone = lode().compute(atoms, gradients=["positions", "strain", "cell"])
        for key, block in alone.items():
            same = together.block(key)
            rows = np.flatnonzero(same.samples["system"] == index)
            assert differ(same.values[rows], block.values) < 1e-10
            for name in ("strain", "cell"):
                slopes = same.gradient(name).values[rows] - block.gradient(name).values
                assert np.abs(slopes).max() < 1e-9 * max(np.abs(block.values).max(), 1e-3)
            places = np.flatnonzero(same.gradient("positions").samples["system"] == index)
            slopes = same.gradient("positions").values[places] - block.gradient("positions").values
            assert np.abs(slopes).max() < 1e-9 * max(np.abs(block.values).max(), 1e-3)


def test_plane_field():
    """u(z) as the integral of v_p over a plane, where that converges; slopes where it does not."""
    t = (np.arange(20000) + 0.5) / 20000
    rho, weights = 1000 * t**3, 3000 * t**2 / 20000
    z = np.array([0.0, 0.3, 1.7, 6.0])
    for exponent in (0, 5, 6, 8):
        brute = (smeared(np.hypot(z[:, None], rho), exponent, 0.8) * 2 * np.pi * rho) @ weights
        assert np.allclose(plane_field(z, exponent, 0.8), brute, rtol=1e-6, atol=1e-9)
    far = np.array([30.0])
    assert np.isclose(plane_field(far, 1, 0.8), -2 * np.pi * far, rtol=1e-12)
    assert np.isclose(plane_field(far, 2, 0.8), -2 * np.pi * np.log(far), rtol=1e-12)
    h = 1e-4
    for exponent in range(10):
        for order in (0, 1):
            slope = plane_field(z + h, exponent, 0.8, order) - plane_field(z - h, exponent, 0.8, order)
            assert np.allclose(slope / (2 * h), plane_field(z, exponent, 0.8, order + 1), atol=1e-6)


def test_plane_field_on_the_basis(lode):
    """U_nl by a quadrature over the ball instead of along its axis."""
    radial = lode().basis.radial
    s, weights = np.polynomial.legendre.leggauss(200)
    s, weights = 0.5 * (s + 1) * radial.reach, 0.5 * weights * radial.reach
    x, x_weights = np.polynomial.legendre.leggauss(120)
    for exponent in (0, 1, 2, 5):
        found = PlaneField(lode().basis, exponent, 1.0)(np.array([0.7]))[0]
        u = plane_field(0.7 + s[:, None] * x, exponent, 1.0)
        for l in range(4):
            legendre = (u * x_weights * scipy.special.eval_legendre(l, x)).sum(1)
            expected = 2 * np.pi * (legendre * weights * s**2) @ radial.functions(s)
            assert np.allclose(found[l], expected, atol=1e-11 * np.abs(found).max())


@pytest.mark.parametrize("exponent", [1, 2, 5])
def test_slab_is_the_limit_of_a_box(lode, slab, exponent):
    """A slab in a box of height L: for p = 1 the box adds L π/3 + 2π z²/L (Yeh, Berkowitz, JCP 111, 3155 (1999)).

    So l = 0 has terms in L, 1 and 1/L, l = 1 and 2 in 1 and 1/L, higher l none. For p = 2 there is ln L, and then
    even powers of 1/L for other p: Richardson's extrapolation for l ≥ 1.
    """
    calculator = lode(exponent, k_cutoff=7.0)
    heights = np.array([40.0, 50.0, 60.0, 70.0])
    found = []
    for height in heights:
        box = slab.copy()
        normal = np.cross(*box.cell.array[:2])
        box.set_cell([*box.cell.array[:2], height * normal / np.linalg.norm(normal)])
        box.pbc = True
        found.append(calculator.compute(box))
    flat = calculator.compute(slab)
    powers = {1: {0: (1, 0, -1), 1: (0, -1), 2: (0, -1), 3: (0,)}, 2: {1: (0, -2, -4, -6)}, 5: {0: (0, -1, -3, -5)}}
    for key, block in flat.items():
        l = int(key["o3_lambda"])
        chosen = powers[exponent].get(l, (0, -2, -4, -6))
        if exponent == 2 and l == 0:
            continue  # the constant goes with ln L
        values = np.stack([tensor.block(key).values for tensor in found])
        design = (heights[:, None] / 50.0) ** np.array(chosen)
        coefficients = np.linalg.lstsq(design, values.reshape(len(heights), -1), rcond=None)[0]
        limit = coefficients[chosen.index(0)].reshape(block.values.shape)
        scale = np.abs(flat.block({**key_dict(key), "o3_lambda": 0}).values).max()
        assert np.abs(limit - block.values).max() < 1e-6 * scale, (key, np.abs(limit - block.values).max() / scale)


def key_dict(key):
    return dict(zip(key.names, key.values.tolist()))


def test_wires(lode):
    atoms = ase.Atoms("CO", positions=[[0, 0, 0], [0.3, 1.1, 0.2]], cell=[0, 2.4, 0], pbc=[False, True, False])
    with pytest.raises(ValueError, match="system 1 is periodic along one direction"):
        lode().compute([ase.build.molecule("CO"), atoms])
