"""λ-SOAP by its two roads, on bases and densities of all kinds, with types that do not occur; equivariance."""

import ase.build
import featomic
import numpy as np
import pytest
from featomic import clebsch_gordan as theirs
from ketmap_cg import EquivariantPowerSpectrum, EquivariantPowerSpectrumByPair, PowerSpectrum
from ketmap_core import check
from ketmap_density import (
    AlchemicalChannels,
    Explicit,
    Gaussian,
    Gto,
    LaplacianEigenstate,
    SphericalExpansion,
    SphericalExpansionByPair,
)
from ketmap_lode import LodeSphericalExpansion, SmearedPowerLaw
from ketmap_testing import check_calculator
from metatensor import Labels

from .conftest import assert_same, expansion, hypers, renamed

PLAIN = expansion().to_dict()
DENSITIES = {
    "tensor product": expansion(),
    "Laplacian eigenstates": SphericalExpansion(**PLAIN | {"basis": LaplacianEigenstate(max_radial=2)}),
    "no l = 1": SphericalExpansion(**PLAIN | {"basis": Explicit(by_angular={0: Gto(2), 2: Gto(1)})}),
    "widths by type": SphericalExpansion(**PLAIN | {"density": Gaussian({1: 0.3, 8: 0.5})}),
}


@pytest.mark.parametrize("in_properties", [False, True])
@pytest.mark.parametrize("name", DENSITIES)
def test_roads_agree(molecules, name, in_properties):
    """With explicit gradients the product is one of TensorMaps, without it comes from the dense coefficients."""
    calculator = EquivariantPowerSpectrum(DENSITIES[name])
    options = {"neighbors_to_properties": in_properties}
    fused = calculator.compute(molecules, **options)
    general = calculator.compute(molecules, gradients=["positions"], **options)
    assert fused.keys == general.keys
    for key, block in general.items():
        mine = fused.block(key)
        assert mine.samples == block.samples and mine.properties == block.properties
        np.testing.assert_allclose(mine.values, block.values, atol=1e-14)
    some = {"selected_keys": Labels(["l_1", "o3_sigma"], np.array([[0, 1], [2, -1]]))} | options
    fused = calculator.compute(molecules, **some)
    general = calculator.compute(molecules, gradients=["positions"], **some)
    assert fused.keys == general.keys and len(fused.keys) > 0
    assert all(fused.block(key).properties == block.properties for key, block in general.items())


def test_basis_without_max_angular(molecules):
    """featomic's calculator reads ``max_angular``, which bases with functions of their own for every l do not have."""
    by_angular = {str(l): {"type": "Gto", "max_radial": n} for l, n in ((0, 2), (2, 1))}
    basis = {"type": "Explicit", "by_angular": by_angular, "spline_accuracy": None}
    peer = featomic.SphericalExpansion(**hypers() | {"basis": basis})
    with pytest.raises(KeyError, match="max_angular"):
        theirs.EquivariantPowerSpectrum(peer)
    tensor = EquivariantPowerSpectrum(DENSITIES["no l = 1"]).compute(molecules)
    rho = peer.compute(molecules)
    product = theirs.ClebschGordanProduct(max_angular=4).compute(renamed(rho, 1), renamed(rho, 2), "l_1", "l_2")
    for key, block in product.items():
        if key["l_1"] <= key["l_2"]:
            mine = tensor.block({name: key[name] for name in tensor.keys.names})
            l = mine.properties.values[:, :2] == [key["l_1"], key["l_2"]]
            rows = [mine.samples.position(entry) for entry in block.samples]
            np.testing.assert_allclose(mine.values[rows][..., l.all(axis=1)], block.values, atol=1e-9)


def test_types_that_do_not_occur(molecules):
    """With whole keys selected, blocks are there and empty; the order is that of the selection."""
    names = ["o3_lambda", "o3_sigma", "center_type", "neighbor_1_type", "neighbor_2_type"]
    keys = Labels(names, np.array([[2, 1, 8, 1, 6], [0, 1, 6, 6, 6], [1, -1, 8, 1, 8], [1, 1, 1, 1, 1]]))
    calculator = EquivariantPowerSpectrum(expansion())
    tensor, every = calculator.compute(molecules, selected_keys=keys), calculator.compute(molecules)
    assert tensor.keys == keys
    assert len(tensor.block(1).samples) == 0 and tensor.block(1).shape[1:] == (1, 12)
    assert (tensor.block(0).values == 0).all() and len(tensor.block(0).properties) == len(
        every.block(
            {"o3_lambda": 2, "o3_sigma": 1, "center_type": 8, "neighbor_1_type": 1, "neighbor_2_type": 8}
        ).properties
    )
    for place in (2, 3):
        np.testing.assert_array_equal(tensor.block(place).values, every.block(keys[place]).values)
    assert check(tensor)


def test_neighbor_types_in_their_order(molecules):
    calculator = EquivariantPowerSpectrum(expansion(), neighbor_types=[8, 6, 1])
    block = calculator.compute(molecules, neighbors_to_properties=True).block({"o3_lambda": 0, "center_type": 8})
    types = block.properties.column("neighbor_1_type")
    assert list(dict.fromkeys(types.tolist())) == [8, 6, 1]
    assert (block.values[..., types == 6] == 0).all() and (block.values[..., types == 8] != 0).any()
    expected = theirs.EquivariantPowerSpectrum(featomic.SphericalExpansion(**hypers()), neighbor_types=[8, 6, 1])
    expected = expected.compute(molecules, neighbors_to_properties=True)
    for key, reference in expected.items():
        mine = calculator.compute(molecules, neighbors_to_properties=True).block(key)
        order = [mine.properties.position(entry) for entry in reference.properties]
        rows = [mine.samples.position(entry) for entry in reference.samples]
        np.testing.assert_allclose(mine.values[rows][..., order], reference.values, atol=1e-9)


@pytest.mark.parametrize("law", ["rotation", "inversion"])
def test_equivariant_to_all_orders(law):
    """Every (λ, σ) from l = 4 ⊗ 4, to 1e-10."""
    calculator = EquivariantPowerSpectrum(expansion(max_angular=4, max_radial=0))
    assert law in check_calculator(calculator, laws=[law], rtol=1e-10).deviations


def test_density_and_field():
    """Short and long range together, whose samples differ; featomic fills with zeros too, and leaves out l_1 > l_2."""
    atoms = ase.build.molecule("H2O", cell=[7, 7, 7], pbc=True)
    field = {"smearing": 1.0, "exponent": 1}
    basis = {"type": "TensorProduct", "max_angular": 1, "radial": {"type": "Gto", "max_radial": 1, "radius": 2.0}}
    ours = LodeSphericalExpansion(density=SmearedPowerLaw(**field), basis=basis | {"spline_accuracy": None})
    peer = featomic.LodeSphericalExpansion(
        density={"type": "SmearedPowerLaw", **field}, basis=basis | {"spline_accuracy": None}
    )
    both = EquivariantPowerSpectrum(expansion(radius=0.9), ours).compute(atoms)
    expected = theirs.EquivariantPowerSpectrum(featomic.SphericalExpansion(**hypers(radius=0.9)), peer).compute(atoms)
    for key, block in expected.items():
        mine = both.block(key)
        columns = [mine.properties.position(entry) for entry in block.properties]
        rows = [mine.samples.position(entry) for entry in block.samples]
        assert sorted(rows) == list(range(len(mine.samples)))
        scale = max(np.abs(block.values).max(initial=0), 1e-3)
        np.testing.assert_allclose(mine.values[rows][..., columns], block.values, atol=1e-4 * scale)
    assert len(PowerSpectrum(expansion(), ours).compute(atoms).keys) == 2


def test_channels(molecules):
    """Alchemical channels have names of their own."""
    mixed = SphericalExpansion(**PLAIN, species=AlchemicalChannels((1, 8), [[0.3], [0.8]]))
    tensor = EquivariantPowerSpectrum(mixed).compute(molecules)
    assert tensor.keys.names[-2:] == ["neighbor_1_channel", "neighbor_2_channel"]
    rho = mixed.compute(molecules)
    zero = tensor.block({"o3_lambda": 0, "center_type": 8})
    columns = (zero.properties.column("l_1") == 0).nonzero()[0]
    c = rho.block({"o3_lambda": 0, "center_type": 8}).values[:, 0]
    np.testing.assert_allclose(zero.values[:, 0, columns], np.einsum("ip,iq->ipq", c, c).reshape(len(c), -1))


def test_by_pair_with_our_own_pairs(molecules):
    pairs = SphericalExpansionByPair(**expansion(max_angular=1).to_dict())
    ours = EquivariantPowerSpectrumByPair(expansion(), pairs).compute(molecules)
    peer = featomic.SphericalExpansionByPair(**hypers(max_angular=1))
    peer.to_dict = lambda: {}
    assert_same(ours, EquivariantPowerSpectrumByPair(expansion(), peer).compute(molecules), 1e-8)
