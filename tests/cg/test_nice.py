"""NICE: nothing lost where everything is kept, no redundancy, files, and what happens to bad input."""

import json
import zipfile

import ase.build
import metatensor
import numpy as np
import pytest
from ketmap_cg import Contraction, DensityCorrelations, MessagePassing, Nice
from ketmap_cg.nice import network
from ketmap_core import FileFormatError, NotFittedError, UnknownTypesError, check, info, plan
from ketmap_density import Cutoff, Gto, SphericalExpansionByPair, TensorProduct
from ketmap_lode import LodeSphericalExpansion, SmearedPowerLaw
from ketmap_soap import SoapPowerSpectrum
from ketmap_testing import check_calculator
from metatensor import Labels

from ..parts import assert_is_part, part_of
from .conftest import expansion
from .enumeration import independent_scalars, random_density

ALL = Contraction(max_order=4, n_candidates=10_000, n_components=10_000, tolerance=1e-10)


@pytest.fixture(scope="module")
def methanes():
    found = []
    for seed in range(24):
        atoms = ase.build.molecule("CH4")
        atoms.rattle(0.25, seed=seed)
        found.append(atoms)
    return found


@pytest.fixture(scope="module")
def nice(methanes):
    """Small: three orders, few components; scalars and pseudovectors come out."""
    contraction = Contraction(max_order=3, n_candidates=60, n_components=8, symmetries=((0, 1), (1, -1)))
    return Nice(expansion(max_radial=2), contraction=contraction).fit(methanes)


def scalars(tensor, orders=None):
    """Invariants of all orders up to one, side by side, with the constant."""
    blocks = [b for key, b in tensor.items() if orders is None or key["order_nu"] in orders]
    return np.hstack([np.ones((len(blocks[0].samples), 1)), *(block.values[:, 0] for block in blocks)])


@pytest.mark.parametrize("sizes", [(1, 1, 1), (2, 2), (1, 2, 1)])
def test_as_many_components_as_there_are_independent_scalars(sizes):
    """With everything kept, contraction and purification leave what characters of O(3) count, order by order."""
    density = random_density(sizes, 600)
    nice = Nice(expansion(), contraction=ALL).fit(density)
    rows = {row["order_nu"]: row for row in nice.report if (row["o3_lambda"], row["o3_sigma"]) == (0, 1)}
    for order in (1, 2, 3, 4):
        assert rows[order]["components"] == independent_scalars(sizes, order), order
        assert rows[order]["screened_out"] == pytest.approx(0, abs=1e-12)


def test_nothing_is_lost_where_everything_is_kept():
    """Linear models of NICE features reach every correlation of the density."""
    sizes, rows = (2, 1, 1), 500
    density = random_density(sizes, rows)
    features = scalars(Nice(expansion(), contraction=ALL).fit(density).transform(density))
    chosen = Labels(["o3_lambda", "o3_sigma"], np.array([[0, 1]]))
    for order in (2, 3, 4):
        full = DensityCorrelations(n_correlations=order - 1).compute(density, selected_keys=chosen)
        targets = np.hstack([block.values[:, 0] for block in full.blocks()])
        solution = np.linalg.lstsq(features, targets, rcond=1e-12)[0]
        assert np.abs(features @ solution - targets).max() < 1e-7 * np.abs(targets).max()


def test_report_is_what_is_lost(methanes):
    """Fewer components leave more unexplained: the reported share is that of the components beyond."""
    found = {}
    for n in (2, 5, 10, 1000):
        contraction = Contraction(max_order=2, n_candidates=1000, n_components=n, tolerance=1e-14)
        nice = Nice(expansion(max_radial=2), contraction=contraction).fit(methanes, center_types=[1])
        found[n] = next(r for r in nice.report if r["order_nu"] == 2 and r["o3_lambda"] == 0)
        if n == 1000:
            variances = nice.fitted.networks[1].pieces[1][0, 1].variances
    shares = [found[n]["unexplained"] for n in (2, 5, 10, 1000)]
    assert shares[0] > shares[1] > shares[2] > shares[3] and shares[3] < 1e-12
    # ν = 1 has six components, so with 10 or more of them the candidates of ν = 2 are the same
    assert variances[10:].sum() / variances.sum() == pytest.approx(shares[2], rel=1e-6)
    few = Nice(expansion(max_radial=2), contraction=Contraction(max_order=2, n_candidates=20)).fit(methanes)
    assert 0 < next(r for r in few.report if r["order_nu"] == 2 and r["o3_lambda"] == 0)["screened_out"] < 1
    assert "unexplained" in few.summary() and len(few.summary().splitlines()) == 1 + len(few.report)


def test_features_are_purified_and_uncorrelated(methanes, nice):
    """On the sample: zero mean, no correlation within an order, none with lower orders; variances fall."""
    tensor = nice.compute(methanes, selected_keys=Labels(["o3_lambda", "center_type"], np.array([[0, 1]])))
    for order in (1, 2, 3):
        values = tensor.block({"order_nu": order}).values[:, 0]
        covariance = values.T @ values / len(values)
        variances = nice.fitted.networks[1].pieces[order - 1][0, 1].variances
        np.testing.assert_allclose(covariance, np.diag(variances), atol=1e-9 * variances[0])
        assert (np.diff(variances) <= 0).all()
        lower = scalars(tensor, range(order)) if order > 1 else np.ones((len(values), 1))
        assert np.abs(lower.T @ values).max() < 1e-8 * np.abs(lower).max() * np.abs(values).max() * len(values)


def test_tensors_and_labels(methanes, nice):
    """Structures and the TensorMap of their density give the same; labels keep the contract."""
    tensor = nice.compute(methanes, gradients=["positions"])
    density = nice.density.compute(methanes, gradients=["positions"])
    assert metatensor.equal(tensor, nice.transform(density))
    assert check(tensor), check(tensor)
    assert tensor.keys.names == ["o3_lambda", "o3_sigma", "center_type", "order_nu"]
    assert info(tensor)["calculator"] == "Nice" and info(tensor)["hypers"]["fit"] == nice.fingerprint
    # a pseudovector needs two different directions: none of first order
    orders = [
        k["order_nu"] for k in tensor.keys if (k["o3_lambda"], k["o3_sigma"]) == (1, -1) and k["center_type"] == 6
    ]
    assert orders == [2, 3]


def test_selections(methanes, nice):
    tensor = nice.compute(methanes)
    chosen = nice.compute(
        methanes,
        selected_samples=Labels(["system"], np.array([[3], [5]])),
        selected_properties=Labels(["q"], np.array([[0], [4]])),
        selected_keys=Labels(["order_nu", "o3_lambda"], np.array([[3, 0]])),
    )
    assert [key["order_nu"] for key in chosen.keys] == [3, 3]
    for key, block in chosen.items():
        whole = tensor.block(key)
        rows = np.isin(whole.samples.values[:, 0], [3, 5])
        np.testing.assert_allclose(block.values, whole.values[rows][..., [0, 4]], rtol=1e-12)
    with pytest.raises(ValueError, match="unknown dimension in the selection of keys 'order'"):
        nice.compute(methanes, selected_keys=Labels(["order"], np.array([[3]])))
    every = Labels(tensor.keys.names, np.array([[2, 1, 6, 3]]))
    with pytest.raises(ValueError, match="o3_lambda=2, o3_sigma=1, center_type=6, order_nu=3 is not among"):
        nice.compute(methanes, selected_keys=every)


@pytest.mark.parametrize("seed", range(2))
def test_selected_by_tensor_maps(methanes, nice, seed):
    """Samples and properties of each key: these, in this order; zeros where there are none."""
    rng, systems = np.random.default_rng(seed), methanes[:4]
    whole = nice.compute(systems, gradients=["positions", "strain"])
    keys = Labels(whole.keys.names, rng.permutation(whole.keys.values)[:6])
    parts = part_of(whole, keys, rng)
    found = nice.compute(
        systems,
        gradients=["positions", "strain"],
        selected_samples=parts,
        selected_properties=parts,
        selected_keys=keys,
    )
    assert_is_part(found, parts, whole)


@pytest.mark.parametrize("selection", [{}, {"selected_keys": Labels(["center_type", "order_nu"], np.array([[6, 3]]))}])
def test_plan(methanes, nice, selection):
    """A plan knows all sizes; only centres that are wanted have a density."""
    gradients = ["positions", "strain"]
    found = plan(nice, methanes[:3], gradients=gradients, trial=0, **selection)
    tensor = nice.compute(methanes[:3], gradients=gradients, **selection)
    assert len(found.blocks) == len(tensor.keys) > 0
    for key, block in tensor.items():
        shape = next(shape for shape in found.blocks if tuple(shape.key.values()) == tuple(key.values))
        assert shape.values == block.values.shape and shape.itemsize == 8
        assert shape.gradients == {name: gradient.values.shape for name, gradient in block.gradients()}
    if selection:  # other centres may be of any type
        foreign = ase.Atoms("CFH3", positions=methanes[0].positions)
        with pytest.raises(UnknownTypesError):
            nice.compute(foreign, **selection)
        far = methanes[0] + ase.Atoms("O", positions=[[50.0, 0.0, 0.0]])
        np.testing.assert_allclose(
            nice.compute(far, **selection).block(0).values, tensor.block(0).values[:1], rtol=1e-10, atol=1e-12
        )


def test_chunks_do_not_matter(methanes, nice, monkeypatch):
    """Working on few rows at a time changes memory, not features."""
    monkeypatch.setattr(network, "CHUNK", 1_000_000)
    again = Nice(nice.density, contraction=nice.contraction).fit(methanes)
    one, two = nice.compute(methanes, gradients=["positions"]), again.compute(methanes, gradients=["positions"])
    assert metatensor.allclose(metatensor.abs(one), metatensor.abs(two), rtol=1e-6, atol=1e-9)


def test_center_types(methanes):
    """Carbon alone as centre: hydrogens are neighbours only, in fit and features."""
    contraction = Contraction(max_order=2, n_components=5)
    nice = Nice(expansion(), contraction=contraction).fit(methanes, center_types=[6])
    assert {key["center_type"] for key in nice.compute(methanes).keys} == {6}
    with pytest.raises(ValueError, match=r"expected a sample with centres of types \[8\], it has"):
        Nice(expansion(), contraction=contraction).fit(methanes, center_types=[8])
    with pytest.raises(ValueError, match="expected a sample with centres of types any, it has none"):
        Nice(expansion(), contraction=contraction).fit([])


def test_file(methanes, nice, tmp_path):
    """Saved, read, the same bit for bit; damaged and foreign files are told."""
    path = tmp_path / "contraction.nice"
    nice.save(path)
    again = Nice.load(path)
    assert again.to_dict() == nice.to_dict() and again.report == nice.report and again.fingerprint == nice.fingerprint
    assert metatensor.equal(again.compute(methanes, gradients=["strain"]), nice.compute(methanes, gradients=["strain"]))
    with zipfile.ZipFile(path) as archive:
        assert sorted(archive.namelist())[1:] == ["manifest.json", "nice.json", "products.mts", "purification.mts"]
        assert json.loads(archive.read("nice.json"))["chosen"] is False
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(FileFormatError, match="is cut or damaged"):
        Nice.load(path)
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(FileFormatError, match="is no ketmap NICE contraction file"):
        Nice.load(path)
    assert not list(tmp_path.glob(".*"))


def test_errors(methanes, nice):
    with pytest.raises(NotFittedError, match="call fit"):
        Nice(expansion()).compute(methanes)
    with pytest.raises(NotFittedError, match="call fit"):
        Nice(expansion()).save("nowhere")
    with pytest.raises(ValueError, match="expected a calculator of a density"):
        Nice("SphericalExpansion")
    carbon = Nice(expansion(), contraction=Contraction(max_order=1)).fit(methanes, center_types=[6])
    with pytest.raises(UnknownTypesError, match=r"not fitted for neighbor_type=8 with λ=0, σ=1; known: \[1\], \[6\]"):
        carbon.compute(ase.Atoms("CO", positions=[[0, 0, 0], [0, 0, 1.2]]))
    with pytest.raises(UnknownTypesError, match=r"not fitted for centres of type 8; it knows \[1, 6\]"):
        nice.compute(ase.Atoms("O"))
    with pytest.raises(ValueError, match="fitted to 3 properties"):
        nice.transform(expansion(max_radial=1).compute(methanes))
    rho = expansion()
    soap = SoapPowerSpectrum(cutoff=Cutoff(3.0), density=rho.density, basis=rho.basis)
    with pytest.raises(ValueError, match="expected the TensorMap of a density, with keys o3_lambda, o3_sigma"):
        nice.transform(soap.compute(methanes))


@pytest.mark.parametrize(
    "given, message",
    [
        ({"max_order": 0}, "max_order must be at least 1, got 0"),
        ({"n_component": 5}, "did you mean 'n_components'"),
        ({"n_candidates": 0}, "n_candidates must be at least 1"),
        ({"tolerance": 0.0}, "tolerance must be greater than 0"),
        ({"symmetries": ((0, 2),)}, "σ of a symmetry must be 1 or -1, got 2"),
        ({"symmetries": (0,)}, r"a symmetry is \(λ, σ\)"),
        ({"symmetries": ()}, "one or more different"),
        ({"max_angular": -1}, "max_angular must be at least 0"),
    ],
)
def test_hyper_parameters(given, message):
    with pytest.raises(ValueError, match=message):
        Contraction(**given)
    with pytest.raises(ValueError, match=message):
        Nice(expansion(), contraction=given)


def test_other_densities(methanes):
    """The long-range field and messages are densities too: contracted, they turn as they should."""
    rho = expansion(max_angular=1)
    field = LodeSphericalExpansion(
        density=SmearedPowerLaw(smearing=1.0, exponent=1), basis=TensorProduct(1, Gto(max_radial=1, radius=2.0))
    )

    class Messages:
        def to_dict(self):
            return {"density": rho.to_dict()}

        def compute(self, systems, gradients=None, **selections):
            pairs = SphericalExpansionByPair(cutoff=rho.cutoff, density=rho.density, basis=rho.basis)
            first = rho.compute(systems, gradients=gradients).keys_to_properties("neighbor_type")
            return MessagePassing().compute(
                pairs.compute(systems, gradients=gradients), second=first, selected_keys=Labels.range("o3_lambda", 3)
            )

    crystals = []
    for seed in range(6):
        atoms = ase.build.bulk("NaCl", "rocksalt", 5.6, cubic=True)
        atoms.rattle(0.2, seed=seed)
        crystals.append(atoms)
    contraction = Contraction(max_order=2, n_candidates=40, n_components=6, symmetries=((0, 1), (2, -1)))
    for density, systems in ((field, crystals), (Messages(), methanes)):
        nice = Nice(density, contraction=contraction).fit(systems)
        check_calculator(nice, systems=systems[:2], laws=["rotation", "inversion", "positions_gradient"], rtol=1e-8)
