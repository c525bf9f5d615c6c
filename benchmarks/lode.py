"""The long-range field of silicon: values against featomic, growth with size, and energy with forces."""

import itertools

import featomic
import featomic.density
import harness
import numpy as np
import structures as data
import torch
from ketmap_core import as_batch
from ketmap_density import Gto, TensorProduct
from ketmap_linear import Invariants
from ketmap_lode import LodeSphericalExpansion, SmearedPowerLaw

ACCURACY = 0.01  # what is allowed; rows tell measured errors, which are smaller


def calculators(max_angular: int, max_radial: int):
    """ketmap's and featomic's with the default cutoff in k, and ketmap's to a stated accuracy."""
    radial = Gto(max_radial=max_radial, radius=4.0)
    field = LodeSphericalExpansion(density=SmearedPowerLaw(1.0, 1), basis=TensorProduct(max_angular, radial))
    theirs = field.to_dict() | {"density": featomic.density.SmearedPowerLaw(smearing=1.0, exponent=1)}
    shared = LodeSphericalExpansion(density=field.density, basis=field.basis, accuracy=ACCURACY)
    return field, shared, featomic.LodeSphericalExpansion(**theirs)


def errors(atoms, **calculators) -> dict[str, float]:
    """Root mean square errors, relative to the root mean square, of the worst l: against waves up to 7.5/Å."""
    reference = next(iter(calculators.values()))
    exact = LodeSphericalExpansion(density=reference.density, basis=reference.basis, k_cutoff=7.5).compute(atoms)
    found = {}
    for name, calculator in calculators.items():
        blocks = zip(calculator.compute(atoms).blocks(), exact.blocks())
        squares = [((a.values - b.values) ** 2).mean() / (b.values**2).mean() for a, b in blocks]
        found[name] = float(np.sqrt(max(squares)))
    return found


def growth(report: harness.Report, given) -> None:
    """Values, energy with forces and memory of larger and larger crystals, where featomic's N² is out of reach."""
    _, shared, _ = calculators(*((1, 1) if given.tiny else (4, 5)))
    model = Invariants(shared)
    potential = model.potential(torch.ones(model.n_features((14,)), dtype=torch.float64), (14,))
    for n_atoms in (64, 216) if given.tiny else (1458, 10_000, 100_000):
        atoms = data.silicon(n_atoms)
        road = shared.expansion.roads.choose(len(atoms), 1)
        harness.forget_peak()
        values = harness.alternate(0.0, values=lambda atoms=atoms: shared.compute(atoms))["values"]
        memory = harness.memory()["peak"]
        forces = {}
        if n_atoms <= 20_000:
            batch = as_batch(atoms)
            around = potential.environments(batch)
            seconds = harness.alternate(0.0, forces=lambda: potential(batch, around))["forces"]  # noqa: B023
            forces = {"energy_and_forces": 1e6 * seconds / len(atoms)}
        report.row(
            f"silicon, {len(atoms)} atoms, growth",
            1e6 * values / len(atoms),
            {},
            waves="one by one" if road.mesh is None else f"mesh, splines of order {road.mesh.order}",
            peak_MB=memory,
            **forces,
        )


def main():
    given = harness.options(__doc__)
    report = harness.Report("lode", given)
    field, shared, theirs = calculators(*((1, 1) if given.tiny else (4, 5)))
    model = Invariants(shared)
    potential = model.potential(torch.ones(model.n_features((14,)), dtype=torch.float64), (14,))
    for n_atoms, aim in ((8, "5 x"),) if given.tiny else ((54, "5 x"), (432, None), (1458, "20 x")):
        atoms = data.silicon(n_atoms)
        ours, peer = field.compute(atoms), theirs.compute(atoms)
        pairs = [(a.values, b.values) for a, b in zip(ours.blocks(), peer.blocks())]
        scale = max(np.abs(b).max() for _, b in pairs)
        difference = max(float(np.abs(a - b).max() / scale) for a, b in pairs)
        batch = as_batch(atoms)
        around = potential.environments(batch)
        strained = atoms.copy()
        strained.set_cell(1.0001 * atoms.cell.array, scale_atoms=True)
        cells = itertools.cycle([atoms, strained])  # waves of the last cell are kept: here each is another one
        seconds = harness.alternate(
            given.seconds,
            ketmap=lambda: field.compute(next(cells)),  # noqa: B023
            featomic=lambda atoms=atoms: theirs.compute(atoms),
            same_cell=lambda atoms=atoms: field.compute(atoms),
            shared=lambda: shared.compute(next(cells)),  # noqa: B023
            scalars=lambda: model.compute(as_batch(next(cells)), (14,)),  # noqa: B023
            forces=lambda batch=batch, around=around: potential(batch, around),
        )
        per_atom = {name: 1e6 * value / len(atoms) for name, value in seconds.items()}
        report.row(
            f"silicon, {len(atoms)} atoms",
            per_atom["ketmap"],
            {"featomic": per_atom["featomic"]},
            aim=aim,
            difference=difference,
            in_the_cell_before=per_atom["same_cell"],
            to_accuracy=per_atom["shared"],
            errors=errors(atoms, cutoff=field, accuracy=shared),
            energy_and_forces=per_atom["forces"],
            energy_and_forces_over_values=per_atom["forces"] / per_atom["shared"],
            energy_and_forces_over_values_of_scalars=per_atom["forces"] / per_atom["scalars"],
        )
    growth(report, given)
    report.save()


if __name__ == "__main__":
    main()
