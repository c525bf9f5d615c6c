"""What a step costs when there is little to do: nine atoms through ASE."""

import ase.units
import harness
import numpy as np
import peers
from ase.build import molecule
from ase.calculators.lj import LennardJones
from ase.md.verlet import VelocityVerlet
from ketmap import Model, Ridge, SoapPowerSpectrum
from ketmap_ase import Calculator
from ketmap_core import as_batch

STEPS = 200


def ethanol_model():
    """A model of nine atoms; trained on displaced copies with pair energies, since only its cost matters."""
    rng = np.random.default_rng(0)
    structures = []
    for _ in range(20):
        atoms = molecule("CH3CH2OH")
        atoms.positions += 0.03 * rng.normal(size=(9, 3))
        atoms.calc = LennardJones(sigma=1.0, epsilon=0.05, rc=4.0)
        atoms.get_forces()
        structures.append(atoms)
    return Model(SoapPowerSpectrum(**peers.ketmap_hypers()), Ridge(alpha=1e-6)).fit(
        structures, energy="energy", forces="forces"
    )


def main():
    given = harness.options(__doc__)
    report = harness.Report("small", given)
    model = ethanol_model()
    atoms = molecule("CH3CH2OH")
    atoms.calc = Calculator(model)
    steps = 2 if given.tiny else STEPS
    dynamics = VelocityVerlet(atoms, timestep=0.25 * ase.units.fs)
    batch = as_batch(atoms)
    environments = model.environments(batch, 1.0)
    times = harness.alternate(
        given.seconds / 2,
        ketmap=lambda: dynamics.run(steps),
        evaluate=lambda: [model.evaluate(batch, environments) for _ in range(steps)],
    )
    report.row(
        "ethanol, 9 atoms, a step of ASE's velocity Verlet",
        times["ketmap"] / steps * 1e3,
        {},
        unit="ms/step",
        aim="< 1 ms",
        split={"model (ms)": times["evaluate"] / steps * 1e3},
    )
    report.save()


if __name__ == "__main__":
    main()
