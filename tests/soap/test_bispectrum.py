"""The bispectrum: featomic's correlations, the known number of cubic invariants, gradients and selections."""

import featomic.clebsch_gordan
import metatensor
import numpy as np
import pytest
from ketmap_core import check
from ketmap_density import Cutoff, Gaussian, Gto, LaplacianEigenstate, SphericalExpansion, TensorProduct
from ketmap_soap import SoapBispectrum
from ketmap_soap.triple import unique_triples
from metatensor import Labels

from ..cg.enumeration import independent_scalars
from ..parts import assert_is_part, part_of
from .conftest import structures


@pytest.mark.parametrize("sizes", [(1,), (2, 1), (1, 1, 1), (2, 2, 2), (3, 1, 2, 1), (4, 3, 3, 2, 2, 1, 1, 1)])
def test_each_invariant_once(sizes):
    """As many features of one neighbour type as there are independent true scalars of third order, by characters."""
    assert len(unique_triples(sizes, True, True)) == independent_scalars(sizes, 3)


def test_two_types_once():
    """All blocks together, of two types with n functions each, are those of one density with 2 n."""
    one, two = (2, 1, 1), (4, 2, 2)
    total = 2 * len(unique_triples(one, True, True)) + sum(
        len(unique_triples(one, *same)) for same in ((True, False), (False, True))
    )
    assert total == independent_scalars(two, 3)


def test_featomic(hypers):
    """f times the λ = 0 block ((l1 l2) l3, l3) of featomic's correlations; the norm is that of all of them."""
    systems = structures()["molecules"]
    given = hypers(max_radial=1, max_angular=2)
    ours = SoapBispectrum(**given).compute(systems)
    density = featomic.SphericalExpansion(**given).compute(systems).keys_to_properties("neighbor_type")
    correlations = featomic.clebsch_gordan.DensityCorrelations(n_correlations=2, max_angular=4, skip_redundant=False)
    theirs = correlations.compute(density, selected_keys=Labels(["o3_lambda", "o3_sigma"], np.array([[0, 1]])))
    norms = {}
    for key, block in ours.items():
        types = [key[f"neighbor_{i}_type"] for i in (1, 2, 3)]
        for column, (*l, n1, n2, n3) in enumerate(block.properties.values.tolist()):
            names = dict(zip(("l_1", "l_2", "l_3"), l), center_type=key["center_type"], k_2=l[2])
            expected = theirs.block(names)
            place = expected.properties.position([types[0], n1, types[1], n2, types[2], n3])
            labels = {*zip(types, l, (n1, n2, n3))}
            factor = np.sqrt({1: 1, 2: 3, 3: 6}[len(labels)])
            rows = [expected.samples.position(sample) for sample in block.samples]
            np.testing.assert_allclose(block.values[:, column], factor * expected.values[rows, 0, place], atol=1e-11)
        for sample, values in zip(block.samples.values.tolist(), block.values):
            norms[*sample] = norms.get((*sample,), 0.0) + (values**2).sum()
    expected = {}
    for block in theirs.blocks():
        for sample, values in zip(block.samples.values.tolist(), block.values):
            expected[*sample] = expected.get((*sample,), 0.0) + (values**2).sum()
    for sample, norm in norms.items():
        assert norm == pytest.approx(expected[sample], rel=1e-9)


def test_laplacian_eigenstates():
    """Bases whose number of radial functions depends on l: the columns that there are."""
    basis = LaplacianEigenstate(max_radial=2)
    given = {"cutoff": Cutoff(3.0), "density": Gaussian(0.4), "basis": basis}
    tensor = SoapBispectrum(**given).compute(structures()["molecules"])
    block = tensor.block({"center_type": 6, "neighbor_1_type": 1, "neighbor_2_type": 1, "neighbor_3_type": 1})
    assert block.shape[1] == independent_scalars(basis.sizes, 3)
    assert check(tensor), check(tensor)
    # the cubic invariants of l = 0 are products of the coefficients themselves
    density = SphericalExpansion(**given).compute(structures()["molecules"])
    scalar = density.block({"o3_lambda": 0, "center_type": 6, "neighbor_type": 1}).values[:, 0]
    column = block.properties.position([0, 0, 0, 0, 1, 1])
    np.testing.assert_allclose(block.values[:, column], np.sqrt(3) * scalar[:, 0] * scalar[:, 1] ** 2, rtol=1e-12)


def test_selections(hypers):
    systems = structures()["molecules"]
    calculator = SoapBispectrum(**hypers(max_radial=1, max_angular=2))
    whole = calculator.compute(systems, gradients=["positions"])
    chosen = calculator.compute(
        systems,
        gradients=["positions"],
        selected_keys=Labels(["center_type", "neighbor_1_type"], np.array([[6, 1]])),
        selected_properties=Labels(["l_1", "n_2"], np.array([[1, 0], [2, 1]])),
        selected_samples=Labels(["system"], np.array([[1]])),
    )
    assert {tuple(key.values[:2]) for key in chosen.keys} == {(6, 1)}
    for key, block in chosen.items():
        full = whole.block(key)
        columns = [full.properties.position(entry) for entry in block.properties]
        rows = [full.samples.position(sample) for sample in block.samples]
        assert set(block.samples.column("system")) == {1} and 0 < len(columns) < len(full.properties)
        np.testing.assert_allclose(block.values, full.values[rows][:, columns], atol=1e-13)
        gradient, others = block.gradient("positions"), full.gradient("positions")
        names = others.samples.values.copy()
        names[:, 0] = [rows.index(row) if row in rows else -1 for row in names[:, 0]]
        kept = names[:, 0] >= 0
        np.testing.assert_array_equal(names[kept], gradient.samples.values)
        np.testing.assert_allclose(gradient.values, others.values[kept][..., columns], atol=1e-12)
    full_key = Labels(whole.keys.names, np.array([[6, 6, 1, 1]]))
    with pytest.raises(ValueError, match="neighbour types must ascend"):
        calculator.compute(systems, selected_keys=full_key)
    absent = Labels(whole.keys.names, np.array([[6, 1, 1, 17], [92, 1, 1, 1]]))
    empty = calculator.compute(systems, selected_keys=absent, gradients=["strain", "positions"])
    assert empty.keys == absent
    for block in empty.blocks():
        assert block.shape[0] == 0 and block.gradients_list() == ["strain", "positions"]
    with pytest.raises(ValueError, match="did you mean 'neighbor_1_type'"):
        calculator.compute(systems, selected_keys=Labels(["neighbor1_type"], np.array([[6]])))


@pytest.mark.parametrize("seed", range(3))
def test_selected_by_tensor_maps(hypers, seed):
    """Samples and properties of each key: these, in this order; zeros where there are none."""
    rng, systems = np.random.default_rng(seed), structures()["molecules"]
    calculator = SoapBispectrum(**hypers(max_radial=1, max_angular=2))
    whole = calculator.compute(systems, gradients=["positions", "strain"])
    keys = Labels(whole.keys.names, rng.permutation(whole.keys.values)[: rng.integers(1, len(whole.keys))])
    parts = part_of(whole, keys, rng)
    found = calculator.compute(
        systems,
        gradients=["positions", "strain"],
        selected_samples=parts,
        selected_properties=parts,
        selected_keys=keys,
    )
    assert_is_part(found, parts, whole)


def test_gradient_rows(hypers):
    """Rows of the gradient are the centre and its neighbours of the block's types, as in the power spectrum."""
    calculator = SoapBispectrum(**hypers(max_radial=0, max_angular=1))
    tensor = calculator.compute(structures()["mixed"], gradients=["positions"])
    assert check(tensor), check(tensor)
    for key, block in tensor.items():
        types = {key[f"neighbor_{i}_type"] for i in (1, 2, 3)}
        moved = block.gradient("positions").samples.values
        for row, (system, atom) in enumerate(block.samples.values):
            mine = moved[moved[:, 0] == row]
            assert (mine[:, 1] == system).all() and atom in mine[:, 2]
            numbers = structures()["mixed"][system].numbers
            assert {int(numbers[j]) for j in mine[:, 2] if j != atom} <= types


def test_empty_and_errors(hypers):
    calculator = SoapBispectrum(**hypers(max_radial=0, max_angular=1))
    assert len(calculator.compute([]).keys) == 0
    assert metatensor.equal(SoapBispectrum.from_dict(calculator.to_dict()).compute([]), calculator.compute([]))
    with pytest.raises(ValueError, match="did you mean 'basis'"):
        SoapBispectrum(cutoff=Cutoff(3.0), density=Gaussian(0.3), basi=TensorProduct(1, Gto(1)))
    with pytest.raises(ValueError, match="did you mean 'positions'"):
        calculator.compute(structures()["molecules"], gradients=["position"])
