"""Structures, selections and comparisons that the tests of descriptors share."""

import ase.build
import ase.io
import numpy as np
import pytest
from ketmap_testing import default_systems
from metatensor import Labels


@pytest.fixture(scope="session")
def systems():
    """A molecule, a triclinic crystal, a small cell with many images, more molecules, an atom, and nothing."""
    molecules = [ase.build.molecule("CH3OH"), ase.build.molecule("CO2")]
    return [*default_systems()[:3], *molecules, ase.Atoms("N"), ase.Atoms()]


@pytest.fixture(scope="session")
def slab():
    return default_systems()[3]


@pytest.fixture(scope="session")
def boxed(slab):
    """The slab in a cell so high that images do not meet: for peers that know no mixed periodicity."""
    box = slab.copy()
    normal = np.cross(*box.cell.array[:2])
    box.set_cell([*box.cell.array[:2], 60 * normal / np.linalg.norm(normal)])
    box.pbc = True
    return box


def make_labels(names, *rows):
    return Labels(names, np.array(rows, dtype=np.int32).reshape(len(rows), len(names)))


@pytest.fixture(scope="session")
def labels():
    return make_labels


def deviation(ours, theirs, gradients=()) -> tuple[float, float]:
    """Largest deviation of values and gradients, relative to the largest of each block.

    Labels must be equal; only the order of samples may differ, where they have more columns than system and atom.
    """
    assert ours.keys == theirs.keys
    values = slopes = 0.0
    for a, b in zip(ours.blocks(), theirs.blocks()):
        assert a.components == b.components and a.properties == b.properties
        assert a.samples.names == b.samples.names
        here, there = (np.lexsort(block.samples.values.T[::-1]) for block in (a, b))
        assert np.array_equal(a.samples.values[here], b.samples.values[there])
        values = max(values, _deviation(a.values[here], b.values[there]))
        for name in gradients:
            x, y = a.gradient(name), b.gradient(name)
            rows = [_by_sample(gradient, order) for gradient, order in ((x, here), (y, there))]
            assert rows[0].keys() == rows[1].keys()
            for key, row in rows[0].items():
                slopes = max(slopes, _deviation(row, rows[1][key]))
    return values, slopes


def _by_sample(gradient, order):
    place = np.argsort(order)
    samples = gradient.samples.values.copy()
    samples[:, 0] = place[samples[:, 0]]
    return {tuple(sample): value for sample, value in zip(samples.tolist(), gradient.values)}


def _deviation(ours, theirs) -> float:
    assert ours.shape == theirs.shape
    if theirs.size == 0:
        return 0.0
    scale = np.abs(theirs).max()
    return float(np.abs(ours - theirs).max() / (scale if scale > 1e-12 else 1.0))


@pytest.fixture(scope="session")
def same():
    return deviation
