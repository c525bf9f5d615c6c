"""Coulomb and sine matrices against dscribe: values, order, spectrum; derivatives; errors."""

import ase
import ase.build
import ase.io
import dscribe.core
import dscribe.descriptors.sinematrix
import numpy as np
import pytest
from dscribe.descriptors import CoulombMatrix as DscribesCoulombMatrix
from dscribe.descriptors import SineMatrix as DscribesSineMatrix
from ketmap_core import CoincidentAtomsWarning, check, info
from ketmap_descriptors import CoulombMatrix, SineMatrix
from ketmap_descriptors.matrices import PERMUTATIONS


@pytest.fixture
def working_dscribe(monkeypatch):
    """dscribe 2.1.2 hands atoms of ASE ≥ 3.26 both momenta and velocities, which is an error there."""

    class Plain(dscribe.core.System):
        @staticmethod
        def from_atoms(atoms):
            return dscribe.core.System(atoms.get_chemical_symbols(), atoms.positions, cell=atoms.cell, pbc=atoms.pbc)

    monkeypatch.setattr(dscribe.descriptors.sinematrix, "System", Plain)


@pytest.mark.parametrize("permutation", PERMUTATIONS)
def test_coulomb(systems, permutation, data):
    molecules = [systems[0], *systems[3:6], *ase.io.read(data("qm9_sample/qm9_100.xyz"), "10::10")]
    theirs = DscribesCoulombMatrix(n_atoms_max=20, permutation=permutation).create(molecules)
    ours = CoulombMatrix(n_atoms_max=20, permutation=permutation).compute(molecules).block()
    assert ours.samples.column("system").tolist() == list(range(len(molecules)))
    assert np.abs(ours.values - theirs).max() < 1e-10


@pytest.mark.parametrize("permutation", PERMUTATIONS)
def test_sine(systems, permutation, working_dscribe):
    crystals = [*systems[1:3], ase.build.bulk("NaCl", "rocksalt", 5.64, cubic=True)]
    theirs = DscribesSineMatrix(n_atoms_max=9, permutation=permutation).create(crystals)
    ours = SineMatrix(n_atoms_max=9, permutation=permutation).compute(crystals).block()
    assert np.abs(ours.values - theirs).max() < 1e-10


def test_known_values():
    """H₂ at 0.74 Å: ½ and 1/0.74; eigenvalues ½ ± 1/0.74."""
    h2 = ase.Atoms("H2", positions=[[0, 0, 0], [0, 0, 0.74]])
    matrix = CoulombMatrix(n_atoms_max=3).compute(h2).block().values.reshape(3, 3)
    assert np.allclose(matrix, [[0.5, 1 / 0.74, 0], [1 / 0.74, 0.5, 0], [0, 0, 0]])
    spectrum = CoulombMatrix(n_atoms_max=3, permutation="eigenspectrum").compute(h2).block()
    assert spectrum.properties.names == ["eigenvalue"]
    assert np.allclose(spectrum.values, [[0.5 + 1 / 0.74, 0.5 - 1 / 0.74, 0.0]])


def test_numerical_derivatives_of_dscribe(systems):
    """dscribe differentiates by finite differences: the same to what these are worth."""
    atoms = systems[0]
    theirs, _ = DscribesCoulombMatrix(n_atoms_max=9, permutation="none").derivatives(atoms, method="numerical")
    block = CoulombMatrix(n_atoms_max=9, permutation="none").compute(atoms, gradients=["positions"]).block()
    gradient = block.gradient("positions")
    assert gradient.samples.column("atom").tolist() == list(range(9))
    assert np.abs(gradient.values - theirs).max() < 1e-4 * np.abs(theirs).max()


def test_selections(systems, labels):
    whole = CoulombMatrix(n_atoms_max=9).compute(systems[3:6], gradients=["positions"]).block()
    part = CoulombMatrix(n_atoms_max=9).compute(
        systems[3:6],
        gradients=["positions"],
        selected_samples=labels(["system"], [1], [7]),
        selected_properties=labels(["row"], [1]),
    )
    assert check(part)
    assert part.block().samples.values.tolist() == [[1]]
    assert np.array_equal(part.block().values, whole.values[1:2, 9:18])
    rows = whole.gradient("positions").samples.column("sample") == 1
    assert np.allclose(part.block().gradient("positions").values, whole.gradient("positions").values[rows][..., 9:18])


def test_coincident_atoms():
    atoms = ase.Atoms("OHH", positions=[[0, 0, 0], [0.9, 0, 0], [0.9, 0, 0]])
    with pytest.warns(CoincidentAtomsWarning, match="atoms 1 and 2 of system 0"):
        assert check(CoulombMatrix(n_atoms_max=3).compute(atoms, gradients=["positions"]))


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: CoulombMatrix(n_atoms_max=2).compute(ase.build.molecule("H2O")), "3 atoms, more than n_atoms_max=2"),
        (
            lambda: CoulombMatrix(n_atoms_max=2).compute(ase.build.bulk("Cu")),
            "system 0 is periodic; CoulombMatrix is for",
        ),
        (lambda: SineMatrix(n_atoms_max=9).compute(ase.build.molecule("H2O")), "SineMatrix needs three directions"),
        (lambda: CoulombMatrix(n_atoms_max=9, permutation="sorted"), "permutation 'sorted'; did you mean 'sorted_l2'"),
        (lambda: CoulombMatrix(n_atoms_max=0), "n_atoms_max must be at least 1"),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_provenance():
    found = info(CoulombMatrix(n_atoms_max=3).compute(ase.build.molecule("H2O")))
    assert CoulombMatrix.from_dict(found["hypers"]).to_dict() == found["hypers"]
