"""The calculator around a real model: a SOAP potential trained on a Morse crystal."""

import ase
import ase.build
import numpy as np
import pytest
import torch
from ase.calculators.fd import calculate_numerical_forces, calculate_numerical_stress
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS
from ketmap_ase import NPT, NVE, Calculator, ExtrapolationWarning, Langevin, run_dynamics
from ketmap_core import CoincidentAtomsError, UnknownTypesError
from ketmap_density import Cutoff, Gaussian, Gto, ShiftedCosine, TensorProduct
from ketmap_linear import Model, Ridge
from ketmap_soap import SoapPowerSpectrum

pytestmark = pytest.mark.filterwarnings("ignore::ketmap_ase.ExtrapolationWarning")


def packed(seed, strain=0.0, noise=0.08):
    """Eight atoms of two types, closely packed."""
    atoms = ase.build.bulk("Na", "fcc", a=2.76, cubic=True) * (2, 1, 1)
    atoms.symbols[::2] = "Cl"
    rng = np.random.default_rng(seed)
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + strain * rng.normal(size=(3, 3))), scale_atoms=True)
    atoms.positions += noise * rng.normal(size=atoms.positions.shape)
    return atoms


@pytest.fixture(scope="module")
def model(morse):
    """Trained on energies and forces of 40 crystals."""
    structures = []
    for seed in range(40):
        atoms = packed(seed, strain=0.04)
        atoms.calc = Calculator(morse([11, 17]), skin=0.0, grade=None)
        atoms.get_forces()
        structures.append(atoms)
    soap = SoapPowerSpectrum(
        cutoff=Cutoff(5.0, ShiftedCosine(1.0)),
        density=Gaussian(0.5),
        basis=TensorProduct(max_angular=3, radial=Gto(max_radial=4)),
    )
    return Model(soap, Ridge(alpha=1e-9)).fit(structures, energy="energy", forces="forces")


@pytest.fixture
def crystal(model):
    atoms = packed(99) * (2, 1, 1)
    atoms.calc = Calculator(model)
    return atoms


def test_it_has_learnt_the_potential(crystal, morse):
    reference = crystal.copy()
    reference.calc = Calculator(morse([11, 17]))
    spread = reference.get_forces().std()
    assert np.abs(crystal.get_forces() - reference.get_forces()).std() < 0.1 * spread


def test_agrees_with_predict(crystal, model):
    predicted = model.predict(crystal, ["energy", "energies", "forces", "stress"])
    values = {name: tensor.block(0).values[..., 0] for name, tensor in predicted.items()}
    assert crystal.get_potential_energy() == pytest.approx(values["energy"][0], rel=1e-12)
    np.testing.assert_allclose(crystal.get_potential_energies(), values["energies"], rtol=1e-10)
    np.testing.assert_allclose(crystal.get_forces(), values["forces"], atol=1e-10)
    np.testing.assert_allclose(crystal.get_stress(voigt=False), values["stress"][0], atol=1e-12)


def test_forces_and_stress_are_finite_differences(crystal):
    np.testing.assert_allclose(crystal.get_forces(), calculate_numerical_forces(crystal, eps=1e-4), atol=1e-6)
    np.testing.assert_allclose(crystal.get_stress(), calculate_numerical_stress(crystal, eps=1e-5), atol=1e-7)


@pytest.mark.parametrize("ensemble", [NVE(2.0), Langevin(2.0), NPT(2.0, cell_relaxation=500.0)])
def test_skin_changes_nothing_in_dynamics(crystal, model, ensemble):
    fresh = crystal.copy()
    largest = {"energy": 0.0, "forces": 0.0, "stress": 0.0}

    def compare(step):
        if step % 10 == 0:
            fresh.positions, fresh.cell = crystal.positions, crystal.cell
            fresh.calc = Calculator(model, skin=0.0, grade=None)
            for name in largest:
                one, other = (atoms.calc.get_property(name, atoms) for atoms in (crystal, fresh))
                scale = np.abs(other).max()
                largest[name] = max(largest[name], np.abs(one - other).max() / scale)

    run_dynamics(crystal, ensemble, 150, temperature=300, on_step=compare)
    assert 1 <= crystal.calc.builds < 30
    assert max(largest.values()) < 1e-10


def test_energy_is_conserved(crystal):
    run = run_dynamics(crystal, NVE(1.0), 500, temperature=300)
    total = run.column("conserved")
    assert abs(run.drift) < 0.2
    assert np.ptp(total) < 0.02 * np.ptp(run.column("kinetic"))


def test_extrapolation_is_noticed(crystal, model):
    with pytest.warns(ExtrapolationWarning, match=r"atom \d+ \((Na|Cl)\) at step \d+ lies far outside"):
        run_dynamics(crystal, Langevin(2.0, 3000.0, relaxation=10.0), 101, temperature=3000.0)
    squeezed = packed(1, noise=0.0)
    squeezed.set_cell(0.75 * squeezed.cell, scale_atoms=True)
    squeezed.calc = Calculator(model)
    with pytest.warns(ExtrapolationWarning, match="at step 0"):
        squeezed.get_potential_energy()


def test_wrong_structures(model):
    atoms = packed(0)
    atoms.calc = Calculator(model)
    atoms.symbols[0] = "K"
    with pytest.raises(UnknownTypesError, match=r"K \(19\)"):
        atoms.get_potential_energy()
    atoms.symbols[0] = "Na"
    atoms.positions[3] = atoms.positions[6]
    with pytest.raises(CoincidentAtomsError, match="atoms 3 and 6"):
        atoms.get_potential_energy()


def test_same_bits_for_any_number_of_threads(crystal):
    found = []
    threads = torch.get_num_threads()
    try:
        for n in (1, 2):
            torch.set_num_threads(n)
            crystal.calc.begin()
            found.append((crystal.get_potential_energy(), crystal.get_forces(), crystal.get_stress()))
    finally:
        torch.set_num_threads(threads)
    for one, other in zip(*found):
        np.testing.assert_array_equal(one, other)


def test_model_from_a_file(crystal, model, tmp_path):
    path = tmp_path / "model.ketmap"
    model.save(path)
    copy = crystal.copy()
    copy.calc = Calculator(path)
    assert copy.get_potential_energy() == crystal.get_potential_energy()
    np.testing.assert_array_equal(copy.get_forces(), crystal.get_forces())


def test_relaxation_of_a_cell_ends_without_stress(crystal):
    BFGS(FrechetCellFilter(crystal), logfile=None).run(fmax=0.02, steps=60)
    assert np.abs(crystal.get_stress()).max() < 2e-3
    assert np.abs(crystal.get_forces()).max() < 0.02
