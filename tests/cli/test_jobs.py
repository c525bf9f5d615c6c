"""Long jobs: chunk by chunk, and after a stop the same files as without one."""

import errno
import hashlib
import os
import signal
import subprocess
import sys
import time

import ase.build
import ase.io
import metatensor
import pytest
from ketmap import check, info, load_tensor, open_tensors, read
from ketmap.config import DataSet, FeaturesConfig
from ketmap.datasets import DataError, files
from ketmap.documents import load

FEATURES = """\
representation:
  type: SphericalExpansion
  cutoff: {radius: 3.0, smoothing: {type: ShiftedCosine, width: 1.0}}
  density: {type: Gaussian, width: 0.4}
  basis: {type: TensorProduct, max_angular: 2, radial: {type: Gto, max_radial: 3}}
gradients: [positions]
"""
COMMAND = [sys.executable, "-m", "ketmap.cli", "features", "soap.yaml"]


@pytest.fixture
def place(tmp_path, monkeypatch, frames):
    """A folder with three trajectories and settings, where the program runs."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    for i, n in enumerate((30, 5, 17)):
        ase.io.write(tmp_path / "data" / f"{i}.xyz", frames(n, seed=i), format="extxyz")
    (tmp_path / "soap.yaml").write_text(FEATURES + "chunk: {systems: 8}\n")
    return tmp_path


def content(folder):
    """Every file of a folder, by its checksum; of the index, all but when inputs were written."""
    return {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.iterdir())
        if file.name != ".lock"
    }


def whole(place, ketmap, name="whole"):
    assert ketmap("features", "soap.yaml", "data", "-o", name).exit_code == 0
    return place / name


def test_a_folder_of_trajectories(place, ketmap):
    result = ketmap("features", "soap.yaml", "data", "-o", "out")
    assert result.exit_code == 0, result.output
    assert "blocks of 52 structures in 7 chunks; keys o3_lambda" in result.stdout
    folder = open_tensors("out")
    assert [chunk.stop - chunk.start for chunk in folder.chunks] == [8] * 6 + [4]
    assert folder.about["done"] and len(folder.about["job"]["inputs"]) == 3
    structures = [atoms for i in range(3) for atoms in read(f"data/{i}.xyz")]
    settings = load("soap.yaml", FeaturesConfig)
    expected = settings.representation.build().compute(structures, gradients=["positions"])
    assert metatensor.equal(folder.to_tensor(), expected)  # the same bits
    assert check(folder.to_tensor()) and info(folder) == info(expected)

    result = ketmap("check", "out")
    assert result.exit_code == 0, result.output
    assert "52 systems in 7 chunks" in result.stdout and "made by SphericalExpansion" in result.stdout


def test_chunks_by_size(place, ketmap, frames):
    """They end with the batch, of 256 atoms, that fills them."""
    ase.io.write(place / "data/0.xyz", frames(300), format="extxyz")
    (place / "soap.yaml").write_text(FEATURES + "chunk: {megabytes: 1.5}\n")
    assert ketmap("features", "soap.yaml", "data", "-o", "out").exit_code == 0
    folder = open_tensors("out")
    sizes = [sum(b.values.nbytes + b.gradient("positions").values.nbytes for b in t.blocks()) for t in folder.iterate()]
    assert len(sizes) > 1 and min(sizes[:-1]) >= 1.5e6
    per_structure = sum(sizes) / folder.n_systems
    assert max(sizes) < 1.5e6 + 86 * per_structure  # at most one batch more
    assert [chunk.stop % 86 for chunk in folder.chunks[:-1]] == [0] * (len(sizes) - 1)
    (place / "soap.yaml").write_text(FEATURES + "chunk: {systems: 50}\n")
    assert metatensor.equal(folder.to_tensor(), open_tensors(whole(place, ketmap)).to_tensor())


def test_files_folders_and_patterns(place):
    def found(*names):
        return [path.name for path in files(DataSet(file=list(names)))]

    assert found("data") == found("data/*.xyz") == ["0.xyz", "1.xyz", "2.xyz"]
    assert found("data/2.xyz", "data") == ["2.xyz", "0.xyz", "1.xyz"]  # each once
    assert found("**/1.xyz") == ["1.xyz"]
    (place / "empty").mkdir()
    for name, error, message in (
        ("empty", DataError, "'empty' is a folder without files"),
        ("data/*.cif", DataError, r"'data/\*.cif' matches no file"),
        ("data/9.xyz", FileNotFoundError, "there is no file 'data/9.xyz'"),
    ):
        with pytest.raises(error, match=message):
            found(name)


# ---------------------------------------------------------------------------- stops


@pytest.mark.parametrize("index", [":", "1::2", "-20:"])
def test_a_job_goes_on_where_it_was(place, ketmap, monkeypatch, index):
    """Stopped after each chunk in turn, it leaves the same bytes as a job without a stop."""
    import ketmap.jobs as jobs

    settings = FEATURES + f"chunk: {{systems: 8}}\ndata: {{file: data, index: '{index}'}}\n"
    (place / "soap.yaml").write_text(settings)
    assert ketmap("features", "soap.yaml", "-o", "whole").exit_code == 0
    append, stops = jobs._append, 0

    def stopped(*arguments):
        append(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(jobs, "_append", stopped)
    while (result := ketmap("features", "soap.yaml", "-o", "out")).exit_code == 130:
        stops += 1
        assert "the same command goes on from there" in result.stderr and "interrupted" in result.stderr
    assert stops == len(open_tensors("whole").chunks) and "all structures were there already" in result.stdout
    assert content(place / "out") == content(place / "whole")


@pytest.mark.slow
def test_a_killed_job_goes_on(place, ketmap):
    """SIGKILL at any moment; what is there is whole, and the rest follows."""
    expected = content(whole(place, ketmap))
    kills = 0
    whole(place, ketmap, "begun")
    for name in (".chunk-000002.0a1b2c3d.mts", ".index.0a1b2c3d.json"):  # as a job killed while it writes leaves them
        (place / "begun" / name).write_text("half")
    assert ketmap("features", "soap.yaml", "data", "-o", "begun").exit_code == 0
    assert content(place / "begun") == expected
    for delay in (0.0, 0.003):
        process = subprocess.Popen([*COMMAND, "data", "-o", "out"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        wanted = 1 + 2 * kills
        while process.poll() is None and len(list(place.glob("out/chunk-*.mts"))) < wanted:
            time.sleep(0.002)
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
        kills += process.returncode == -signal.SIGKILL
        if (place / "out" / "index.json").exists():
            assert open_tensors("out").verify() == []
    assert kills > 0
    result = ketmap("features", "soap.yaml", "data", "-o", "out")
    assert result.exit_code == 0, result.output
    assert content(place / "out") == expected


def test_a_job_that_is_done_does_nothing(place, ketmap):
    folder = whole(place, ketmap)
    before = content(folder), [file.stat().st_mtime_ns for file in sorted(folder.glob("chunk*"))]
    result = ketmap("features", "soap.yaml", "data", "-o", "whole")
    assert result.exit_code == 0 and "all structures were there already" in result.stdout
    assert (content(folder), [file.stat().st_mtime_ns for file in sorted(folder.glob("chunk*"))]) == before


def test_full_disk(place, ketmap, monkeypatch):
    """The chunk that does not fit is not there; with room again the job goes on."""
    expected = content(whole(place, ketmap))
    synced, count = os.fsync, 0

    def full(descriptor):
        nonlocal count
        count += 1
        if count > 7:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        synced(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    result = ketmap("features", "soap.yaml", "data", "-o", "out")
    assert result.exit_code == 1 and "No space left on device" in result.stderr
    assert "the features of 24 structures are in out; the same command goes on from there" in result.stderr
    assert open_tensors("out").n_systems == 24 and open_tensors("out").verify() == []
    result = ketmap("check", "out")
    assert result.exit_code == 0 and "its making was stopped; the same command goes on" in result.stdout
    monkeypatch.undo()
    monkeypatch.chdir(place)
    result = ketmap("features", "soap.yaml", "data", "-o", "out")
    assert result.exit_code == 0 and "went on after 24 structures" in result.stdout
    assert content(place / "out") == expected


def test_a_frame_that_cannot_be_read(place, ketmap):
    text = (place / "data/2.xyz").read_text()
    lines = text.splitlines(keepends=True)
    (place / "data/2.xyz").write_text("".join(lines[:-2]))
    result = ketmap("features", "soap.yaml", "data", "-o", "out")
    assert result.exit_code == 1
    assert "2.xyz' is cut or damaged at frame 16, after 1 of 3 atoms" in result.stderr
    assert open_tensors("out").n_systems == 48  # whole chunks that came before


def test_a_structure_without_features(place, ketmap):
    lines = (place / "data/1.xyz").read_text().splitlines()
    lines[5 * 3 + 2] = "O nan 0 0 0 0 0"
    (place / "data/1.xyz").write_text("\n".join(lines) + "\n")
    result = ketmap("features", "soap.yaml", "data", "-o", "out")
    assert result.exit_code == 1
    assert '1.xyz\' (structure 3 of index ":"): position of atom 0 is not finite' in result.stderr
    assert open_tensors("out").n_systems == 32


# ---------------------------------------------------------------------------- other settings, other files


def begun(place, ketmap):
    folder = whole(place, ketmap, "out")
    return folder, content(folder)


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("max_angular: 2", "max_angular: 1", "was begun with representation.basis.max_angular 2, now it is 1"),
        ("gradients: [positions]", "gradients: []", "was begun with gradients ['positions'], now it is []"),
        ("systems: 8", "systems: 9", "was begun with chunk.systems 8, now it is 9"),
    ],
)
def test_other_settings_are_refused(place, ketmap, old, new, text):
    folder, before = begun(place, ketmap)
    (place / "soap.yaml").write_text((place / "soap.yaml").read_text().replace(old, new))
    result = ketmap("features", "soap.yaml", "data", "-o", "out")
    assert result.exit_code == 1 and text in result.stderr and "add --overwrite to begin anew" in result.stderr
    assert content(folder) == before
    result = ketmap("features", "soap.yaml", "data", "-o", "out", "--overwrite")
    assert result.exit_code == 0, result.output
    assert open_tensors("out").n_systems == 52 and open_tensors("out").verify() == []
    assert content(folder) != before


def test_changed_and_other_files_are_refused(place, ketmap, frames):
    folder, before = begun(place, ketmap)
    for names, text in (
        (("data/0.xyz",), "was begun with other files: "),
        (("data/1.xyz", "data/0.xyz", "data/2.xyz"), "was begun with other files: their order differs"),
    ):
        result = ketmap("features", "soap.yaml", *names, "-o", "out")
        assert (result.exit_code, text in result.stderr) == (1, True), result.stderr
    ase.io.write(place / "data/3.xyz", frames(2), format="extxyz")
    result = ketmap("features", "soap.yaml", "data", "-o", "out")
    assert "3.xyz' is new; choose another --output" in result.stderr
    (place / "data/3.xyz").unlink()
    os.utime(place / "data/1.xyz")
    result = ketmap("features", "soap.yaml", "data", "-o", "out")
    assert result.exit_code == 1 and "1.xyz' has changed since 'out' was begun" in result.stderr
    assert content(folder) == before


def test_folders_of_others_are_left_alone(place, ketmap):
    (place / "mine").mkdir()
    (place / "mine/thesis.tex").write_text("")
    for extra in ((), ("--overwrite",)):
        result = ketmap("features", "soap.yaml", "data", "-o", "mine", *extra)
        assert (result.exit_code, "holds something else than a folder of features" in result.stderr) == (1, True)
    folder, _ = begun(place, ketmap)
    (folder / "thesis.tex").write_text("")
    result = ketmap("features", "soap.yaml", "data", "-o", "out", "--overwrite")
    assert (result.exit_code, "also holds thesis.tex, which ketmap did not write" in result.stderr) == (1, True)
    assert (folder / "thesis.tex").exists()
    (place / "file").touch()
    result = ketmap("features", "soap.yaml", "data", "-o", "file")
    assert (result.exit_code, "'file' is a file, expected a folder" in result.stderr) == (1, True)
    result = ketmap("features", "soap.yaml", "data", "-o", "file/out")
    assert (result.exit_code, "cannot write into" in result.stderr) == (1, True)


def test_a_folder_made_in_python_does_not_go_on(place, ketmap):
    from ketmap_core import TensorFolder

    TensorFolder.create("out")
    result = ketmap("features", "soap.yaml", "data", "-o", "out")
    assert (result.exit_code, "'out' was not made by ketmap features" in result.stderr) == (1, True)


def test_two_jobs_at_once(place, ketmap):
    from ketmap_core.chunks import written_alone

    whole(place, ketmap, "out")
    with written_alone("out"):
        result = ketmap("features", "soap.yaml", "data", "-o", "out")
    assert (result.exit_code, "another program is writing into 'out'" in result.stderr) == (1, True)


def test_settings_of_chunks(place, ketmap):
    result = ketmap("features", "soap.yaml", "data", "-o", "out.mts")
    assert (result.exit_code, "is one file, which has no chunks" in result.stderr) == (1, True)
    for text, message in (
        ("{systems: 0}", "expected a number of at least 1"),
        ("{megabytes: 0.0}", "expected a number greater than 0"),
        ("{}", "chunk is either systems or megabytes, one of them"),
        ("{systems: 1, megabytes: 1.0}", "chunk is either systems or megabytes"),
    ):
        (place / "soap.yaml").write_text(FEATURES + f"chunk: {text}\n")
        result = ketmap("features", "soap.yaml", "data", "-o", "out")
        assert (result.exit_code, "soap.yaml:7" in result.stderr and message in result.stderr) == (1, True), (
            result.stderr
        )


def test_an_index_that_leaves_nothing(place, ketmap):
    (place / "soap.yaml").write_text(FEATURES + "data: {file: data, index: '1000:'}\n")
    result = ketmap("features", "soap.yaml", "-o", "out")
    assert (result.exit_code, 'index "1000:" leaves no structure' in result.stderr) == (1, True), result.stderr


def test_check_of_folders_that_are_not_whole(place, ketmap):
    folder = whole(place, ketmap)
    data = bytearray((folder / "chunk-000002.mts").read_bytes())
    data[len(data) // 2] ^= 1
    (folder / "chunk-000002.mts").write_bytes(data)
    result = ketmap("check", "whole")
    assert result.exit_code == 1 and "chunk-000002.mts' is not the file that was written" in result.stdout
    (folder / "chunk-000002.mts").unlink()
    result = ketmap("check", "whole")
    assert result.exit_code == 1 and "which holds systems 16 to 23, is missing" in result.stderr


def test_one_file_as_before(place, ketmap):
    (place / "soap.yaml").write_text(FEATURES)
    assert ketmap("features", "soap.yaml", "data", "-o", "one.mts").exit_code == 0
    assert metatensor.equal(load_tensor("one.mts"), open_tensors(whole(place, ketmap)).to_tensor())


# ---------------------------------------------------------------------------- memory

PEAK = """
import resource, sys
from ketmap.cli import app
try:
    app(sys.argv[1:], prog_name="ketmap")
finally:
    print("peak", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)  # MB
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_trajectory(place):
    """Four times as many structures, 100 MB more of features, in chunks of 5 MB or one batch of 256 atoms."""
    solid = ase.build.bulk("NaCl", "rocksalt", 5.6, cubic=True).repeat(2)
    settings = FEATURES.replace("radius: 3.0", "radius: 6.0").replace("max_angular: 2", "max_angular: 4")
    settings += "chunk: {megabytes: 5.0}\n"
    (place / "soap.yaml").write_text(settings)
    peaks, sizes = [], []
    for n in (8, 32):
        frames = []
        for i in range(n):
            frames.append(solid.copy())
            frames[-1].rattle(0.05, seed=i)
        ase.io.write(place / f"{n}.xyz", frames, format="extxyz")
        run = [sys.executable, "-c", PEAK, "features", "soap.yaml", f"{n}.xyz", "-o", f"out{n}"]
        done = subprocess.run(run, capture_output=True, text=True, check=True)
        peaks.append(int(done.stdout.split("peak ")[1]))
        sizes.append(open_tensors(f"out{n}").nbytes / 2**20)
    assert sizes[1] - sizes[0] > 100
    assert peaks[1] - peaks[0] < 40, (peaks, sizes)
