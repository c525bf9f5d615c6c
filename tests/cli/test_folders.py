"""Output folders are complete or not there, and nobody else's data are removed."""

import pytest
from ketmap.folders import CONFIG, SIGNATURE, FolderError, make_folder, new_folder


def fill(folder, content="new"):
    (folder / CONFIG).write_text(f"# {SIGNATURE}\n")
    (folder / "content").write_text(content)


def test_folder_appears_when_it_is_complete(tmp_path):
    path = tmp_path / "runs" / "deep" / "one"
    with new_folder(path) as partial:
        fill(partial)
        assert not path.exists()
    assert (path / "content").read_text() == "new"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_nothing_is_left_of_what_failed(tmp_path, error):
    with pytest.raises(error), new_folder(tmp_path / "runs" / "one") as partial:
        fill(partial)
        raise error
    assert not list(tmp_path.iterdir())


def test_existing_folder_is_not_touched(tmp_path):
    fill(tmp_path, "old")
    with pytest.raises(FolderError, match=r"exists already.*--overwrite"), new_folder(tmp_path):
        pass
    assert (tmp_path / "content").read_text() == "old"


def test_overwrite_replaces_at_the_end(tmp_path):
    path = tmp_path / "one"
    path.mkdir()
    fill(path, "old")
    with new_folder(path, overwrite=True) as partial:
        fill(partial)
        assert (path / "content").read_text() == "old"
    assert (path / "content").read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_overwrite_that_fails_keeps_the_old(tmp_path):
    path = tmp_path / "one"
    path.mkdir()
    fill(path, "old")
    with pytest.raises(KeyboardInterrupt), new_folder(path, overwrite=True) as partial:
        fill(partial)
        raise KeyboardInterrupt
    assert (path / "content").read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_foreign_folder_is_never_overwritten(tmp_path):
    path = tmp_path / "thesis"
    path.mkdir()
    (path / "thesis.tex").write_text("years of work")
    with pytest.raises(FolderError, match="was not written by ketmap"), new_folder(path, overwrite=True):
        pass
    assert (path / "thesis.tex").exists()


def test_file_in_the_way(tmp_path):
    path = tmp_path / "one"
    path.write_text("")
    with pytest.raises(FolderError, match="exists already"):
        make_folder(path)
    with pytest.raises(FolderError, match="is a file, expected a folder"):
        make_folder(path, overwrite=True)


def test_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FolderError, match=r"cannot write into .*file': Not a directory"):
        make_folder(tmp_path / "file" / "one")


def test_folder_that_may_not_be_written(tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir()
    closed.chmod(0o500)
    if (probe := closed / "probe") and _can_write(probe):
        pytest.skip("this user may write everywhere")
    with pytest.raises(FolderError, match=r"cannot write into .*closed': Permission denied"):
        make_folder(closed / "one")


def _can_write(path):
    try:
        path.touch()
        path.unlink()
    except OSError:
        return False
    return True
