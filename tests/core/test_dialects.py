"""Dialects of other programs are given the contract's names; the numbers are untouched."""

import ase
import ase.build
import metatensor
import metatensor.torch
import numpy as np
import pytest
import torch
from ketmap_core import canonicalize, check, info, stamp
from ketmap_core.files import pack_tensor, unpack_tensor
from metatensor import Labels, TensorBlock, TensorMap


def labels(names, values):
    return Labels(names, np.array(values, dtype=np.int32).reshape(-1, len(names)))


def rascaline():
    """An expansion as rascaline wrote it, gradients included."""
    generator = np.random.default_rng(0)
    components = [labels(["spherical_harmonics_m"], [-1, 0, 1])]
    properties = labels(["n"], [0, 1])
    samples = labels(["structure", "center"], [[0, 0], [1, 0]])
    block = TensorBlock(generator.normal(size=(2, 3, 2)), samples, components, properties)
    for name, names, rows, axes in (
        ("positions", ["sample", "structure", "atom"], [[0, 0, 0], [1, 1, 0]], ["direction"]),
        ("cell", ["sample"], [0, 1], ["direction_1", "direction_2"]),
    ):
        own = [labels([axis], [0, 1, 2]) for axis in axes]
        values = generator.normal(size=(2, *[3] * len(axes), 3, 2))
        block.add_gradient(name, TensorBlock(values, labels(names, rows), own + components, properties))
    return TensorMap(labels(["spherical_harmonics_l", "species_center", "species_neighbor"], [[1, 6, 1]]), [block])


def to_torch(tensor):
    return unpack_tensor(pack_tensor(tensor), torch=True)


def test_rascaline():
    tensor = canonicalize(rascaline())
    assert check(tensor), str(check(tensor))
    assert tensor.keys.names == ["o3_lambda", "o3_sigma", "center_type", "neighbor_type"]
    assert tensor.keys.values.tolist() == [[1, 1, 6, 1]]
    block, source = tensor[0], rascaline()[0]
    assert block.gradients_list() == ["positions", "strain"]
    np.testing.assert_array_equal(block.values, source.values)
    np.testing.assert_array_equal(block.gradient("strain").values, source.gradient("cell").values)


def test_keys_come_in_our_order():
    block = rascaline()[0].copy()
    tensor = TensorMap(labels(["species_center", "inversion_sigma", "angular_channel"], [[6, -1, 1]]), [block])
    tensor = canonicalize(tensor)
    assert tensor.keys.names == ["o3_lambda", "o3_sigma", "center_type"]
    assert tensor.keys.values.tolist() == [[1, -1, 6]]


def test_invariants_become_equivariant_on_request():
    block = TensorBlock(
        np.ones((1, 2)), labels(["system", "atom"], [[0, 0]]), [], labels(["l", "n1"], [[0, 0], [1, 0]])
    )
    gradient = TensorBlock(
        np.ones((1, 3, 2)),
        labels(["sample", "system", "atom"], [[0, 0, 0]]),
        [labels(["xyz"], [0, 1, 2])],
        block.properties,
    )
    block.add_gradient("positions", gradient)
    for tensor in (invariant := TensorMap(labels(["atom_type"], [6]), [block]), to_torch(invariant)):
        plain, equivariant = canonicalize(tensor), canonicalize(tensor, equivariant=True)
        assert list(plain.keys.names) == ["center_type"] and check(plain)
        assert list(equivariant.keys.names) == ["o3_lambda", "o3_sigma", "center_type"] and check(equivariant)
        assert tuple(equivariant[0].gradient("positions").values.shape) == (1, 3, 1, 2)
    assert canonicalize(canonicalize(rascaline()), equivariant=True).keys == canonicalize(rascaline()).keys


def test_totals_become_equivariant():
    block = TensorBlock(np.ones((1, 1)), labels(["system"], [0]), [], labels(["energy"], [0]))
    tensor = canonicalize(TensorMap(labels(["_"], [0]), [block]), equivariant=True)
    assert tensor.keys.names == ["o3_lambda", "o3_sigma"] and check(tensor)


def test_torch_keeps_dtype_and_autograd():
    tensor = to_torch(rascaline()).to(dtype=torch.float32)
    values = tensor.block(0).values.requires_grad_()
    result = canonicalize(tensor)
    assert check(result) and result.block(0).values.dtype == torch.float32
    result.block(0).values.sum().backward()
    assert torch.equal(values.grad, torch.ones_like(values))


def test_same_result_for_both_libraries():
    one, other = canonicalize(rascaline()), canonicalize(to_torch(rascaline()))
    assert metatensor.equal(one, unpack_tensor(pack_tensor(other)))


def test_canonical_stays_and_info_is_kept():
    tensor = stamp(canonicalize(rascaline()), calculator="SphericalExpansion")
    again = canonicalize(tensor)
    assert metatensor.equal(tensor, again) and info(again) == info(tensor)


def test_two_names_that_mean_the_same():
    tensor = TensorMap(labels(["species_center", "center_type"], [[6, 6]]), [rascaline()[0].copy()])
    with pytest.raises(ValueError, match="two names that mean the same"):
        canonicalize(tensor)


def test_only_tensormaps():
    with pytest.raises(TypeError, match="expected a TensorMap"):
        canonicalize([1, 2])


def test_neighbor_list_of_featomic():
    featomic = pytest.importorskip("featomic")
    calculator = featomic.NeighborList(cutoff=4.0, full_neighbor_list=True)
    structure = ase.build.molecule("CH3OH")
    assert canonicalize(calculator.compute(structure))[0].components[0].names == ["xyz"]
    tensor = canonicalize(calculator.compute(structure, gradients=["positions"]))
    assert tensor[0].components[0].names == ["pair_xyz"] and check(tensor)
