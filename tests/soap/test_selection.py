"""What is selected is what would have been there without a selection; the same as featomic does."""

import featomic
import metatensor
import numpy as np
import pytest
from ketmap_soap import SoapPowerSpectrum

LABELS = {
    "atoms of one system": {"selected_samples": (["system", "atom"], [[1, 0], [1, 3], [2, 1]])},
    "systems": {"selected_samples": (["system"], [[1]])},
    "nobody": {"selected_samples": (["system", "atom"], [[7, 0]])},
    "types that are not there": {"selected_keys": (["center_type"], [[92]])},
    "properties": {"selected_properties": (["l", "n_1", "n_2"], [[2, 1, 0], [0, 3, 3]])},
    "some l": {"selected_properties": (["l"], [[0], [3]])},
    "centers": {"selected_keys": (["center_type"], [[6], [17]])},
    "keys": {
        "selected_keys": (
            ["center_type", "neighbor_1_type", "neighbor_2_type"],
            [[8, 1, 6], [1, 1, 8], [11, 11, 92], [92, 1, 1]],
        )
    },
    "all": {
        "selected_samples": (["atom"], [[0], [2]]),
        "selected_properties": (["n_1"], [[1]]),
        "selected_keys": (["neighbor_2_type"], [[6], [8]]),
    },
}


@pytest.mark.parametrize("gradients", [None, ["positions"], ["strain"]])
@pytest.mark.parametrize("chosen", LABELS)
def test_labels(hypers, mixed, chosen, gradients):
    given = {k: metatensor.Labels(names, np.array(v)) for k, (names, v) in LABELS[chosen].items()}
    ours = SoapPowerSpectrum(**hypers()).compute(mixed, gradients=gradients, **given)
    theirs = featomic.SoapPowerSpectrum(**hypers()).compute(mixed, gradients=gradients, **given)
    compare(ours, theirs, gradients or [])


def compare(ours, theirs, gradients):
    assert ours.keys == theirs.keys
    for a, b in zip(ours.blocks(), theirs.blocks()):
        assert a.samples == b.samples and a.properties == b.properties
        assert np.allclose(a.values, b.values, rtol=0, atol=1e-9)
        for name in gradients:
            assert a.gradient(name).samples == b.gradient(name).samples
            assert np.allclose(a.gradient(name).values, b.gradient(name).values, rtol=0, atol=1e-7)


def test_tensor_map(hypers, mixed):
    """A TensorMap gives samples and properties of each key, in its order."""
    full = SoapPowerSpectrum(**hypers()).compute(mixed)
    rng, blocks = np.random.default_rng(0), []
    for block in full.blocks():
        samples = rng.permutation(block.samples.values)[: max(1, len(block.samples) // 2)]
        properties = rng.permutation(block.properties.values)[:5]
        blocks.append(
            metatensor.TensorBlock(
                np.zeros((len(samples), 5)),
                metatensor.Labels(["system", "atom"], samples),
                [],
                metatensor.Labels(["l", "n_1", "n_2"], properties),
            )
        )
    given = metatensor.TensorMap(full.keys, blocks)
    ours = SoapPowerSpectrum(**hypers()).compute(
        mixed, gradients=["positions"], selected_samples=given, selected_properties=given
    )
    every = SoapPowerSpectrum(**hypers()).compute(mixed, gradients=["positions"])
    for key, block in ours.items():
        wanted, source = given.block(key), every.block(key)
        assert block.samples == wanted.samples and block.properties == wanted.properties
        rows = [source.samples.position(s) for s in block.samples]
        columns = [source.properties.position(p) for p in block.properties]
        assert np.array_equal(block.values, source.values[np.ix_(rows, columns)])
        gradient, whole = block.gradient("positions"), source.gradient("positions")
        for sample, values in zip(gradient.samples.values, gradient.values):
            place = whole.samples.position([rows[sample[0]], *sample[1:]])
            assert np.array_equal(values, whole.values[place][:, columns])
