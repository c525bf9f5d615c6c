"""Expansions to multiply, and what equality of TensorMaps means."""

import ase.build
import metatensor
import metatensor.torch
import numpy as np
import pytest
from ketmap_density import Cutoff, Gaussian, Gto, ShiftedCosine, SphericalExpansion, TensorProduct


def hypers(radius=3.5, max_angular=2, max_radial=1, width=0.4):
    """featomic's dictionaries, which both libraries read."""
    return {
        "cutoff": {"radius": radius, "smoothing": {"type": "ShiftedCosine", "width": 0.5}},
        "density": {"type": "Gaussian", "width": width},
        "basis": {
            "type": "TensorProduct",
            "max_angular": max_angular,
            "radial": {"type": "Gto", "max_radial": max_radial},
            "spline_accuracy": None,
        },
    }


def expansion(**given):
    options = {"radius": 3.5, "max_angular": 2, "max_radial": 1, "width": 0.4, **given}
    return SphericalExpansion(
        cutoff=Cutoff(options["radius"], smoothing=ShiftedCosine(0.5)),
        density=Gaussian(options["width"]),
        basis=TensorProduct(max_angular=options["max_angular"], radial=Gto(max_radial=options["max_radial"])),
    )


@pytest.fixture
def molecules():
    """Bent water and a peroxide, a lone ion among them."""
    water, peroxide = ase.build.molecule("H2O"), ase.build.molecule("H2O2")
    for seed, atoms in enumerate((water, peroxide)):
        atoms.rattle(0.1, seed=seed)
    return [water, ase.Atoms("O"), peroxide]


def renamed(tensor, index):
    """Neighbour type and n with an index, as products need them."""
    library = metatensor if isinstance(tensor, metatensor.TensorMap) else metatensor.torch
    tensor = library.rename_dimension(tensor, "keys", "neighbor_type", f"neighbor_{index}_type")
    return library.rename_dimension(tensor, "properties", "n", f"n_{index}")


def assert_same(ours, theirs, tolerance=1e-12):
    """The same blocks, samples in any order."""
    assert ours.keys.names == theirs.keys.names
    assert set(map(tuple, ours.keys.values.tolist())) == set(map(tuple, theirs.keys.values.tolist()))
    for key, expected in theirs.items():
        block = ours.block(key)
        assert block.properties == expected.properties and block.components == expected.components
        rows = [block.samples.position(sample) for sample in expected.samples]
        assert sorted(rows) == list(range(len(block.samples)))
        scale = max(np.abs(expected.values).max(initial=0), 1e-3)
        assert np.abs(block.values[rows] - expected.values).max(initial=0) <= tolerance * scale, key
