"""What the field learns and a cutoff cannot: random NaCl; and the command line with several representations."""

import ase.io
import numpy as np
import pytest
from ketmap.commands.train import train
from ketmap_density import Cutoff, Gaussian, Gto, ShiftedCosine, TensorProduct
from ketmap_linear import Model, Ridge, Together, load
from ketmap_lode import LodeSphericalExpansion, SmearedPowerLaw
from ketmap_soap import SoapPowerSpectrum


@pytest.mark.slow
def test_random_salt(data):
    """Point charges at random places: the field learns their energies from few structures, SOAP does not.

    Energies are Ewald sums (Grisafi, Ceriotti, JCP 151, 204105 (2019), figure 3).
    """
    frames = ase.io.read(data("random_nacl/nacl_train.xyz.gz"), ":48")
    energies = np.array([atoms.get_potential_energy() for atoms in frames])
    field = LodeSphericalExpansion(
        density=SmearedPowerLaw(0.7, exponent=1), basis=TensorProduct(0, Gto(max_radial=2, radius=1.5))
    )
    soap = SoapPowerSpectrum(
        cutoff=Cutoff(6.0, ShiftedCosine(1.0)), density=Gaussian(0.5), basis=TensorProduct(2, Gto(max_radial=3))
    )
    errors = {}
    for name, representation in (("V", field), ("SOAP", soap)):
        model = Model(representation, Ridge(alpha=1e-9)).fit(frames[:32], energy=energies[:32])
        found = model.predict(frames[32:], "energy")["energy"].block(0).values[:, 0]
        errors[name] = np.sqrt(np.mean((found - energies[32:]) ** 2)) / energies[32:].std()
    assert errors["V"] < 0.002 < 0.3 < errors["SOAP"], errors


def test_command_line(tmp_path):
    """``ketmap train`` with a list of representations, one of several exponents."""
    rng = np.random.default_rng(0)
    frames = [ase.Atoms("NaClNaCl", positions=4 * rng.random((4, 3)), cell=[6, 6, 6], pbc=True) for _ in range(6)]
    for atoms in frames:
        atoms.info["energy"] = rng.normal()
    ase.io.write(tmp_path / "salt.xyz", frames)
    (tmp_path / "train.yaml").write_text(
        """
data: {file: salt.xyz}
split: {train: "0:4", validation: "4:5", test: "5:6"}
targets: [energy]
representation:
  - type: SoapPowerSpectrum
    cutoff: {radius: 3.0, smoothing: {type: ShiftedCosine, width: 1.0}}
    density: {type: Gaussian, width: 0.5}
    basis: {type: TensorProduct, max_angular: 1, radial: {type: Gto, max_radial: 1}}
  - type: LodeSphericalExpansion
    density: {type: SmearedPowerLaw, smearing: 1.2, exponent: [1, 2]}
    basis: {type: TensorProduct, max_angular: 0, radial: {type: Gto, max_radial: 0, radius: 2.0}}
regressor: {type: Ridge, alpha: 1.0e-6}
"""
    )
    folder = train(tmp_path / "train.yaml", tmp_path / "out")
    model = load(folder / "model.ketmap")
    assert isinstance(model.representation, Together) and len(model.weights) == 2
    assert "exponent" in model.weights[1].keys.names
