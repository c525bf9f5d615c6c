"""A folder of chunks is one TensorMap: what is read is what was put in, and what is missing or foreign is told."""

import errno
import json
import os

import ase
import ase.build
import metatensor
import pytest
from ketmap_core import FileFormatError, TensorFolder, align, check, info, load_tensor, open_tensors, save_tensor, stamp
from ketmap_core.chunks import INDEX, written_alone
from ketmap_density import SphericalExpansion
from ketmap_soap import SoapPowerSpectrum

from .test_align import CALCULATORS, HYPERS, METHANE, WATER, block, equal, invariant, to_torch, together

SETS = [[WATER, METHANE], [ase.build.molecule("HCN"), ase.Atoms()], [METHANE], [WATER, WATER, ase.Atoms("He")]]
COUNTS = [len(one) for one in SETS]
GRADIENTS = ["positions", "strain"]


def made(path, kind=SphericalExpansion, torch=False):
    folder = TensorFolder.create(path, about={"by": "a test"})
    for one in SETS:
        tensor = kind(**HYPERS).compute(one, gradients=GRADIENTS)
        folder.append(to_torch(tensor) if torch else tensor, n_systems=len(one))
    return folder


@pytest.fixture
def path(tmp_path):
    made(tmp_path / "set")
    return tmp_path / "set"


@pytest.mark.parametrize("library", ["numpy", "torch"])
@pytest.mark.parametrize("kind", CALCULATORS)
def test_a_folder_is_what_all_systems_give(tmp_path, kind, library):
    torch = library == "torch"
    made(tmp_path / "set", kind, torch)
    whole = kind(**HYPERS).compute(together(SETS), gradients=GRADIENTS)
    whole = to_torch(whole) if torch else whole
    folder = open_tensors(tmp_path / "set", torch=torch)
    assert folder.n_systems == len(together(SETS)) and len(folder) == len(whole.keys)
    assert folder.keys == whole.keys and folder.about == {"by": "a test"}
    assert info(folder) == info(whole)
    tensor = folder.to_tensor()
    assert equal(tensor, whole) and check(tensor)
    assert info(tensor)["hash"] == info(whole)["hash"] and info(tensor)["calculator"] == kind.__name__
    assert [step["operation"] for step in info(tensor)["history"]] == ["join"]
    assert folder.nbytes == sum(file.stat().st_size for file in (tmp_path / "set").glob("*.mts"))
    assert "8 systems in 4 chunks" in repr(folder) and folder.verify() == []


@pytest.mark.parametrize(("start", "stop"), [(0, 8), (0, 2), (1, 3), (3, 4), (2, 7), (7, 8), (4, 4)])
def test_some_of_the_systems(path, start, stop):
    folder = open_tensors(path)
    expected = SphericalExpansion(**HYPERS).compute(together(SETS)[start:stop], gradients=GRADIENTS)
    found = folder.read(start, stop)
    assert check(found)
    assert metatensor.equal(found, align(expected, keys=folder.template()))


def test_only_the_chunks_that_are_needed_are_read(path):
    folder = open_tensors(path)
    folder.template()
    (path / "chunk-000003.mts").unlink()
    assert len(folder.read(4, 5).keys) == len(folder)
    with pytest.raises(FileFormatError, match=r"chunk-000003.mts', which holds systems 5 to 7, is missing; copy the"):
        folder.read(4, 6)


def test_chunks_one_by_one_have_the_same_keys(path):
    folder = open_tensors(path)
    for tensor, one in zip(folder.iterate(), SETS, strict=True):
        assert tensor.keys == folder.keys and check(tensor)
        expected = SphericalExpansion(**HYPERS).compute(one, gradients=GRADIENTS)
        assert metatensor.equal(tensor, align(expected, keys=folder.template()))
    with folder.open(1) as lazy:
        assert len(lazy) < len(folder) and check(lazy)


def test_columns_that_differ_are_filled_up(tmp_path):
    neighbors = ["neighbor_1_type", "neighbor_2_type"]
    folder = TensorFolder.create(tmp_path / "set")
    parts = [SoapPowerSpectrum(**HYPERS).compute(one).keys_to_properties(neighbors) for one in SETS]
    for part, n in zip(parts, COUNTS):
        part = stamp(part, "SoapPowerSpectrum")
        folder.append(part, n_systems=n)
    with pytest.raises(ValueError, match="properties that differ; fill_properties=True gives"):
        folder.to_tensor()
    tensor = folder.to_tensor(fill_properties=True)
    whole = SoapPowerSpectrum(**HYPERS).compute(together(SETS)).keys_to_properties(neighbors)
    for key, found in tensor.items():
        theirs = whole.block(key)
        kept = [theirs.properties.position(p) for p in found.properties]
        assert (found.values == theirs.values[:, kept]).all()
    for part in folder.iterate(fill_properties=True):
        assert all(one.properties == other.properties for one, other in zip(part.blocks(), tensor.blocks()))


def test_notes_change_with_the_chunk(path):
    folder = open_tensors(path)
    folder.append(SphericalExpansion(**HYPERS).compute(WATER, gradients=GRADIENTS), about={"done": True})
    again = open_tensors(path)
    assert (again.about, again.n_systems, len(again.chunks)) == ({"done": True}, 9, 5)
    again.note({"done": 2})
    assert open_tensors(path).about == {"done": 2} and len(open_tensors(path).chunks) == 5


def test_a_folder_without_chunks(tmp_path):
    TensorFolder.create(tmp_path / "set")
    folder = open_tensors(tmp_path / "set")
    assert (folder.n_systems, len(folder), folder.nbytes, folder.info()) == (0, 0, 0, {})
    with pytest.raises(ValueError, match="set' holds no chunks yet"):
        folder.to_tensor()


def test_an_empty_folder_may_be_used(tmp_path):
    (tmp_path / "set").mkdir()
    TensorFolder.create(tmp_path / "set")
    for path in (tmp_path / "set", tmp_path / "set" / INDEX):
        with pytest.raises(FileExistsError, match="exists already; give the name of a folder that does not"):
            TensorFolder.create(path)


@pytest.mark.parametrize("systems", [(-1, 2), (3, 2), (0, 9)])
def test_systems_that_do_not_exist(path, systems):
    with pytest.raises(IndexError, match="set' has systems 0 to 7, asked for"):
        open_tensors(path).read(*systems)


def test_chunks_that_do_not_fit(path):
    folder = open_tensors(path)
    other = {**HYPERS, "density": type(HYPERS["density"])(0.7)}
    for tensor, n, message in (
        (SphericalExpansion(**other).compute(WATER), None, "holds features with hash .*, those of the new chunk have"),
        (
            SoapPowerSpectrum(**HYPERS).compute(WATER),
            None,
            "has keys o3_lambda, .*, the new chunk has center_type, neigh",
        ),
        (SphericalExpansion(**HYPERS).compute([WATER] * 3), 2, "n_systems is 2, but the samples hold 3 systems"),
        (invariant({(1,): block(samples=("target",))}), None, "expected samples with 'system', got target"),
    ):
        with pytest.raises(ValueError, match=message):
            folder.append(tensor, n_systems=n)
    assert open_tensors(path).n_systems == 8


# ---------------------------------------------------------------------------- interrupted writes


@pytest.mark.parametrize("when", ["chunk", "index"])
def test_full_disk_loses_nothing(path, monkeypatch, when):
    before = open_tensors(path).to_tensor()
    folder = open_tensors(path)
    synced = os.fsync

    def full(descriptor):
        name = os.readlink(f"/proc/self/fd/{descriptor}")
        if name.endswith(".mts" if when == "chunk" else ".json"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        synced(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    water = SphericalExpansion(**HYPERS).compute(WATER, gradients=GRADIENTS)
    with pytest.raises(OSError, match="No space left on device"):
        folder.append(water)
    monkeypatch.undo()
    assert metatensor.equal(open_tensors(path).to_tensor(), before)
    folder.append(water)  # and it goes on
    assert open_tensors(path).n_systems == folder.n_systems == 9


def test_a_chunk_without_entry_is_ignored_and_written_over(path):
    """A program was killed after the chunk and before the index."""
    save_tensor(path / "chunk-000004.mts", invariant({(1,): block()}))
    folder = open_tensors(path)
    assert folder.n_systems == 8 and folder.verify() == []
    folder.append(SphericalExpansion(**HYPERS).compute(WATER, gradients=GRADIENTS))
    assert open_tensors(path).verify() == [] and open_tensors(path).n_systems == 9


def test_one_program_at_a_time(path):
    with written_alone(path):
        with pytest.raises(BlockingIOError, match=r"another program is writing into '.*set'; wait until"):
            with written_alone(path):
                pass
    with written_alone(path):
        pass
    assert open_tensors(path).n_systems == 8


# ---------------------------------------------------------------------------- folders that are not whole


def test_missing_and_cut_chunks(path):
    content = (path / "chunk-000001.mts").read_bytes()
    (path / "chunk-000001.mts").write_bytes(content[:-1])
    with pytest.raises(
        FileFormatError, match=r"chunk-000001.mts', which holds systems 2 to 3, has \d+ bytes instead of"
    ):
        open_tensors(path)
    (path / "chunk-000001.mts").unlink()
    with pytest.raises(FileFormatError, match=r"chunk-000001.mts', which holds systems 2 to 3, is missing"):
        open_tensors(path)


def test_damaged_chunks(path):
    name = path / "chunk-000002.mts"
    content = bytearray(name.read_bytes())
    place = content.index(load_tensor(name)[0].values.tobytes())
    content[place + 3] ^= 1
    name.write_bytes(content)
    folder = open_tensors(path)
    (problem,) = folder.verify()
    assert "chunk-000002.mts' is not the file that was written: its checksum differs" in problem
    with pytest.raises(FileFormatError, match="cut or damaged"):
        folder.to_tensor()
    name.unlink()
    (problem,) = folder.verify()
    assert "is missing" in problem


def test_foreign_chunks(path):
    """A file of the same size, but of other features."""
    folder = open_tensors(path)
    other = SphericalExpansion(**{**HYPERS, "density": type(HYPERS["density"])(0.7)})
    save_tensor(path / "chunk-000002.mts", other.compute(SETS[2], gradients=GRADIENTS))
    assert (path / "chunk-000002.mts").stat().st_size == folder.chunks[2].bytes
    with pytest.raises(FileFormatError, match=r"holds other features than the folder: hash \w+ instead of \w+"):
        folder.read(4, 5)


def edited(path, **changes):
    index = json.loads((path / INDEX).read_text())
    (path / INDEX).write_text(json.dumps({**index, **changes}))


def test_index_of_a_newer_version_and_of_something_else(path):
    edited(path, format_version=7)
    with pytest.raises(FileFormatError, match=r"format version 7, written by ketmap .*up to version 1: update ketmap"):
        open_tensors(path)
    edited(path, format="cake")
    with pytest.raises(FileFormatError, match="is the index of a cake, expected a ketmap tensor folder"):
        open_tensors(path)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "Expecting value"),
        ("[1]", "list indices"),
        ("{}", "'format'"),
        ('{"format": "ketmap tensor folder"}', "version"),
    ],
)
def test_damaged_index(path, text, reason):
    (path / INDEX).write_text(text)
    with pytest.raises(FileFormatError, match=rf"index.json' is damaged \(.*{reason}.*\); copy the folder again"):
        open_tensors(path)


def test_index_that_contradicts_itself(path):
    edited(path, n_systems=3)
    with pytest.raises(FileFormatError, match=r"is damaged \(systems do not add up\)"):
        open_tensors(path)
    index = json.loads((path / INDEX).read_text())
    index["chunks"][0]["file"] = "../../elsewhere.mts"
    edited(path, n_systems=8, chunks=index["chunks"])
    with pytest.raises(FileFormatError, match=r"is damaged \(it names a file outside of the folder\)"):
        open_tensors(path)


def test_what_is_no_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no folder '.*nothing'"):
        open_tensors(tmp_path / "nothing")
    with pytest.raises(FileFormatError, match=r"is no folder of chunks: it has no index.json"):
        open_tensors(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(FileFormatError, match="is a file, expected a folder"):
        open_tensors(tmp_path / "file")
