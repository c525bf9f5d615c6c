"""Structures and comparisons that the tests of the density package share."""

import functools

import ase.build
import numpy as np
import pytest

from ..hypers import featomic_hypers
from ..structures import left_handed, rattled_nacl, skewed, usual_structures


def structures() -> dict[str, list]:
    """Molecules, bulk, mixed types, isolated atoms; small, skewed and left-handed cells, atoms outside."""
    methanol, nacl = ase.build.molecule("CH3OH"), rattled_nacl()
    return {
        **usual_structures(),
        "isolated": [ase.Atoms("N"), methanol, ase.Atoms("He", positions=[[3.0, 2.0, 1.0]])],
        "cells": [skewed(nacl), left_handed(nacl), ase.Atoms("H", cell=[1.7, 1.9, 2.1], pbc=True)],
    }


@pytest.fixture(params=list(structures()))
def systems(request):
    return structures()[request.param]


@pytest.fixture
def nacl():
    return rattled_nacl()


@pytest.fixture
def hypers():
    return functools.partial(featomic_hypers, max_radial=4)


def deviation(ours, theirs) -> float:
    """max |a − b| / max |b|; blocks of zeros count absolutely."""
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    assert ours.shape == theirs.shape
    if theirs.size == 0:
        return 0.0
    scale = np.abs(theirs).max()
    return float(np.abs(ours - theirs).max() / (scale if scale > 1e-12 else 1.0))


def compare(ours, theirs, gradients=()) -> tuple[float, float]:
    """Largest deviation of values and of gradients; all labels but those of xyz components must be equal."""
    assert ours.keys == theirs.keys
    values = slopes = 0.0
    for a, b in zip(ours.blocks(), theirs.blocks()):
        assert a.samples == b.samples and a.components == b.components and a.properties == b.properties
        values = max(values, deviation(a.values, b.values))
        for name in gradients:
            x, y = a.gradient(name), b.gradient(name)
            assert x.samples == y.samples and x.properties == y.properties
            assert x.components[-1] == y.components[-1]
            slopes = max(slopes, deviation(x.values, y.values))
    return values, slopes


@pytest.fixture
def same():
    """Compare two TensorMaps and give their largest deviations."""
    return compare
