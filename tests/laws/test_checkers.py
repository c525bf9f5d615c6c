"""Every checker catches a calculator that is broken on purpose, and leaves the other laws alone."""

import warnings

import ketmap_testing as kt
import metatensor
import metatensor.torch
import numpy as np
import pytest
import torch
from ase import Atoms
from ketmap_density import Cutoff, Gaussian, Gto, ShiftedCosine, SphericalExpansion, TensorProduct

CUTOFF = Cutoff(3.5, smoothing=ShiftedCosine(0.5))
SOUND = SphericalExpansion(
    cutoff=CUTOFF, density=Gaussian(0.4), basis=TensorProduct(max_angular=2, radial=Gto(max_radial=1))
)
SYSTEMS = [kt.systems.molecule(), kt.systems.crystal()]


class Broken:
    """A sound calculator whose input or output is tampered with."""

    cutoff = CUTOFF

    def __init__(self, before=lambda systems: systems, after=lambda tensor, systems: tensor):
        self.before, self.after = before, after

    def compute(self, systems, gradients=None):
        return self.after(SOUND.compute(self.before(systems), gradients=gradients), systems)


def each(change):
    """Change every ASE structure; metatomic systems pass."""

    def before(systems):
        return [change(atoms.copy()) if isinstance(atoms, Atoms) else atoms for atoms in systems]

    return Broken(before=before)


def values(change, gradient=None):
    """Change the values of every block, or of a gradient, by change(key, values, systems)."""

    def after(tensor, systems):
        api = metatensor if isinstance(tensor, metatensor.TensorMap) else metatensor.torch
        blocks = []
        for key, block in tensor.items():
            new = block.values if gradient else change(key, block.values, systems)
            copy = api.TensorBlock(new, block.samples, block.components, block.properties)
            for name, source in block.gradients():
                data = change(key, source.values, systems) if name == gradient else source.values
                copy.add_gradient(name, api.TensorBlock(data, source.samples, source.components, block.properties))
            blocks.append(copy)
        return api.TensorMap(tensor.keys, blocks)

    return Broken(after=after)


def stretched(atoms):
    atoms.positions *= [1.0001, 1.0, 1.0]
    atoms.set_cell(atoms.cell.array * [1.0001, 1.0, 1.0])
    return atoms


def mirrored(key, block, systems):
    """A chiral part: pseudo-scalars that are told to be scalars."""
    chirality = [np.linalg.det(atoms.positions[1:4] - atoms.positions[0]) for atoms in systems]
    return block * (1 + 1e-4 * sum(chirality))


def displaced(atoms):
    """A harmonic trap about the origin."""
    atoms.positions *= 1 + 1e-5 * np.linalg.norm(atoms.positions.mean(axis=0))
    return atoms


def first_is_special(atoms):
    atoms.positions[0] += 1e-3 * (atoms.positions[1] - atoms.positions[0])
    return atoms


def unwrapped(atoms):
    """Forgets that atoms outside the cell are inside."""
    if atoms.pbc.any():
        atoms.positions *= 1 + 1e-6 * np.abs(np.floor(atoms.get_scaled_positions(wrap=False))).max()
    return atoms


def by_volume(key, block, systems):
    return block * (1 + 1e-9 * sum(atoms.get_volume() for atoms in systems if atoms.pbc.any()))


def by_skewness(key, block, systems):
    """Depends on how long the chosen cell vectors are."""
    return block * (1 + 1e-6 * sum(np.linalg.norm(atoms.cell.array) for atoms in systems))


def by_hand(key, block, systems):
    return block * (1 + 1e-6 * sum(np.sign(np.linalg.det(atoms.cell.array)) for atoms in systems))


def nothing_torch(change):
    """Tamper with torch tensors only."""
    return lambda key, block, systems: change(block) if isinstance(block, torch.Tensor) else block


def off_by_a_little(key, block, systems):
    return block * (1 + 1e-6)


def wrong_curvature(block):
    """Right values and first derivatives, wrong second ones."""
    return block + 1e-6 * (block - block.detach()) ** 2


def single_half(block):
    return block * (1.01 if block.dtype == torch.float32 else 1.0)


def longer_reach(systems):
    """Neighbours are seen from further away than the calculator says."""
    return [scaled(atoms, 0.99) for atoms in systems]


def scaled(atoms, factor):
    atoms = atoms.copy()
    atoms.set_cell(factor * atoms.cell.array)
    atoms.positions *= factor
    return atoms


def kinked(key, block, systems):
    """Values that end with a kink, not a parabola, where the pair leaves."""
    return np.sign(block) * np.sqrt(np.abs(block))


def intensive(key, block, systems):
    return block / (1 + 1e-6 * max(len(atoms) for atoms in systems))


def by_batch(key, block, systems):
    return block * (1 + 1e-6 * len(systems))


def by_threads(key, block, systems):
    return block * (1 + 1e-6 * torch.get_num_threads())


def undefined_alone(key, block, systems):
    return block * (np.nan if any(len(atoms) == 1 for atoms in systems) else 1.0)


def undefined_where_atoms_meet(key, block, systems):
    meet = any(np.isclose(atoms.get_all_distances() + np.eye(len(atoms)), 0).any() for atoms in systems)
    return block * (np.nan if meet else 1.0)


def never_empty(systems):
    return [atoms if len(atoms) else Atoms("H") for atoms in systems] or [Atoms("H")]


def badly_named(tensor, systems):
    return metatensor.rename_dimension(tensor, "keys", "center_type", "species_center")


CULPRITS = {
    "rotation": each(stretched),
    "inversion": values(mirrored),
    "translation": each(displaced),
    "permutation": each(first_is_special),
    "wrapped": each(unwrapped),
    "supercell": values(by_volume),
    "cell_choice": values(by_skewness),
    "left_handed": values(by_hand),
    "positions_gradient": values(off_by_a_little, gradient="positions"),
    "strain_gradient": values(off_by_a_little, gradient="strain"),
    "cell_gradient": values(off_by_a_little, gradient="cell"),
    "autograd": values(nothing_torch(lambda block: block + 1e-6 * (block - block.detach()))),
    "second_order": values(nothing_torch(wrong_curvature)),
    "float32": values(nothing_torch(single_half)),
    "zero_beyond": Broken(before=longer_reach),
    "smooth_at_cutoff": values(kinked),
    "extensive": values(intensive),
    "batch": values(by_batch),
    "threads": values(by_threads),
    "isolated": values(undefined_alone),
    "empty": Broken(before=never_empty),
    "coincident": values(undefined_where_atoms_meet),
    "contract": Broken(after=badly_named),
}
# Laws that each culprit has to keep: a checker that cries at anything proves nothing.
INNOCENT = {
    "rotation": ["inversion", "translation", "permutation", "wrapped", "supercell"],
    "inversion": ["rotation", "translation"],
    "translation": ["inversion", "permutation", "batch"],
    "permutation": ["rotation", "inversion", "translation"],
    "wrapped": ["rotation", "permutation", "isolated"],
    "supercell": ["rotation", "wrapped", "left_handed"],
    "cell_choice": ["rotation", "left_handed", "translation", "wrapped"],
    "left_handed": ["rotation", "supercell", "wrapped"],
    "positions_gradient": ["strain_gradient", "cell_gradient", "rotation", "threads"],
    "strain_gradient": ["positions_gradient", "cell_gradient"],
    "cell_gradient": ["positions_gradient", "strain_gradient"],
    "autograd": ["second_order", "float32", "positions_gradient"],
    "second_order": ["autograd", "float32"],
    "float32": ["autograd", "second_order"],
    "zero_beyond": ["rotation", "permutation"],
    "smooth_at_cutoff": ["zero_beyond", "permutation"],
    "extensive": ["rotation", "permutation"],
    "batch": ["rotation", "wrapped"],
    "threads": ["rotation", "batch"],
    "isolated": ["rotation", "batch"],
    "empty": ["rotation", "batch", "isolated"],
    "coincident": ["isolated", "batch"],
    "contract": ["rotation", "batch"],
}


@pytest.mark.parametrize("law", kt.LAWS)
def test_caught(law):
    with pytest.raises(kt.LawBroken) as caught:
        kt.check_calculator(CULPRITS[law], systems=SYSTEMS, laws=[law])
    assert caught.value.law == law
    assert caught.value.where


@pytest.mark.parametrize("law", kt.LAWS)
def test_others_hold(law):
    report = kt.check_calculator(CULPRITS[law], systems=SYSTEMS, laws=INNOCENT[law])
    assert set(report.deviations) == set(INNOCENT[law])


def test_message_names_law_block_and_deviation():
    pattern = r"rotation: block \(o3_lambda=\d, .*neighbor_type=\d\): relative deviation \d.\d+e-0\d, allowed 1e-09"
    with pytest.raises(AssertionError, match=pattern):
        kt.check_calculator(CULPRITS["rotation"], laws=["rotation"])


def test_exemptions_and_tolerances():
    culprit = each(stretched)
    culprit.law_tolerances = {"rotation": 1e-2}
    culprit.exempt_laws = {"extensive": "sums are not taken"}
    report = kt.check_calculator(culprit, laws=["rotation", "extensive"])
    assert 1e-6 < report.deviations["rotation"] < 1e-2
    assert report.skipped == {"extensive": "sums are not taken"}
    assert "extensive            not tried: sums are not taken" in str(report)


def test_cutoff_unknown():
    culprit = each(lambda atoms: atoms)
    culprit.cutoff = None
    assert "cutoff is not known" in kt.check_calculator(culprit, laws=["zero_beyond"]).skipped["zero_beyond"]
    assert "zero_beyond" in kt.check_calculator(culprit, laws=["zero_beyond"], cutoff=3.5).deviations


def test_misspelt_law():
    with pytest.raises(ValueError, match="unknown law 'rotations'; did you mean 'rotation'"):
        kt.check_calculator(SOUND, laws=["rotations"])


def test_rough_values_are_not_mistaken_for_smooth_ones():
    rough = values(lambda key, block, systems: np.round(block, 6))
    with pytest.raises(kt.LawBroken, match="too rough"):
        kt.check_calculator(rough, systems=SYSTEMS, laws=["positions_gradient"])


def test_featomic_keeps_the_laws():
    """The checkers need only ``compute``: the peer's calculator passes, but for what it does not do."""
    featomic = pytest.importorskip("featomic")
    theirs = featomic.SoapPowerSpectrum(
        cutoff=featomic.cutoff.Cutoff(3.5, smoothing=featomic.cutoff.ShiftedCosine(width=0.5)),
        density=featomic.density.Gaussian(width=0.4),
        basis=featomic.basis.TensorProduct(
            max_angular=3, radial=featomic.basis.Gto(max_radial=2), spline_accuracy=None
        ),
    )
    missing = {
        "autograd": "takes no torch systems",
        "second_order": "takes no torch systems",
        "float32": "takes no torch systems",
        "empty": "an empty list is an error",
        "coincident": "values are not finite",
        "cell_gradient": "components xyz and abc change places",
        "contract": "strain components change places",
    }
    theirs.exempt_laws = missing
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        report = kt.check_calculator(theirs, systems=kt.default_systems()[:3], cutoff=3.5)
    assert set(report.skipped) == set(missing)
    assert max(value for law, value in report.deviations.items() if law != "smooth_at_cutoff") < 1e-9
