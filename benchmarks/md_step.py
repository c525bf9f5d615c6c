"""One step of molecular dynamics through ASE: energy, forces and stress of a linear model.

The neighbour list has a skin of 1 Å; rebuilds are included. The peer evaluates the same model by explicit
gradients of featomic, contracted with the same weights. Both see the same thermal trajectory; energies,
forces and stress are checked to be equal.
"""

import harness
import numpy as np
import peers
import potentials
import structures as data
from ase.stress import voigt_6_to_full_3x3_stress
from ketmap_ase import Calculator
from ketmap_core import as_batch

CORRELATION = 0.95  # from step to step
AMPLITUDE = 0.1  # Å in each direction, as in a crystal at room temperature


def trajectory(atoms, n_steps: int) -> list[np.ndarray]:
    """Positions of a correlated random motion about the given ones."""
    rng = np.random.default_rng(1)
    shift, frames = AMPLITUDE * rng.normal(size=(len(atoms), 3)), []
    for _ in range(n_steps):
        shift = CORRELATION * shift + AMPLITUDE * np.sqrt(1 - CORRELATION**2) * rng.normal(size=shift.shape)
        frames.append(atoms.positions + shift)
    return frames


class Steps:
    """Runs through the frames of a trajectory, n at a time."""

    def __init__(self, atoms, frames, evaluate):
        self.atoms, self.frames, self.evaluate, self.next = atoms.copy(), frames, evaluate, 0

    def run(self, n: int):
        for _ in range(n):
            self.atoms.positions = self.frames[self.next % len(self.frames)]
            self.next += 1
            self.evaluate(self.atoms)


def through_ase(calculator):
    def evaluate(atoms):
        atoms.calc = calculator
        return atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress()

    return evaluate


def equal(model, calculator, peer, atoms) -> dict[str, float]:
    """Relative differences of what the two roads give for one structure."""
    energy, forces, stress = through_ase(calculator)(atoms)
    energy -= sum(model.composition[int(number)] for number in atoms.numbers)
    found = {"energy": energy, "forces": forces, "stress": voigt_6_to_full_3x3_stress(stress)}
    wanted = dict(zip(found, peer.evaluate(atoms), strict=True))
    return {k: float(np.abs(found[k] - wanted[k]).max() / np.abs(wanted[k]).max()) for k in found}


def split(model, atoms, seconds: float) -> dict[str, float]:
    """µs per atom of neighbours (when rebuilt) and kernels."""
    batch = as_batch(atoms)
    environments = model.environments(batch, 1.0)
    times = harness.alternate(
        seconds,
        rebuild=lambda: model.environments(batch, 1.0),
        kernels=lambda: model.evaluate(batch, environments),
    )
    return {name: time / len(atoms) * 1e6 for name, time in times.items()}


def measure(report, name, model, atoms, aim, size, seconds):
    peer, calculator, n = potentials.ByGradients(model, size), Calculator(model), 20
    frames = trajectory(atoms, 200)
    ours = Steps(atoms, frames, through_ase(calculator))
    theirs = Steps(atoms, frames, peer.evaluate)
    times = harness.alternate(seconds, ketmap=lambda: ours.run(n), featomic=lambda: theirs.run(1))
    report.row(
        f"{name}, {len(atoms)} atoms",
        times["ketmap"] / n / len(atoms) * 1e6,
        {"featomic": times["featomic"] / len(atoms) * 1e6},
        aim=aim,
        milliseconds_per_step=times["ketmap"] / n * 1e3,
        steps_per_rebuild=calculator.evaluations / calculator.builds,
        split=split(model, atoms, seconds / 4),
        difference=equal(model, Calculator(model), peer, atoms),
    )


def main():
    given = harness.options(__doc__)
    report = harness.Report("md_step", given)
    tiny = given.tiny
    size = (1, 1) if tiny else (peers.MAX_RADIAL, peers.MAX_ANGULAR)
    crystal = data.large_crystal(80 if tiny else 640)
    measure(report, "molecular crystal", potentials.crystal_model(*size), crystal, 150, size, given.seconds)
    trained, _ = potentials.silicon_sets()
    model = potentials.silicon_model(peers.ketmap_hypers(*size), trained[:: 40 if tiny else 10], alpha=1e-6)
    measure(report, "silicon", model, data.silicon(8 if tiny else 1000), 40, size, given.seconds)
    report.save()


if __name__ == "__main__":
    main()
