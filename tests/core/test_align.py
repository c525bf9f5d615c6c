"""TensorMaps of different types come to the same keys, whatever library and calculator they are of."""

import ase.build
import metatensor
import metatensor.torch
import numpy as np
import pytest
import torch
from ketmap_core import UnknownTypesError, align, check, info, stamp
from ketmap_core.files import pack_tensor, unpack_tensor
from ketmap_density import Cutoff, Gaussian, Gto, ShiftedCosine, SphericalExpansion, TensorProduct
from ketmap_soap import SoapPowerSpectrum
from metatensor import Labels, TensorBlock, TensorMap

HYPERS = {
    "cutoff": Cutoff(3.0, ShiftedCosine(1.0)),
    "density": Gaussian(0.4),
    "basis": TensorProduct(2, Gto(2)),
}
CALCULATORS = (SphericalExpansion, SoapPowerSpectrum)
WATER, METHANE = ase.build.molecule("H2O"), ase.build.molecule("CH4")


def to_torch(tensor):
    return unpack_tensor(pack_tensor(tensor), torch=True)


def equal(one, other):
    return (metatensor.torch if isinstance(one, torch.ScriptObject) else metatensor).equal(one, other)


def together(sets):
    return [atoms for one in sets for atoms in one]


def labels(names, values):
    return Labels(names, np.array(values, dtype=np.int32).reshape(-1, len(names)))


def block(n_samples=1, properties=(0, 1), samples=("system", "atom"), components=(), value=1.0):
    shape = (n_samples, *map(len, components), len(properties))
    rows = [[i] * len(samples) for i in range(n_samples)]
    return TensorBlock(np.full(shape, value), labels(samples, rows), list(components), labels(["n"], properties))


def invariant(blocks, names=("center_type",)):
    """A TensorMap of key -> block."""
    return TensorMap(labels(names, list(blocks)), list(blocks.values()))


@pytest.mark.parametrize("library", ["numpy", "torch"])
@pytest.mark.parametrize("kind", CALCULATORS)
def test_union_of_keys(kind, library):
    calculator, gradients = kind(**HYPERS), ["positions", "strain", "cell"]
    water, methane = (calculator.compute(atoms, gradients=gradients) for atoms in (WATER, METHANE))
    both = calculator.compute([WATER, METHANE], gradients=gradients)
    if library == "torch":
        water, methane, both = map(to_torch, (water, methane, both))
    results = align([water, methane])
    for before, after in zip((water, methane), results):
        assert check(after), str(check(after))
        assert after.keys == both.keys  # in the calculator's order
        for key, found in after.items():
            place = before.keys.position(key)
            whole = both.block(key)
            assert found.components == whole.components and found.properties == whole.properties
            assert set(found.gradients_list()) == set(whole.gradients_list())
            if place is None:
                assert len(found.samples) == 0 and found.samples.names == whole.samples.names
                for name, gradient in found.gradients():
                    assert len(gradient.samples) == 0
                    assert gradient.components == whole.gradient(name).components
                    assert gradient.samples.names == whole.gradient(name).samples.names
            else:
                assert (found.values == before.block(place).values).all()
                assert found.samples == before.block(place).samples
        history = info(after).pop("history")
        assert [step["operation"] for step in history] == ["align"]
        assert info(after)["hash"] == info(before)["hash"]


@pytest.mark.parametrize("kind", CALCULATORS)
def test_types_make_all_keys(kind):
    """The keys are those of a calculation that sees all the types."""
    calculator = kind(**HYPERS)
    soup = ase.Atoms("H2C2O2", np.random.default_rng(0).normal(size=(6, 3)), cell=[4, 4, 4], pbc=True)
    expected = calculator.compute(soup).keys
    assert align(calculator.compute(METHANE), types=[8, 1, 6]).keys == expected
    assert align(calculator.compute(ase.build.molecule("H2")), types=(1, 6, 8)).keys == expected
    assert info(align(calculator.compute(METHANE), types=[8, 6, 1]))["history"][0]["hypers"]["types"] == [1, 6, 8]


def test_types_of_equivariant_pairs_come_in_both_orders():
    names = ("o3_lambda", "o3_sigma", "center_type", "neighbor_1_type", "neighbor_2_type")
    mu = labels(["o3_mu"], [-1, 0, 1])
    one = invariant({(1, -1, 1, 1, 1): block(components=[mu])}, names)
    assert len(align(one, types=[1, 6]).keys) == 8
    ascending = invariant({(1, -1, 1, 1, 1): block(components=[mu]), (1, -1, 1, 1, 6): block(components=[mu])}, names)
    assert len(align(ascending, types=[1, 6]).keys) == 6  # what canonicalize makes of a power spectrum
    pairs = ("first_atom_type", "second_atom_type")
    assert align(invariant({(1, 1): block()}, pairs), types=[1, 6]).keys.values.tolist() == [[1, 1], [1, 6], [6, 6]]
    full = invariant({(1, 6): block(), (6, 1): block()}, pairs)
    assert align(full, types=[1, 6]).keys.values.tolist() == [[1, 1], [1, 6], [6, 1], [6, 6]]


def test_channels_are_no_types():
    tensor = invariant({(1, 0): block(), (1, 3): block()}, ("center_type", "neighbor_channel"))
    assert align(tensor, types=[1, 8]).keys.values.tolist() == [[1, 0], [1, 3], [8, 0], [8, 3]]


def test_pairs_by_featomic():
    featomic = pytest.importorskip("featomic")
    calculator = featomic.NeighborList(cutoff=3.0, full_neighbor_list=True)
    water, methane = (calculator.compute(atoms) for atoms in (WATER, METHANE))
    for tensor in align([water, methane]):
        assert tensor.keys.values.tolist() == [[1, 1], [1, 6], [1, 8], [6, 1], [8, 1]]
        assert len(tensor.block(0).samples.names) == 6


def test_given_keys_and_weights():
    tensor = invariant({(6,): block(value=2.0)})
    keys = labels(["center_type"], [8, 6])
    assert align(tensor, keys=keys).keys == keys
    weights = invariant(
        {
            (1,): block(properties=(5, 6, 7), samples=("target",)),
            (6,): block(properties=(0, 1, 9), samples=("target",)),
        }
    )
    with pytest.raises(ValueError, match=r"block \(center_type=6\) has 3 and 2 properties that differ; fill_prop"):
        align(tensor, keys=weights)
    result = align(tensor, keys=weights, fill_properties=True)
    assert result.keys == weights.keys
    assert result.block(0).shape == (0, 3) and result.block(0).samples.names == ["system", "atom"]
    assert result.block(0).properties == weights.block(0).properties
    np.testing.assert_array_equal(result.block(1).values, [[2.0, 2.0, 0.0]])
    unseen = invariant({(6,): block(properties=(0, 3))})
    with pytest.raises(ValueError, match="properties that differ; the TensorMap given as keys lacks some"):
        align(unseen, keys=weights, fill_properties=True)


def test_properties_are_filled_up():
    """After keys_to_properties, data sets with other types have other columns."""
    calculator = SoapPowerSpectrum(**HYPERS)
    gradients = ["positions", "strain"]
    neighbors = ["neighbor_1_type", "neighbor_2_type"]
    parts = [calculator.compute(atoms, gradients=gradients).keys_to_properties(neighbors) for atoms in (WATER, METHANE)]
    whole = calculator.compute([WATER, METHANE], gradients=gradients).keys_to_properties(neighbors)
    for tensors, reference in ((parts, whole), ([to_torch(part) for part in parts], to_torch(whole))):
        results = align(tensors, fill_properties=True)
        for i, result in enumerate(results):
            for key, found in result.items():
                theirs = reference.block(key)
                rows = [j for j, sample in enumerate(theirs.samples.values.tolist()) if sample[0] == i]
                if not rows:
                    assert len(found.samples) == 0
                    continue
                kept = [theirs.properties.position(p) for p in found.properties]
                np.testing.assert_array_equal(found.values, theirs.values[rows][:, kept])
                assert len(found.gradient("positions").properties) == len(kept)
    with pytest.raises(ValueError, match="properties that differ; fill_properties=True gives"):
        align(parts)


def test_autograd_goes_through_filled_properties():
    first, second = to_torch(invariant({(1,): block()})), to_torch(invariant({(1,): block(properties=(1, 4))}))
    values = second.block(0).values.requires_grad_()
    filled = align([first, second], fill_properties=True)[1].block(0)
    assert filled.properties.values.ravel().tolist() == [0, 1, 4]
    (filled.values * torch.tensor([5.0, 6.0, 7.0])).sum().backward()
    assert values.grad.tolist() == [[6.0, 7.0]]


def test_order_of_properties_follows_the_first():
    first = invariant({(1,): block(properties=(0, 1))})
    second = invariant({(1,): TensorBlock(np.array([[1.0, 2.0]]), block().samples, [], labels(["n"], [1, 0]))})
    result = align([first, second], fill_properties=True)[1]
    np.testing.assert_array_equal(result.block(0).values, [[2.0, 1.0]])


def test_nothing_to_do():
    tensor = stamp(invariant({(8,): block(), (1,): block()}), calculator="X")
    again = align([tensor, tensor])[1]
    assert metatensor.equal(again, tensor)  # the order of keys stays
    assert again.block(0).values.base is tensor.block(0).values.base or np.shares_memory(
        again.block(0).values, tensor.block(0).values
    )


def test_an_empty_data_set():
    calculator = SphericalExpansion(**HYPERS)
    empty, water = calculator.compute([], gradients=["positions"]), calculator.compute(WATER, gradients=["positions"])
    for tensors in ([empty, water], [to_torch(empty), to_torch(water)]):
        result = align(tensors)[0]
        assert result.keys == tensors[1].keys and check(result)
        assert result.block(0).gradients_list() == ["positions"]
    assert align(empty).keys == empty.keys


@pytest.mark.parametrize(
    ("tensors", "options", "error", "message"),
    [
        ([], {}, ValueError, "align: expected at least one TensorMap, got an empty list"),
        ([{"a": 1}], {}, TypeError, "expected a TensorMap of metatensor or metatensor.torch, got dict"),
        (invariant({(6,): block()}), {"types": [1], "keys": 1}, ValueError, "types and keys both say which"),
        (
            invariant({(6,): block()}),
            {"types": [1, 8]},
            UnknownTypesError,
            r"block \(center_type=6\) is of type 6, which is not among types=\[1, 8\]; add it, or take such blocks out",
        ),
        (
            invariant({(6,): block()}),
            {"keys": labels(["center_type"], [1])},
            ValueError,
            r"block \(center_type=6\) is not among the 1 keys asked for; take such blocks out",
        ),
        (
            invariant({(6,): block()}),
            {"keys": labels(["neighbor_type"], [1])},
            ValueError,
            "keys are named center_type; wanted are neighbor_type",
        ),
        (invariant({(6,): block()}), {"keys": [6]}, ValueError, "keys are named center_type; wanted are list"),
        (
            [invariant({(6,): block()}), invariant({(6,): block()}, ["species_center"])],
            {},
            ValueError,
            "keys are named center_type and species_center; canonicalize gives",
        ),
        (
            [invariant({(6,): block()}), to_torch(invariant({(6,): block()}))],
            {},
            TypeError,
            "TensorMaps of metatensor and of metatensor.torch; convert",
        ),
        (invariant({(0,): block()}, ["_"]), {"types": [1]}, ValueError, "keys _ hold no types; align before keys_to"),
        (
            invariant({(1,): block(), (6,): block(properties=(3,))}),
            {"types": [1, 6, 8]},
            ValueError,
            r"block \(center_type=8\) is missing, and nothing tells its properties: those of the blocks that are like",
        ),
        (
            invariant({(0, 1): block()}, ["o3_lambda", "o3_sigma"]),
            {"keys": labels(["o3_lambda", "o3_sigma"], [[0, 1], [1, 1]])},
            ValueError,
            r"block \(o3_lambda=1, o3_sigma=1\) is missing, and nothing tells its properties: no block is like it",
        ),
        (
            [invariant({(6,): block()}), invariant({(6,): block(components=[labels(["xyz"], [0, 1, 2])])})],
            {},
            ValueError,
            r"block \(center_type=6\) has components \[\] and \['xyz \(3\)'\]; expected the same",
        ),
        (
            [
                invariant({(6,): block()}),
                invariant({(6,): TensorBlock(np.ones((1, 1)), block().samples, [], labels(["k"], [0]))}),
            ],
            {"fill_properties": True},
            ValueError,
            r"block \(center_type=6\) has properties n and k; expected the same names in all",
        ),
    ],
)
def test_what_cannot_be_aligned(tensors, options, error, message):
    with pytest.raises(error, match=message):
        align(tensors, **options)
