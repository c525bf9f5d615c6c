"""A model through a file: the same bits, and clear errors."""

import json
import zipfile

import numpy as np
import pytest
from ketmap_core import FileFormatError, load_archive, save_archive
from ketmap_linear import Model, NotFittedError, Ridge, load


@pytest.fixture(scope="module")
def model(representation, make_structures):
    ridge = Ridge(memory_limit=2.0)
    return Model(representation, ridge, units={"energy": "Ha"}).fit(
        make_structures(20), energy="energy", forces="forces", weights={"forces": 3.0}
    )


def test_the_same_bits_after_reload(model, representation, make_structures, tmp_path):
    structures = make_structures(5, seed=2)
    model.score(structures, name="test")
    model.save(tmp_path / "model.ketmap")
    loaded = load(tmp_path / "model.ketmap", representation=type(representation))
    names = ["energy", "energies", "forces", "stress"]
    before, after = model.predict(structures, names), loaded.predict(structures, names)
    for name in names:
        np.testing.assert_array_equal(before[name].block().values, after[name].block().values)
    assert loaded.representation == representation and loaded.regressor == model.regressor
    assert loaded.units == {"energy": "Ha", "length": "Å"} and loaded.types == model.types
    assert loaded.composition == model.composition and loaded.errors == model.errors
    assert loaded.report == model.report and loaded.leverage.maximum == model.leverage.maximum
    loaded.save(tmp_path / "again.ketmap")
    assert (tmp_path / "again.ketmap").read_bytes() == (tmp_path / "model.ketmap").read_bytes()


def test_the_file_describes_itself(model, tmp_path):
    """Readable without ketmap: a ZIP with JSON and a TensorMap."""
    model.save(tmp_path / "model.ketmap")
    with zipfile.ZipFile(tmp_path / "model.ketmap") as archive:
        assert {"manifest.json", "model.json", "weights.mts", "leverage.npz"} == set(archive.namelist())
        description = json.loads(archive.read("model.json"))
        assert "ketmap-core" in json.loads(archive.read("manifest.json"))["packages"]
    assert description["representation"]["hypers"] == {"radius": 3.0, "n": 4}
    assert description["fit"]["weights"] == {"energy": 1.0, "forces": 3.0}
    assert description["units"]["energy"] == "Ha" and description["types"] == [1, 6, 8]
    assert description["errors"]["train"]["forces"]["rmse"] > 0


def test_cut_foreign_and_newer_files(model, tmp_path):
    path = tmp_path / "model.ketmap"
    model.save(path)
    content = path.read_bytes()
    for end in (0, 100, len(content) // 2, len(content) - 10):
        path.write_bytes(content[:end])
        with pytest.raises(FileFormatError, match=str(path)):
            load(path)
    path.write_text("energy: 1.0")
    with pytest.raises(FileFormatError, match="is no"):
        load(path)
    with pytest.raises(FileNotFoundError, match="there is no file"):
        load(tmp_path / "other.ketmap")
    path.write_bytes(content)
    members = load_archive(path, kind="ketmap linear model")
    save_archive(path, members, kind="ketmap linear model", version=99)
    with pytest.raises(FileFormatError, match=r"format version 99.*update ketmap"):
        load(path)
    save_archive(path, members, kind="something else")
    with pytest.raises(FileFormatError, match="something else"):
        load(path)


def test_a_file_cannot_ask_for_foreign_code(model, tmp_path):
    model.save(tmp_path / "model.ketmap")  # its representation is that of the tests
    with pytest.raises(FileFormatError, match=r"no part of ketmap; give its class: load\(path, representation="):
        load(tmp_path / "model.ketmap")


def test_nothing_half_written(representation, model, tmp_path, monkeypatch):
    with pytest.raises(NotFittedError):
        Model(representation).save(tmp_path / "model.ketmap")
    assert list(tmp_path.iterdir()) == []
    model.save(tmp_path / "model.ketmap")
    content = (tmp_path / "model.ketmap").read_bytes()

    def interrupted(*given):
        raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        model.save(tmp_path / "model.ketmap")
    assert [p.name for p in tmp_path.iterdir()] == ["model.ketmap"]
    assert (tmp_path / "model.ketmap").read_bytes() == content
