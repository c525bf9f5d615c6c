"""The other commands: features, predict, md, check; help, version, errors."""

import importlib
import importlib.metadata
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import ase.io
import metatensor
import numpy as np
import pytest
from ketmap import Calculator, Model, Ridge, load, load_tensor, read
from PIL import Image

FEATURES = """\
representation:
  type: SphericalExpansion
  cutoff: {radius: 3.0, smoothing: {type: ShiftedCosine, width: 1.0}}
  density: {type: Gaussian, width: 0.4}
  basis: {type: TensorProduct, max_angular: 2, radial: {type: Gto, max_radial: 3}}
"""
PROGRAM = Path(sys.executable).parent / "ketmap"
COMMANDS = ("features", "train", "predict", "md", "check", "demo")


def test_help_shows_the_commands(ketmap):
    result = ketmap("--help")
    assert result.exit_code == 0
    assert all(command in result.stdout for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_examples(ketmap, command):
    result = ketmap(command, "--help")
    assert result.exit_code == 0
    assert f"ketmap {command}" in result.stdout.split("Examples")[1]


def test_help_loads_no_heavy_library():
    code = "import sys, ketmap.cli; sys.exit('torch' in sys.modules or 'ase' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_program_is_installed():
    program = subprocess.run([PROGRAM, "--version"], capture_output=True, text=True, check=False)
    assert program.stdout.strip() == importlib.metadata.version("ketmap")


# ---------------------------------------------------------------------------- features, check


def test_features_and_check(trained, tmp_path, ketmap):
    (tmp_path / "soap.yaml").write_text(FEATURES + "gradients: [positions]\n")
    path = tmp_path / "rho.mts"
    result = ketmap("features", tmp_path / "soap.yaml", trained / "structures.xyz", "-o", path)
    assert result.exit_code == 0, result.output
    tensor = load_tensor(path)
    assert tensor.block(0).gradients_list() == ["positions"]
    frames = read(trained / "structures.xyz")
    from ketmap import Cutoff, Gaussian, Gto, ShiftedCosine, SphericalExpansion, TensorProduct

    rho = SphericalExpansion(
        cutoff=Cutoff(3.0, ShiftedCosine(1.0)), density=Gaussian(0.4), basis=TensorProduct(2, Gto(3))
    )
    assert metatensor.equal(tensor, rho.compute(frames, gradients=["positions"]))

    result = ketmap("check", path)
    assert result.exit_code == 0
    assert "keeps the contract" in result.stdout and "made by SphericalExpansion" in result.stdout


def test_plan_of_features(trained, tmp_path, ketmap, monkeypatch):
    """Says what there would be, and writes nothing."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "soap.yaml").write_text(FEATURES + "gradients: [positions]\n")
    result = ketmap("features", "soap.yaml", trained / "structures.xyz", "--plan")
    assert result.exit_code == 0, result.output
    assert "SphericalExpansion: " in result.stdout and "positions gradient" in result.stdout
    assert "measured on" in result.stdout
    assert not (tmp_path / "features.mts").exists()


def test_features_of_data_in_the_configuration(trained, tmp_path, ketmap, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = trained / "structures.xyz"
    (tmp_path / "soap.yaml").write_text(FEATURES + f"data: {{file: '{path}', index: ':3'}}\n")
    assert ketmap("features", "soap.yaml").exit_code == 0
    assert set(load_tensor("features.mts").block(0).samples["system"]) == {0, 1, 2}
    result = ketmap("features", "soap.yaml")
    assert (result.exit_code, "exists already" in result.stderr) == (1, True)


@pytest.mark.parametrize(
    ("extra", "text"),
    [
        ((), "no structures: name files on the command line"),
        (("STRUCTURES", "-o", "rho.npz"), "expected a name ending with .mts"),
        (("STRUCTURES", "-o", "nowhere/rho.mts"), "cannot write into"),
        (("nothing.xyz",), "there is no file 'nothing.xyz'"),
    ],
)
def test_features_that_cannot_be(trained, tmp_path, ketmap, monkeypatch, extra, text):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "soap.yaml").write_text(FEATURES)
    extra = [str(trained / "structures.xyz") if word == "STRUCTURES" else word for word in extra]
    result = ketmap("features", "soap.yaml", *extra)
    assert (result.exit_code, text in result.stderr) == (1, True), result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["soap.yaml"]


def test_check_tells_what_is_broken(tmp_path, ketmap):
    block = metatensor.TensorBlock(
        np.ones((1, 1)), metatensor.Labels.range("structure", 1), [], metatensor.Labels.range("n", 1)
    )
    tensor = metatensor.TensorMap(metatensor.Labels.range("center_type", 1), [block])
    metatensor.save(tmp_path / "broken.mts", tensor)
    result = ketmap("check", tmp_path / "broken.mts")
    assert result.exit_code == 1
    assert "breaks the contract" in result.stdout and "structure" in result.stdout


def test_check_of_what_is_no_tensor(tmp_path, ketmap):
    (tmp_path / "text.mts").write_text("hello")
    result = ketmap("check", tmp_path / "text.mts")
    assert result.exit_code == 1
    assert "is no TensorMap" in result.stderr and "Traceback" not in result.output


# ---------------------------------------------------------------------------- predict


def test_predict_writes_what_the_model_says(trained, tmp_path, ketmap):
    output = tmp_path / "out.xyz"
    result = ketmap("predict", trained / "run/model.ketmap", trained / "structures.xyz", "-o", output)
    assert result.exit_code == 0, result.output
    assert "meV/atom" in result.stdout  # the structures carry references
    given, found = read(trained / "structures.xyz"), ase.io.read(output, ":")
    calculator = Calculator(trained / "run/model.ketmap")
    for before, after in zip(given, found):
        before.calc = calculator
        assert after.get_potential_energy() == pytest.approx(before.get_potential_energy(), abs=1e-7)
        np.testing.assert_allclose(after.get_forces(), before.get_forces(), atol=1e-7)


def test_predict_as_tensor(trained, tmp_path, ketmap):
    output = tmp_path / "forces.mts"
    model = trained / "run/model.ketmap"
    result = ketmap("predict", model, trained / "structures.xyz", "-o", output, "--target", "forces")
    assert result.exit_code == 0, result.output
    expected = load(model).predict(read(trained / "structures.xyz"), ["forces"])["forces"]
    assert metatensor.allclose(load_tensor(output), expected, rtol=1e-12)


def test_predict_stress_and_no_references(trained, tmp_path, ketmap, frames):
    bare = [ase.Atoms(a.symbols, a.positions, cell=a.cell, pbc=True) for a in frames(2)]
    ase.io.write(tmp_path / "bare.xyz", bare, format="extxyz")
    output = tmp_path / "out.traj"
    result = ketmap("predict", trained / "run/model.ketmap", tmp_path / "bare.xyz", "-o", output)
    assert "carry no references" in result.stdout
    atoms = ase.io.read(tmp_path / "bare.xyz", 1)
    atoms.calc = Calculator(trained / "run/model.ketmap")
    np.testing.assert_allclose(ase.io.read(output, 1).get_stress(), atoms.get_stress(), atol=1e-12)


def test_predict_with_a_model_in_other_units(trained, tmp_path, ketmap, frames):
    soap = load(trained / "run/model.ketmap").representation
    model = Model(soap, Ridge(alpha=1e-6), units={"energy": "Ha"})
    model.fit(frames(5), energy="energy").save(tmp_path / "model.ketmap")
    result = ketmap("predict", tmp_path / "model.ketmap", trained / "structures.xyz", "-o", tmp_path / "o.xyz")
    assert (result.exit_code, "use ketmap.Calculator, which converts" in result.stderr) == (1, True)


def test_predict_unknown_types(trained, tmp_path, ketmap):
    ase.io.write(tmp_path / "salt.xyz", ase.Atoms("NaH", [[0, 0, 0], [0, 0, 1.5]]), format="extxyz")
    result = ketmap("predict", trained / "run/model.ketmap", tmp_path / "salt.xyz", "-o", tmp_path / "o.xyz")
    assert result.exit_code == 1
    assert "Na" in result.stderr or "11" in result.stderr
    assert not (tmp_path / "o.xyz").exists()


@pytest.mark.parametrize("kind", ["cut", "newer", "text", "missing"])
def test_model_files_that_cannot_be_read(trained, tmp_path, ketmap, kind):
    path, good = tmp_path / "model.ketmap", trained / "run/model.ketmap"
    content = good.read_bytes()
    if kind == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif kind == "text":
        path.write_text("hello")
    elif kind == "newer":
        with zipfile.ZipFile(good) as old, zipfile.ZipFile(path, "w") as new:
            for name in old.namelist():
                data = old.read(name)
                if name == "manifest.json":
                    data = data.replace(b'"format_version": 1', b'"format_version": 99')
                new.writestr(name, data)
    expected = {
        "cut": "cut or damaged",
        "newer": "format version 99",
        "text": "is no",
        "missing": "there is no file",
    }
    for command in (
        ("predict", path, trained / "structures.xyz", "-o", tmp_path / "out.xyz"),
        ("md", path, trained / "structures.xyz", "-o", tmp_path / "md"),
    ):
        result = ketmap(*command)
        assert result.exit_code == 1
        assert expected[kind] in result.stderr and "model.ketmap" in result.stderr
    assert not (tmp_path / "out.xyz").exists() and not (tmp_path / "md").exists()


# ---------------------------------------------------------------------------- md


def run_md(ketmap, trained, folder, *extra):
    return ketmap("md", trained / "run/model.ketmap", trained / "structures.xyz", "-o", folder, "--steps", 50, *extra)


@pytest.mark.parametrize("suffix", ["xyz", "traj"])
def test_md_leaves_trajectory_table_and_plot(trained, tmp_path, ketmap, suffix):
    folder = tmp_path / "md"
    result = run_md(ketmap, trained, folder, "--trajectory", suffix, "--every", 5)
    assert result.exit_code == 0, result.output
    assert "drift of the total energy" in result.stdout and "meV/atom/ps" in result.stdout
    assert {path.name for path in folder.iterdir()} == {f"trajectory.{suffix}", "md.csv", "md.png", "config.yaml"}
    table = np.genfromtxt(folder / "md.csv", delimiter=",", names=True)
    frames = ase.io.read(folder / f"trajectory.{suffix}", ":")
    assert len(frames) == len(table) == 11
    np.testing.assert_allclose([f.get_potential_energy() for f in frames], table["potential"], atol=1e-6)
    with Image.open(folder / "md.png") as picture:
        assert picture.size[0] > 600


def test_md_from_its_own_settings(trained, tmp_path, ketmap):
    assert run_md(ketmap, trained, tmp_path / "one", "--ensemble", "langevin").exit_code == 0
    result = ketmap("md", tmp_path / "one/config.yaml", "-o", tmp_path / "two")
    assert result.exit_code == 0, result.output
    one, two = (np.loadtxt(tmp_path / name / "md.csv", delimiter=",", skiprows=1) for name in ("one", "two"))
    np.testing.assert_allclose(one, two, rtol=1e-9)
    assert "drift" not in result.stdout


def test_md_at_constant_pressure(trained, tmp_path, ketmap, frames):
    path = tmp_path / "cell.xyz"
    ase.io.write(path, frames(1, pbc=True), format="extxyz")
    result = ketmap(
        *("md", trained / "run/model.ketmap", path, "-o", tmp_path / "md", "--steps", 30),
        *("--ensemble", "npt", "--pressure", 0.1, "--free-shape"),
    )
    assert result.exit_code == 0, result.output
    assert "drift of the conserved energy" in result.stdout


@pytest.mark.parametrize(
    ("extra", "text"),
    [
        (("--timestep", -1), "--timestep: found -1.0, expected a number greater than 0"),
        (("--ensemble", "nvp"), "--ensemble: found 'nvp' (text), expected 'nve', 'langevin' or 'npt'"),
        (("--pressure", 1), "pressure has no meaning for ensemble nve"),
        (("--ensemble", "npt"), "has pbc [False, False, False]. Use NVE or Langevin"),
        (("--frame", 100), "no frame 100"),
        (("--trajectory", "dcd"), "--trajectory: found 'dcd' (text), expected 'xyz' or 'traj'"),
    ],
)
def test_md_that_cannot_be(trained, tmp_path, ketmap, extra, text):
    result = run_md(ketmap, trained, tmp_path / "md", *extra)
    assert (result.exit_code, text in result.stderr) == (1, True), result.stderr
    assert not (tmp_path / "md").exists()


def test_md_far_from_the_training_set_warns(trained, tmp_path, ketmap):
    path = tmp_path / "far.xyz"
    ase.io.write(path, ase.Atoms("OHH", [[0, 0, 0], [0, 0, 0.6], [0, 0, -1.5]]), format="extxyz")
    result = ketmap("md", trained / "run/model.ketmap", path, "-o", tmp_path / "md", "--steps", 5)
    assert "warning: atom" in result.stderr and "at step 0 lies far outside" in result.stderr
    assert result.stderr.count("warning") == 1


def test_md_of_one_argument(ketmap):
    result = ketmap("md", "model.ketmap")
    assert (result.exit_code, "expected MODEL STRUCTURE or CONFIG.yaml" in result.stderr) == (1, True)


def test_md_of_atoms_at_one_point(trained, tmp_path, ketmap):
    path = tmp_path / "point.xyz"
    ase.io.write(path, ase.Atoms("OHH", [[0, 0, 0], [0, 0, 1], [0, 0, 1]]), format="extxyz")
    result = ketmap("md", trained / "run/model.ketmap", path, "-o", tmp_path / "md")
    assert (result.exit_code, "atoms 1 and 2" in result.stderr) == (1, True)
    assert not (tmp_path / "md").exists()


def test_md_into_a_folder_that_exists(trained, tmp_path, ketmap):
    assert run_md(ketmap, trained, tmp_path / "md").exit_code == 0
    result = run_md(ketmap, trained, tmp_path / "md")
    assert (result.exit_code, "exists already" in result.stderr) == (1, True)
    assert run_md(ketmap, trained, tmp_path / "md", "--overwrite").exit_code == 0


def test_md_that_is_interrupted_keeps_what_was_run(trained, tmp_path):
    command = [
        *(sys.executable, "-m", "ketmap.cli", "md", trained / "run/model.ketmap", trained / "structures.xyz"),
        *("--steps", "10000000", "-o", tmp_path / "md"),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        trajectory = tmp_path / "md" / "trajectory.xyz"
        while process.poll() is None and not (trajectory.exists() and trajectory.stat().st_size > 5000):
            pass
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "(interrupted)" in output and "Traceback" not in errors
    rows = len((tmp_path / "md/md.csv").read_text().splitlines()) - 1
    assert len(ase.io.read(trajectory, ":")) == rows > 3
    assert (tmp_path / "md/md.png").exists()


# ---------------------------------------------------------------------------- errors


def test_debug_shows_the_traceback():
    for command in (["--debug", "check", "nothing.mts"], ["check", "nothing.mts", "--debug"]):
        program = subprocess.run([PROGRAM, *command], capture_output=True, text=True, check=False)
        assert program.returncode == 1 and "Traceback" in program.stderr
    program = subprocess.run([PROGRAM, "check", "nothing.mts"], capture_output=True, text=True, check=False)
    assert program.returncode == 1
    assert program.stderr.strip() == "error: there is no file 'nothing.mts'"


def test_mistakes_of_our_own_are_told_from_those_of_the_user(ketmap, monkeypatch):
    module = importlib.import_module("ketmap.commands.check")
    monkeypatch.setattr(module, "check", lambda path: 1 / 0)
    result = ketmap("check", "a.mts")
    assert result.exit_code == 1
    assert "ZeroDivisionError" in result.stderr and "--debug" in result.stderr
