"""All laws on one model: a potential that predicts energies, forces and stress."""

import functools
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from . import cutoffs, independence, periodicity, symmetry
from .check import Report, try_laws
from .derivatives import SHARE, SIXTH_ORDER, STEP, differs
from .rows import Deviation, NotApplicable, rows, settle
from .systems import default_systems, generator

DIRECTIONS = 8  # of finite differences per structure
STEPS = 40  # of molecular dynamics
STRIDE = 2e-4  # Å: acceleration x time step²
DRIFT = 1e-3  # energy error left for time step -> 0, relative to the kinetic energy


@dataclass(frozen=True)
class Predicted:
    """One target of a model, seen as a calculator."""

    model: object
    target: str

    def compute(self, systems):
        return self.model.predict(systems, [self.target])[self.target]


def check_model(model, *, systems=None, cutoff=None, laws: Iterable[str] | None = None, rtol: float = 1e-8) -> Report:
    """Try every law on a model; raise :class:`LawBroken` (an AssertionError) at the first it breaks.

    model: anything with ``predict(systems, names)`` that returns TensorMaps by name, for ``energies`` (of
    atoms), ``energy``, ``forces`` and ``stress``; ``types`` are the atomic numbers that it knows.
    systems, cutoff, laws, rtol, ``law_tolerances`` and ``exempt_laws``: as for :func:`check_calculator`.
    """
    if cutoff is None:
        cutoff = getattr(getattr(model, "representation", None), "cutoff", None)
    if systems is None:
        systems = default_systems([int(t) for t in model.types])
    return try_laws(MODEL_LAWS, model, systems, cutoff=cutoff, laws=laws, rtol=rtol)


def _each(law, *targets, **options):
    """The law of a calculator, for several targets of a model."""

    @functools.wraps(law)
    def of_model(model, systems, *, rtol, **more):
        deviations = []
        for target in targets:
            usable = _with_volume(systems) if target == "stress" else systems
            if usable:
                deviations.append(law(Predicted(model, target), usable, rtol=rtol, **options, **more))
        return max(deviations)

    return of_model


def _with_volume(systems):
    return [atoms for atoms in systems if atoms.pbc.all()]


def _per_system(model, systems, target) -> list[np.ndarray]:
    """The block of a prediction, one part per system -> [row, *components, property]."""
    (block,) = rows(Predicted(model, target).compute(systems)).values()
    return [block.values[block.samples[:, 0] == i] for i in range(len(systems))]


def forces(model, systems, *, rtol=1e-8) -> float:
    """Forces are minus the finite difference of the energy, for single atoms moved in random directions."""
    rng = generator()
    deviations = []
    for atoms, predicted in zip(systems, _per_system(model, systems, "forces"), strict=True):
        chosen = rng.permutation(len(atoms))[:DIRECTIONS]
        directions = rng.normal(size=(len(chosen), 3))

        def moved(i, t, atoms=atoms, chosen=chosen, directions=directions):
            other = atoms.copy()
            other.positions[chosen[i]] += t * directions[i]
            return other

        slopes = -np.einsum("ix,ix->i", predicted[chosen, :, 0], directions)
        scale = np.abs(predicted).max()
        deviations += _against_differences(
            model, moved, slopes, f"forces on {atoms.get_chemical_formula()}", rtol, scale
        )
    return settle("forces", deviations, rtol)


def stress(model, systems, *, rtol=1e-8) -> float:
    """Stress times volume is the finite difference of the energy for random strains."""
    systems = _with_volume(systems)
    if not systems:
        raise NotApplicable("none of the systems is periodic along three directions")
    rng = generator()
    deviations = []
    for atoms, predicted in zip(systems, _per_system(model, systems, "stress"), strict=True):
        directions = SHARE * rng.normal(size=(DIRECTIONS, 3, 3))

        def strained(i, t, atoms=atoms, directions=directions):
            other = atoms.copy()
            other.set_cell(atoms.cell.array @ (np.eye(3) + t * directions[i]), scale_atoms=True)
            return other

        virial = atoms.get_volume() * predicted[0, ..., 0]
        slopes = np.einsum("xy,ixy->i", virial, directions)
        scale = SHARE * np.abs(virial).max()
        deviations += _against_differences(
            model, strained, slopes, f"stress of {atoms.get_chemical_formula()}", rtol, scale
        )
    return settle("stress", deviations, rtol)


def _against_differences(model, moved, slopes, note, rtol, scale):
    """Deviations of slopes from finite differences; moved(i, t): displaced by t along direction i."""
    structures = [moved(i, k * STEP) for k in SIXTH_ORDER for i in range(len(slopes))]
    energies = np.concatenate([e.ravel() for e in _per_system(model, structures, "energy")])
    points = dict(zip(SIXTH_ORDER, energies.reshape(len(SIXTH_ORDER), -1), strict=True))
    return list(differs(slopes, points, note, rtol, scale))


def energy_sum(model, systems, *, rtol=1e-8) -> float:
    """The energy of a system is the sum of the energies of its atoms."""
    deviations = []
    totals, parts = _per_system(model, systems, "energy"), _per_system(model, systems, "energies")
    for atoms, energy, energies in zip(systems, totals, parts, strict=True):
        gap = abs(energy.sum() - energies.sum()) / (np.abs(energies).sum() or 1.0)
        deviations.append(Deviation(float(gap), f"energy of {atoms.get_chemical_formula()}"))
    return settle("energy_sum", deviations, rtol)


def net_force(model, systems, *, rtol=1e-8) -> float:
    """The forces on a system add up to zero; on a molecule, so do the torques."""
    deviations = []
    for atoms, predicted in zip(systems, _per_system(model, systems, "forces"), strict=True):
        acting = predicted[..., 0]  # -> [atom, xyz]
        scale = np.abs(acting).sum() or 1.0
        note = f" on {atoms.get_chemical_formula()}"
        deviations.append(Deviation(float(np.abs(acting.sum(axis=0)).max() / scale), "net force" + note))
        if not atoms.pbc.any():
            arms = atoms.positions - atoms.positions.mean(axis=0)
            torque = np.cross(arms, acting).sum(axis=0)
            deviations.append(Deviation(float(np.abs(torque).max() / scale), "torque" + note))
    return settle("net_force", deviations, rtol)


def conservation(model, systems, *, rtol=1e-8) -> float:
    """Molecular dynamics conserves energy: what is left of the error for time step -> 0 is small.

    Velocity Verlet errs by O(dt²), so runs with dt and dt/2 tell the limit; it is judged against the kinetic
    energy (1e-3), not against ``rtol``. Starts at rest from the first system.
    """
    atoms = systems[0]
    (force,) = _per_system(model, [atoms], "forces")
    fastest = np.abs(force[..., 0] / atoms.get_masses()[:, None]).max()
    if fastest == 0.0:
        raise NotApplicable("no forces act on the first system")
    step = np.sqrt(STRIDE / fastest)
    coarse, _ = _verlet(model, atoms, step, STEPS)
    fine, kinetic = _verlet(model, atoms, step / 2, 2 * STEPS)
    error = abs(4 * fine - coarse) / 3 / kinetic
    return settle("conservation", [Deviation(float(error), "total energy in molecular dynamics")], DRIFT)


def _verlet(model, atoms, step, n_steps) -> tuple[float, float]:
    """Change of the total energy over a run from rest, and the kinetic energy at its end."""
    atoms, masses = atoms.copy(), atoms.get_masses()[:, None]

    def evaluate():
        predicted = model.predict([atoms], ["energy", "forces"])
        (energy,), (force,) = (rows(predicted[name]).values() for name in ("energy", "forces"))
        return energy.values.item(), force.values[..., 0]

    start, force = evaluate()
    energy, velocities = start, np.zeros_like(force)
    for _ in range(n_steps):
        velocities += 0.5 * step * force / masses
        atoms.positions += step * velocities
        energy, force = evaluate()
        velocities += 0.5 * step * force / masses
    kinetic = 0.5 * (masses * velocities**2).sum()
    return energy + kinetic - start, kinetic


ALL = ("energies", "forces", "stress")
MODEL_LAWS = {
    "rotation": _each(symmetry.rotation, *ALL),
    "inversion": _each(symmetry.inversion, *ALL),
    "translation": _each(symmetry.translation, *ALL),
    "permutation": _each(symmetry.permutation, *ALL),
    "wrapped": _each(periodicity.wrapped, "energies", "forces"),
    "supercell": _each(periodicity.supercell, "energies", "forces"),
    "cell_choice": _each(periodicity.cell_choice, "energies", "forces"),
    "left_handed": _each(periodicity.left_handed, "energies", "forces"),
    "zero_beyond": _each(cutoffs.zero_beyond, "energies", "forces"),
    "smooth_at_cutoff": _each(cutoffs.smooth_at_cutoff, "energies"),
    "extensive": _each(independence.extensive, "energies"),
    "batch": _each(independence.batch, *ALL),
    "threads": _each(independence.threads, *ALL, gradients=()),
    "energy_sum": energy_sum,
    "forces": forces,
    "stress": stress,
    "net_force": net_force,
    "conservation": conservation,
}
