"""One structure, one thread and two: each kernel, and whole calls."""

import harness
import peers
import potentials
import structures as data
import torch
from ketmap_ase import Calculator
from ketmap_core import as_batch
from ketmap_density import Expansion
from ketmap_ops.power_spectrum import power_spectrum


def with_threads(n: int, function):
    def run():
        torch.set_num_threads(n)
        return function()

    return run


def main():
    given = harness.options(__doc__)
    report = harness.Report("threads", given)
    tiny = given.tiny
    atoms = data.large_crystal(80 if tiny else 640)
    model = potentials.crystal_model(*((1, 1) if tiny else ()))
    batch = as_batch(atoms)
    engine = Expansion(**peers.ketmap_hypers())
    environments = engine.environments(batch)
    coefficients = engine.coefficients(environments, batch)
    skin = model.environments(batch, 1.0)
    atoms.calc = Calculator(model)

    def step():
        atoms.positions[0, 0] += 1e-6
        return atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress()

    kernels = {
        "kernel: spherical expansion": lambda: engine.coefficients(environments, batch),
        "kernel: power spectrum": lambda: power_spectrum(coefficients),
        "kernel: energy, forces, virial": lambda: model.evaluate(batch, skin),
        "kernel: neighbour search": lambda: engine.environments(batch),
    }
    expansion, spectrum = peers.expansions()[0], peers.power_spectra()[0]
    whole = {
        "whole call: spherical expansion to TensorMap": lambda: expansion.compute(atoms),
        "whole call: power spectrum to TensorMap": lambda: spectrum.compute(atoms),
        "whole call: step through ASE": step,
    }
    for name, function in (kernels | whole).items():
        times = harness.alternate(given.seconds / 4, one=with_threads(1, function), two=with_threads(2, function))
        scale = 1e6 / len(atoms)
        aim = 1.8 if name.startswith("kernel") else None
        report.row(f"{name}, {len(atoms)} atoms", times["two"] * scale, {"1 thread": times["one"] * scale}, aim=aim)
    report.save()


if __name__ == "__main__":
    main()
