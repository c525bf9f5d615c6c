"""Every checker of models catches a potential that is broken on purpose."""

from types import SimpleNamespace

import ketmap_testing as kt
import numpy as np
import pytest
import torch
from ase.neighborlist import neighbor_list
from metatensor import Labels, TensorBlock, TensorMap

CUTOFF = 3.5


class Pairs:
    """E = ½ Σ z_i z_j exp(−r) (1 − r²/c²)³, with forces and stress; may be tampered with."""

    types = (1, 6, 8)
    representation = SimpleNamespace(cutoff=CUTOFF)

    def __init__(self, before=lambda atoms: atoms, after=lambda name, values, systems: values, power=3):
        self.before, self.after, self.power = before, after, power

    def predict(self, systems, names):
        found = [self._evaluate(self.before(atoms.copy())) for atoms in systems]
        return {name: self._tensor(name, [one[name] for one in found], systems) for name in names}

    def _evaluate(self, atoms):
        first, second, vectors = neighbor_list("ijD", atoms, CUTOFF)
        r = np.linalg.norm(vectors, axis=1)
        strength = 0.05 * atoms.numbers[first] * atoms.numbers[second]
        inside = 1 - (r / CUTOFF) ** 2
        pair = strength * np.exp(-r) * inside**self.power
        slope = -pair - strength * np.exp(-r) * self.power * inside ** (self.power - 1) * 2 * r / CUTOFF**2
        push = (slope / r)[:, None] * vectors  # dE/d(vector), each pair twice with a half
        forces = np.zeros((len(atoms), 3))
        np.add.at(forces, first, push)
        energies = 0.5 * np.bincount(first, pair, minlength=len(atoms))
        stress = 0.5 * push.T @ vectors / (atoms.get_volume() if atoms.pbc.all() else 1.0)
        return {
            "energy": energies.sum()[None],
            "energies": energies,
            "forces": forces,
            "stress": stress[None],
        }

    def _tensor(self, name, values, systems):
        values = [np.asarray(self.after(name, v, systems)) for v in values]
        if name in ("energies", "forces"):
            samples = [(i, a) for i, v in enumerate(values) for a in range(len(v))]
            samples = Labels(["system", "atom"], np.array(samples))
        else:
            samples = Labels(["system"], np.arange(len(values))[:, None])
        axes = {"forces": ["xyz"], "stress": ["xyz_1", "xyz_2"]}.get(name, [])
        components = [Labels([axis], np.arange(3)[:, None]) for axis in axes]
        block = TensorBlock(np.concatenate(values)[..., None], samples, components, Labels.range(name, 1))
        return TensorMap(Labels.single(), [block])


def stretched(atoms):
    atoms.set_cell(atoms.cell.array * [1.0001, 1.0, 1.0], scale_atoms=True)
    atoms.positions *= [1.0, 1.0, 1.0] if atoms.pbc.any() else [1.0001, 1.0, 1.0]
    return atoms


def trapped(atoms):
    atoms.positions *= 1 + 1e-5 * np.linalg.norm(atoms.positions.mean(axis=0))
    return atoms


def first_is_special(atoms):
    atoms.positions[0] += 1e-3 * (atoms.positions[1] - atoms.positions[0])
    return atoms


def unwrapped(atoms):
    if atoms.pbc.any():
        atoms.positions *= 1 + 1e-6 * np.abs(np.floor(atoms.get_scaled_positions(wrap=False))).max()
    return atoms


def depends_on(feature, only=None):
    """Everything (or one target) grows with some feature of the structures."""

    def after(name, values, systems):
        return values * (1 + 1e-5 * sum(map(feature, systems))) if only in (None, name) else values

    return Pairs(after=after)


def chirality(atoms):
    return np.linalg.det(atoms.positions[1:4] - atoms.positions[0]) if len(atoms) > 3 else 0.0


def off_by_a_little(target):
    return Pairs(after=lambda name, values, systems: values * (1 + 1e-5 * (name == target)))


def wind(name, values, systems):
    return values + 1e-4 if name == "forces" else values


def friction(name, values, systems):
    """Forces that no energy has: they turn what they should push."""
    if name != "forces":
        return values
    return values + 0.2 * np.cross(values, [0.0, 0.0, 1.0])


CULPRITS = {
    "rotation": Pairs(before=stretched),
    "inversion": depends_on(chirality),
    "translation": Pairs(before=trapped),
    "permutation": Pairs(before=first_is_special),
    "wrapped": Pairs(before=unwrapped),
    "supercell": depends_on(lambda atoms: atoms.get_volume() if atoms.pbc.any() else 0.0),
    "cell_choice": depends_on(lambda atoms: np.linalg.norm(atoms.cell.array)),
    "left_handed": depends_on(lambda atoms: np.sign(np.linalg.det(atoms.cell.array))),
    "zero_beyond": Pairs(before=lambda atoms: scaled(atoms, 0.99)),
    "smooth_at_cutoff": Pairs(power=1),
    "extensive": depends_on(len),
    "batch": depends_on(lambda atoms: 1.0),
    "threads": depends_on(lambda atoms: torch.get_num_threads()),
    "energy_sum": off_by_a_little("energies"),
    "forces": off_by_a_little("forces"),
    "stress": off_by_a_little("stress"),
    "net_force": Pairs(after=wind),
    "conservation": Pairs(after=friction),
}


def scaled(atoms, factor):
    atoms.set_cell(factor * atoms.cell.array)
    atoms.positions *= factor
    return atoms


@pytest.mark.parametrize("law", kt.MODEL_LAWS)
def test_sound(law):
    report = kt.check_model(Pairs(), laws=[law])
    assert law in report.deviations, report


@pytest.mark.parametrize("law", kt.MODEL_LAWS)
def test_caught(law):
    with pytest.raises(kt.LawBroken) as caught:
        kt.check_model(CULPRITS[law], laws=[law])
    assert caught.value.law == law


@pytest.mark.parametrize("law", ["inversion", "supercell", "left_handed", "energy_sum", "stress", "net_force"])
def test_others_hold(law):
    """A culprit is let go by the laws that it keeps."""
    innocent = {"inversion": "rotation", "supercell": "permutation", "left_handed": "wrapped"}.get(law, "rotation")
    culprit = depends_on(chirality) if law == "inversion" else CULPRITS[law]
    if law == "net_force":
        innocent = "translation"
    assert innocent in kt.check_model(culprit, laws=[innocent]).deviations


def test_torque():
    def turning(name, values, systems):
        twist = np.zeros_like(values)
        if name == "forces":
            twist[0], twist[1] = [1e-3, 0, 0], [-1e-3, 0, 0]
        return values + twist

    with pytest.raises(kt.LawBroken, match="net_force: torque on C2H6O"):
        kt.check_model(Pairs(after=turning), laws=["net_force"])


def test_not_applicable():
    molecule = kt.systems.molecule()
    report = kt.check_model(Pairs(), systems=[molecule], laws=["stress", "wrapped"])
    assert "periodic along three" in report.skipped["stress"]
    assert "periodic" in report.skipped["wrapped"]
