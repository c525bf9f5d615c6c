"""Errors, torch, other bases, and products with a density: what the field shares with other calculators."""

import dataclasses

import ase
import ase.build
import featomic
import ketmap_ops
import numpy as np
import pytest
import torch
from ketmap_cg import EquivariantPowerSpectrum
from ketmap_core import CoincidentAtomsWarning, as_batch, info
from ketmap_density import Cutoff, Explicit, Gaussian, Gto, LaplacianEigenstate, SphericalExpansion, TensorProduct
from ketmap_lode import LodeSphericalExpansion, SmearedPowerLaw, expansion
from ketmap_lode.fourier import ExponentialIntegral, transform
from metatensor import Labels
from metatomic.torch import systems_to_torch
from scipy.special import exp1


def test_bad_hypers(lode):
    basis = TensorProduct(1, Gto(1, 2.0))
    for given, message in (
        ({"smearing": -1.0, "exponent": 1}, "smearing must be greater than 0"),
        ({"smearing": 1.0, "exponent": 10}, "exponent must be at most 9, got 10"),
        ({"smearing": 1.0, "exponent": [1, 1]}, "every exponent stands once"),
        ({"smearing": 1.0, "exponent": []}, "empty list"),
        ({"smearing": 1.0, "exponent": 1.5}, "exponent must be an integer"),
        ({"smearing": 1.0, "exponent": 1, "center_atom_weight": 0.5}, "center_atom_weight must be 1"),
        ({"smearing": 1.0, "exponnt": 1}, "did you mean 'exponent'"),
    ):
        with pytest.raises(ValueError, match=message):
            SmearedPowerLaw(**given)
    with pytest.raises(ValueError, match="Gto needs a radius"):
        LodeSphericalExpansion(density=SmearedPowerLaw(1.0, 1), basis=TensorProduct(1, Gto(1)))
    with pytest.raises(ValueError, match="k_cutoff must be greater than 0"):
        LodeSphericalExpansion(density=SmearedPowerLaw(1.0, 1), basis=basis, k_cutoff=0.0)
    with pytest.raises(ValueError, match="did you mean 'k_cutoff'"):
        LodeSphericalExpansion(density=SmearedPowerLaw(1.0, 1), basis=basis, kcutoff=3.0)
    with pytest.raises(ValueError, match="missing: density"):
        LodeSphericalExpansion(basis=basis)


def test_bad_structures(lode):
    field = lode()
    atoms = ase.build.bulk("NaCl", "rocksalt", 5.6)
    atoms.positions[1, 2] = np.nan
    with pytest.raises(ValueError, match="system 0: position of atom 1 is not finite"):
        field.compute(atoms)
    with pytest.raises(ValueError, match="has no volume"):
        field.compute(ase.Atoms("H", cell=[[1, 0, 0], [2, 0, 0], [0, 0, 1]], pbc=True))
    with pytest.warns(CoincidentAtomsWarning, match="atoms 0 and 1"):
        tensor = field.compute(ase.Atoms("CO", positions=np.zeros((2, 3))))
    assert all(np.isfinite(block.values).all() for block in tensor.blocks())
    assert len(field.compute([]).keys) == 0
    with pytest.raises(ValueError, match="o3_lambda is one of 0, 1, 2, 3"):
        keys = Labels(["o3_lambda", "o3_sigma", "center_type", "neighbor_type"], np.array([[7, 1, 6, 6]]))
        field.compute(ase.build.molecule("CO"), selected_keys=keys)


def test_selections(lode, crystals):
    """Samples, properties and keys that are selected are those of the whole."""
    field, whole = lode([1, 5]), lode([1, 5]).compute(crystals[:2], gradients=["positions"])
    chosen = field.compute(
        crystals[:2],
        gradients=["positions"],
        selected_samples=Labels(["atom"], np.array([[1]])),
        selected_properties=Labels(["n"], np.array([[2]])),
        selected_keys=Labels(["exponent", "o3_lambda"], np.array([[5, 2]])),
    )
    assert {(int(k["exponent"]), int(k["o3_lambda"])) for k in chosen.keys} == {(5, 2)}
    for key, block in chosen.items():
        expected = whole.block(key)
        rows = [expected.samples.position(sample) for sample in block.samples]
        assert block.samples["atom"].tolist() == [1] * len(rows)
        assert np.allclose(block.values, expected.values[rows][..., 2:3], atol=1e-12)
        slopes, reference = block.gradient("positions"), expected.gradient("positions")
        kept = np.isin(reference.samples["sample"], rows)
        assert np.allclose(slopes.values, reference.values[kept][..., 2:3], atol=1e-12)


def test_provenance(lode):
    """The dictionary of a TensorMap builds its calculator again."""
    field = lode([1, 3], k_cutoff=3.3)
    made = info(field.compute(ase.build.molecule("CO")))
    assert made["calculator"] == "LodeSphericalExpansion"
    again = LodeSphericalExpansion.from_dict(made["hypers"])
    assert again.to_dict() == field.to_dict() and again.k_cutoff == 3.3


def test_torch(lode, crystals):
    """The same numbers as torch TensorMaps, in float32 as well."""
    field, atoms = lode(), crystals[0]
    expected = field.compute(atoms)
    for dtype, tolerance in ((torch.float64, 1e-12), (torch.float32, 2e-5)):
        tensor = field.compute(systems_to_torch(atoms, dtype=dtype))
        for a, b in zip(tensor.blocks(), expected.blocks()):
            assert a.values.dtype == dtype
            assert np.abs(a.values.numpy() - b.values).max() < tolerance * max(np.abs(b.values).max(), 1.0)


@pytest.mark.parametrize(
    "basis",
    [LaplacianEigenstate(2, radius=4.0), Explicit({0: Gto(2, 3.0), 2: Gto(1, 2.0)})],
    ids=["LaplacianEigenstate", "Explicit"],
)
def test_other_bases(basis, crystals, slab):
    """Any radial functions: p = 0 is the density of the same basis, for crystals, slabs and molecules."""
    systems = [crystals[0], slab, ase.build.molecule("H2O")]
    field = LodeSphericalExpansion(density=SmearedPowerLaw(0.8, 0), basis=basis, k_cutoff=7.5).compute(systems)
    density = SphericalExpansion(cutoff=Cutoff(14.0), density=Gaussian(0.8), basis=basis).compute(systems)
    scale = max(np.abs(block.values).max() for block in density.blocks())
    for key, block in density.items():
        other = field.block(key)
        rows = [other.samples.position(sample) for sample in block.samples]
        assert other.properties == block.properties
        assert np.abs(other.values[rows] - block.values).max() < 1e-6 * scale


def test_product_with_a_density(crystals):
    """ρ ⊗ V: all (l1, l2), with gradients; the values that featomic does keep (l1 ≤ l2) are featomic's."""
    basis = {
        "type": "TensorProduct",
        "max_angular": 1,
        "radial": {"type": "Gto", "max_radial": 1, "radius": 3.0},
        "spline_accuracy": None,
    }
    short = {
        "cutoff": {"radius": 3.5, "smoothing": {"type": "Step"}},
        "basis": {**basis, "radial": {"type": "Gto", "max_radial": 1}},
    }
    short["density"] = {"type": "Gaussian", "width": 0.5, "center_atom_weight": 1.0}
    field = LodeSphericalExpansion(density={"type": "SmearedPowerLaw", "smearing": 1.0, "exponent": 1}, basis=basis)
    ours = EquivariantPowerSpectrum(SphericalExpansion(**short), field).compute(crystals[:1], gradients=["strain"])
    density = featomic.density.SmearedPowerLaw(smearing=1.0, exponent=1)
    theirs = featomic.clebsch_gordan.EquivariantPowerSpectrum(
        featomic.SphericalExpansion(**short), featomic.LodeSphericalExpansion(density=density, basis=basis)
    ).compute(crystals[:1])
    found = {tuple(row) for block in ours.blocks() for row in block.properties.values[:, :2].tolist()}
    assert found == {(0, 0), (0, 1), (1, 0), (1, 1)}
    scale = max(np.abs(block.values).max() for block in theirs.blocks())  # blocks that symmetry forbids are noise
    for key, block in theirs.items():
        mine = ours.block(dict(zip(key.names, (int(v) for v in key.values))))
        places = [mine.properties.position(label) for label in block.properties]
        assert np.abs(mine.values[..., places] - block.values).max() < 1e-7 * scale
    assert all(block.has_gradient("strain") for block in ours.blocks())


def test_exponential_integral():
    x = torch.tensor([1e-6, 0.1, 1.0, 1.999, 2.001, 5.0, 40.0], dtype=torch.float64, requires_grad=True)
    assert np.allclose(ExponentialIntegral.apply(x).detach().numpy(), exp1(x.detach().numpy()), rtol=1e-13)
    for exponent in range(10):
        k = torch.tensor([0.3, 1.1, 3.0], dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradgradcheck(lambda k, p=exponent: transform(k, p, 1.2), k)


def test_systems_that_are_summed_together_are_as_if_alone(lode, crystals, slab, monkeypatch):
    """Crystals of one batch share their calls, as many as have some number of atoms."""
    systems = [*crystals, slab, ase.build.molecule("H2O"), *crystals[::-1]]
    calculator = lode(2, max_angular=2)
    alone = [calculator.compute(system) for system in systems]
    for n_atoms in (1, 20, 10_000):
        monkeypatch.setattr(expansion, "TOGETHER", n_atoms)
        together = calculator.compute(systems)
        for index, tensor in enumerate(alone):
            for key, block in tensor.items():
                found = together.block(key)
                rows = found.samples.values[:, 0] == index
                np.testing.assert_array_equal(found.samples.values[rows, 1], block.samples.values[:, 1])
                scale = np.abs(block.values).max()
                np.testing.assert_allclose(found.values[rows], block.values, rtol=0, atol=1e-13 * scale)


def test_degrees_that_no_block_has_are_not_computed(lode, crystals, monkeypatch):
    degrees, field = [], ketmap_ops.wave_field
    monkeypatch.setattr(ketmap_ops, "wave_field", lambda *a: degrees.append(a[4].shape[1]) or field(*a))
    calculator = lode(5)
    whole = calculator.compute(crystals)
    some = calculator.compute(crystals, selected_keys=Labels(["o3_lambda"], np.array([[1], [0]], dtype=np.int32)))
    calculator.scalars(as_batch(crystals), (1, 11, 14, 17))
    assert degrees == [16, 4, 1] and len(some) == len(whole) // 2
    for key, block in some.items():
        scale = np.abs(whole.block(key).values).max()
        np.testing.assert_allclose(block.values, whole.block(key).values, rtol=0, atol=1e-13 * scale)


def test_waves_of_the_last_cell(lode, crystals):
    """They are made once for atoms that move in a cell, anew for another one and for derivatives by the cell."""
    calculator = lode(1)
    moved, larger = crystals[0].copy(), crystals[0].copy()
    moved.positions += 0.1 * np.sin(np.arange(moved.positions.size)).reshape(-1, 3)
    larger.set_cell(1.01 * larger.cell.array, scale_atoms=True)
    for system in (crystals[0], moved, larger, moved, crystals[2], moved):
        again, fresh = calculator.compute(system), lode(1).compute(system)
        for one, other in zip(again.blocks(), fresh.blocks()):
            np.testing.assert_array_equal(one.values, other.values)
    batch = as_batch(moved.copy())
    batch = dataclasses.replace(batch, is_torch=True)
    leaves = batch.positions.requires_grad_(), batch.cells.requires_grad_()
    values = sum((block.values**3).sum() for block in calculator.compute(batch).blocks())
    slopes = torch.autograd.grad(values, leaves)
    assert all(slope.abs().max() > 1e-3 for slope in slopes)
    with torch.inference_mode():
        lode(1).compute(moved)
        calculator.compute(larger)
    batch = dataclasses.replace(as_batch(larger.copy()), is_torch=True)
    batch.positions.requires_grad_()
    (slopes,) = torch.autograd.grad(calculator.compute(batch).block(0).values.sum(), batch.positions)
    assert slopes.isfinite().all()
