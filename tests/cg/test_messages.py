"""Two centres and messages: exchange of the atoms, sums that are known, rotations, gradients, reach."""

import ase.build
import metatensor
import numpy as np
import pytest
from ketmap_cg import ClebschGordanProduct, MessagePassing, PairFeatures
from ketmap_core.o3 import clebsch_gordan
from ketmap_density import (
    Cutoff,
    Gaussian,
    Gto,
    ShiftedCosine,
    SphericalExpansion,
    SphericalExpansionByPair,
    TensorProduct,
)
from ketmap_testing import check_calculator, default_systems
from metatensor import Labels, TensorBlock, TensorMap

HYPERS = {
    "cutoff": Cutoff(3.0, smoothing=ShiftedCosine(0.5)),
    "density": Gaussian(0.4),
    "basis": TensorProduct(max_angular=2, radial=Gto(max_radial=1)),
}
SCALARS = Labels(["o3_lambda", "o3_sigma"], np.array([[0, 1]]))


def density(systems, **given):
    return SphericalExpansion(**HYPERS).compute(systems, **given).keys_to_properties("neighbor_type")


def pairs(systems, **given):
    return SphericalExpansionByPair(**HYPERS).compute(systems, **given)


@pytest.fixture
def systems():
    crystal = ase.build.bulk("NaCl", "rocksalt", 4.2)
    crystal.rattle(0.1, seed=1)
    methanol = ase.build.molecule("CH3OH")
    return [methanol, crystal]


def coupling(l_i, l_ij, l_j):  # -> [m_i, m_ij, m_j]
    """The coefficients of the scalar: pair and j to k = l_i, that and i to zero."""
    inner, outer = clebsch_gordan(l_ij, l_j, l_i), clebsch_gordan(l_i, l_i, 0)[:, :, 0]
    return np.einsum("abM,iM->iab", inner, outer)


def test_exchange_of_the_atoms(systems):
    """Scalars of (j, i) are those of (i, j) with exchanged couplings, times (−1)^l_ij and the sign of the exchange."""
    rho = density(systems)
    features = PairFeatures().compute(pairs(systems), rho, rho, selected_keys=SCALARS)
    compared = 0
    for key, block in features.items():
        l_i, l_ij, l_j = (key[name] for name in ("l_i", "l_ij", "l_j"))
        other = features.block(
            {
                **{name: key[name] for name in ("o3_lambda", "o3_sigma", "l_ij")},
                **{"l_i": l_j, "l_j": l_i, "k_ij": l_j},
                "first_atom_type": key["second_atom_type"],
                "second_atom_type": key["first_atom_type"],
            }
        )
        exchange = np.sum(coupling(l_i, l_ij, l_j) * coupling(l_j, l_ij, l_i).transpose(2, 1, 0))
        assert abs(abs(exchange) - 1) < 1e-12
        swapped = block.samples.values[:, [0, 2, 1, 3, 4, 5]] * [1, 1, 1, -1, -1, -1]
        rows = [other.samples.position(row) for row in swapped]
        names = list(block.properties.names)
        order = [names.index(name) for name in ("neighbor_j_type", "n_j", "n_ij", "neighbor_i_type", "n_i")]
        columns = [other.properties.position(entry) for entry in block.properties.values[:, order]]
        expected = other.values[rows][:, :, columns] * (-1) ** l_ij * exchange
        np.testing.assert_allclose(block.values, expected, atol=1e-12)
        compared += len(rows) * len(columns)
    assert compared > 10_000


def test_sum_over_neighbours_is_the_density(systems):
    """Σ_j |r_ij⟩ = ρ_i, the pair with itself included; Σ_j ρ_i ⊗ |r_ij⟩ = ρ_i ⊗ ρ_i."""
    alone = MessagePassing().compute(pairs(systems))
    rho = SphericalExpansion(**HYPERS).compute(systems)
    assert len(alone.keys) == len(rho.keys)
    for key, block in rho.items():
        mine = alone.block(key)
        rows = [block.samples.position(sample) for sample in mine.samples]
        np.testing.assert_allclose(mine.values, block.values[rows], atol=1e-13)
    first = density(systems)
    summed = MessagePassing().compute(pairs(systems), first)
    names = {"n": "n_i", "neighbor_type": "neighbor_i_type"}
    for old, new in names.items():
        first = metatensor.rename_dimension(first, "properties", old, new)
    product = ClebschGordanProduct().compute(
        first, metatensor.rename_dimension(rho, "properties", "n", "n_ij"), "l_i", "l_ij"
    )
    assert set(map(tuple, summed.keys.values.tolist())) == set(map(tuple, product.keys.values.tolist()))
    for key, block in summed.items():
        expected = product.block(key)
        rows = [expected.samples.position(sample) for sample in block.samples]
        np.testing.assert_allclose(block.values, expected.values[rows], atol=1e-12)


def test_messages_of_ones(systems):
    """Neighbours that know nothing but that they are there: Σ_j |r_ij⟩ ⊗ 1 = ρ_i."""
    rho = SphericalExpansion(**HYPERS).compute(systems)
    blocks, keys = [], []
    for key, block in density(systems).items():
        if key["o3_lambda"] == 0:
            one = Labels.range("one", 1)
            blocks.append(TensorBlock(np.ones((len(block.samples), 1, 1)), block.samples, block.components, one))
            keys.append(list(key.values))
    ones = TensorMap(Labels(["o3_lambda", "o3_sigma", "center_type"], np.array(keys)), blocks)
    messages = MessagePassing().compute(pairs(systems), second=ones)
    for key, block in messages.items():
        expected = rho.block({name: key[name] for name in ("o3_lambda", "center_type", "neighbor_type")})
        rows = [expected.samples.position(sample) for sample in block.samples]
        np.testing.assert_allclose(block.values, expected.values[rows], atol=1e-13)


def test_messages_are_sums_of_pair_features(systems):
    rho = density(systems)
    chosen = Labels(["o3_lambda"], np.array([[1]]))
    features = PairFeatures().compute(pairs(systems), rho, rho, angular_cutoff=2, selected_keys=chosen)
    messages = MessagePassing().compute(pairs(systems), rho, rho, angular_cutoff=2, selected_keys=chosen)
    assert len(features.keys) == len(messages.keys)
    for key, block in messages.items():
        names = {"center_type": "first_atom_type", "neighbor_type": "second_atom_type"}
        part = features.block({names.get(name, name): key[name] for name in key.names})
        expected = np.zeros_like(block.values)
        rows = [block.samples.position(sample[:2]) for sample in part.samples.values]
        np.add.at(expected, rows, part.values)
        np.testing.assert_allclose(block.values, expected, atol=1e-12)


class Messages:
    """Messages of a small density as a calculator."""

    hypers = HYPERS | {"basis": TensorProduct(max_angular=1, radial=Gto(max_radial=0))}

    def __init__(self, kind):
        self.kind = kind

    def compute(self, systems, gradients=None):
        along = SphericalExpansionByPair(**self.hypers).compute(systems, gradients=gradients)
        rho = SphericalExpansion(**self.hypers).compute(systems, gradients=gradients)
        rho = rho.keys_to_properties("neighbor_type")
        return self.kind().compute(along, rho, rho, angular_cutoff=1)


@pytest.mark.parametrize("kind", [PairFeatures, MessagePassing])
def test_laws(kind):
    systems = [default_systems()[0][:4], default_systems()[3]]
    laws = ["rotation", "inversion", "permutation", "positions_gradient", "strain_gradient", "autograd"]
    check_calculator(Messages(kind), systems=systems, laws=laws, rtol=1e-8)


def test_reach():
    """A message knows of atoms beyond the cutoff, up to twice as far; the density does not."""
    chain = ase.Atoms("CNO", positions=[[0, 0, 0], [2.0, 0.3, 0], [4.1, 0, 0.2]])
    moved = chain.copy()
    moved.positions[2, 1] += 0.4
    chosen = Labels(["center_type", "o3_lambda"], np.array([[6, 0]]))
    of_first = Labels(["first_atom_type", "o3_lambda"], np.array([[6, 0]]))

    def of_carbon(atoms, first):
        if not first:
            return MessagePassing().compute(pairs([atoms], selected_keys=of_first))
        return MessagePassing().compute(pairs([atoms]), second=density([atoms]), selected_keys=chosen)

    far = [of_carbon(atoms, True) for atoms in (chain, moved)]
    near = [of_carbon(atoms, False) for atoms in (chain, moved)]
    assert metatensor.allclose(*near, atol=1e-13)
    changes = [np.abs(far[0].block(key).values - block.values).max(initial=0) for key, block in far[1].items()]
    assert max(changes) > 1e-4


def test_errors(systems):
    rho = density(systems)
    with pytest.raises(ValueError, match="expected the TensorMap of pairs, with keys o3_lambda"):
        PairFeatures().compute(rho, rho)
    with pytest.raises(ValueError, match="pairs alone are not multiplied"):
        MessagePassing().compute(pairs(systems), selected_keys=SCALARS)
    with pytest.raises(ValueError, match="expected a TensorMap of atoms, with key center_type"):
        PairFeatures().compute(pairs(systems), pairs(systems))
    with pytest.raises(ValueError, match="has no samples of system 1"):
        MessagePassing().compute(pairs(systems), rho, density(systems[:1]))
