"""Roads to crystals with a stated accuracy: errors of each, and which one is chosen."""

import dataclasses

import ase
import ase.build
import numpy as np
import pytest
import torch
from ketmap_core import as_batch
from ketmap_lode import LodeSphericalExpansion, expansion, roads
from ketmap_lode.expansion import Centers
from ketmap_lode.mesh import MeshTerm
from ketmap_lode.real import PairParts
from ketmap_testing import check_calculator, default_systems
from metatensor import Labels


@pytest.fixture
def meshes(monkeypatch):
    """Waves are always summed on a mesh."""
    monkeypatch.setattr(roads, "PROJECTION", 1e9)


def salt():
    atoms = ase.build.bulk("NaCl", "rocksalt", 5.6, cubic=True) * (2, 1, 1)
    atoms.rattle(0.2, seed=1)
    return atoms


def silicon():
    """Hardly disturbed: on a mesh its Bragg peaks fall upon one another."""
    atoms = ase.build.bulk("Si", "diamond", 5.43, cubic=True) * (2, 2, 2)
    atoms.rattle(0.05, seed=1)
    return atoms


def disordered():
    """Atoms anywhere in a skewed cell."""
    cell = np.array([[7.0, 0.0, 0.0], [2.0, 8.0, 0.0], [-3.0, 1.0, 7.5]])
    return ase.Atoms("C12N12", positions=np.random.default_rng(0).random((24, 3)) @ cell, cell=cell, pbc=True)


def errors(found, exact, exponents):  # -> [exponent, l]
    """Root mean squares relative to those of ``exact``."""
    l = torch.tensor([int(np.sqrt(lm)) for lm in range(exact.shape[2])])
    squares = [
        x.unflatten(-1, (len(exponents), -1)).square().sum(dim=(0, 1, 4)).T for x in (found - exact, exact)
    ]  # -> [exponent, lm]
    sums = [torch.stack([x[:, l == degree].sum(dim=1) for degree in range(int(l.max()) + 1)]) for x in squares]
    return (sums[0] / sums[1]).sqrt().T


@pytest.mark.parametrize("ratio, exponents", [(1.0, [1, 2, 3, 4, 5, 6]), (2.0, [1, 4]), (3.0, [1, 6])])
@pytest.mark.parametrize("make", [salt, silicon, disordered])
def test_mesh_is_as_accurate_as_asked_for(lode, make, ratio, exponents, meshes, monkeypatch):
    """RMS error relative to the RMS of the coefficients of each l, against the converged direct sum."""
    monkeypatch.setattr(roads, "RATIOS", (ratio,))
    batch = as_batch(make())
    centers = Centers.of(batch, None, None)
    exact = lode(exponents, k_cutoff=7.0).expansion.coefficients(centers, batch)
    for accuracy in (1e-2, 1e-3, 1e-5):
        field = lode(exponents, accuracy=accuracy).expansion
        assert isinstance(field.terms(batch, centers, [0])[0], MeshTerm)
        found = errors(field.coefficients(centers, batch), exact, exponents)
        assert (found < accuracy).all(), (accuracy, found)


def test_gaussians_need_pairs_alone(lode, monkeypatch):
    """p = 0 dies out by itself; among other exponents it is their pairs' business."""
    monkeypatch.setattr(roads, "RATIOS", (2.0,))
    batch = as_batch(salt())
    centers = Centers.of(batch, None, None)
    for exponents in ([0], [0, 1, 6]):
        field = lode(exponents, accuracy=1e-4).expansion
        road = field.roads.choose(batch.n_atoms, 2)
        assert road.pairs and road.waves == (len(exponents) > 1) and np.isinf(road.smearings[0])
        exact = lode(exponents, k_cutoff=7.0).expansion.coefficients(centers, batch)
        assert (errors(field.coefficients(centers, batch), exact, exponents) < 1e-4).all()


def energy(field, centers, batch, positions, cells):
    """Some smooth function of the coefficients."""
    moved = dataclasses.replace(batch, positions=positions, cells=cells)
    c = field.coefficients(centers, moved)
    weights = torch.randn(c.shape, generator=torch.Generator().manual_seed(0), dtype=c.dtype)
    return (weights * c).sum() + (c**2).sum()


def test_forces_are_derivatives_of_the_mesh_energy(lode, meshes, monkeypatch):
    """To the rounding of finite differences, though the mesh itself is good to a hundredth; likewise by the cell."""
    monkeypatch.setattr(roads, "RATIOS", (2.0,))
    batch = as_batch(disordered())
    centers = Centers.of(batch, None, None)
    field = lode([1, 4], max_angular=2, max_radial=1, accuracy=1e-2).expansion
    assert isinstance(field.terms(batch, centers, [0])[0], MeshTerm)
    positions, cells = batch.positions.clone().requires_grad_(), batch.cells.clone().requires_grad_()
    value = energy(field, centers, batch, positions, cells)
    slopes = torch.autograd.grad(value, (positions, cells))
    rng, step = torch.Generator().manual_seed(1), 1e-4
    for which, slope in enumerate(slopes):
        along = torch.randn(slope.shape, generator=rng, dtype=slope.dtype)
        around = []
        for factor in (-2, -1, 1, 2):
            given = [positions.detach(), cells.detach()]
            given[which] = given[which] + factor * step * along
            around.append(float(energy(field, centers, batch, *given)))
        numeric = (around[0] - 8 * around[1] + 8 * around[2] - around[3]) / (12 * step)
        assert float((slope * along).sum()) == pytest.approx(numeric, rel=1e-8)
    # a mesh is no homogeneous medium: forces sum to zero to the accuracy
    assert slopes[0].sum(dim=0).norm() < 1e-2 * slopes[0].norm()


@pytest.mark.parametrize("law", ["rotation", "translation", "permutation", "supercell", "autograd"])
def test_laws(lode, law, meshes, monkeypatch):
    """Rotations of cell and atoms together and permutations leave the mesh as it is; translations do not."""
    monkeypatch.setattr(roads, "RATIOS", (2.0,))
    monkeypatch.setattr(LodeSphericalExpansion, "law_tolerances", {"supercell": 1e-4, "translation": 1e-4})
    field = lode([1, 4], max_angular=2, max_radial=1, accuracy=1e-4)
    crystals = [atoms for atoms in default_systems() if atoms.pbc.all()]
    assert law in check_calculator(field, systems=crystals, laws=[law], rtol=1e-8).deviations


def test_second_derivatives(lode, meshes, monkeypatch):
    monkeypatch.setattr(roads, "RATIOS", (1.0,))
    batch = as_batch(ase.build.bulk("NaCl", "rocksalt", 5.6))
    centers = Centers.of(batch, None, None)
    field = lode([1, 4], max_angular=1, max_radial=0, accuracy=1e-2).expansion

    def value(positions, cells):
        return energy(field, centers, batch, positions, cells)

    inputs = [x.clone().requires_grad_() for x in (batch.positions + 0.1, batch.cells)]
    assert torch.autograd.gradgradcheck(value, inputs, fast_mode=True)


def test_threads_and_single_precision(lode, meshes, monkeypatch):
    """The number of threads matters no more than to the rounding of Fourier transforms; float32 is close."""
    monkeypatch.setattr(roads, "RATIOS", (2.0,))
    batch, threads = as_batch(disordered()), torch.get_num_threads()
    centers = Centers.of(batch, None, None)
    field = lode([1, 4], max_angular=2, max_radial=1, accuracy=1e-3).expansion
    found = []
    for n in (1, 2, 5):
        torch.set_num_threads(n)
        found.append(field.coefficients(centers, batch))
    torch.set_num_threads(threads)
    for other in found[1:]:
        torch.testing.assert_close(other, found[0], rtol=0, atol=1e-14 * float(found[0].abs().max()))
    single = dataclasses.replace(batch, positions=batch.positions.float(), cells=batch.cells.float())
    close = field.coefficients(centers, single)
    assert close.dtype == torch.float32
    torch.testing.assert_close(close.double(), found[0], rtol=0, atol=2e-5 * float(found[0].abs().max()))


def test_selections(lode, meshes):
    """Some centres, and types that are not there."""
    field = lode(accuracy=1e-3)
    whole = field.compute(salt())
    samples = Labels(["system", "atom"], np.array([[0, 3], [0, 12]]))
    some = field.compute(salt(), selected_samples=samples)
    assert len(some) == len(whole)
    for key, block in some.items():
        rows = whole.block(key).samples.select(samples)
        np.testing.assert_allclose(block.values, whole.block(key).values[np.sort(rows)], rtol=1e-10, atol=1e-12)
    keys = Labels(list(whole.keys.names), np.array([[0, 1, 11, 3], [1, 1, 3, 3]]))
    assert all(block.values.size == 0 for block in field.compute(salt(), selected_keys=keys).blocks())


def test_pairs_part_by_part(lode, monkeypatch):
    """The same numbers, and derivatives, if not all pairs are in memory."""
    monkeypatch.setattr(roads, "RATIOS", (2.0,))
    batch = as_batch(salt())
    centers = Centers.of(batch, None, torch.arange(batch.n_atoms) % 5 != 1)
    found = []
    for longest, part in ((1 << 22, 1 << 21), (1000, 900)):
        monkeypatch.setattr(expansion, "LONGEST_LIST", longest)
        monkeypatch.setattr(expansion, "PART", part)
        field = lode([1, 4], max_angular=2, max_radial=1, accuracy=1e-3).expansion
        inputs = [x.clone().requires_grad_() for x in (batch.positions, batch.cells)]
        value = energy(field, centers, batch, *inputs)
        found.append([value, *torch.autograd.grad(value, inputs)])
        parts = [term.at_once for term in field.terms(batch, centers, [0]) if isinstance(term, PairParts)]
        assert len(parts) == (longest == 1000) and all(n < 5 for n in parts)
    for one, other in zip(*found):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_explicit_gradients_are_of_the_direct_sum(lode, request, monkeypatch):
    """Values that come with explicit gradients are those that the gradients belong to."""
    monkeypatch.setattr(roads, "RATIOS", (2.0,))
    field = lode([1, 4], max_angular=2, max_radial=1, accuracy=1e-3)
    direct = field.compute(salt())
    request.getfixturevalue("meshes")
    plain, graded = field.compute(salt()), field.compute(salt(), gradients=["strain"])
    for one, other, expected in zip(plain.blocks(), graded.blocks(), direct.blocks()):
        np.testing.assert_allclose(other.values, expected.values, rtol=1e-14)
        assert 0 < np.abs(one.values - expected.values).max() < 1e-2 * np.abs(one.values).max()


def test_choice(lode):
    """Few atoms: waves alone; more: pairs as well; many: a mesh, whatever the volume."""
    choose = lode(accuracy=8e-4, max_angular=4, max_radial=5).expansion.roads.choose
    found = {n: choose(n, 1) for n in (2, 1000, 10_000, 1_000_000)}
    assert not found[2].pairs and found[2].mesh is None
    assert found[1000].pairs and found[1000].mesh is None
    assert found[10_000].mesh is not None and found[10_000] == found[1_000_000]
    assert choose(10_000, 1, meshes=False).mesh is None
