"""Models on NICE: what it was fitted to is kept in the model's file, beside the weights."""

import json
import zipfile

import ase.build
import ase.io
import metatensor
import numpy as np
import pytest
from ase.calculators.morse import MorsePotential
from ketmap_ase import Calculator
from ketmap_cg import Contraction, Nice
from ketmap_core import FileFormatError, NotFittedError, load_archive, save_archive
from ketmap_density import Cutoff, Gaussian, Gto, ShiftedCosine, SphericalExpansion, TensorProduct
from ketmap_linear import Model, Ridge, load
from ketmap_soap import SoapPowerSpectrum
from ketmap_testing import check_model

DENSITY = {
    "cutoff": Cutoff(3.5, ShiftedCosine(0.5)),
    "density": Gaussian(0.4),
    "basis": TensorProduct(max_angular=2, radial=Gto(max_radial=2)),
}
KIND = "ketmap linear model"


def rattled(name, count, seed):
    found = []
    for i in range(count):
        atoms = ase.build.molecule(name)
        atoms.rattle(0.12, seed=seed + i)
        atoms.calc = MorsePotential(epsilon=0.5, r0=1.2, rho0=3.0)
        atoms.get_forces()
        found.append(atoms)
    return found


@pytest.fixture(scope="module")
def structures():
    """In two kinds of molecules: oxygen never meets carbon."""
    return rattled("CH4", 24, 0) + rattled("H2O", 12, 100)


@pytest.fixture(scope="module")
def nice(structures):
    contraction = Contraction(max_order=3, n_candidates=80, n_components=12, symmetries=((0, 1), (1, 1)))
    return Nice(SphericalExpansion(**DENSITY), contraction=contraction).fit(structures)


@pytest.fixture(scope="module", params=["alone", "beside SOAP"])
def model(request, nice, structures):
    given = nice if request.param == "alone" else [SoapPowerSpectrum(**DENSITY), nice]
    return Model(given, Ridge(alpha=1e-10)).fit(structures, energy="energy", forces="forces")


def test_the_same_bits_after_reload(model, structures, tmp_path):
    path = tmp_path / "model.ketmap"
    model.save(path)
    again = load(path)
    others = rattled("CH4", 3, 50) + rattled("H2O", 2, 150)
    names = ["energy", "energies", "forces"]
    before, after = model.predict(others, names), again.predict(others, names)
    for name in names:
        assert np.array_equal(before[name].block().values, after[name].block().values)
    again.save(tmp_path / "again.ketmap")
    assert (tmp_path / "again.ketmap").read_bytes() == path.read_bytes()


def test_laws(model, structures):
    """Energies of single molecules: forces are their derivatives, and turn with them."""
    check_model(model, systems=structures[:2] + structures[-1:], laws=["rotation", "forces", "batch"], rtol=1e-7)


def test_in_dynamics(model, structures):
    """The ASE calculator remembers pairs between steps; forces are those of a fresh prediction."""
    atoms = structures[0].copy()
    atoms.calc = Calculator(model, skin=0.4)
    for seed in range(3):
        atoms.rattle(0.02, seed=seed)
        expected = model.predict(atoms, ["forces"])["forces"].block().values[..., 0]
        np.testing.assert_allclose(atoms.get_forces(), expected, atol=1e-10)


def test_the_file(model, nice, tmp_path):
    """The contraction stands in the file as TensorMaps, named by their place in ``model.json``."""
    path = tmp_path / "model.ketmap"
    model.save(path)
    with zipfile.ZipFile(path) as archive:
        (density,) = (name for name in archive.namelist() if name.endswith("state/density.mts"))
        assert json.loads(archive.read("model.json"))["representation"]["class"] in ("Invariants", "Together")
        archive.extract(density, tmp_path)
    assert metatensor.equal(metatensor.load(tmp_path / density), nice.state["density.mts"])
    content = path.read_bytes()
    for end in (100, len(content) // 2, len(content) - 10):
        path.write_bytes(content[:end])
        with pytest.raises(FileFormatError, match="is cut or damaged"):
            load(path)
    path.write_bytes(content)
    members = load_archive(path, kind=KIND)
    del members[density]
    save_archive(path, members, kind=KIND)
    with pytest.raises(FileFormatError, match=r"lacks its part representation/.*density\.mts"):
        load(path)


def test_before_its_own_fit(structures):
    with pytest.raises(NotFittedError, match=r"the contraction is not fitted yet; call fit\(systems\) first"):
        Model(Nice(SphericalExpansion(**DENSITY))).fit(structures, energy="energy")


def test_dictionary_and_state(nice, structures):
    again = Nice.from_dict(json.loads(json.dumps(nice.to_dict()))).restored(nice.state)
    assert again.fingerprint == nice.fingerprint
    assert metatensor.equal(again.compute(structures[:2]), nice.compute(structures[:2]))
    foreign = nice.to_dict() | {"density": {"module": "os", "class": "system", "hypers": {}}}
    with pytest.raises(FileFormatError, match="no part of ketmap"):
        Nice.from_dict(foreign)


def test_empty(nice, structures):
    """The labels of no atoms are those of any atoms."""
    empty = nice.empty((1, 6))
    for key, block in nice.compute(structures[:1]).items():
        mine = empty.block(key)
        assert mine.properties == block.properties and mine.components == block.components and len(mine.samples) == 0
    assert {key["center_type"] for key in empty.keys} == {1, 6}


@pytest.mark.slow
def test_random_methane(data, tmp_path):
    """Third order: with fewer features closer than the power spectrum, through a file (PRL 125, 166001 (2020))."""
    systems = ase.io.read(data("methane_random/methane_train.xyz.gz"), ":700")
    train, test = systems[:600], systems[600:]
    hypers = {
        "cutoff": Cutoff(4.0, ShiftedCosine(0.5)),
        "density": Gaussian(0.4),
        "basis": TensorProduct(max_angular=3, radial=Gto(max_radial=4)),
    }
    contraction = Contraction(max_order=3, n_candidates=200, n_components=60)
    nice = Nice(SphericalExpansion(**hypers), contraction=contraction).fit(train)
    models = [Model(given, Ridge()).fit(train, energy="energy") for given in (SoapPowerSpectrum(**hypers), nice)]
    models[1].save(tmp_path / "methane.ketmap")
    models[1] = load(tmp_path / "methane.ketmap")
    soap, third = (model.score(test).energy.rmse for model in models)
    spread = np.std([atoms.get_potential_energy() / len(atoms) for atoms in test])
    assert models[1].report["features"] < models[0].report["features"]
    assert third < 0.9 * soap and third < 0.2 * spread
