"""Selections of all calculators against featomic, at random; and that what is not wanted is not computed."""

import ase
import ase.build
import featomic
import ketmap_ops
import ketmap_soap.assembly
import numpy as np
import pytest
from ketmap_core.names import PAIR
from ketmap_density import SphericalExpansion, SphericalExpansionByPair
from ketmap_soap import SoapPowerSpectrum, SoapRadialSpectrum
from metatensor import Labels, TensorBlock, TensorMap

from ..labels import labels

TYPES = [1, 6, 8, 14, 92]
SYSTEMS = [ase.build.molecule("CH3OH"), ase.Atoms("N"), ase.build.molecule("H2O"), ase.build.bulk("Si", "diamond", 5.4)]
SYSTEMS[3].rattle(0.05, seed=0)
N = range(-1, 4)
CALCULATORS = {
    "SphericalExpansion": (
        {"o3_lambda": range(3), "o3_sigma": [1], "center_type": TYPES, "neighbor_type": TYPES},
        {"system": range(5), "atom": range(4)},
        {"n": N},
    ),
    "SphericalExpansionByPair": (
        {"o3_lambda": range(3), "o3_sigma": [1], "first_atom_type": TYPES, "second_atom_type": TYPES},
        {name: range(-1, 2) if "cell" in name else range(4) for name in PAIR},
        {"n": N},
    ),
    "SoapRadialSpectrum": (
        {"center_type": TYPES, "neighbor_type": TYPES},
        {"system": range(5), "atom": range(4)},
        {"n": N},
    ),
    "SoapPowerSpectrum": (
        {"center_type": TYPES, "neighbor_1_type": TYPES, "neighbor_2_type": TYPES},
        {"system": range(5), "atom": range(4)},
        {"l": range(4), "n_1": N, "n_2": N},
    ),
}
OURS = {c.__name__: c for c in (SphericalExpansion, SphericalExpansionByPair, SoapRadialSpectrum, SoapPowerSpectrum)}


@pytest.fixture
def both(hypers):
    def make(name):
        given = hypers(max_radial=2, max_angular=2)
        if name == "SoapRadialSpectrum":
            given["basis"] = {"radial": given["basis"]["radial"], "spline_accuracy": None}
        return OURS[name](**given), getattr(featomic, name)(**given)

    return make


def some(rng, space: dict, whole=False) -> Labels:
    """Up to six entries of some (or all) dimensions, with values that exist and that do not."""
    names = [name for name in space if whole or rng.random() < 0.5] or [next(iter(space))]
    rows = np.stack([rng.choice(list(space[name]), size=rng.integers(1, 7)) for name in names[:1]])
    rows = np.stack([rng.choice(list(space[name]), size=rows.shape[1]) for name in names], axis=1)
    return Labels(names, np.unique(rows, axis=0).astype(np.int32).reshape(-1, len(names)))


def part_of(rng, block) -> TensorBlock:
    """Some of the samples, and properties in another order. (featomic panics at those that do not exist.)"""
    rows = np.sort(rng.permutation(len(block.samples))[: rng.integers(0, 5)])
    columns = rng.permutation(len(block.properties))[: rng.integers(1, 4)]
    samples, properties = block.samples, block.properties
    samples = Labels(samples.names, samples.values[rows])
    properties = Labels(properties.names, properties.values[columns])
    return TensorBlock(block.values[rows][..., columns], samples, block.components, properties)


def in_order(block, gradient=None):
    """Labels and values, sorted: featomic lists pairs and gradient samples as its search finds them."""
    place = np.lexsort(block.samples.values.T[::-1])
    labels, values = block.samples.values[place], block.values[place]
    if gradient is not None:
        source = block.gradient(gradient)
        labels = np.array(source.samples.values)
        labels[:, 0] = np.argsort(place)[labels[:, 0]]
        order = np.lexsort(labels.T[::-1])
        labels, values = labels[order], source.values[order]
    return labels, values


def compare(ours, theirs, gradients, sort):
    assert ours.keys == theirs.keys
    for a, b in zip(ours.blocks(), theirs.blocks()):
        assert a.properties == b.properties and a.components == b.components
        assert sort or a.samples == b.samples
        for name, limit in ((None, 1e-9), *((gradient, 1e-7) for gradient in gradients)):
            (x, mine), (y, other) = in_order(a, name), in_order(b, name)
            if name == "positions":  # atoms that are missing move nothing
                x, mine, y, other = *_moving(x, mine), *_moving(y, other)
            assert np.array_equal(x, y)
            assert np.allclose(mine, other, rtol=0, atol=limit)


def _moving(labels, values):
    moves = np.abs(values).max(axis=tuple(range(1, values.ndim)), initial=0.0) > 0
    return labels[moves], values[moves]


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("name", CALCULATORS)
def test_labels_at_random(both, name, seed):
    rng = np.random.default_rng(seed)
    keys, samples, properties = CALCULATORS[name]
    selection = {}
    if rng.random() < 0.7:
        selection["selected_keys"] = some(rng, keys, whole=rng.random() < 0.4)
    if rng.random() < 0.7:
        selection["selected_samples"] = some(rng, samples)
    if rng.random() < 0.7:
        selection["selected_properties"] = some(rng, properties)
    if name == "SoapPowerSpectrum" and len(getattr(selection.get("selected_keys"), "names", ())) == 3:
        values = selection["selected_keys"].values  # types in featomic's order
        values = np.unique(np.concatenate([values[:, :1], np.sort(values[:, 1:], axis=1)], axis=1), axis=0)
        selection["selected_keys"] = Labels(list(keys), values)
    ours, theirs = both(name)
    found = ours.compute(SYSTEMS, gradients=["positions", "strain"], **selection)
    expected = theirs.compute(SYSTEMS, gradients=["positions", "strain"], **selection)
    compare(found, expected, ["positions", "strain"], sort="Pair" in name)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", CALCULATORS)
def test_tensor_maps_at_random(both, name, seed):
    rng = np.random.default_rng(seed)
    ours, theirs = both(name)
    whole = ours.compute(SYSTEMS)
    keys = Labels(whole.keys.names, rng.permutation(whole.keys.values)[: rng.integers(1, len(whole))])
    chosen = TensorMap(keys, [part_of(rng, whole.block(key)) for key in keys])
    selection = {"selected_keys": keys, "selected_properties": chosen}
    if rng.random() < 0.5:
        selection["selected_samples"] = chosen
    found, expected = ours.compute(SYSTEMS, **selection), theirs.compute(SYSTEMS, **selection)
    compare(found, expected, [], sort="Pair" in name)
    if "selected_samples" in selection:
        for block, wanted in zip(found.blocks(), chosen.blocks()):
            assert block.samples == wanted.samples and np.allclose(block.values, wanted.values, rtol=0, atol=1e-13)


@pytest.fixture
def work(monkeypatch):
    """The number of pairs, of degrees l and of radial functions n that kernels were asked for."""
    calls = []

    def watch(module, name, vectors, table):
        original = getattr(module, name)

        def counted(*arguments):
            calls.append((len(arguments[vectors]), *arguments[table].shape[1:]))
            return original(*arguments)

        monkeypatch.setattr(module, name, counted)

    watch(ketmap_ops, "expand", 0, 3)
    watch(ketmap_ops, "pair_terms", 0, 1)
    watch(ketmap_soap.assembly, "power_spectrum_of_pairs", 0, 3)
    return calls


METHANOL = ase.build.molecule("CH3OH")  # all atoms are neighbours: 30 pairs, 12 of H and H, 4 of C and H …


@pytest.mark.parametrize(
    "name, selection, expected",
    [
        ("SphericalExpansion", {}, (30, 3, 3)),
        ("SphericalExpansion", {"selected_keys": labels(["o3_lambda"], [1])}, (30, 2, 3)),
        ("SphericalExpansion", {"selected_properties": labels(["n"], [2])}, (30, 3, 1)),
        ("SphericalExpansion", {"selected_samples": labels(["atom"], [0], [1])}, (10, 3, 3)),
        ("SphericalExpansion", {"selected_keys": labels(["center_type"], [6])}, (5, 3, 3)),
        ("SphericalExpansion", {"selected_keys": labels(["center_type", "neighbor_type"], [6, 8], [8, 1])}, (5, 3, 3)),
        ("SoapRadialSpectrum", {}, (30, 1, 3)),
        ("SoapRadialSpectrum", {"selected_keys": labels(["neighbor_type"], [6])}, (5, 1, 3)),
        ("SoapPowerSpectrum", {}, (30, 3, 3)),
        ("SoapPowerSpectrum", {"selected_properties": labels(["l", "n_1", "n_2"], [1, 0, 2], [0, 2, 2])}, (30, 2, 2)),
        ("SoapPowerSpectrum", {"selected_properties": labels(["l"], [0])}, (30, 1, 3)),
        ("SoapPowerSpectrum", {"selected_samples": labels(["atom"], [2])}, (5, 3, 3)),
        (
            "SoapPowerSpectrum",
            {"selected_keys": labels(["center_type", "neighbor_1_type", "neighbor_2_type"], [6, 8, 8], [8, 1, 6])},
            (6, 3, 3),
        ),
    ],
)
def test_only_what_is_wanted_is_computed(both, work, name, selection, expected):
    both(name)[0].compute(METHANOL, **selection)
    assert work == [expected]


@pytest.mark.parametrize(
    "selection, pairs",
    [
        ({}, 30),
        ({"selected_keys": labels(["first_atom_type", "second_atom_type"], [6, 1], [1, 8])}, 8),
        ({"selected_samples": labels(["first_atom", "second_atom"], [0, 1], [3, 2], [4, 4])}, 2),
    ],
)
def test_only_wanted_pairs_are_computed(both, work, selection, pairs):
    both("SphericalExpansionByPair")[0].compute(METHANOL, **selection)
    own = sum(n for n, l, _ in work if l == 1)  # the own density of each type: a pair of no length, l = 0 only
    assert own <= 3
    assert sum(n for n, *_ in work) - own == pairs


def test_no_channel_at_all(both):
    for name in ("SphericalExpansion", "SoapRadialSpectrum"):
        tensor = both(name)[0].compute(
            SYSTEMS, gradients=["positions", "strain"], selected_keys=labels(["neighbor_type"])
        )
        assert len(tensor) == 0


@pytest.mark.parametrize("what", ["selected_keys", "selected_samples", "selected_properties"])
@pytest.mark.parametrize("name", CALCULATORS)
def test_nothing_is_wanted(both, work, name, what):
    """Empty Labels give empty blocks, or none, and nothing is computed (featomic refuses empty keys)."""
    space = dict(zip(["selected_keys", "selected_samples", "selected_properties"], CALCULATORS[name]))[what]
    for names in (list(space), list(space)[:1]):
        nothing = {what: Labels(names, np.zeros((0, len(names)), dtype=np.int32))}
        tensor = both(name)[0].compute(SYSTEMS, gradients=["positions", "strain"], **nothing)
        for block in tensor.blocks():
            assert block.values.size == 0 and all(gradient.values.size == 0 for _, gradient in block.gradients())
    assert len(tensor) == 0 or what != "selected_keys"
    if what != "selected_properties":
        assert sum(pairs for pairs, *_ in work) <= 2 * 5  # in two calls: the own density of each type
