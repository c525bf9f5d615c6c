"""``ketmap train``: what it leaves, and what it says when something is wrong."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import ase.io
import pytest
from ketmap import load, read
from ketmap.config import TrainConfig
from ketmap.documents import load as load_config
from PIL import Image

FILES = {"model.ketmap", "errors.txt", "errors.csv", "errors.json", "parity.png", "config.yaml"}


@pytest.fixture
def place(tmp_path, config, frames):
    """A folder with structures and a configuration, ready to train in."""
    ase.io.write(tmp_path / "structures.xyz", frames(30), format="extxyz")
    (tmp_path / "train.yaml").write_text(config)
    return tmp_path


def test_what_is_left(trained):
    run = trained / "run"
    assert {path.name for path in run.iterdir()} == FILES
    assert sorted(path.name for path in trained.iterdir()) == ["run", "structures.xyz", "train.yaml"]
    with Image.open(run / "parity.png") as picture:
        assert picture.size[0] > 800


def test_errors_are_those_of_the_model(trained):
    run = trained / "run"
    model = load(run / "model.ketmap")
    table = json.loads((run / "errors.json").read_text())["errors"]
    assert {name: errors.to_dict() for name, errors in model.errors.items()} == table
    assert [table[name]["structures"] for name in ("train", "validation", "test")] == [44, 8, 8]
    assert table["test"]["forces"]["rmse"] < 0.1  # eV/Å; they spread over 2
    with open(run / "errors.csv") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6
    for row in rows:
        assert float(row["rmse"]) == table[row["part"]][row["target"]]["rmse"]
    text = (run / "errors.txt").read_text()
    assert "test" in text and f"{1000 * table['test']['forces']['rmse']:.3g}" in text


def test_the_configuration_left_trains_the_same_model(trained, ketmap, tmp_path):
    result = ketmap("train", trained / "run" / "config.yaml", "-o", tmp_path / "again")
    assert result.exit_code == 0, result.output
    first, second = (load(path / "model.ketmap") for path in (trained / "run", tmp_path / "again"))
    atoms = read(trained / "structures.xyz", 0)
    one, other = (m.predict(atoms, ["forces"])["forces"].block(0).values for m in (first, second))
    assert abs(one - other).max() < 1e-9


def test_defaults_in_the_configuration_left(trained):
    settings = load_config(trained / "run" / "config.yaml", TrainConfig)
    assert settings.data.file == str(trained / "structures.xyz")
    assert settings.targets == ["energy", "forces"] and settings.split.seed == 0


def test_the_test_part_is_held_out(trained, ketmap, tmp_path, frames):
    """Spoiling the references of the test part changes the errors on it, and nothing else."""
    from ketmap.datasets import share_out

    settings = load_config(trained / "train.yaml", TrainConfig)
    structures = frames(60)
    for i in share_out(60, settings.split)["test"]:
        structures[i].info["energy"] += 10.0
    ase.io.write(tmp_path / "structures.xyz", structures, format="extxyz")
    shutil.copy(trained / "train.yaml", tmp_path)
    assert ketmap("train", tmp_path / "train.yaml", "-o", tmp_path / "run").exit_code == 0
    before, after = (load(path / "run" / "model.ketmap").errors for path in (trained, tmp_path))
    assert after["train"].energy.rmse == pytest.approx(before["train"].energy.rmse, rel=1e-6)
    assert after["test"].energy.rmse > 3.0


def test_data_sets_of_their_own(place, ketmap, frames):
    ase.io.write(place / "test.xyz", frames(7, seed=3), format="extxyz")
    text = (place / "train.yaml").read_text().replace("split: {validation: 8.0, test: 8.0}\n", "")
    (place / "train.yaml").write_text(text + "test_data: {file: test.xyz}\nsplit: {validation: 0}\n")
    result = ketmap("train", place / "train.yaml", "-o", place / "run")
    assert "structures: train 30, validation 0, test 7" in result.stdout
    assert set(load(place / "run" / "model.ketmap").errors) == {"train", "test"}


def test_stress_is_learnt_too(place, ketmap, frames):
    ase.io.write(place / "structures.xyz", frames(30, pbc=True), format="extxyz")
    with open(place / "train.yaml", "a") as file:
        file.write("targets: [energy, forces, stress]\nweights: {stress: 0.5}\n")
    result = ketmap("train", place / "train.yaml", "-o", place / "run")
    assert result.exit_code == 0, result.output
    assert load(place / "run" / "model.ketmap").errors["test"].stress.rmse < 1e-3
    assert "meV/Å³" in result.stdout


def test_energies_alone(place, ketmap, frames):
    structures = frames(30)
    for atoms in structures:
        del atoms.arrays["forces"]
    ase.io.write(place / "structures.xyz", structures, format="extxyz")
    result = ketmap("train", place / "train.yaml", "-o", place / "run")
    assert result.exit_code == 1
    assert 'structures.xyz\' (structure 0 of index ":") has no forces' in result.stderr
    assert not (place / "run").exists()
    with open(place / "train.yaml", "a") as file:
        file.write("targets: [energy]\n")
    assert ketmap("train", place / "train.yaml", "-o", place / "run").exit_code == 0


def test_data_file_that_is_cut(place, ketmap):
    content = (place / "structures.xyz").read_text()
    (place / "structures.xyz").write_text(content[: len(content) // 2 - 20])
    result = ketmap("train", place / "train.yaml", "-o", place / "run")
    assert result.exit_code == 1
    assert "structures.xyz' is cut or damaged at frame 14" in result.stderr
    assert sorted(path.name for path in place.iterdir()) == ["structures.xyz", "train.yaml"]


def test_no_data_file(place, ketmap):
    (place / "structures.xyz").unlink()
    result = ketmap("train", place / "train.yaml", "-o", place / "run")
    assert (result.exit_code, "there is no file" in result.stderr) == (1, True)


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (lambda atoms: atoms.positions.__setitem__((1, 0), float("nan")), "not finite"),
        (lambda atoms: atoms.positions.__setitem__(1, atoms.positions[0]), "one point"),
        (lambda atoms: (atoms.set_cell([0, 0, 0]), atoms.set_pbc(True)), "volume"),
    ],
)
def test_structures_that_make_no_sense(place, ketmap, frames, spoil, text):
    structures = frames(30)
    spoil(structures[4])
    ase.io.write(place / "structures.xyz", structures, format="extxyz")
    result = ketmap("train", place / "train.yaml", "-o", place / "run")
    assert result.exit_code == 1
    assert text in result.stderr
    assert not (place / "run").exists()


def test_misspelt_key(place, ketmap):
    text = (place / "train.yaml").read_text()
    (place / "train.yaml").write_text(text.replace("max_angular", "max_angulr"))
    result = ketmap("train", place / "train.yaml", "-o", place / "run")
    assert result.exit_code == 1
    assert f"{place / 'train.yaml'}:7: unknown key 'max_angulr'; did you mean 'max_angular'?" in result.stderr


def test_folder_that_exists(place, ketmap):
    (place / "run").mkdir()
    (place / "run" / "precious").write_text("")
    result = ketmap("train", place / "train.yaml", "-o", place / "run")
    assert (result.exit_code, "exists already" in result.stderr) == (1, True)
    result = ketmap("train", place / "train.yaml", "-o", place / "run", "--overwrite")
    assert (result.exit_code, "was not written by ketmap" in result.stderr) == (1, True)
    assert (place / "run" / "precious").exists()


def test_overwrite(place, ketmap):
    for extra in ((), ("--overwrite",)):
        result = ketmap("train", place / "train.yaml", "-o", place / "run", *extra)
        assert result.exit_code == 0, result.output
    assert {path.name for path in (place / "run").iterdir()} == FILES


def test_folder_that_cannot_be_written_is_told_before_the_work(place, ketmap):
    result = ketmap("train", place / "train.yaml", "-o", place / "train.yaml" / "run")
    assert result.exit_code == 1
    assert "cannot write into" in result.stderr and "structures:" not in result.stdout


@pytest.mark.slow
def test_interrupted_training_leaves_nothing(place, config):
    """A real process, a real Ctrl-C in the middle of the fit."""
    heavy = config.replace("max_angular: 2", "max_angular: 9").replace("max_radial: 3", "max_radial: 9")
    (place / "train.yaml").write_text(heavy.replace("alpha: 1e-8", "alpha: null"))
    command = [sys.executable, "-m", "ketmap.cli", "train", "train.yaml", "-o", "runs/one"]
    environment = {**os.environ, "OMP_WAIT_POLICY": "passive"}
    with subprocess.Popen(
        command,
        cwd=place,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        # whoever runs the tests in the background may have told them, and so their children, to ignore Ctrl-C
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        assert process.stdout.readline().startswith("structures:")
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    assert "interrupted" in errors and "Traceback" not in errors
    assert sorted(path.name for path in place.iterdir()) == ["structures.xyz", "train.yaml"]
