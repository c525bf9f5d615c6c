"""Models on any calculator of invariants and on several representations: the same road from fit to dynamics."""

import ase.build
import numpy as np
import pytest
import torch
from ase.calculators.fd import calculate_numerical_forces
from ketmap_ase import Calculator
from ketmap_cg import PowerSpectrum
from ketmap_core import CoincidentAtomsWarning, UnknownTypesError, as_batch
from ketmap_density import Cutoff, Explicit, Gaussian, Gto, ShiftedCosine, SphericalExpansion, TensorProduct
from ketmap_linear import Invariants, Model, Ridge, Together, load
from ketmap_lode import LodeSphericalExpansion, SmearedPowerLaw
from ketmap_soap import SoapPowerSpectrum, SoapRadialSpectrum
from ketmap_testing import check_model, default_systems

BASIS = TensorProduct(max_angular=1, radial=Gto(max_radial=1, radius=2.0))
DENSITY = {"cutoff": Cutoff(3.5, ShiftedCosine(0.5)), "density": Gaussian(0.5), "basis": BASIS}
SOAP = SoapPowerSpectrum(**DENSITY)
FIELD = LodeSphericalExpansion(density=SmearedPowerLaw(1.0, exponent=1), basis=BASIS)
TYPES = (1, 6, 8)


@pytest.fixture(scope="module")
def structures():
    return default_systems(TYPES)


@pytest.fixture(scope="module")
def both(structures):
    """ρ⊗ρ and ρ⊗V together: laws hold for any weights, so let them be wild."""
    energies = np.random.default_rng(0).normal(size=len(structures))
    product = PowerSpectrum(SphericalExpansion(**DENSITY), FIELD)
    return Model([SOAP, product], Ridge(alpha=1e-6)).fit(structures, energy=energies)


def test_the_general_road_is_the_fused_one(structures):
    """SOAP as any calculator: other columns (all n_1, n_2), but the same energies, forces and virial."""
    general = Invariants(SOAP)
    rng = np.random.default_rng(1)
    w = torch.from_numpy(rng.normal(size=SOAP.n_features(TYPES)))
    tensor = SOAP.weights_to_tensor(w, TYPES)
    same = general.tensor_to_weights(tensor, TYPES)
    batch = as_batch(structures)
    expected, found = (
        potential(batch, potential.environments(batch))
        for potential in (SOAP.potential(w, TYPES), general.potential(same, TYPES))
    )
    for name in ("energies", "forces", "virial"):
        assert torch.allclose(getattr(found, name), getattr(expected, name), atol=1e-10)
    designs = [(r.design(batch, TYPES), v) for r, v in ((SOAP, w), (general, same))]
    for name in ("values", "positions", "strain"):
        one, other = (getattr(design, name) @ v for design, v in designs)
        assert torch.allclose(one, other, atol=1e-10)
    assert torch.equal(general.tensor_to_weights(general.weights_to_tensor(same, TYPES), TYPES), same)


@pytest.mark.parametrize(
    "calculator",
    [
        SoapRadialSpectrum(**DENSITY | {"basis": BASIS.radial}),
        LodeSphericalExpansion(density=SmearedPowerLaw(1.0, exponent=[1, 4]), basis=BASIS),
        # fewer radial functions of l = 0 than of l = 1
        LodeSphericalExpansion(density=FIELD.density, basis=Explicit({0: BASIS.radial, 1: Gto(2, radius=2.0)})),
    ],
    ids=["radial spectrum", "two fields", "uneven"],
)
def test_no_labels_on_the_way(structures, calculator):
    """Energies, forces and virial of scalars as they are computed, and cut into blocks first."""
    general = Invariants(calculator)
    w = torch.from_numpy(np.random.default_rng(2).normal(size=general.n_features((1, 6, 7, 8))))
    potential = general.potential(w, (1, 6, 7, 8))  # one type more than there is
    batch = as_batch(structures)
    around = potential.environments(batch)
    found, expected = (potential(batch, around, diagonal=labelled) for labelled in (False, True))
    for name in ("energies", "forces", "virial"):
        assert torch.allclose(getattr(found, name), getattr(expected, name), rtol=1e-12, atol=1e-10)
    assert found.features is None and expected.features.shape[0] == batch.n_atoms


def test_atoms_at_one_point_are_told():
    atoms = ase.build.molecule("H2O")
    atoms.positions[2] = atoms.positions[1]
    potential = Invariants(FIELD).potential(torch.ones(Invariants(FIELD).n_features(TYPES)), TYPES)
    with pytest.warns(CoincidentAtomsWarning, match="atoms 1 and 2"):
        potential.environments(as_batch(atoms))


@pytest.mark.parametrize(
    "law", ["rotation", "translation", "wrapped", "supercell", "batch", "energy_sum", "forces", "stress", "net_force"]
)
def test_laws(both, law):
    assert law in check_model(both, laws=[law], rtol=1e-8).deviations


def test_file(both, structures, tmp_path):
    """A list of representations, products of calculators in it, comes back as it was."""
    both.save(tmp_path / "both.ketmap")
    again = load(tmp_path / "both.ketmap")
    assert isinstance(again.representation, Together)
    one, other = (model.predict(structures, ["energy", "forces"]) for model in (both, again))
    for name in one:
        assert np.array_equal(one[name].block(0).values, other[name].block(0).values)


def test_ase(both, structures):
    """Energy, forces and stress through ASE; extrapolation is judged and said."""
    atoms = structures[1].copy()
    atoms.calc = Calculator(both)
    forces = atoms.get_forces()
    assert np.allclose(forces, calculate_numerical_forces(atoms, eps=1e-4), atol=1e-5 * np.abs(forces).max())
    assert atoms.get_stress().shape == (6,)


def test_field_alone(structures):
    """ν = 1 of the field: as many columns as pairs of types times n, fitted with forces and stress."""
    rng = np.random.default_rng(2)
    truth = Invariants(FIELD).potential(torch.from_numpy(rng.normal(size=18)), TYPES)
    batch = as_batch(structures)
    found = truth(batch, truth.environments(batch))
    energy = torch.zeros(len(batch), dtype=torch.float64).index_add(0, batch.system.long(), found.energies)
    stress = found.virial / torch.linalg.det(batch.cells).abs()[:, None, None]
    model = Model(FIELD, Ridge(alpha=1e-13))
    model.fit(structures, energy=energy.numpy(), forces=found.forces.numpy(), stress=stress.numpy())
    assert model.report["features"] == 18
    errors = model.errors["train"]
    assert max(errors.energy.rmse, errors.forces.rmse, errors.stress.rmse) < 1e-5


def test_bad_representations(both):
    with pytest.raises(
        ValueError, match="a model needs a representation, a calculator, or a list of these; got 'SOAP'"
    ):
        Model("SOAP")
    with pytest.raises(ValueError, match="no representations were given"):
        Model([])
    with pytest.raises(UnknownTypesError, match="not fitted to: 7"):
        both.representation.potential(torch.zeros(both.representation.n_features((1, 6))), (1, 6)).environments(
            as_batch(ase.build.molecule("NH3"))
        )
    with pytest.raises(UnknownTypesError, match=r"atoms of types \[7\]"):
        Invariants(FIELD).design(as_batch(ase.build.molecule("NH3")), (1, 6))
    with pytest.raises(ValueError, match="expected 8 weights"):
        Invariants(FIELD).potential(torch.zeros(3), (1, 6))
    pseudo = PowerSpectrum(SphericalExpansion(**DENSITY), FIELD)
    with pytest.raises(ValueError, match="which is no block of types"):
        Invariants(pseudo).tensor_to_weights(Invariants(FIELD).weights_to_tensor(torch.zeros(8), (1, 6)), (1, 6))
