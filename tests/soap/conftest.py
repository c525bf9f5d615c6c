"""Structures and hyper-parameters that the tests of the power spectrum share."""

import ase.build
import numpy as np
import pytest
import torch


def structures() -> dict[str, list]:
    """Molecules, bulk, mixed types, isolated atoms; cells much smaller than the cutoff, left-handed, atoms outside."""
    methanol, ethanol = ase.build.molecule("CH3OH"), ase.build.molecule("CH3CH2OH")
    nacl = ase.build.bulk("NaCl", "rocksalt", 5.6)
    nacl.rattle(0.1, seed=1)
    silicon = ase.build.bulk("Si", "diamond", 5.43)
    silicon.rattle(0.05, seed=2)
    left = nacl.copy()
    left.set_cell(left.cell.array[[1, 0, 2]])
    left.positions += [30.0, -17.0, 4.0]
    return {
        "molecules": [methanol, ethanol],
        "isolated": [ase.Atoms("N"), methanol, ase.Atoms("HO", positions=[[0, 0, 0], [9.0, 2.0, 1.0]])],
        "bulk": [nacl, silicon],
        "mixed": [silicon, methanol, nacl],
        "cells": [left, ase.Atoms("H", cell=[1.7, 1.9, 2.1], pbc=True)],
    }


@pytest.fixture(params=list(structures()))
def systems(request):
    return structures()[request.param]


@pytest.fixture
def mixed():
    return structures()["mixed"]


@pytest.fixture
def hypers():
    def make(radius=3.5, width=0.5, sigma=0.3, weight=1.0, max_radial=3, max_angular=3) -> dict:
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

    return make


@pytest.fixture
def torch_system():
    from metatomic.torch import System

    def make(atoms, dtype=torch.float64, grad=False):
        return System(
            types=torch.tensor(atoms.numbers, dtype=torch.int32),
            positions=torch.tensor(atoms.positions, dtype=dtype, requires_grad=grad),
            cell=torch.tensor(np.array(atoms.cell), dtype=dtype, requires_grad=grad),
            pbc=torch.tensor(atoms.pbc),
        )

    return make
