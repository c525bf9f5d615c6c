"""Structures and comparisons that the tests of the density package share."""

import ase.build
import numpy as np
import pytest


def structures() -> dict[str, list]:
    """Molecules, bulk, mixed types, isolated atoms; small, skewed and left-handed cells, atoms outside."""
    methanol, ethanol = ase.build.molecule("CH3OH"), ase.build.molecule("CH3CH2OH")
    nacl = ase.build.bulk("NaCl", "rocksalt", 5.6)
    nacl.rattle(0.1, seed=1)
    silicon = ase.build.bulk("Si", "diamond", 5.43)  # 3.84 Å cell vectors, smaller than the cutoff
    silicon.rattle(0.05, seed=2)
    skewed = nacl.copy()
    shear = np.array([[0, 0, 0], [5.0, 0, 0], [0.4, 9.0, 0.3]])
    skewed.set_cell(skewed.cell.array + shear, scale_atoms=True)
    left = nacl.copy()
    left.set_cell(left.cell.array[[1, 0, 2]])
    left.positions += [30.0, -17.0, 4.0]
    cell = ase.Atoms("H", cell=[1.7, 1.9, 2.1], pbc=True)
    return {
        "molecules": [methanol, ethanol],
        "isolated": [ase.Atoms("N"), methanol, ase.Atoms("He", positions=[[3.0, 2.0, 1.0]])],
        "bulk": [nacl, silicon],
        "mixed": [silicon, methanol, nacl],
        "cells": [skewed, left, cell],
    }


@pytest.fixture(params=list(structures()))
def systems(request):
    return structures()[request.param]


@pytest.fixture
def nacl():
    return structures()["bulk"][0]


def make_hypers(radius=3.5, width=0.5, sigma=0.3, weight=1.0, max_radial=4, max_angular=3) -> dict:
    """featomic's nested dictionaries, without splines; ``width`` 0: a step."""
    smoothing = {"type": "ShiftedCosine", "width": width} if width else {"type": "Step"}
    return {
        "cutoff": {"radius": radius, "smoothing": smoothing},
        "density": {"type": "Gaussian", "width": sigma, "center_atom_weight": weight},
        "basis": {
            "type": "TensorProduct",
            "max_angular": max_angular,
            "radial": {"type": "Gto", "max_radial": max_radial},
            "spline_accuracy": None,
        },
    }


@pytest.fixture
def hypers():
    return make_hypers


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
