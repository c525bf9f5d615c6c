"""A small model trained once through the command line, and a way to run commands in this process."""

import ase
import ase.io
import numpy as np
import pytest
from ketmap.cli import app
from typer.testing import CliRunner

CONFIG = """\
data: {file: structures.xyz}
split: {validation: 8.0, test: 8.0}
representation:
  type: SoapPowerSpectrum
  cutoff: {radius: 3.0, smoothing: {type: ShiftedCosine, width: 1.0}}
  density: {type: Gaussian, width: 0.4}
  basis: {type: TensorProduct, max_angular: 2, radial: {type: Gto, max_radial: 3}}
regressor: {alpha: 1e-8}
"""


def springs(n, seed=0, pbc=False):
    """Water molecules on springs, with energies, forces and, in a cell, the stress of an isolated molecule."""
    rng = np.random.default_rng(seed)
    frames = []
    for _ in range(n):
        atoms = ase.Atoms("OHH", [[0, 0, 0], [0.76, 0.59, 0], [-0.76, 0.59, 0]], cell=7 * np.eye(3), pbc=pbc)
        atoms.positions += 0.05 * rng.normal(size=(3, 3))
        energy, forces, virial = -470.0, np.zeros((3, 3)), np.zeros((3, 3))
        for i, j, length in ((0, 1, 0.96), (0, 2, 0.96), (1, 2, 1.52)):
            vector = atoms.positions[j] - atoms.positions[i]
            r = np.linalg.norm(vector)
            energy += 15.0 * (r - length) ** 2
            slope = 30.0 * (r - length) * vector / r
            forces[i] += slope
            forces[j] -= slope
            virial += np.outer(vector, slope)
        atoms.info["energy"], atoms.arrays["forces"] = energy, forces
        if pbc:
            atoms.info["stress"] = virial / atoms.get_volume()
        frames.append(atoms)
    return frames


@pytest.fixture(scope="session")
def frames():
    """The maker of structures."""
    return springs


@pytest.fixture(scope="session")
def config():
    """A configuration that trains quickly."""
    return CONFIG


@pytest.fixture(scope="session")
def ketmap():
    """A function that runs ``ketmap`` with these arguments and gives its result (exit_code, stdout, stderr)."""
    runner = CliRunner()
    return lambda *arguments: runner.invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="session")
def trained(tmp_path_factory, ketmap):
    """A folder with structures.xyz, train.yaml and the trained run."""
    folder = tmp_path_factory.mktemp("trained")
    ase.io.write(folder / "structures.xyz", springs(60), format="extxyz")
    (folder / "train.yaml").write_text(CONFIG)
    result = ketmap("train", folder / "train.yaml", "-o", folder / "run")
    assert result.exit_code == 0, result.output
    return folder
