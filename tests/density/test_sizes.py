"""Bases with a different number of radial functions for every l, and with no functions for some l."""

import featomic
import featomic.basis
import numpy as np
import pytest
from ketmap_core import as_batch
from ketmap_density import Explicit, Gto, LaplacianEigenstate, SphericalExpansion, TensorProduct
from metatensor import Labels, TensorMap

RAGGED = {0: Gto(3), 1: Gto(1), 3: Gto(2)}


@pytest.fixture
def ragged(hypers):
    return {**hypers(), "basis": Explicit(RAGGED).to_dict()}


def test_against_featomic(ragged, systems, same):
    gradients = ["positions", "strain", "cell"] if all(atoms.cell.rank == 3 for atoms in systems) else ["positions"]
    ours = SphericalExpansion(**ragged).compute(systems, gradients=gradients)
    theirs = featomic.SphericalExpansion(**ragged).compute(systems, gradients=gradients)
    values, slopes = same(ours, theirs, gradients)
    assert values < 1e-8 and slopes < 1e-7


def test_only_what_exists(ragged, nacl):
    rho = SphericalExpansion(**ragged)
    assert rho.expansion.sizes == (4, 2, 0, 3) and (rho.expansion.l_max, rho.expansion.n_max) == (3, 3)
    tensor = rho.compute(nacl)
    assert {int(l) for l in tensor.keys["o3_lambda"]} == {0, 1, 3}
    assert {len(block.properties) for block in tensor.blocks({"o3_lambda": 3})} == {3}
    batch = as_batch(nacl)
    c = rho.expansion.coefficients(rho.expansion.environments(batch), batch)
    assert not c[:, :, 1:4, 2:].any() and not c[:, :, 4:9].any() and c.shape[2:] == (16, 4)


@pytest.mark.parametrize("names, entries", [(["n"], [[3], [1]]), (["n"], [[2]])])
def test_selected_properties(ragged, nacl, names, entries):
    """Blocks keep what they have of it, in the order of the selection."""
    selected = Labels(names, np.array(entries, dtype=np.int32))
    rho = SphericalExpansion(**ragged)
    every, some = rho.compute(nacl), rho.compute(nacl, selected_properties=selected)
    for key, block in some.items():
        whole = every.block(key)
        here = [n for (n,) in entries if n < len(whole.properties)]
        assert block.properties["n"].tolist() == here
        np.testing.assert_allclose(block.values, whole.values[..., here], rtol=0, atol=1e-14)


def test_selecting_map_with_other_properties(ragged, nacl):
    """Properties that l does not have are zeros, also where other l have them."""
    rho = SphericalExpansion(**ragged)
    every = rho.compute(nacl)
    wanted = Labels(["n"], np.array([[2], [0]], dtype=np.int32))
    blocks = []
    for block in every.blocks():
        first = block.copy()
        blocks.append(type(first)(first.values[..., [0, 0]], first.samples, first.components, wanted))
    some = rho.compute(nacl, selected_properties=TensorMap(every.keys, blocks))
    block = some.block(o3_lambda=1, center_type=11, neighbor_type=17)
    whole = every.block(o3_lambda=1, center_type=11, neighbor_type=17).values
    assert not block.values[..., 0].any() and np.allclose(block.values[..., 1], whole[..., 0], atol=1e-14)


def test_selected_keys(ragged, nacl):
    rho = SphericalExpansion(**ragged)
    names = ["o3_lambda", "o3_sigma", "center_type", "neighbor_type"]
    with pytest.raises(ValueError, match=r"o3_lambda=2.* not in this expansion: o3_lambda is one of 0, 1, 3"):
        rho.compute(nacl, selected_keys=Labels(names, np.array([[2, 1, 11, 17]], dtype=np.int32)))


def test_sizes_of_laplacian_eigenstates():
    """As many as featomic's, without and with a largest l."""
    for max_radial, max_angular in ((0, None), (3, None), (5, None), (5, 4), (7, 2)):
        theirs = featomic.basis.LaplacianEigenstate(radius=4.0, max_radial=max_radial, max_angular=max_angular)
        ours = LaplacianEigenstate(max_radial, 4.0, max_angular)
        assert ours.sizes == tuple(theirs.radial_basis(l).size for l in theirs.angular_channels())
    assert TensorProduct(2, Gto(3)).sizes == (4, 4, 4)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: LaplacianEigenstate(3, 4.0, 12), "no eigenstate with l > 7 is below the eigenvalue of l = 0, n = 3"),
        (lambda: LaplacianEigenstate(3, -4.0), "LaplacianEigenstate radius must be greater than 0"),
        (lambda: Explicit({}), "by_angular must be a dictionary {l: radial basis}, got {}"),
        (lambda: Explicit([Gto(2)]), "by_angular must be a dictionary"),
        (lambda: Explicit({-1: Gto(2)}), "angular degree in by_angular must be at least 0"),
        (lambda: Explicit({"p": Gto(2)}), "angular degree in by_angular must be an integer, got 'p'"),
        (lambda: Explicit({0: {"type": "Gt", "max_radial": 2}}), "did you mean 'Gto'"),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_frozen():
    basis = Explicit(RAGGED)
    with pytest.raises(TypeError, match="frozen"):
        basis.by_angular[5] = Gto(1)
    assert hash(basis) == hash(Explicit(dict(reversed(RAGGED.items()))))
    assert Explicit.from_dict({"by_angular": {"0": Gto(3), "1": Gto(1), "3": Gto(2)}}) == basis
