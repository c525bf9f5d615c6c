"""Blocks of a file are read when they are asked for, and only they; what is damaged is told."""

import zipfile

import ase.build
import metatensor
import metatensor.torch
import numpy as np
import pytest
import torch
from ketmap_core import FileFormatError, LazyTensor, check, info, load_tensor, open_tensor, save_tensor
from ketmap_density import SphericalExpansion

from .test_align import CALCULATORS, HYPERS, METHANE, WATER, block, invariant, labels

GRADIENTS = ["positions", "strain", "cell"]


def features(kind=SphericalExpansion):
    structures = [WATER, METHANE, ase.build.bulk("NaCl", "rocksalt", 5.6)]
    return kind(**HYPERS).compute(structures, gradients=GRADIENTS)


@pytest.fixture
def path(tmp_path):
    save_tensor(tmp_path / "a.mts", features())
    return tmp_path / "a.mts"


def same(one, other):
    """Blocks of either library."""
    equal = metatensor.equal_block if isinstance(one, metatensor.TensorBlock) else metatensor.torch.equal_block
    return equal(one, other)


@pytest.mark.parametrize("library", ["numpy", "torch"])
@pytest.mark.parametrize("kind", CALCULATORS)
def test_what_is_read_is_what_was_written(tmp_path, kind, library):
    save_tensor(tmp_path / "a.mts", features(kind))
    whole = load_tensor(tmp_path / "a.mts", torch=library == "torch")
    with open_tensor(tmp_path / "a.mts", torch=library == "torch") as lazy:
        assert isinstance(lazy, LazyTensor) and lazy.keys == whole.keys and len(lazy) == len(whole.keys)
        assert lazy.info() == whole.info() and info(lazy) == info(whole)
        assert lazy.n_systems == 3
        assert [lazy.shape(i) for i in range(len(lazy))] == [tuple(one.values.shape) for one in whole.blocks()]
        for i, one in enumerate(lazy.blocks()):
            assert same(one, whole.block(i))
        for (key, one), other in zip(lazy.items(), whole.keys):
            assert key == other and one.gradients_list()
        loaded = lazy.load()
        assert (metatensor if library == "numpy" else metatensor.torch).equal(loaded, whole)
        assert info(loaded) == info(whole)
        assert check(lazy) and check(lazy).n_blocks == len(lazy)
        assert lazy.nbytes == sum(
            part.values.size * 8 if library == "numpy" else part.values.numel() * 8
            for one in whole.blocks()
            for part in (one, *(one.gradient(name) for name in one.gradients_list()))
        )
        assert f"LazyTensor('{tmp_path / 'a.mts'}', {len(lazy)} blocks" in repr(lazy)


def test_only_what_is_asked_for_is_read(path, monkeypatch):
    """All other numbers of the file are overwritten: nobody notices."""
    whole = load_tensor(path)
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if member.filename.endswith("values.npy") and not member.filename.startswith("blocks/5/"):
                start = content.index(b"\x93NUMPY", member.header_offset) + 128
                content[start : start + 8] = b"\xff" * 8
    path.write_bytes(content)
    with open_tensor(path) as lazy:
        assert same(lazy.block(5), whole.block(5))
        assert lazy.n_systems == 3
        with pytest.raises(
            FileFormatError, match=r"a.mts' is cut or damaged \(Bad CRC-32 for file 'blocks/4/values.npy"
        ):
            lazy.block(4)
    with pytest.raises(FileFormatError, match="damaged"):
        load_tensor(path)


def test_blocks_are_selected(path):
    whole = load_tensor(path)
    with open_tensor(path) as lazy:
        wanted = {"o3_lambda": 1, "center_type": 6, "neighbor_type": 1}
        assert same(lazy.block(wanted), whole.block(wanted))
        assert same(lazy.block(lazy.keys.entry(3)), whole.block(3)) and same(lazy.block(-1), whole.block(len(lazy) - 1))
        assert lazy.block(0, gradients=False).gradients_list() == []
        part = lazy.select({"center_type": 1})
        assert part.keys.values[:, 2].tolist() == [1] * len(part) and 0 < len(part) < len(lazy)
        assert same(part.block(2), whole.block(part.keys.entry(2)))
        loaded = part.load()
        assert check(loaded) and info(loaded)["hash"] == info(whole)["hash"]
        assert info(loaded)["history"][0]["operation"] == "select_keys"
        both = lazy.select(labels(["o3_lambda", "center_type"], [[0, 1], [2, 6]]))
        assert {(l, z) for l, _, z, _ in both.keys.values.tolist()} == {(0, 1), (2, 6)}
        assert len(part.select({"o3_lambda": 0}).keys) == sum(part.keys["o3_lambda"] == 0)
        assert len(lazy.select({"center_type": 99})) == 0 and len(lazy.select({"center_type": 99}).load().keys) == 0


@pytest.mark.parametrize(
    ("selection", "error", "message"),
    [
        (99, IndexError, r"has \d+ blocks, there is no block 99"),
        (
            {"center_type": 6},
            ValueError,
            r"blocks of '.*a.mts' match \{'center_type': 6\}, expected one; keys: o3_lambda",
        ),
        ({"center_type": 99}, ValueError, "^0 blocks of"),
        ({"species": 6}, ValueError, "has keys o3_lambda, .*, there is no species"),
        ("first", ValueError, "selected by a position, a dictionary or Labels, got str"),
    ],
)
def test_what_cannot_be_selected(path, selection, error, message):
    with open_tensor(path) as lazy, pytest.raises(error, match=message):
        lazy.block(selection)


def test_empty_has_all_labels_and_no_samples(path):
    whole = load_tensor(path)
    with open_tensor(path) as lazy:
        empty = lazy.empty()
    assert check(empty) and info(empty) == info(whole)
    for one, other in zip(empty.blocks(), whole.blocks()):
        assert one.values.shape == (0, *other.values.shape[1:]) and one.properties == other.properties
        assert set(one.gradients_list()) == set(GRADIENTS)
        assert one.gradient("positions").components == other.gradient("positions").components


def test_arrays_belong_to_whoever_reads_them(path):
    with open_tensor(path) as lazy:
        lazy.block(0).values[:] = 7.0
        assert (lazy.block(0).values != 7.0).any()
    with open_tensor(path, torch=True) as lazy:
        values = lazy.block(0).values.requires_grad_()
        values.sum().backward()
        assert torch.equal(values.grad, torch.ones_like(values))


def test_closed_files(path):
    with open_tensor(path) as lazy:
        pass
    for act in (lambda: lazy.block(0), lambda: lazy.shape(0), lambda: lazy.n_systems, lazy.empty):
        with pytest.raises(ValueError, match=r"a.mts' has been closed; open it again"):
            act()


def test_a_tensor_without_blocks(tmp_path):
    save_tensor(tmp_path / "a.mts", metatensor.TensorMap(labels(["center_type"], []), []))
    with open_tensor(tmp_path / "a.mts") as lazy:
        assert len(lazy) == 0 and lazy.n_systems == 0 and lazy.keys.names == ["center_type"]
        assert len(lazy.load().keys) == 0 and lazy.nbytes == 0


def test_samples_without_systems(tmp_path):
    save_tensor(tmp_path / "a.mts", invariant({(1,): block(samples=("target",))}))
    with (
        open_tensor(tmp_path / "a.mts") as lazy,
        pytest.raises(ValueError, match="samples are target, expected some with"),
    ):
        lazy.n_systems  # noqa: B018


# ---------------------------------------------------------------------------- files that are not whole


@pytest.mark.parametrize("part", [0.0, 0.01, 0.5, 0.99])
def test_cut_files(path, part):
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    with pytest.raises(FileFormatError, match=r"a.mts' is (cut or damaged|empty)"):
        open_tensor(path)


def test_foreign_files(tmp_path):
    (tmp_path / "a.mts").write_bytes(b"not at all")
    with pytest.raises(FileFormatError, match=r"a.mts' is no TensorMap"):
        open_tensor(tmp_path / "a.mts")
    with zipfile.ZipFile(tmp_path / "b.mts", "w") as archive:
        archive.writestr("x.npy", b"")
    with pytest.raises(FileFormatError, match=r"is a ZIP file but no TensorMap; it holds x.npy"):
        open_tensor(tmp_path / "b.mts")
    with pytest.raises(FileNotFoundError, match="there is no file"):
        open_tensor(tmp_path / "c.mts")
    with pytest.raises(ValueError, match=r"end in \.mts"):
        open_tensor(tmp_path / "c.npz")


def rewritten(path, change):
    """The file with members changed: ``change(name, content)`` gives the new content, or None to leave it out."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            if (new := change(name, content)) is not None:
                archive.writestr(name, new)


def npy(array):
    import io

    file = io.BytesIO()
    np.lib.format.write_array(file, array, allow_pickle=True)
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "new", "message"),
    [
        ("blocks/3/values.npy", None, r"a.mts' has no values of block \(o3_lambda=0, .*\); it is damaged"),
        ("blocks/3/gradients/strain/samples.npy", None, "has no blocks/3/gradients/strain/samples; it is damaged"),
        ("blocks/3/values.npy", npy(np.array([{}])), "cut or damaged .*array of Python objects, which is never loaded"),
        ("blocks/3/values.npy", npy(np.zeros(3))[:-1], "holds less in blocks/3/values than its header says"),
        ("blocks/3/values.npy", npy(np.zeros(3)) + b"1", "holds more in blocks/3/values than its header says"),
        ("blocks/3/values.npy", npy(np.zeros((1, 1, 1))), "cut or damaged"),
        ("blocks/3/values.npy", b"something else", "cut or damaged .*magic string"),
    ],
)
def test_files_with_damaged_parts(path, name, new, message):
    rewritten(path, lambda member, content: new if member == name else content)
    with pytest.raises(FileFormatError, match=message), open_tensor(path) as lazy:
        lazy.block(3)


def test_keys_twice(path):
    def twice(name, content):
        if name != "keys.npy":
            return content
        keys = np.lib.format.read_array(__import__("io").BytesIO(content))
        keys[1] = keys[0]
        return npy(keys)

    rewritten(path, twice)
    with pytest.raises(FileFormatError, match="holds a key twice"):
        open_tensor(path)


def test_compressed_files_are_read(path):
    """NumPy's savez_compressed, or a ZIP program, may have written them."""
    whole = load_tensor(path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    with open_tensor(path) as lazy:
        assert all(same(one, other) for one, other in zip(lazy.blocks(), whole.blocks()))


def test_broken_contracts_are_found_in_files(tmp_path):
    tensor = invariant({(1,): block(samples=("structure", "atom")), (6,): block(samples=("structure", "atom"))})
    save_tensor(tmp_path / "a.mts", tensor)
    with open_tensor(tmp_path / "a.mts") as lazy:
        assert check(lazy).problems == check(tensor).problems != []


def test_memory_is_that_of_a_block(tmp_path):
    """Of 40 blocks of 2 MB each one at a time is in memory."""
    import tracemalloc

    blocks = {(z,): block(n_samples=64, properties=range(4096), value=float(z)) for z in range(1, 41)}
    save_tensor(tmp_path / "a.mts", invariant(blocks))
    del blocks
    tracemalloc.start()
    with open_tensor(tmp_path / "a.mts") as lazy:
        total = sum(float(one.values.sum()) for one in lazy.blocks())
        assert lazy.nbytes == 40 * 2**21
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total == 64 * 4096 * sum(range(1, 41)) and peak < 3.5 * 2**21 + 2**20
