"""The linear models that run the dynamics, and featomic's way to the same energies, forces and stress."""

import ase.io
import numpy as np
import peers
import structures as data
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ketmap import Model, Ridge, SoapPowerSpectrum


def crystal_model(max_radial=peers.MAX_RADIAL, max_angular=peers.MAX_ANGULAR):
    """H, C, N, O with arbitrary energies: what a step costs does not depend on the weights."""
    rng = np.random.default_rng(0)
    systems = data.crystals(400)
    for atoms in systems:
        atoms.calc = SinglePointCalculator(atoms, energy=float(rng.normal()))
    representation = SoapPowerSpectrum(**peers.ketmap_hypers(max_radial, max_angular))
    return Model(representation, Ridge(alpha=1e-3)).fit(systems, energy="energy")


def silicon_sets() -> tuple[list[Atoms], list[Atoms]]:
    """Silicon of Zuo et al., J. Phys. Chem. A 124, 731 (2020), in eV and Å: (to train on, left out)."""
    structures = ase.io.read(data.data("zuo2020/Si_train.xyz.gz"), ":")
    for atoms in structures:
        forces = atoms.arrays["force"]
        energy = atoms.info["energy"] if atoms.calc is None else atoms.get_potential_energy()
        atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces)
    return [atoms for i, atoms in enumerate(structures) if i % 5 != 2], structures[2::5]


def silicon_model(hypers: dict, structures: list[Atoms], alpha: float):
    """Energies weigh more than forces: there are a hundred times as many of those."""
    regressor = Ridge(alpha=alpha)
    return Model(SoapPowerSpectrum(**hypers), regressor).fit(
        structures, energy="energy", forces="forces", weights={"energy": 30.0}
    )


class ByGradients:
    """Energy, forces and stress by featomic: explicit gradients contracted with the weights."""

    def __init__(self, model, size: tuple[int, int]):
        self.calculator = peers.power_spectra(*size)[1]
        self.weights = {tuple(int(v) for v in key.values): block for key, block in model.weights.items()}

    def evaluate(self, atoms: Atoms) -> tuple[float, np.ndarray, np.ndarray]:
        """Energy (without the constant of the composition), forces [atom, xyz], stress [3, 3]."""
        tensor = self.calculator.compute(atoms, gradients=["positions", "strain"])
        energy, slopes, virial = 0.0, np.zeros((len(atoms), 3)), np.zeros((3, 3))
        for key, block in tensor.items():
            weights = self.weights[tuple(int(v) for v in key.values)].values[0]  # -> [property]
            energy += (block.values @ weights).sum()
            gradient = block.gradient("positions")
            np.add.at(slopes, np.asarray(gradient.samples["atom"]), gradient.values @ weights)
            virial += (block.gradient("strain").values @ weights).sum(axis=0)
        return energy, -slopes, virial / atoms.get_volume()
