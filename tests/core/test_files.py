"""Files are whole or not there; cut, foreign and newer files say so."""

import errno
import io
import json
import os
import zipfile

import metatensor
import metatensor.torch
import numpy as np
import pytest
import torch
from ketmap_core import FileFormatError, load_archive, load_tensor, save_archive, save_tensor, write_atomic
from ketmap_core.files import MANIFEST, pack_tensor, unpack_tensor
from metatensor import Labels, TensorBlock, TensorMap


def tensor(n=50):
    values = np.random.default_rng(n).normal(size=(n, 3))
    block = TensorBlock(values, Labels.range("system", n), [], Labels.range("n", 3))
    gradient = TensorBlock(
        values[:, None, :] * np.ones((1, 3, 1)),
        Labels.range("sample", n),
        [Labels.range("xyz", 3)],
        block.properties,
    )
    block.add_gradient("strain", gradient)
    return TensorMap(Labels.single(), [block])


def torch_tensor():
    return unpack_tensor(pack_tensor(tensor()), torch=True)


class Interrupted:
    """Writers that write something and are then stopped."""

    @staticmethod
    def by_hand(file):
        file.write(b"half")
        raise KeyboardInterrupt

    @staticmethod
    def by_full_disk(file):
        file.write(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    @staticmethod
    def by_mistake(file):
        file.write(b"half")
        raise ZeroDivisionError


def test_bytes_and_writers(tmp_path):
    write_atomic(tmp_path / "a", b"one")
    write_atomic(tmp_path / "a", lambda file: file.write(b"two"))
    assert (tmp_path / "a").read_bytes() == b"two" and os.listdir(tmp_path) == ["a"]


@pytest.mark.parametrize(
    ("writer", "error"),
    [
        (Interrupted.by_hand, KeyboardInterrupt),
        (Interrupted.by_full_disk, OSError),
        (Interrupted.by_mistake, ZeroDivisionError),
    ],
)
def test_interrupted_writes_lose_nothing(tmp_path, writer, error):
    write_atomic(tmp_path / "a", b"before")
    for name in ("a", "new"):
        with pytest.raises(error):
            write_atomic(tmp_path / name, writer)
    assert (tmp_path / "a").read_bytes() == b"before" and os.listdir(tmp_path) == ["a"]


def test_full_disk_names_the_file(tmp_path):
    with pytest.raises(OSError, match=r"cannot write '.*a': No space left on device; what was there before") as caught:
        write_atomic(tmp_path / "a", Interrupted.by_full_disk)
    assert caught.value.errno == errno.ENOSPC


def test_full_disk_while_a_tensor_is_saved(tmp_path, monkeypatch):
    save_tensor(tmp_path / "a.mts", tensor())

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    for save in (lambda path: save_tensor(path, tensor(7)), lambda path: save_archive(path, {"a": b"1"})):
        with pytest.raises(OSError, match="No space left"):
            save(tmp_path / "a.mts")
    assert os.listdir(tmp_path) == ["a.mts"] and metatensor.equal(load_tensor(tmp_path / "a.mts"), tensor())


def test_places_that_cannot_be_written(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*make it first"):
        write_atomic(tmp_path / "no" / "a", b"")
    with pytest.raises(IsADirectoryError, match="is a folder; give the name of a file in it"):
        write_atomic(tmp_path, b"")


def test_folder_without_permission(tmp_path, monkeypatch):
    def denied(*args, **kwargs):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr("builtins.open", denied)
    with pytest.raises(PermissionError, match=r"cannot write '.*a': Permission denied"):
        write_atomic(tmp_path / "a", b"")


def test_links_are_written_through(tmp_path):
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write_atomic(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real").read_bytes() == b"new"


def test_permissions_are_those_of_new_files(tmp_path):
    (tmp_path / "plain").touch()
    write_atomic(tmp_path / "a", b"")
    save_tensor(tmp_path / "a.mts", tensor())
    modes = {path.name: path.stat().st_mode for path in tmp_path.iterdir()}
    assert len(set(modes.values())) == 1


@pytest.mark.parametrize("make", [tensor, torch_tensor])
def test_tensors_go_to_files_and_back(tmp_path, make):
    save_tensor(tmp_path / "a.mts", make())
    assert metatensor.equal(metatensor.load(tmp_path / "a.mts"), tensor())
    assert metatensor.equal(load_tensor(tmp_path / "a.mts"), tensor())
    assert metatensor.torch.equal(load_tensor(tmp_path / "a.mts", torch=True), torch_tensor())
    metatensor.save(tmp_path / "b.mts", tensor())
    assert metatensor.equal(load_tensor(tmp_path / "b.mts"), tensor())
    assert metatensor.equal(unpack_tensor(pack_tensor(make())), tensor())


def test_tensors_with_autograd_and_strides(tmp_path):
    """Features of torch structures: saved as numbers, whatever they are in memory."""
    values = torch.arange(6.0, dtype=torch.float64).reshape(2, 3).T.requires_grad_()
    lib = metatensor.torch
    block = lib.TensorBlock(values, lib.Labels.range("system", 3), [], lib.Labels.range("n", 2))
    save_tensor(tmp_path / "a.mts", lib.TensorMap(lib.Labels.single(), [block]))
    np.testing.assert_array_equal(load_tensor(tmp_path / "a.mts")[0].values, values.detach().numpy())


@pytest.mark.parametrize("torch", [False, True])
@pytest.mark.parametrize("part", [0.01, 0.3, 0.7, 0.999])
def test_tensor_file_cut(tmp_path, part, torch):
    save_tensor(tmp_path / "a.mts", tensor())
    content = (tmp_path / "a.mts").read_bytes()
    (tmp_path / "a.mts").write_bytes(content[: int(part * len(content))])
    with pytest.raises(FileFormatError, match=r"a.mts' is cut or damaged .* write it again"):
        load_tensor(tmp_path / "a.mts", torch=torch)


@pytest.mark.parametrize("torch", [False, True])
def test_tensor_file_damaged(tmp_path, torch):
    save_tensor(tmp_path / "a.mts", tensor())
    content = bytearray((tmp_path / "a.mts").read_bytes())
    place = content.index(tensor()[0].values.tobytes())
    content[place + 11] ^= 1
    (tmp_path / "a.mts").write_bytes(content)
    with pytest.raises(FileFormatError, match="cut or damaged"):
        load_tensor(tmp_path / "a.mts", torch=torch)


def test_foreign_tensor_files(tmp_path):
    (tmp_path / "a.mts").write_bytes(b"not at all")
    with pytest.raises(FileFormatError, match=r"a.mts' is no TensorMap"):
        load_tensor(tmp_path / "a.mts")
    (tmp_path / "a.mts").touch()
    np.savez(tmp_path / "a.npz", x=np.ones(3))
    (tmp_path / "a.npz").rename(tmp_path / "b.mts")
    with pytest.raises(FileFormatError, match=r"is a ZIP file but no TensorMap; it holds x.npy"):
        load_tensor(tmp_path / "b.mts")
    with pytest.raises(FileNotFoundError, match="there is no file"):
        load_tensor(tmp_path / "c.mts")
    (tmp_path / "d.mts").mkdir()
    with pytest.raises(IsADirectoryError, match="expected a TensorMap"):
        load_tensor(tmp_path / "d.mts")


def test_tensor_files_end_in_mts(tmp_path):
    for act in (lambda path: save_tensor(path, tensor()), load_tensor):
        with pytest.raises(ValueError, match=r"end in .mts, got '.*a.npz'"):
            act(tmp_path / "a.npz")


def test_only_tensormaps_are_saved(tmp_path):
    with pytest.raises(TypeError, match="expected a TensorMap"):
        save_tensor(tmp_path / "a.mts", {"a": 1})
    assert os.listdir(tmp_path) == []


MEMBERS = {"weights.mts": b"\x00" * 1000 + b"abc", "config.json": b"{}", "empty": b""}


def test_archives_go_to_files_and_back(tmp_path):
    save_archive(tmp_path / "a.ketmap", MEMBERS)
    assert load_archive(tmp_path / "a.ketmap") == MEMBERS
    with zipfile.ZipFile(tmp_path / "a.ketmap") as archive:
        assert all(member.compress_type == zipfile.ZIP_STORED for member in archive.infolist())
        manifest = json.loads(archive.read(MANIFEST))
    assert manifest["format"] == "ketmap" and manifest["format_version"] == 1
    assert manifest["packages"]["ketmap-core"]


def test_equal_archives_are_equal_files(tmp_path):
    for name in "ab":
        save_archive(tmp_path / name, MEMBERS)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("part", [0.01, 0.5, 0.99])
def test_archive_cut(tmp_path, part):
    save_archive(tmp_path / "a", MEMBERS)
    content = (tmp_path / "a").read_bytes()
    (tmp_path / "a").write_bytes(content[: int(part * len(content))])
    with pytest.raises(FileFormatError, match="a' is cut or damaged"):
        load_archive(tmp_path / "a")


def test_archive_damaged(tmp_path):
    save_archive(tmp_path / "a", MEMBERS)
    content = bytearray((tmp_path / "a").read_bytes())
    content[content.index(b"abc")] ^= 1
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(FileFormatError, match=r"a' is cut or damaged .*CRC"):
        load_archive(tmp_path / "a")


def test_archive_of_a_newer_version(tmp_path):
    save_archive(tmp_path / "a", MEMBERS, kind="ketmap model", version=3)
    assert load_archive(tmp_path / "a", kind="ketmap model", version=3) == MEMBERS
    with pytest.raises(FileFormatError, match=r"format version 3, written by ketmap 0.*up to version 2: update"):
        load_archive(tmp_path / "a", kind="ketmap model", version=2)


def test_archive_of_another_kind(tmp_path):
    save_archive(tmp_path / "a", MEMBERS, kind="ketmap model")
    with pytest.raises(FileFormatError, match="is a ketmap model file, expected a ketmap index file"):
        load_archive(tmp_path / "a", kind="ketmap index")


def test_foreign_archives(tmp_path):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("readme.txt", "hello")
    write_atomic(tmp_path / "a", content.getvalue())
    with pytest.raises(FileFormatError, match=r"is a ZIP file but no ketmap file; it holds readme.txt"):
        load_archive(tmp_path / "a")
    write_atomic(tmp_path / "b", b"\x80\x04pickle")
    with pytest.raises(FileFormatError, match="b' is no ketmap file"):
        load_archive(tmp_path / "b")
    write_atomic(tmp_path / "c", b"")
    with pytest.raises(FileFormatError, match="c' is empty"):
        load_archive(tmp_path / "c")
    with pytest.raises(FileNotFoundError, match="there is no file"):
        load_archive(tmp_path / "d")


def test_manifest_without_its_entries(tmp_path):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(MANIFEST, "{}")
    write_atomic(tmp_path / "a", content.getvalue())
    with pytest.raises(FileFormatError, match="cut or damaged"):
        load_archive(tmp_path / "a")


def test_name_of_the_manifest_is_taken(tmp_path):
    with pytest.raises(ValueError, match="is written by save_archive"):
        save_archive(tmp_path / "a", {MANIFEST: b""})
