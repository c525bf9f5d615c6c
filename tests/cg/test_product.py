"""ClebschGordanProduct against featomic, its definition and finite differences."""

import ase
import featomic
import metatensor
import numpy as np
import pytest
import torch
from featomic.clebsch_gordan import ClebschGordanProduct as Theirs
from ketmap_cg import ClebschGordanProduct
from ketmap_core import check, info
from ketmap_core.o3 import clebsch_gordan
from metatensor import Labels
from metatomic.torch import System, systems_to_torch

from .conftest import assert_same, expansion, hypers, renamed

L_NAMES = ("l_1", "l_2")


def product(first, second, **given):
    return ClebschGordanProduct().compute(renamed(first, 1), renamed(second, 2), *L_NAMES, **given)


def test_featomic(molecules):
    one, two = expansion().compute(molecules), expansion(max_angular=1, max_radial=2).compute(molecules)
    theirs = Theirs(max_angular=3).compute(renamed(one, 1), renamed(two, 2), *L_NAMES)
    ours = product(one, two)
    assert_same(ours, theirs)
    assert ours.keys == theirs.keys
    assert check(ours) or all("l_" in problem for problem in check(ours).problems)


def test_three_factors(molecules):
    """Pseudotensors as inputs, several blocks of one λ with other keys."""
    rho = expansion(max_angular=1).compute(molecules)
    two = product(rho, rho)
    three = renamed(rho, 3)
    ours = ClebschGordanProduct().compute(two, three, "k_2", "l_3")
    assert_same(ours, Theirs(max_angular=3).compute(two, three, "k_2", "l_3"))
    assert set(ours.keys.column("o3_sigma")) == {1, -1}


def test_definition(molecules):
    rho = expansion().compute(molecules)
    for key, block in product(rho, rho, selected_keys=Labels(["o3_lambda"], np.array([[2]]))).items():
        c = []
        for index in (1, 2):
            part = rho.block(
                {
                    "o3_lambda": key[f"l_{index}"],
                    "center_type": key["center_type"],
                    "neighbor_type": key[f"neighbor_{index}_type"],
                }
            )
            places = [part.samples.position(sample) for sample in block.samples]
            c.append(np.stack([np.zeros(part.shape[1:]) if p is None else part.values[p] for p in places]))
        coefficients = clebsch_gordan(key["l_1"], key["l_2"], 2)
        expected = np.einsum("imp,inq,mnM->iMpq", *c, coefficients).reshape(block.values.shape)
        np.testing.assert_allclose(block.values, expected, atol=1e-14)


def test_missing_samples_are_zeros():
    """The oxygen has no oxygen around it but itself; a tensor without some samples multiplies as if they were zero."""
    atoms = [
        ase.Atoms("OHH", [[0, 0, 0], [0.9, 0.1, 0], [-0.2, 0.9, 0.1]]),
        ase.Atoms("OHO", [[0, 0, 0], [0.9, 0.1, 0], [0, 2.2, 0.1]]),
    ]
    rho = expansion().compute(atoms)
    blocks = []
    for block in rho.blocks():
        kept = np.arange(len(block.samples))[::-1][: max(len(block.samples) - 1, 1)]  # one fewer, in another order
        samples = Labels(block.samples.names, block.samples.values[kept])
        blocks.append(metatensor.TensorBlock(block.values[kept], samples, block.components, block.properties))
    fewer = metatensor.TensorMap(rho.keys, blocks)
    try:
        ours = product(rho, fewer)
    except ValueError:
        pytest.fail("both systems are in both tensors")
    assert_same(ours, Theirs(max_angular=4).compute(renamed(rho, 1), renamed(fewer, 2), *L_NAMES))
    for block in ours.blocks():
        values = block.samples.values
        assert (values == values[np.lexsort(values.T[::-1])]).all()


def test_pairs(molecules):
    """Atoms times pairs: the samples of the pairs, as in featomic."""
    rho = expansion().compute(molecules)
    pairs = featomic.SphericalExpansionByPair(**hypers()).compute(molecules)
    first = metatensor.rename_dimension(renamed(rho, 1), "keys", "center_type", "first_atom_type")
    first = metatensor.rename_dimension(first, "samples", "atom", "first_atom")
    pairs = metatensor.rename_dimension(pairs, "properties", "n", "n_2")
    ours = ClebschGordanProduct().compute(first, pairs, *L_NAMES)
    assert_same(ours, Theirs(max_angular=4).compute(first, pairs, *L_NAMES))
    other_way = ClebschGordanProduct().compute(pairs, first, *L_NAMES)
    assert_same(other_way, Theirs(max_angular=4).compute(pairs, first, *L_NAMES))


def test_norm_is_kept(molecules):
    """|ρ ⊗ ρ|² = |ρ|² |ρ|² summed over all λ and σ: the product is complete."""
    rho = expansion(max_angular=3).compute(molecules).keys_to_properties("neighbor_type")
    one = metatensor.rename_dimension(rho, "properties", "neighbor_type", "neighbor_1_type")
    two = metatensor.rename_dimension(rho, "properties", "neighbor_type", "neighbor_2_type")
    one, two = (metatensor.rename_dimension(x, "properties", "n", f"n_{i}") for i, x in ((1, one), (2, two)))
    both = ClebschGordanProduct().compute(one, two, *L_NAMES)
    norms = {tensor: {} for tensor in ("one", "both")}
    for name, tensor in (("one", rho), ("both", both)):
        for block in tensor.blocks():
            for sample, values in zip(map(tuple, block.samples.values.tolist()), block.values):
                norms[name][sample] = norms[name].get(sample, 0.0) + (values**2).sum()
    for sample, norm in norms["one"].items():
        assert norms["both"][sample] == pytest.approx(norm**2, rel=1e-13)


def test_selections(molecules):
    rho = expansion().compute(molecules)
    every = product(rho, rho)
    keys = Labels(["o3_lambda", "l_1"], np.array([[1, 2], [0, 0]]))
    properties = Labels(["n_1", "n_2"], np.array([[0, 1], [1, 1]]))
    some = product(rho, rho, selected_keys=keys, selected_properties=properties)
    assert len(some.keys) == len(every.keys.select(keys)) > 0
    for key, block in some.items():
        assert block.properties.values.tolist() == [[0, 1], [1, 1]]
        np.testing.assert_array_equal(block.values, every.block(key).values[..., [1, 3]])
    half = ClebschGordanProduct(keys_filter=lambda keys: [i for i, key in enumerate(keys) if key["l_1"] <= key["l_2"]])
    filtered = half.compute(renamed(rho, 1), renamed(rho, 2), *L_NAMES)
    assert 0 < len(filtered.keys) < len(every.keys)
    assert all(key["l_1"] <= key["l_2"] for key in filtered.keys)
    nothing = product(rho, rho, selected_keys=Labels(["o3_lambda"], np.array([[99]])))
    assert len(nothing.keys) == 0 and nothing.keys.names == every.keys.names
    nothing = product(rho, rho, selected_properties=Labels(["n_1"], np.array([[99]])))
    assert all(len(block.properties) == 0 for block in nothing.blocks())


@pytest.mark.parametrize("name", ["positions", "strain", "cell"])
def test_gradients(name):
    """Leibniz' rule against finite differences, with samples that differ between the operands."""
    atoms = ase.Atoms(
        "OHHO", [[0, 0, 0], [0.9, 0.1, 0], [-0.2, 0.9, 0.1], [1.1, 1.3, 1.5]], cell=[3.1, 3.3, 3.2], pbc=True
    )
    lone = ase.Atoms("H", [[0.1, 0.2, 0.3]], cell=[9, 9, 9], pbc=True)
    calculators = expansion(radius=2.5, max_angular=1), expansion(radius=1.5, max_angular=2, max_radial=0)

    def values(atoms, **given):
        return product(*(calculator.compute([lone, atoms], **given) for calculator in calculators))

    def scalar(atoms):
        rng = np.random.default_rng(0)
        return sum(np.sum(rng.normal(size=block.values.shape) * block.values) for block in values(atoms).blocks())

    direction = np.random.default_rng(1).normal(size=(4 if name == "positions" else 3, 3))

    def moved(step):
        new = atoms.copy()
        if name == "positions":
            new.positions += step * direction
        elif name == "strain":
            new.set_cell(new.cell.array @ (np.eye(3) + step * direction), scale_atoms=True)
        else:
            new.set_cell(new.cell.array + step * direction, scale_atoms=False)
        return new

    h = 1e-4
    expected = sum(c * scalar(moved(s)) for c, s in ((8, h), (-8, -h), (-1, 2 * h), (1, -2 * h))) / (12 * h)
    rng, found = np.random.default_rng(0), 0.0
    for block in values(atoms, gradients=[name]).blocks():
        gradient, weights = block.gradient(name), rng.normal(size=block.values.shape)
        sample = gradient.samples.column("sample")
        inside = block.samples.column("system")[sample] == 1
        if name == "positions":
            assert (gradient.samples.column("system") == block.samples.column("system")[sample]).all()
            along = direction[gradient.samples.column("atom")[inside]]
        else:
            along = np.broadcast_to(direction, (inside.sum(), 3, 3))
        weighted = along[..., None, None] * gradient.values[inside]
        found += np.sum(weights[sample[inside]] * weighted.sum(axis=tuple(range(1, weighted.ndim - 2))))
    assert found == pytest.approx(expected, rel=1e-8)


def test_gradients_of_pairs_times_atoms(molecules):
    """An atom's derivatives stand in the rows of all its pairs."""
    rho = expansion().compute(molecules, gradients=["positions"])
    pairs = featomic.SphericalExpansionByPair(**hypers()).compute(molecules, gradients=["positions"])
    first = metatensor.rename_dimension(renamed(rho, 1), "keys", "center_type", "first_atom_type")
    first = metatensor.rename_dimension(first, "samples", "atom", "first_atom")
    pairs = metatensor.rename_dimension(pairs, "properties", "n", "n_2")
    ours = ClebschGordanProduct().compute(first, pairs, *L_NAMES)
    h, direction = 1e-5, np.array([0.3, -0.5, 0.8])

    def at(step):
        atoms = [one.copy() for one in molecules]
        atoms[2].positions[1] += step * direction
        one = renamed(expansion().compute(atoms), 1)
        one = metatensor.rename_dimension(one, "keys", "center_type", "first_atom_type")
        one = metatensor.rename_dimension(one, "samples", "atom", "first_atom")
        two = featomic.SphericalExpansionByPair(**hypers()).compute(atoms)
        return ClebschGordanProduct().compute(one, metatensor.rename_dimension(two, "properties", "n", "n_2"), *L_NAMES)

    up, down = at(h), at(-h)
    for key, block in ours.items():
        expected = (up.block(key).values - down.block(key).values) / (2 * h)
        gradient, found = block.gradient("positions"), np.zeros_like(expected)
        mine = (gradient.samples.column("system") == 2) & (gradient.samples.column("atom") == 1)
        np.add.at(
            found, gradient.samples.column("sample")[mine], np.einsum("x,gxmq->gmq", direction, gradient.values[mine])
        )
        np.testing.assert_allclose(found, expected, atol=1e-7)


def test_autograd(molecules):
    """torch TensorMaps in and out, the same values; derivatives of second order against differences of the first."""
    calculator, direction = expansion(max_angular=1), torch.tensor(np.random.default_rng(0).normal(size=(4, 3)))

    def at(step):
        systems = systems_to_torch(molecules, dtype=torch.float64)
        last = systems[2]
        positions = (last.positions + step * direction).requires_grad_()
        systems[2] = System(types=last.types, positions=positions, cell=last.cell, pbc=last.pbc)
        rho = calculator.compute(systems)
        both = product(rho, rho)
        score = sum((block.values**3).sum() for block in both.blocks())
        return both, positions, torch.autograd.grad(score, positions, create_graph=True)[0]

    both, positions, slope = at(0.0)
    for key, block in product(*[calculator.compute(molecules)] * 2).items():
        mine = both.block({name: int(key[name]) for name in key.names})
        np.testing.assert_allclose(mine.values.detach().numpy(), block.values, atol=1e-14)
    (curvature,) = torch.autograd.grad((slope * direction).sum(), positions)
    h = 1e-4
    expected = (at(h)[2] - at(-h)[2]).detach() / (2 * h)
    np.testing.assert_allclose(curvature.numpy(), expected.numpy(), atol=1e-6 * expected.abs().max())


def test_provenance(molecules):
    rho = expansion().compute(molecules)
    one, two = renamed(rho, 1), renamed(rho, 2)
    for tensor in (one, two):
        for key, value in rho.info().items():
            tensor.set_info(key, value)
    found = info(ClebschGordanProduct().compute(one, two, *L_NAMES))
    assert found["calculator"] == "SphericalExpansion"
    assert found["history"][-1]["operation"] == "ClebschGordanProduct"


def test_errors(molecules):
    rho = expansion(max_angular=1).compute(molecules)
    one, two = renamed(rho, 1), renamed(rho, 2)
    compute = ClebschGordanProduct().compute
    with pytest.raises(ValueError, match="tensor_2 has no samples of system 2, tensor_1 has"):
        compute(one, renamed(expansion(max_angular=1).compute(molecules[:2]), 2), *L_NAMES)
    with pytest.raises(ValueError, match="tensor_1 has no samples of system 2, tensor_2 has"):
        compute(renamed(expansion(max_angular=1).compute(molecules[:2]), 1), two, *L_NAMES)
    with pytest.raises(ValueError, match="both tensors have properties named n_1"):
        compute(one, one, *L_NAMES)
    with pytest.raises(ValueError, match="two keys named l_1"):
        compute(one, two, "l_1", "l_1")
    with pytest.raises(ValueError, match="tensor_2 has no key o3_lambda"):
        compute(one, featomic.SoapPowerSpectrum(**hypers()).compute(molecules), *L_NAMES)
    with pytest.raises(ValueError, match="more than max_angular=1"):
        ClebschGordanProduct(max_angular=1).compute(one, two, *L_NAMES)
    with pytest.raises(ValueError, match="did you mean 'o3_lambda'"):
        compute(one, two, *L_NAMES, selected_keys=Labels(["o3_lambd"], np.array([[1]])))
    with pytest.raises(ValueError, match="only tensor_1 has gradients by positions"):
        compute(renamed(expansion(max_angular=1).compute(molecules, gradients=["positions"]), 1), two, *L_NAMES)
    with pytest.raises(ValueError, match="selected keys must be Labels"):
        compute(one, two, *L_NAMES, selected_keys=[0, 1])
    with pytest.raises(TypeError, match="expected a TensorMap"):
        compute(one, None, *L_NAMES)
    with pytest.raises(ValueError, match="expected the same kind"):
        compute(one, renamed(expansion(max_angular=1).compute(systems_to_torch(molecules)), 2), *L_NAMES)
    with pytest.raises(ValueError, match="cannot be matched"):
        compute(one, metatensor.rename_dimension(two, "samples", "atom", "first_atom"), *L_NAMES)
    with pytest.raises(ValueError, match="max_angular must be 0 or more"):
        ClebschGordanProduct(max_angular=-1)
    with pytest.raises(ValueError, match="cg_backend must be one of"):
        ClebschGordanProduct(cg_backend="sparse")
    with pytest.raises(ValueError, match="arrays_backend must be"):
        ClebschGordanProduct(arrays_backend="jax")
