"""Power spectra of bases with a different number of radial functions for every l: features, models, files."""

import featomic
import numpy as np
import pytest
import torch
from ketmap_core import as_batch
from ketmap_density import Explicit, Gto, LaplacianEigenstate
from ketmap_linear import Model, Ridge, load
from ketmap_soap import SoapPowerSpectrum
from metatensor import Labels

BASES = {"explicit": Explicit({0: Gto(2), 1: Gto(3), 3: Gto(0)}), "laplacian": LaplacianEigenstate(2)}


@pytest.fixture(params=list(BASES))
def ragged(request, hypers):
    return {**hypers(), "basis": BASES[request.param]}


def largest(ours, theirs):
    return np.abs(ours - theirs).max() / max(np.abs(theirs).max(), 1e-12) if ours.size else 0.0


def test_against_featomic(hypers, systems):
    given = {**hypers(), "basis": BASES["explicit"].to_dict()}
    ours = SoapPowerSpectrum(**given).compute(systems, gradients=["positions"])
    theirs = featomic.SoapPowerSpectrum(**given).compute(systems, gradients=["positions"])
    assert ours.keys == theirs.keys
    for a, b in zip(ours.blocks(), theirs.blocks()):
        assert a.properties == b.properties and a.samples == b.samples
        assert largest(a.values, b.values) < 1e-8
        assert a.gradient("positions").samples == b.gradient("positions").samples
        assert largest(a.gradient("positions").values, b.gradient("positions").values) < 1e-7


def test_selected_properties(ragged, mixed):
    soap = SoapPowerSpectrum(**ragged)
    selected = Labels(["n_1"], np.array([[2]], dtype=np.int32))
    every, some = soap.compute(mixed), soap.compute(mixed, selected_properties=selected)
    for key, block in some.items():
        whole = every.block(key)
        kept = np.asarray(whole.properties["n_1"]) == 2
        assert np.array_equal(block.properties.values, whole.properties.values[kept])
        assert np.array_equal(block.values, whole.values[:, kept])


def test_design_has_no_dead_columns(ragged, mixed):
    """As many columns as unique properties; energies and forces of the potential are the design's."""
    soap, batch = SoapPowerSpectrum(**ragged), as_batch(mixed)
    types = tuple(torch.unique(batch.types).tolist())
    k, sizes = len(types), soap.expansion.sizes
    unlike, like = sum(n * n for n in sizes), sum(n * (n + 1) // 2 for n in sizes)
    assert soap.n_features(types) == k * (k * (k - 1) // 2 * unlike + k * like)
    design = soap.design(mixed, types)
    w = torch.randn(soap.n_features(types), dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    assert design.values.shape[1] == len(w)
    own = (types[0], types[0], types[0])
    tensor = soap.weights_to_tensor(w, types)
    assert tensor.block(center_type=own[0], neighbor_1_type=own[1], neighbor_2_type=own[2]).shape == (1, unlike)
    assert torch.allclose(soap.tensor_to_weights(tensor, types), w, atol=1e-12)
    potential = soap.potential(w, types)
    found = potential(batch, potential.environments(batch), diagonal=True)
    per_system = torch.zeros(len(batch), dtype=torch.float64).index_add(0, batch.system.long(), found.energies)
    scale = found.energies.abs().max()
    assert (design.values @ w - per_system).abs().max() < 1e-12 * scale
    assert (design.positions @ w + found.forces).abs().max() < 1e-12 * scale
    assert (design.strain @ w - found.virial).abs().max() < 1e-11 * scale
    assert (potential.differentiable(batch) - found.energies).abs().max() < 1e-12 * scale
    assert found.features.shape == (batch.n_atoms, k * sum(sizes))


def test_model_in_a_file(ragged, tmp_path):
    """The basis comes back with the model; the leverage knows only invariants that exist."""
    import ase.build
    from ase.calculators.lj import LennardJones

    rng, structures = np.random.default_rng(0), []
    for _ in range(8):
        atoms = ase.build.molecule("CH3OH")
        atoms.positions += 0.1 * rng.normal(size=(len(atoms), 3))
        atoms.calc = LennardJones(sigma=1.1, epsilon=0.1)
        atoms.get_forces()
        structures.append(atoms)
    model = Model(SoapPowerSpectrum(**ragged), Ridge(alpha=1e-6)).fit(structures, energy="energy", forces="forces")
    model.save(tmp_path / "model.ketmap")
    again = load(tmp_path / "model.ketmap")
    assert again.representation.basis == ragged["basis"]
    before, after = (m.predict(structures, ["energy", "forces"]) for m in (model, again))
    for name in before:
        assert np.array_equal(before[name].block().values, after[name].block().values)
