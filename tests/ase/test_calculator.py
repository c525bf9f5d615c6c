"""The calculator around a model that is right by inspection: results, units, errors, warnings."""

import warnings

import ase
import ase.build
import numpy as np
import pytest
from ase import units
from ase.calculators.calculator import PropertyNotImplementedError
from ase.calculators.fd import calculate_numerical_forces, calculate_numerical_stress
from ketmap_ase import Calculator, ExtrapolationWarning
from ketmap_core import CoincidentAtomsError, UnknownTypesError


def test_two_atoms_follow_the_formula(morse):
    atoms = ase.Atoms("HH", [[0, 0, 0], [0, 0, 2.0]], calculator=Calculator(morse([1])))
    well = 0.4 * ((1 - np.exp(-1.5 * (2.0 - 2.2))) ** 2 - 1) * (1 - (2.0 / 5.0) ** 2) ** 3
    assert atoms.get_potential_energy() == pytest.approx(well, rel=1e-14)
    assert atoms.get_potential_energy(force_consistent=True) == atoms.get_potential_energy()
    np.testing.assert_allclose(atoms.get_potential_energies(), well / 2, rtol=1e-14)
    np.testing.assert_allclose(atoms.get_forces().sum(axis=0), 0.0, atol=1e-14)


def test_forces_and_stress_are_finite_differences(crystal):
    np.testing.assert_allclose(crystal.get_forces(), calculate_numerical_forces(crystal, eps=1e-4), atol=1e-7)
    stress = calculate_numerical_stress(crystal, eps=1e-5)
    np.testing.assert_allclose(crystal.get_stress(), stress, atol=1e-8)  # Voigt order, eV/Å³, ASE's sign


def test_stress_of_a_left_handed_cell(crystal):
    crystal.set_cell(crystal.cell.array[[1, 0, 2]], scale_atoms=False)
    np.testing.assert_allclose(crystal.get_stress(), calculate_numerical_stress(crystal, eps=1e-5), atol=1e-8)


def test_units_of_the_model_are_converted(morse):
    positions = [[0, 0, 0], [0, 1.9, 0], [0, 0, 2.5]]
    cell = 8 * np.eye(3)
    ours = ase.Atoms("H3", positions, cell=cell, pbc=True, calculator=Calculator(morse([1])))
    atomic = morse(
        [1],
        cutoff=5.0 / units.Bohr,
        depth=0.4 / units.Ha,
        steepness=1.5 * units.Bohr,
        distance=2.2 / units.Bohr,
        units={"energy": "Ha", "length": "bohr"},
    )
    theirs = ase.Atoms("H3", positions, cell=cell, pbc=True, calculator=Calculator(atomic))
    for name in ("energy", "energies", "forces", "stress"):
        one, other = (atoms.calc.get_property(name, atoms) for atoms in (ours, theirs))
        np.testing.assert_allclose(other, one, rtol=1e-10, atol=1e-13)


def test_one_evaluation_serves_all_properties(cluster):
    cluster.get_potential_energy()
    cluster.get_forces()
    cluster.get_potential_energies()
    assert cluster.calc.evaluations == 1
    cluster.positions[0] += 0.1
    cluster.get_forces()
    assert cluster.calc.evaluations == 2


def test_results_do_not_change_afterwards(cluster):
    before = cluster.get_forces()
    kept = before.copy()
    cluster.positions[0] += 0.1
    cluster.get_forces()
    np.testing.assert_array_equal(before, kept)


def test_moving_atoms_back_is_seen(cluster):
    first = cluster.get_potential_energy()
    cluster.positions[3, 0] += 1e-9
    assert cluster.get_potential_energy() != first
    cluster.positions[3, 0] -= 1e-9
    assert cluster.get_potential_energy() == pytest.approx(first, rel=1e-12)


@pytest.mark.parametrize("change", ["numbers", "pbc", "cell", "length"])
def test_every_change_of_the_structure_is_seen(crystal, change, morse):
    crystal.get_potential_energy()
    if change == "numbers":
        crystal.numbers[:2] = crystal.numbers[[1, 0]]
    elif change == "pbc":
        crystal.pbc = [True, True, False]
    elif change == "cell":
        crystal.set_cell(crystal.cell * 1.02)
    else:
        del crystal[5]
    fresh = crystal.copy()
    fresh.calc = Calculator(morse([11, 17]))
    assert crystal.get_potential_energy() == pytest.approx(fresh.get_potential_energy(), rel=1e-12)
    np.testing.assert_allclose(crystal.get_forces(), fresh.get_forces(), atol=1e-12)


def test_stress_without_a_cell_names_the_structure(cluster):
    with pytest.raises(PropertyNotImplementedError, match=r"O3Si6 has pbc \[False, False, False\]"):
        cluster.get_stress()
    assert "stress" not in cluster.calc.results


def test_unseen_types_are_named(morse):
    atoms = ase.Atoms("HOF", np.diag([1.0, 2.0, 3.0]), calculator=Calculator(morse([1, 8])))
    with pytest.raises(UnknownTypesError, match=r"F \(9\), never seen in training; the model knows H \(1\), O \(8\)"):
        atoms.get_potential_energy()


def test_coincident_atoms_are_named(crystal):
    crystal.positions[7] = crystal.positions[4] + crystal.cell[0]
    with pytest.raises(CoincidentAtomsError, match=r"atoms 4 and 7 are at one point"):
        crystal.get_potential_energy()


def test_atoms_that_meet_within_the_skin_are_named(morse):
    atoms = ase.Atoms(
        "HHH", [[0, 0, 0], [0, 0, 0.4], [2, 0, 0]], calculator=Calculator(morse([1]), skin=3.0, grade=None)
    )
    atoms.get_potential_energy()
    atoms.positions[1, 2] = 0.0
    with pytest.raises(CoincidentAtomsError, match=r"atoms 0 and 1 .*evaluation 1"):
        atoms.get_potential_energy()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_positions_that_are_no_numbers_are_named(cluster, bad):
    cluster.get_potential_energy()
    cluster.positions[5, 1] = bad
    with pytest.raises(ValueError, match=r"evaluation 1: .*atom 5 is not finite"):
        cluster.get_forces()


def test_cell_without_volume(morse):
    atoms = ase.Atoms("H", pbc=True, calculator=Calculator(morse([1])))
    with pytest.raises(ValueError, match="volume"):
        atoms.get_potential_energy()


def test_no_atoms(morse):
    with pytest.raises(ValueError, match="without atoms"):
        ase.Atoms(calculator=Calculator(morse([1]))).get_potential_energy()


@pytest.mark.parametrize("skin", [-0.1, np.nan])
def test_skin_must_be_a_length(morse, skin):
    with pytest.raises(ValueError, match="skin"):
        Calculator(morse([1]), skin=skin)


def test_unknown_unit_of_a_model(morse):
    with pytest.raises(ValueError, match="'parsec' is not one"):
        Calculator(morse([1], units={"energy": "eV", "length": "parsec"}))


def test_extrapolation_warns_once_per_run(cluster):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cluster.get_potential_energy()
    cluster.positions[3] = cluster.positions[0] + [0.3, 0.0, 0.0]  # leverage 1/0.3, trained up to 2
    calculator = Calculator(cluster.calc.model)
    cluster.calc = calculator
    with pytest.warns(ExtrapolationWarning, match=r"atom [03] \((Si|O)\) at step 0 .* 1\.67 times") as found:
        for _ in range(105):
            cluster.positions[8, 0] += 1e-3
            cluster.get_potential_energy()
    assert len(found) == 1
    calculator.begin()
    cluster.positions[8, 0] += 1e-3
    with pytest.warns(ExtrapolationWarning, match="at step 0"):
        cluster.get_potential_energy()


def test_extrapolation_is_looked_at_rarely(cluster):
    for _ in range(101):
        cluster.positions[8, 0] += 1e-3
        cluster.get_potential_energy()
    assert cluster.calc.model.graded == 3
    cluster.calc = Calculator(cluster.calc.model, grade=None)
    cluster.get_potential_energy()
    assert cluster.calc.model.graded == 3
