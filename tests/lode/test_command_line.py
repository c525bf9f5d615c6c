"""A salt through the command line: long range and its product with the density are learnt, then drive dynamics."""

import sys
from pathlib import Path

import ase.build
import ase.io
import ketmap
import numpy as np
import pytest
from ketmap.cli import app
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from salt import rattled

TRAIN = """\
data: {file: salt.xyz}
split: {train: ":18", validation: "18:21", test: "21:"}
representation:
  - type: SoapPowerSpectrum
    cutoff: {radius: 5.0, smoothing: {type: ShiftedCosine, width: 1.0}}
    density: {type: Gaussian, width: 0.4}
    basis: {type: TensorProduct, max_angular: 1, radial: {type: Gto, max_radial: 3}}
  - type: LodeSphericalExpansion
    accuracy: 1e-3
    density: &coulomb {type: SmearedPowerLaw, smearing: 1.0, exponent: 1}
    basis: {type: TensorProduct, max_angular: 0, radial: {type: Gto, max_radial: 2, radius: 2.0}}
  - type: PowerSpectrum
    calculator_1:
      type: SphericalExpansion
      cutoff: {radius: 4.0, smoothing: {type: ShiftedCosine, width: 1.0}}
      density: {type: Gaussian, width: 0.5}
      basis: {type: TensorProduct, max_angular: 1, radial: {type: Gto, max_radial: 1}}
    calculator_2:
      type: LodeSphericalExpansion
      accuracy: 1e-3
      density: *coulomb
      basis: {type: TensorProduct, max_angular: 1, radial: {type: Gto, max_radial: 1, radius: 2.0}}
regressor: {alpha: 1e-8}
"""
MD = """\
model: run/model.ketmap
structure: start.xyz
ensemble: npt
temperature: 600.0
timestep: 2.0
steps: 20
every: 1
"""


def command(*arguments):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """With structures, settings, and the model that they give."""
    folder = tmp_path_factory.mktemp("salt")
    frames, energies, forces = rattled()
    for atoms, energy, here in zip(frames, energies, np.split(forces, len(frames))):
        atoms.info["energy"], atoms.arrays["forces"] = energy, here
    ase.io.write(folder / "salt.xyz", frames, format="extxyz")
    salt = ase.build.bulk("NaCl", "rocksalt", 5.6, cubic=True) * (2, 1, 1)
    ase.io.write(folder / "start.xyz", salt, format="extxyz")
    (folder / "train.yaml").write_text(TRAIN)
    (folder / "md.yaml").write_text(MD)
    command("train", folder / "train.yaml", "-o", folder / "run")
    return folder


def conserved(folder) -> np.ndarray:
    return np.genfromtxt(folder / "md.csv", delimiter=",", names=True)["conserved"]


def test_training(folder):
    model = ketmap.load(folder / "run/model.ketmap")
    names = [type(part).__name__ for part in model.representation.representations]
    assert names == ["SoapPowerSpectrum", "Invariants", "Invariants"]
    frames = ase.io.read(folder / "salt.xyz", "21:")
    errors = model.score(frames)
    assert errors.forces.rmse < 0.03 * np.concatenate([atoms.get_forces() for atoms in frames]).std()


def test_constant_pressure_from_a_file(folder):
    command("md", folder / "md.yaml", "-o", folder / "npt")
    assert np.ptp(conserved(folder / "npt")) < 16 * 2e-4
    cells = [atoms.cell.array for atoms in ase.io.read(folder / "npt/trajectory.xyz", ":")]
    assert np.ptp(np.linalg.det(cells)) > 0.01
    command("md", folder / "md.yaml", "-o", folder / "free", "--free-shape", "--steps", 5)


def test_constant_energy_from_options(folder):
    where = (folder / "run/model.ketmap", folder / "start.xyz", "-o", folder / "nve")
    command("md", *where, "--ensemble", "nve", "--timestep", 2, "--steps", 20, "--every", 1, "--temperature", 600)
    total = conserved(folder / "nve")
    assert np.ptp(total) < 16 * 2e-4


def test_misspelt_type(folder):
    (folder / "wrong.yaml").write_text(TRAIN.replace("type: PowerSpectrum", "type: PowerSpectum"))
    result = CliRunner().invoke(app, ["train", str(folder / "wrong.yaml")])
    assert result.exit_code == 1
    assert "wrong.yaml:12: unknown type 'PowerSpectum'; did you mean 'PowerSpectrum'?" in result.stderr
