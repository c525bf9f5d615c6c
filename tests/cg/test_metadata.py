"""Labels without products: the same as those of ``compute``, and as featomic's."""

import subprocess
import sys

import featomic
import ketmap_cg.assembly
import ketmap_cg.fused
import metatensor
import numpy as np
import pytest
import torch
from featomic import clebsch_gordan as theirs
from ketmap_cg import (
    ClebschGordanProduct,
    DensityCorrelations,
    EquivariantPowerSpectrum,
    EquivariantPowerSpectrumByPair,
    PowerSpectrum,
)
from ketmap_density import SphericalExpansionByPair
from metatensor import Labels
from metatomic.torch import systems_to_torch

from .conftest import assert_same, expansion, hypers, renamed

PAIRS = SphericalExpansionByPair(**hypers())
CALCULATORS = {
    "one density": EquivariantPowerSpectrum(expansion()),
    "two densities": EquivariantPowerSpectrum(expansion(), expansion(radius=2.0, max_angular=1)),
    "invariants": PowerSpectrum(expansion(), expansion(radius=2.0)),
    "by pair": EquivariantPowerSpectrumByPair(expansion(), PAIRS),
}
SELECTIONS = {
    "all": {},
    "gradients": {"gradients": ["positions", "strain"]},
    "in properties": {"neighbors_to_properties": True, "selected_keys": Labels(["o3_lambda"], np.array([[2]]))},
    "selected": {
        "selected_samples": Labels(["system"], np.array([[2]])),
        "selected_properties": Labels(["n_1"], np.array([[1]])),
    },
}


@pytest.fixture
def products(monkeypatch):
    """The number of numbers that products were asked for."""
    sizes = []
    for module in (ketmap_cg.assembly, ketmap_cg.fused):
        original = module.cg_product

        def counted(*arguments, original=original):
            made = original(*arguments)
            sizes.extend(0 if values.is_meta else values.numel() for values in made)
            return made

        monkeypatch.setattr(module, "cg_product", counted)
    return sizes


def no_numbers(tensor):
    """Whether no memory is taken: every array is one number, seen many times."""
    arrays = [values for b in tensor.blocks() for values in (b.values, *(g.values for _, g in b.gradients()))]
    return all(a.size == 0 or not any(a.strides) for a in arrays)


@pytest.mark.parametrize("selection", SELECTIONS)
@pytest.mark.parametrize("name", CALCULATORS)
def test_same_labels_as_compute(molecules, products, name, selection):
    calculator, options = CALCULATORS[name], SELECTIONS[selection]
    if name == "invariants" and "neighbors_to_properties" in options:
        options = {"selected_keys": Labels(["center_type"], np.array([[8]]))}
    bare = calculator.compute_metadata(molecules, **options)
    assert sum(products) == 0 and no_numbers(bare)
    whole = calculator.compute(molecules, **options)
    assert sum(products) > 0
    assert metatensor.equal_metadata(bare, whole) and len(bare.keys) > 0
    assert bare.info() == whole.info()
    assert calculator.compute(molecules, **options).block(0).values.strides[0] > 0  # the calculator is as it was


@pytest.mark.slow
def test_at_once():
    """The first call does not wait for torch to import its compiler, as some of its functions of shapes do."""
    code = """
import sys, ase.build
from ketmap_cg import EquivariantPowerSpectrum
from ketmap_density import Cutoff, Gaussian, Gto, SphericalExpansion, TensorProduct
basis = TensorProduct(max_angular=1, radial=Gto(max_radial=1))
rho = SphericalExpansion(cutoff=Cutoff(3.0), density=Gaussian(0.4), basis=basis)
EquivariantPowerSpectrum(rho, rho).compute_metadata(ase.build.molecule("CH3OH"), gradients=["positions", "strain"])
EquivariantPowerSpectrum(rho).compute_metadata(ase.build.molecule("CH3OH"), neighbors_to_properties=True)
assert "torch._dynamo" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_torch(molecules):
    systems = systems_to_torch(molecules, dtype=torch.float32)
    bare = CALCULATORS["one density"].compute_metadata(systems)
    for block, expected in zip(bare.blocks(), CALCULATORS["one density"].compute(systems).blocks()):
        assert block.values.shape == expected.values.shape and block.values.dtype == torch.float32
        assert block.samples == expected.samples and block.properties == expected.properties


@pytest.mark.parametrize("in_properties", [False, True])
def test_featomic_power_spectra(molecules, in_properties):
    """Their arrays are as large as the results and hold any numbers."""
    options = {"neighbors_to_properties": in_properties}
    peer = featomic.SphericalExpansion(**hypers())
    same(
        CALCULATORS["one density"].compute_metadata(molecules, **options),
        theirs.EquivariantPowerSpectrum(peer).compute_metadata(molecules, **options),
    )
    pairs = featomic.SphericalExpansionByPair(**hypers())
    chosen = Labels(["l_1", "l_2"], np.array([[0, 1], [1, 2], [2, 2]]))
    same(
        CALCULATORS["by pair"].compute_metadata(molecules, selected_keys=chosen, **options),
        theirs.EquivariantPowerSpectrumByPair(peer, pairs).compute_metadata(molecules, selected_keys=chosen, **options),
    )


def same(ours, expected):
    """Labels as far as equality with featomic goes: samples in any order."""
    for tensor in (ours, expected):
        for block in tensor.blocks():
            assert not (tensor is ours and block.values.any())
    assert_same(ours, metatensor.zeros_like(expected))


def test_product(molecules, products):
    rho = expansion(max_angular=1).compute(molecules)
    arguments = renamed(rho, 1), renamed(rho, 2), "l_1", "l_2"
    bare = ClebschGordanProduct().compute_metadata(*arguments)
    assert sum(products) == 0 and no_numbers(bare)
    assert metatensor.equal_metadata(bare, ClebschGordanProduct().compute(*arguments))
    same(bare, theirs.ClebschGordanProduct(max_angular=2).compute_metadata(*arguments))
    with pytest.raises(ValueError, match="two keys named l_1"):
        ClebschGordanProduct().compute_metadata(*arguments[:2], "l_1", "l_1")


@pytest.mark.parametrize(
    "given", [{}, {"angular_cutoff": 1}, {"selected_keys": Labels(["o3_lambda"], np.array([[2]]))}]
)
def test_correlations(molecules, products, given):
    density = expansion(max_angular=1).compute(molecules, gradients=["strain"]).keys_to_properties("neighbor_type")
    ours = DensityCorrelations(n_correlations=2)
    bare = ours.compute_metadata(density, **given)
    assert sum(products) == 0 and no_numbers(bare)
    assert metatensor.equal_metadata(bare, ours.compute(density, **given))
    plain = metatensor.remove_gradients(density)
    peer = theirs.DensityCorrelations(n_correlations=2, max_angular=3)
    same(ours.compute_metadata(plain, **given), peer.compute_metadata(plain, **given))
