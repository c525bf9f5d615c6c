"""Structures and hyper-parameters that the tests of the power spectrum share."""

import ase.build
import pytest

from ..hypers import featomic_hypers
from ..structures import left_handed, rattled_nacl, usual_structures


def structures() -> dict[str, list]:
    """Molecules, bulk, mixed types, isolated atoms; cells much smaller than the cutoff, left-handed, atoms outside."""
    methanol = ase.build.molecule("CH3OH")
    return {
        **usual_structures(),
        "isolated": [ase.Atoms("N"), methanol, ase.Atoms("HO", positions=[[0, 0, 0], [9.0, 2.0, 1.0]])],
        "cells": [left_handed(rattled_nacl()), ase.Atoms("H", cell=[1.7, 1.9, 2.1], pbc=True)],
    }


@pytest.fixture(params=list(structures()))
def systems(request):
    return structures()[request.param]


@pytest.fixture
def mixed():
    return structures()["mixed"]


@pytest.fixture
def hypers():
    return featomic_hypers
