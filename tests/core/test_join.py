"""Data sets joined are what a calculation of all their systems gives; taken apart, they are themselves again."""

import ase
import ase.build
import metatensor
import numpy as np
import pytest
import torch
from ketmap_core import check, derive, info, join, load_tensor, save_tensor, select_systems, split, stamp
from ketmap_density import SphericalExpansion
from ketmap_soap import SoapPowerSpectrum
from metatomic.torch import systems_to_torch

from .test_align import CALCULATORS, HYPERS, METHANE, WATER, block, equal, invariant, labels, to_torch, together

SETS = [
    [WATER, METHANE],
    [ase.build.bulk("NaCl", "rocksalt", 5.6)],
    [ase.build.molecule("HCN"), ase.Atoms()],
    [],
    [ase.Atoms("He"), METHANE],
]
COUNTS = [len(one) for one in SETS]
GRADIENTS = ["positions", "strain", "cell"]


@pytest.mark.parametrize("library", ["numpy", "torch"])
@pytest.mark.parametrize("kind", CALCULATORS)
def test_join_is_what_all_systems_give(kind, library, tmp_path):
    calculator = kind(**HYPERS)
    parts = [calculator.compute(one, gradients=GRADIENTS) for one in SETS]
    whole = calculator.compute(together(SETS), gradients=GRADIENTS)
    if library == "torch":
        parts, whole = [to_torch(part) for part in parts], to_torch(whole)
    joined = join(parts, n_systems=COUNTS)
    assert check(joined), str(check(joined))
    assert equal(joined, whole)  # the same bits, in the same order
    assert info(joined) == {
        **info(whole),
        "history": [{"operation": "join", "hypers": {"n_systems": COUNTS}}],
    }
    save_tensor(tmp_path / "joined.mts", joined)
    assert info(load_tensor(tmp_path / "joined.mts", torch=library == "torch")) == info(joined)


@pytest.mark.parametrize("library", ["numpy", "torch"])
@pytest.mark.parametrize("kind", CALCULATORS)
def test_split_takes_apart_what_join_put_together(kind, library):
    calculator = kind(**HYPERS)
    whole = calculator.compute(together(SETS), gradients=GRADIENTS)
    whole = to_torch(whole) if library == "torch" else whole
    parts = split(whole, COUNTS)
    assert equal(join(parts, n_systems=COUNTS), whole)
    for part, one in zip(parts, SETS):
        alone = calculator.compute(one, gradients=GRADIENTS)
        assert part.keys == whole.keys and check(part)
        for key, found in part.items():
            place = alone.keys.position(labels(key.names, [list(map(int, key.values))]).entry(0))
            assert len(found.samples) == (0 if place is None else len(alone.block(place).samples))
            if place is not None:
                np.testing.assert_array_equal(found.values, alone.block(place).values)
                assert found.samples.values.tolist() == alone.block(place).samples.values.tolist()
    steps = [info(part)["history"][0] for part in parts]
    assert steps[1] == {"operation": "select_systems", "hypers": {"start": 2, "stop": 3}}


def test_against_metatensors_join():
    """Where that works: equal keys, systems numbered apart."""
    whole = SphericalExpansion(**HYPERS).compute([WATER] * 4, gradients=["positions"])
    halves = [metatensor.slice(whole, "samples", labels(["system"], rows)) for rows in ([0, 1], [2, 3])]
    assert metatensor.equal(join(split(whole, [2, 2])), metatensor.join(halves, axis="samples"))


def test_rows_that_do_not_stand_together():
    """A block whose samples are not sorted by system: rows are picked, gradients follow."""
    rows = labels(["system", "atom"], [[1, 0], [0, 0], [1, 1]])
    values = np.arange(6.0).reshape(3, 2)
    one = metatensor.TensorBlock(values, rows, [], labels(["n"], [0, 1]))
    strain = metatensor.TensorBlock(
        values[[2, 0, 1]][:, None], labels(["sample"], [2, 0, 1]), [labels(["xyz_1"], [0])], one.properties
    )
    one.add_gradient("strain", strain)
    numbers = invariant({(1,): one})
    for tensor in (numbers, to_torch(numbers)):
        second = split(tensor, [1, 1])[1].block(0)
        assert second.samples.values.tolist() == [[0, 0], [0, 1]]
        assert second.values.tolist() == values[[0, 2]].tolist()
        assert second.gradient("strain").samples.values.ravel().tolist() == [1, 0]
        assert second.gradient("strain").values[:, 0].tolist() == values[[2, 0]].tolist()


def test_systems_without_samples_are_counted_where_they_are_told():
    parts = [invariant({(1,): block()}), invariant({(1,): block()})]
    assert join(parts).block(0).samples["system"].tolist() == [0, 1]
    assert join(parts, n_systems=[3, 1]).block(0).samples["system"].tolist() == [0, 3]


@pytest.mark.parametrize("kind", CALCULATORS)
def test_autograd(kind):
    """Derivatives through a joined TensorMap are those through the parts."""
    calculator = kind(**HYPERS)

    def slopes(joined):
        systems = systems_to_torch([WATER, METHANE, WATER], positions_requires_grad=True)
        if joined:
            tensor = join([calculator.compute(systems[:1]), calculator.compute(systems[1:])])
        else:
            tensor = calculator.compute(systems)
        weight = torch.linspace(0.5, 1.5, sum(len(b.samples) for b in tensor.blocks()), dtype=torch.float64)
        counts = [len(b.samples) for b in tensor.blocks()]
        total = sum(
            (b.values.reshape(n, -1).square().sum(1) * w).sum()
            for b, n, w in zip(tensor.blocks(), counts, weight.split(counts))
        )
        total.backward()
        return [system.positions.grad for system in systems]

    for one, other in zip(slopes(True), slopes(False)):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-14)


def test_pairs_by_featomic():
    featomic = pytest.importorskip("featomic")
    calculator = featomic.NeighborList(cutoff=3.0, full_neighbor_list=True)
    joined = join([calculator.compute(one) for one in SETS if one], n_systems=[n for n in COUNTS if n])
    whole = calculator.compute(together(SETS))
    assert sorted(joined.keys.values.tolist()) == sorted(whole.keys.values.tolist())
    for key, found in joined.items():
        assert found.samples == whole.block(key).samples
        np.testing.assert_array_equal(found.values, whole.block(key).values)


def test_columns_filled_up():
    neighbors = ["neighbor_1_type", "neighbor_2_type"]
    calculator = SoapPowerSpectrum(**HYPERS)
    parts = [calculator.compute(one).keys_to_properties(neighbors) for one in SETS if one]
    joined = join(parts, n_systems=[n for n in COUNTS if n], fill_properties=True)
    whole = calculator.compute(together(SETS)).keys_to_properties(neighbors)
    for key, found in joined.items():
        theirs = whole.block(key)
        kept = [theirs.properties.position(p) for p in found.properties]
        np.testing.assert_array_equal(found.values, theirs.values[:, kept])
        left = np.delete(theirs.values, kept, axis=1)
        assert (left == 0).all()  # columns of types that such centres have nowhere among their neighbours


def single_precision(tensor):
    blocks = [
        metatensor.TensorBlock(one.values.astype(np.float32), one.samples, one.components, one.properties)
        for one in tensor.blocks()
    ]
    return metatensor.TensorMap(tensor.keys, blocks)


def made_by(calculator="Soap", **changes):
    return stamp(invariant({(1,): block()}), calculator, **changes)


def test_sets_of_unknown_origin():
    joined = join([made_by(), invariant({(1,): block()})])
    assert "hash" not in info(joined)
    assert info(joined)["history"][0]["sources"][0]["calculator"] == "Soap"


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (made_by("Lode"), "join: TensorMaps 0 and 1 are not the same features: calculator Soap and Lode"),
        (made_by(hypers={"cutoff": {"radius": 4.0}}), "hypers.cutoff is None and {'radius': 4.0}"),
        (made_by(units={"energy": "Ha"}), "units {'energy': 'eV'.*} and {'energy': 'Ha'"),
        (
            derive(invariant({(1,): block()}), "contract", made_by()),
            "made by Soap and by Soap, contract",
        ),
    ],
)
def test_features_that_are_not_the_same(other, message):
    with pytest.raises(ValueError, match=message):
        join([made_by(), other])


@pytest.mark.parametrize(
    ("tensors", "options", "message"),
    [
        ([], {}, "join: expected at least one TensorMap"),
        ([invariant({(1,): block(samples=("target",))})], {}, "expected samples with 'system', got target"),
        (
            [invariant({(1,): block(n_samples=3)})],
            {"n_systems": [2]},
            r"n_systems \[2\] do not fit 1 TensorMaps .* \[3\]",
        ),
        ([invariant({(1,): block()})], {"n_systems": [1, 1]}, r"n_systems \[1, 1\] do not fit 1 TensorMaps"),
        (
            [invariant({(1,): block()}), invariant({(1,): block(samples=("system",))})],
            {},
            r"block \(center_type=1\) has samples named system, atom and system; expected the same",
        ),
        (
            [invariant({(1,): block()}), single_precision(invariant({(1,): block()}))],
            {},
            r"block \(center_type=1\) has dtype float64 and float32; expected the same",
        ),
        (
            [invariant({(1,): block()}), SphericalExpansion(**HYPERS).compute(WATER)],
            {},
            "keys are named center_type and o3_lambda",
        ),
    ],
)
def test_what_cannot_be_joined(tensors, options, message):
    with pytest.raises(ValueError, match=message):
        join(tensors, **options)


def test_gradients_must_be_the_same():
    calculator = SphericalExpansion(**HYPERS)
    parts = [calculator.compute(WATER, gradients=given) for given in (["positions"], None)]
    with pytest.raises(ValueError, match=r"join: block \(o3_lambda=0.*\) has gradients positions and none; expected"):
        join(parts)


def test_what_cannot_be_split():
    tensor = invariant({(1,): block(n_samples=3)})
    for counts, text in (([1, 1], r"\[1, 1\] make 2 systems, the samples hold 3"), ([4, -1], r"\[4, -1\] make 3")):
        with pytest.raises(ValueError, match=text):
            split(tensor, counts)
    with pytest.raises(ValueError, match="expected samples with 'system'"):
        select_systems(invariant({(1,): block(samples=("target",))}), 0, 1)
