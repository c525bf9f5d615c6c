"""What is not selected is not computed: the numbers that products make, and the pairs and degrees of densities."""

import ase.build
import ketmap_cg.assembly
import ketmap_cg.fused
import ketmap_cg.nice.step
import ketmap_ops
import numpy as np
import pytest
from ketmap_cg import (
    Contraction,
    DensityCorrelations,
    EquivariantPowerSpectrum,
    EquivariantPowerSpectrumByPair,
    Nice,
    PowerSpectrum,
)
from ketmap_density import SphericalExpansionByPair

from ..labels import labels
from .conftest import expansion, hypers

METHANOL = ase.build.molecule("CH3OH")  # all atoms are neighbours: 30 pairs, 5 of them around carbon


@pytest.fixture
def work(monkeypatch):
    """``products``: the numbers that each product made; ``densities``: pairs and degrees of each expansion."""
    found = {"products": [], "densities": []}
    for module in (ketmap_cg.assembly, ketmap_cg.fused, ketmap_cg.nice.step):

        def counted(*arguments, original=module.cg_product):
            made = original(*arguments)
            found["products"].append(sum(values.numel() for values in made))
            return made

        monkeypatch.setattr(module, "cg_product", counted)
    original = ketmap_ops.expand

    def expand(*arguments):
        found["densities"].append((len(arguments[0]), arguments[3].shape[-2]))
        return original(*arguments)

    monkeypatch.setattr(ketmap_ops, "expand", expand)
    return found


def size(tensor):
    return sum(block.values.size for block in tensor.blocks())


def same(some, every):
    for key, block in some.items():
        whole = every.block(key)
        columns = [whole.properties.position(entry) for entry in block.properties]
        np.testing.assert_allclose(block.values, whole.values[..., columns], rtol=1e-12, atol=1e-15)


SPECTRA = {
    "high λ": (labels(["o3_lambda"], [4]), (30, 3)),
    "low l": (labels(["o3_lambda", "l_1", "l_2"], [1, 0, 1], [2, 1, 1]), (30, 2)),
    "one type": (labels(["o3_lambda", "center_type"], [2, 6]), (5, 3)),
    "types": (labels(["center_type", "neighbor_1_type", "neighbor_2_type"], [6, 1, 1]), (4, 3)),
}


@pytest.mark.parametrize("selection", SPECTRA)
@pytest.mark.parametrize("gradients", [[], ["strain"]])  # two roads
def test_power_spectrum(work, selection, gradients):
    keys, density = SPECTRA[selection]
    calculator = EquivariantPowerSpectrum(expansion())
    some = calculator.compute(METHANOL, selected_keys=keys, gradients=gradients)
    assert len(some.keys) > 0 and work["densities"] == [density]
    if not gradients:
        assert sum(work["products"]) == size(some)
    same(some, calculator.compute(METHANOL))


def test_two_densities(work):
    keys = labels(["center_type", "l_1", "l_2"], [6, 2, 0])
    calculator = EquivariantPowerSpectrum(expansion(), expansion(radius=3.0))
    some = calculator.compute(METHANOL, selected_keys=keys)
    assert work["densities"] == [(5, 3), (5, 1)] and sum(work["products"]) == size(some)
    same(some, calculator.compute(METHANOL))
    work["densities"].clear()
    invariants = PowerSpectrum(expansion(), expansion(radius=3.0))
    same(invariants.compute(METHANOL, selected_keys=labels(["center_type"], [6])), invariants.compute(METHANOL))
    assert work["densities"][:2] == [(5, 3), (5, 3)]


def test_by_pair(work):
    calculator = EquivariantPowerSpectrumByPair(expansion(), SphericalExpansionByPair(**hypers()))
    keys = labels(["first_atom_type", "second_atom_type", "l_1"], [6, 8, 1])
    some = calculator.compute(METHANOL, selected_keys=keys)
    assert len(some.keys) > 0 and work["densities"] == [(5, 2)]
    assert sum(work["products"]) == size(some)
    same(some, calculator.compute(METHANOL))


@pytest.mark.parametrize(
    "chosen",
    [
        labels(["o3_lambda"], [6]),  # of three l = 2: the only coupling, through k = 4
        labels(["center_type", "o3_lambda"], [6, 0]),
        labels(["k_2", "l_3"], [1, 2]),
        labels(["o3_lambda"], [9]),
    ],
)
@pytest.mark.parametrize("skip", [True, False])
def test_correlations(work, chosen, skip):
    """Lower orders are made as far as the selected keys are made of them."""
    density = expansion().compute(METHANOL).keys_to_properties("neighbor_type")
    calculator = DensityCorrelations(n_correlations=2, skip_redundant=skip)
    some = calculator.compute(density, selected_keys=chosen)
    made = sum(work["products"])
    needed = {tuple(key[name] for name in ("k_2", "center_type", "l_1", "l_2")) for key in some.keys}
    pairs = DensityCorrelations(n_correlations=1, skip_redundant=skip).compute(density)
    below = [b for k, b in pairs.items() if (k["o3_lambda"], k["center_type"], k["l_1"], k["l_2"]) in needed]
    assert made == size(some) + sum(block.values.size for block in below)
    if len(some.keys):
        same(some, calculator.compute(density))


METHANES = [ase.build.molecule("CH4") for _ in range(16)]
for seed, atoms in enumerate(METHANES):
    atoms.rattle(0.2, seed=seed)


@pytest.fixture(scope="module")
def nice():
    contraction = Contraction(max_order=3, n_candidates=60, n_components=8, symmetries=((0, 1), (1, -1), (2, 1)))
    return Nice(expansion(), contraction=contraction).fit(METHANES)


@pytest.mark.parametrize(
    "chosen, orders",
    [
        (labels(["order_nu"], [1]), 0),  # no product
        (labels(["order_nu"], [2]), 1),
        (labels(["order_nu", "o3_lambda"], [2, 2]), 1),
        (labels(["order_nu", "o3_lambda"], [3, 1]), 2),
        (labels(["center_type", "order_nu"], [6, 3]), 2),
    ],
)
def test_nice(work, nice, chosen, orders):
    """Orders above those selected are not made, and of those below only what is multiplied or taken off."""
    every = nice.compute(METHANES)
    whole = sum(work["products"])
    work["products"].clear()
    some = nice.compute(METHANES, selected_keys=chosen, gradients=["strain"])
    assert len(some.keys) > 0
    same(some, every)
    gradients, centers = sum(work["products"]), len({key["center_type"] for key in some.keys})
    work["products"].clear()
    nice.compute(METHANES, selected_keys=chosen)
    assert len(work["products"]) == centers * orders
    assert sum(work["products"]) < whole and gradients >= sum(work["products"])
    if (chosen.names, orders) == (["order_nu"], 1):
        assert sum(work["products"]) == sum(
            (2 * row["o3_lambda"] + 1) * row["candidates"] * len(METHANES) * {6: 1, 1: 4}[row["center_type"]]
            for row in nice.report
            if row["order_nu"] == 2 and (row["o3_lambda"], row["o3_sigma"]) in nice.contraction.symmetries
        )
