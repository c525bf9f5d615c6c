"""selected_keys, selected_samples and selected_properties against featomic, and their errors."""

import ase
import ase.build
import featomic
import numpy as np
import pytest
from ketmap_density import SphericalExpansion
from metatensor import TensorBlock, TensorMap

from ..labels import labels

SYSTEMS = [ase.build.molecule("CH3OH"), ase.Atoms("N"), ase.build.molecule("H2O")]
KEYS = ["o3_lambda", "o3_sigma", "center_type", "neighbor_type"]
GRADIENTS = ["positions", "strain"]


@pytest.mark.parametrize(
    "selection",
    [
        {"selected_keys": labels(["o3_lambda"], [1], [3])},
        {"selected_keys": labels(["neighbor_type"], [7], [1])},
        {"selected_keys": labels(["center_type", "o3_lambda"], [8, 2], [6, 0], [5, 0])},
        {"selected_keys": labels(KEYS, [2, 1, 8, 1], [0, 1, 6, 99], [0, 1, 50, 99], [1, 1, 1, 6])},
        {"selected_samples": labels(["atom"], [1], [0])},
        {"selected_samples": labels(["system"], [2])},
        {"selected_samples": labels(["system", "atom"], [2, 0], [0, 2], [0, 0], [0, 99])},
        {"selected_samples": labels(["system"], [7])},
        {"selected_properties": labels(["n"], [2], [0])},
        {"selected_properties": labels(["n"], [2], [17])},
        {"selected_properties": labels(["n"], [17])},
        {"selected_keys": labels(["o3_lambda"], [-1], [9])},
        {
            "selected_keys": labels(["center_type"], [1]),
            "selected_samples": labels(["system"], [2]),
            "selected_properties": labels(["n"], [1]),
        },
    ],
)
def test_labels(hypers, same, selection):
    ours = SphericalExpansion(**hypers()).compute(SYSTEMS, gradients=GRADIENTS, **selection)
    theirs = featomic.SphericalExpansion(**hypers()).compute(SYSTEMS, gradients=GRADIENTS, **selection)
    values, slopes = same(ours, theirs, GRADIENTS)
    assert values < 1e-8 and slopes < 1e-7


def predefined():
    """Samples and properties that differ between keys, in an order of their own, some without the neighbour."""
    blocks = {
        (1, 1, 6, 1): ([[0, 0]], [[3], [1]]),
        (0, 1, 1, 8): ([[0, 4], [0, 2], [2, 2]], [[0]]),
        (0, 1, 1, 6): ([[0, 4], [2, 2]], [[0], [2]]),
    }
    made = []
    for (l, *_), (samples, properties) in blocks.items():
        mu = labels(["o3_mu"], *([m] for m in range(-l, l + 1)))
        shape = (len(samples), 2 * l + 1, len(properties))
        made.append(
            TensorBlock(np.zeros(shape), labels(["system", "atom"], *samples), [mu], labels(["n"], *properties))
        )
    return TensorMap(labels(KEYS, *blocks), made)


@pytest.mark.parametrize("which", ["selected_samples", "selected_properties", "both"])
def test_tensor_maps(hypers, same, which):
    tensor = predefined()
    names = ["selected_samples", "selected_properties"] if which == "both" else [which]
    selection = {"selected_keys": tensor.keys, **{name: tensor for name in names}}
    ours = SphericalExpansion(**hypers()).compute(SYSTEMS, gradients=GRADIENTS, **selection)
    theirs = featomic.SphericalExpansion(**hypers()).compute(SYSTEMS, gradients=GRADIENTS, **selection)
    values, slopes = same(ours, theirs, GRADIENTS)
    assert values < 1e-8 and slopes < 1e-7


@pytest.mark.parametrize(
    "selection, message",
    [
        (
            {"selected_keys": labels(["center_typ"], [1])},
            "selection of keys 'center_typ'; did you mean 'center_type'",
        ),
        ({"selected_samples": labels(["atoms"], [1])}, "selection of samples 'atoms'; did you mean 'atom'"),
        ({"selected_properties": labels(["q"], [1])}, "selection of properties 'q'"),
        ({"selected_keys": [1]}, "selected keys must be Labels, got list"),
        ({"selected_samples": "all"}, "selected samples must be Labels, got str"),
        ({"selected_properties": 3}, "selected properties must be Labels, got int"),
        ({"selected_keys": labels(KEYS, [4, 1, 8, 1])}, "o3_lambda=4, o3_sigma=1 is not in this expansion"),
        ({"selected_keys": labels(KEYS, [1, -1, 8, 1])}, "o3_lambda=1, o3_sigma=-1 is not in this expansion"),
        ({"selected_samples": predefined()}, "selected samples has no block for o3_lambda=0, o3_sigma=1"),
    ],
)
def test_errors(hypers, selection, message):
    with pytest.raises(ValueError, match=message):
        SphericalExpansion(**hypers()).compute(SYSTEMS, **selection)
