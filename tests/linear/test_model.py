"""Fit and predict on an analytic representation that can learn its data exactly."""

import dataclasses

import numpy as np
import pytest
import torch
from ase import Atoms
from ketmap_core import CoincidentAtomsError, UnknownTypesError, as_batch
from ketmap_linear import Model, NotFittedError, Ridge
from ketmap_linear.composition import composition_energies
from metatensor import Labels, TensorBlock, TensorMap

ALL = {"energy": "energy", "forces": "forces", "stress": "stress"}


@pytest.fixture(scope="module")
def structures(make_structures):
    return make_structures(30)


@pytest.fixture(scope="module")
def model(representation, structures):
    return Model(representation, Ridge(alpha=1e-13)).fit(structures, **ALL)


def test_learns_what_it_can_express(model, make_structures):
    errors = model.score(make_structures(10, seed=1), name="test", **ALL)
    assert errors.energy.rmse < 1e-5 and errors.forces.rmse < 1e-5 and errors.stress.rmse < 1e-6
    assert errors.structures == 10 and errors.atoms == 60
    assert errors.energy.mae <= errors.energy.rmse
    assert set(model.errors) == {"train", "test"} and "forces RMSE" in str(errors)
    assert model.types == (1, 6, 8)
    assert model.units == {"energy": "eV", "length": "Å"}
    assert model.report["rows"] == 30 * (1 + 18 + 6) and model.report["road"] == "gram"


@pytest.mark.parametrize("target", ALL)
def test_one_target_is_enough(representation, structures, make_structures, target):
    model = Model(representation, Ridge(alpha=1e-13)).fit(structures, **{target: target})
    assert list(model.report["targets"]) == [target]
    found = getattr(model.score(make_structures(5, seed=1)), target)
    reference = np.concatenate([np.ravel(a.calc.results[target]) for a in structures])
    assert found.rmse < (1e-3 if target == "energy" else 1e-4 * reference.std())
    if target != "energy":
        assert set(model.composition.values()) == {0.0}


def test_predictions_are_labelled(model, structures):
    found = model.predict(structures[:2], ["energy", "energies", "forces", "stress"])
    samples = {name: (list(t.block().samples.names), t.block().values.shape) for name, t in found.items()}
    assert samples == {
        "energy": (["system"], (2, 1)),
        "energies": (["system", "atom"], (12, 1)),
        "forces": (["system", "atom"], (12, 3, 1)),
        "stress": (["system"], (2, 3, 3, 1)),
    }
    assert found["stress"].component_names == ["xyz_1", "xyz_2"]
    assert found["forces"].component_names == ["xyz"]
    assert found["forces"].block().samples.values[7].tolist() == [1, 1]
    energies = found["energies"].block().values[:, 0].reshape(2, 6).sum(axis=1)
    np.testing.assert_allclose(energies, found["energy"].block().values[:, 0], rtol=1e-13)
    assert isinstance(found["energy"].block().values, np.ndarray)


def test_forces_and_stress_are_derivatives_of_the_energy(model, structures):
    atoms, step = structures[0].copy(), 1e-4

    def energy(other):
        return model.predict(other, "energy")["energy"].block().values.item()

    found = model.predict(atoms, ["forces", "stress"])
    for atom, axis in ((0, 0), (3, 2)):
        ends = []
        for sign in (1, -1):
            other = atoms.copy()
            other.positions[atom, axis] += sign * step
            ends.append(energy(other))
        slope = -(ends[0] - ends[1]) / (2 * step)
        assert found["forces"].block().values[atom, axis, 0] == pytest.approx(slope, rel=1e-5, abs=1e-6)
    for a, b in ((0, 0), (1, 2)):
        ends = []
        for sign in (1, -1):
            strain = np.eye(3)
            strain[a, b] += sign * step
            other = atoms.copy()
            other.set_cell(atoms.cell.array @ strain, scale_atoms=True)
            ends.append(energy(other))
        slope = (ends[0] - ends[1]) / (2 * step) / atoms.get_volume()
        assert found["stress"].block().values[0, a, b, 0] == pytest.approx(slope, rel=1e-5, abs=1e-6)


def test_evaluate_is_predict_without_labels(model, structures):
    batch = as_batch(structures[:3])
    found = model.evaluate(batch, model.environments(batch, 0.5), leverage=True)
    tensors = model.predict(structures[:3], ["energies", "forces", "stress"])
    np.testing.assert_array_equal(found.energies.numpy(), tensors["energies"].block().values[:, 0])
    np.testing.assert_array_equal(found.forces.numpy(), tensors["forces"].block().values[..., 0])
    volumes = np.array([a.get_volume() for a in structures[:3]])[:, None, None]
    np.testing.assert_allclose(found.virial.numpy() / volumes, tensors["stress"].block().values[..., 0])
    assert found.leverage.shape == (18,)
    assert model.evaluate(batch).leverage is None


def test_nothing_to_predict(model):
    found = model.predict([], ["energy", "energies", "forces", "stress"])
    assert [len(t.block().samples) for t in found.values()] == [0, 0, 0, 0]
    found = model.predict(Atoms(), ["energy", "forces"])
    assert found["energy"].block().values.tolist() == [[0.0]]


def test_arrays_and_tensors_as_targets(representation, structures, model):
    def single(name, values, samples, axes):
        components = [Labels.range(axis, 3) for axis in axes]
        block = TensorBlock(np.asarray(values, dtype=float)[..., None], samples, components, Labels.range("p", 1))
        return TensorMap(Labels(["_"], np.array([[0]])), [block])

    results = [atoms.calc.results for atoms in structures]
    n = len(structures)
    order = np.random.default_rng(0).permutation(6 * n)  # samples may come in any order
    places = np.array([(i, a) for i in range(n) for a in range(6)])[order]
    systems = Labels(["system"], np.arange(n).reshape(-1, 1))
    arrays = {name: np.stack([r[name] for r in results]) for name in ALL}
    lists = {
        "energy": [r["energy"] for r in results],
        "forces": np.concatenate([r["forces"] for r in results]),
        "stress": [r["stress"][[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]] for r in results],  # Voigt
    }
    tensors = {
        "energy": single("energy", arrays["energy"], systems, []),
        "forces": single("f", lists["forces"][order], Labels(["system", "atom"], places), ["xyz"]),
        "stress": single("stress", arrays["stress"], systems, ["xyz_1", "xyz_2"]),
    }
    expected = model.predict(structures, ["forces"])["forces"].block().values
    for targets in (arrays, lists, tensors):
        other = Model(representation, Ridge(alpha=1e-13)).fit(structures, **targets)
        np.testing.assert_array_equal(other.predict(structures)["forces"].block().values, expected)


def test_structures_of_other_libraries(model, structures):
    import chemfiles
    from metatomic.torch import systems_to_torch

    expected = model.predict(structures[0], ["forces"])["forces"].block().values
    frame = chemfiles.Frame()
    for symbol, position in zip(structures[0].symbols, structures[0].positions):
        frame.add_atom(chemfiles.Atom(symbol), position)
    frame.cell = chemfiles.UnitCell(structures[0].cell.array.T)
    for structure in (frame, systems_to_torch(structures[0]), [systems_to_torch(structures[0])]):
        found = model.predict(structure, ["forces"])["forces"].block().values
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def test_names_in_info_and_arrays(representation, structures, model):
    plain = []
    for atoms in structures:
        other = atoms.copy()
        other.info.update(E=atoms.calc.results["energy"], S=atoms.calc.results["stress"].ravel())
        other.arrays["F"] = atoms.calc.results["forces"]
        plain.append(other)
    other = Model(representation, Ridge(alpha=1e-13)).fit(plain, energy="E", forces="F", stress="S")
    expected = model.predict(structures)["energy"].block().values
    np.testing.assert_array_equal(other.predict(structures)["energy"].block().values, expected)


def test_molecules_beside_crystals(representation, make_structures):
    """Stress is learnt from what has a cell, and not asked of the rest."""
    mixed = make_structures(10) + make_structures(10, seed=3, pbc=False)
    model = Model(representation, Ridge(alpha=1e-12)).fit(mixed, **ALL)
    assert model.report["rows"] == 20 * 19 + 10 * 6
    assert np.isfinite(model.errors["train"].stress.rmse)
    with pytest.raises(ValueError, match=r"system 10 has pbc=\[False, False, False\]"):
        model.predict(mixed, ["stress"])


def test_weights_shift_the_errors(representation, structures):
    """A representation too small to be exact: what weighs more is learnt better."""
    small = dataclasses.replace(representation, n=2)

    def errors(**weights):
        fitted = Model(small, Ridge(alpha=1e-10)).fit(structures, energy="energy", forces="forces", weights=weights)
        return fitted.errors["train"]

    energetic, forceful = errors(energy=1e3), errors(forces=1e3)
    assert energetic.energy.rmse < 0.8 * forceful.energy.rmse
    assert energetic.forces.rmse > 1.05 * forceful.forces.rmse


def test_composition_is_the_least_norm_solution():
    rng = np.random.default_rng(0)
    systems, types = np.repeat(np.arange(12), 8), rng.choice([1, 6, 8], size=96)
    energies = rng.normal(size=12)
    fractions = np.stack([np.bincount(systems, types == t) for t in (1, 6, 8)], axis=1) / 8
    expected = np.linalg.pinv(fractions) @ (energies / 8)
    found = composition_energies(types, systems, energies)
    np.testing.assert_allclose(list(found.values()), expected, rtol=1e-10)
    fixed = np.tile([6, 1, 1, 1, 1, 8, 8, 8], 12)  # one formula: rank one
    counts = np.tile([4, 1, 3], (12, 1)) / 8
    found = composition_energies(fixed, systems, energies)
    np.testing.assert_allclose(list(found.values()), np.linalg.pinv(counts) @ (energies / 8), rtol=1e-10)


def test_one_fixed_formula(representation, make_structures):
    structures = [a for a in make_structures(400) if sorted(a.numbers) == [1, 1, 6, 6, 8, 8]]
    assert len(structures) > 20
    model = Model(representation, Ridge(alpha=1e-13)).fit(structures, energy="energy", forces="forces")
    assert model.errors["train"].energy.rmse < 1e-5


def test_leverage_tells_strange_environments(model, make_structures):
    known = as_batch(make_structures(30))
    assert model.evaluate(known, leverage=True).leverage.max().item() == pytest.approx(model.leverage.maximum)
    strange = make_structures(1, seed=5)[0]
    strange.set_cell(0.75 * strange.cell.array, scale_atoms=True)
    assert model.evaluate(as_batch(strange), leverage=True).leverage.max() > 2 * model.leverage.maximum


def test_leverage_is_the_mahalanobis_distance():
    """With all components kept, d² = (x − μ)ᵀ C⁻¹ (x − μ), here by NumPy; its mean is the dimension."""
    from ketmap_linear.leverage import fit_leverage

    rng = np.random.default_rng(0)
    features = 3.0 + rng.normal(size=(200, 4)) @ rng.normal(size=(4, 4))
    types = torch.from_numpy(rng.choice([1, 8], size=200))
    chunks = [(torch.from_numpy(features[i : i + 50]), types[i : i + 50]) for i in range(0, 200, 50)]
    leverage = fit_leverage(lambda: chunks, (1, 8))
    found = leverage.of(torch.from_numpy(features), types).numpy()
    for t in (1, 8):
        chosen = features[types.numpy() == t]
        offsets = chosen - chosen.mean(axis=0)
        inverse = np.linalg.inv(offsets.T @ offsets / len(chosen))
        expected = np.einsum("ia,ab,ib->i", offsets, inverse, offsets)
        np.testing.assert_allclose(found[types.numpy() == t], expected, rtol=1e-8)
    assert leverage.maximum == found.max()


class Interrupted(KeyboardInterrupt):
    pass


def test_interrupted_fit_leaves_nothing(representation, structures):
    model = Model(representation, Ridge())

    def stop(stage, done, total):
        if stage == "cross-validation":
            raise Interrupted

    with pytest.raises(Interrupted):
        model.fit(structures, energy="energy", progress=stop)
    with pytest.raises(NotFittedError, match="has not been fitted"):
        model.predict(structures)


def changed(structures, **results):
    """The structures, the third with other results."""
    third = structures[2].copy()
    third.info.update({k: v for k, v in results.items() if k != "forces" and v is not None})
    if results.get("forces") is not None:
        third.arrays["forces"] = results["forces"]
    return [*structures[:2], third]


@pytest.mark.parametrize(
    ("results", "message"),
    [
        ({"energy": 1.0}, "structure 2 has no 'forces' .*it carries: energy"),
        ({"forces": np.zeros((6, 3))}, "structure 2 has no 'energy'"),
        ({"energy": np.nan, "forces": np.zeros((6, 3))}, "energy of structure 2 is not finite"),
        ({"energy": 1.0, "forces": np.full((6, 3), np.inf)}, "forces of structure 2 is not finite"),
        (
            {"energy": 1.0, "forces": np.zeros((6, 2))},
            r"forces of structure 2 has shape \(6, 2\), expected \(6, 3\)",
        ),
        ({"energy": "low", "forces": np.zeros((6, 3))}, "energy of structure 2 is no number: 'low'"),
    ],
)
def test_bad_targets(representation, structures, results, message):
    with pytest.raises(ValueError, match=message):
        Model(representation).fit(changed(structures, **results), energy="energy", forces="forces")


def test_targets_that_do_not_fit(representation, structures, make_structures):
    fit = Model(representation).fit
    with pytest.raises(ValueError, match='nothing to learn: give energy="energy"'):
        fit(structures)
    with pytest.raises(ValueError, match="energy of 3 structures given, there are 30"):
        fit(structures, energy=np.zeros(3))
    with pytest.raises(ValueError, match="forces of 7 atoms given, structures have 180"):
        fit(structures, forces=np.zeros((7, 3)))
    with pytest.raises(ValueError, match="no structure is periodic along three directions"):
        fit(make_structures(3, pbc=False), stress="stress")
    with pytest.raises(ValueError, match="unknown target 'force'; did you mean 'forces'"):
        fit(structures, energy="energy", weights={"force": 2.0})
    with pytest.raises(ValueError, match="weight of energy must be positive, got 0"):
        fit(structures, energy="energy", weights={"energy": 0})
    wrong = TensorMap(
        Labels(["_"], np.array([[0]])),
        [TensorBlock(np.zeros((2, 1)), Labels.range("system", 2), [], Labels.range("energy", 1))],
    )
    with pytest.raises(ValueError, match="samples of the TensorMap are not the"):
        fit(structures, energy=wrong)
    with pytest.raises(ValueError, match=r"expected samples \['system', 'atom'\]"):
        fit(structures, forces=wrong)


def test_bad_structures(representation, structures):
    fit = Model(representation).fit
    with pytest.raises(ValueError, match="no structures"):
        fit([], energy="energy")
    with pytest.raises(ValueError, match="structure 1 has no atoms"):
        fit([structures[0], Atoms(info={"energy": 0.0})], energy="energy")
    twice = structures[1].copy()
    twice.positions[4] = twice.positions[2]
    with pytest.raises(CoincidentAtomsError, match="atoms 2 and 4 of system 1 are at one point"):
        fit([structures[0], twice], energy=np.zeros(2))
    lost = structures[1].copy()
    lost.positions[4] = np.nan
    with pytest.raises(ValueError, match="system 1: position of atom 4 is not finite"):
        fit([structures[0], lost], energy=np.zeros(2))


def test_bad_questions(model, structures):
    with pytest.raises(ValueError, match="unknown prediction 'force'; did you mean 'forces'"):
        model.predict(structures, ["force"])
    with pytest.raises(UnknownTypesError, match=r"atomic types \[7, 79\] were not in the training set"):
        model.predict(Atoms("AuNH", positions=np.eye(3)))
    with pytest.raises(ValueError, match="unknown unit 'lenght'; did you mean 'length'"):
        Model(None, Ridge(), units={"lenght": "bohr"})


def test_rows_come_some_structures_at_a_time(representation, structures, monkeypatch):
    """However many structures: a chunk holds as many rows as fit, and all rows of a structure."""
    from ketmap_linear import rows
    from ketmap_linear.targets import read_targets

    monkeypatch.setattr(rows, "CHUNK", 60 * representation.n_features((1, 6, 8)))
    batch = as_batch(structures)
    targets = read_targets(structures, batch, "energy", "forces", "stress")
    stream = rows.DesignRows(representation, (1, 6, 8), batch, targets, rows.complete_weights(None))
    seen = [(len(chunk.targets), np.unique(chunk.structures).tolist()) for chunk in stream]
    assert seen == [(50, [i, i + 1]) for i in range(0, 30, 2)]
    squares = sum(np.sum(chunk.targets**2) for chunk in stream)
    assert squares == pytest.approx(3.0)  # each target has weight 1
