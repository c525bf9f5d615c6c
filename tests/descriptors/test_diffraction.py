"""Structure factors: absent reflections, sums by brute force, and which lattice a crystal has."""

import ase
import ase.build
import ase.io
import numpy as np
import pytest
from ketmap_core import check, info
from ketmap_descriptors import StructureFactor, reflections
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestCentroid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


@pytest.mark.parametrize(
    "lattice, allowed",
    [
        ("sc", lambda h, k, l: True),
        ("bcc", lambda h, k, l: (h + k + l) % 2 == 0),
        ("fcc", lambda h, k, l: h % 2 == k % 2 == l % 2),
        ("diamond", lambda h, k, l: h % 2 == k % 2 == l % 2 and (h + k + l) % 4 != 2),
    ],
)
def test_absent_reflections(lattice, allowed):
    """Reflection conditions of the cubic lattices (International Tables for Crystallography, vol. A, 221–229)."""
    atoms = ase.build.bulk("Si", lattice, 4.0, cubic=True)
    atoms.positions += [0.3, -0.1, 0.7]
    hkl, q, intensity = reflections(atoms, 8.0)
    assert len(hkl) > 200 and np.all(np.diff(q) > -1e-8)
    here = np.array([allowed(*index) for index in hkl.tolist()])
    assert np.abs(intensity[~here]).max(initial=0) < 1e-24
    strong = 0.5 if lattice == "diamond" else 1.0  # diamond: 1/2 for odd indices, 1 for h + k + l = 4n
    assert intensity[here].min() > strong - 1e-9 and np.isclose(intensity.max(), 1.0)
    assert np.allclose(q, 2 * np.pi / 4.0 * np.linalg.norm(hkl, axis=1))


def test_crystal_by_brute_force(systems):
    """The sum over the reciprocal lattice, in loops."""
    atoms = systems[1]
    calculator = StructureFactor(q_max=4.0, bins=5, width=0.3)
    (values,) = calculator.compute(atoms).block().values
    reciprocal = 2 * np.pi * np.linalg.inv(atoms.cell.array).T
    expected = np.zeros(5)
    for hkl in np.array(np.meshgrid(*[np.arange(-8, 9)] * 3)).reshape(3, -1).T:
        if hkl.any():
            vector = hkl @ reciprocal
            length = np.linalg.norm(vector)
            intensity = abs(np.exp(1j * atoms.positions @ vector).sum()) ** 2
            window = np.exp(-0.5 * ((length - 0.8 * np.arange(1, 6)) / 0.3) ** 2) / np.sqrt(2 * np.pi) / 0.3
            expected += 2 * np.pi**2 / atoms.get_volume() / len(atoms) * intensity / length**2 * window
    assert np.allclose(values, expected, rtol=1e-6)


def test_debye(systems):
    atoms = systems[0]
    (values,) = StructureFactor(q_max=9.0, bins=3).compute(atoms).block().values
    r = np.linalg.norm(atoms.positions[:, None] - atoms.positions, axis=2)
    for q, value in zip((3.0, 6.0, 9.0), values):
        assert np.isclose(value, np.sinc(q * r / np.pi).sum() / len(atoms), rtol=1e-12)


def test_both_sums_agree():
    """A molecule in a large box is a molecule: windows much wider than 2π/L, narrower than what a molecule resolves."""
    molecule = ase.build.molecule("CH3CH2OH")
    box = molecule.copy()
    box.set_cell([60.0] * 3)
    box.pbc = True
    calculator = StructureFactor(q_max=6.0, bins=4, width=0.06)
    (free,), (boxed,) = (calculator.compute(atoms).block().values for atoms in (molecule, box))
    assert np.allclose(free, boxed, rtol=0.03)


def test_gas_has_no_structure():
    """S(q) = 1 for atoms at random, and for any crystal that is shaken enough at large q."""
    rng = np.random.default_rng(3)
    gas = ase.Atoms("Ar300", positions=rng.uniform(0, 20, (300, 3)), cell=[20] * 3, pbc=True)
    (values,) = StructureFactor(q_max=4.0, bins=8, width=0.3).compute(gas).block().values
    assert np.abs(values[2:] - 1).max() < 0.15


def test_supercells_and_scale():
    """One crystal, whichever cell describes it; scaled, of whichever size."""
    small, large = ase.build.bulk("Cu", "fcc", 3.6), ase.build.bulk("Cu", "fcc", 3.6, cubic=True).repeat([2, 1, 3])
    other = ase.build.bulk("Ag", "fcc", 4.1, cubic=True)
    absolute = StructureFactor(q_max=6.0, bins=30).compute([small, large, other]).block().values
    assert np.allclose(absolute[0], absolute[1], atol=1e-9)
    assert np.abs(absolute[0] - absolute[2]).max() > 1.0
    scaled = StructureFactor(q_max=16.0, bins=30, scaled=True).compute([small, large, other]).block().values
    assert np.allclose(scaled, scaled[0], atol=1e-9)


LATTICES = ("sc", "fcc", "bcc", "diamond")
FINGERPRINT = StructureFactor(q_max=18.0, bins=60, width=0.35, scaled=True)


def perfect():
    return [ase.build.bulk("Si", lattice, 4.0) for lattice in LATTICES]


def test_lattices_apart():
    """The four perfect crystals are far from each other."""
    values = FINGERPRINT.compute(perfect()).block().values
    values = values / np.linalg.norm(values, axis=1, keepdims=True)
    assert (values @ values.T - np.eye(4)).max() < 0.8


def crystals(data):
    """The generated crystals, mixed up, half of them for training."""
    found = ase.io.read(data("crystals/crystals_train.xyz.gz"), ":")
    order = np.random.default_rng(0).permutation(len(found))
    return [found[i] for i in order[: len(found) // 2]], [found[i] for i in order[len(found) // 2 :]]


def lattices(structures):
    return np.array([atoms.info["structure"] for atoms in structures])


def with_vacancies(structures, share, seed):
    rng = np.random.default_rng(seed)
    made = []
    for atoms in structures:
        keep = rng.permutation(len(atoms))[round(share * len(atoms)) :]
        made.append(atoms[np.sort(keep)])
    return made


@pytest.mark.slow
def test_classification(data):
    """300 crystals of random element, size and orientation with noise: trained on one half, the other is told."""
    train, test = crystals(data)
    assert len(train) == len(test) == 150 and set(lattices(train)) == set(LATTICES)
    values, others = (FINGERPRINT.compute(part).block().values for part in (train, test))
    centroids = NearestCentroid().fit(values, lattices(train))
    assert centroids.score(others, lattices(test)) > 0.97
    assert centroids.predict(FINGERPRINT.compute(perfect()).block().values).tolist() == list(LATTICES)
    logistic = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(values, lattices(train))
    assert logistic.score(others, lattices(test)) > 0.97


@pytest.mark.slow
def test_classification_with_vacancies(data):
    """Centroids of crystals without vacancies know those that lack a tenth of the atoms; to know those that lack a
    quarter, whose density and with it the unit of q is off by 9 %, a classifier has to be shown some."""
    train, test = crystals(data)
    fingerprints = FINGERPRINT.compute(train).block().values
    centroids = NearestCentroid().fit(fingerprints, lattices(train))
    tenth, quarter = (FINGERPRINT.compute(with_vacancies(test, share, seed=4)).block().values for share in (0.1, 0.25))
    assert centroids.score(tenth, lattices(test)) > 0.97
    shown = [FINGERPRINT.compute(with_vacancies(train, share, seed=5)).block().values for share in (0.15, 0.25)]
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    model.fit(np.concatenate([fingerprints, *shown]), np.tile(lattices(train), 3))
    assert model.score(tenth, lattices(test)) > 0.97 and model.score(quarter, lattices(test)) > 0.97


def test_selection_and_provenance(systems, labels):
    calculator = StructureFactor(q_max=4.0, bins=5)
    whole = calculator.compute(systems[:4], gradients=["cell"])
    part = calculator.compute(systems[:4], gradients=["cell"], selected_properties=labels(["q"], [3], [1]))
    assert check(whole) and check(part)
    assert np.allclose(part.block().values, whole.block().values[:, [3, 1]], rtol=1e-13)
    assert np.allclose(part.block().gradient("cell").values, whole.block().gradient("cell").values[..., [3, 1]])
    found = info(whole)
    assert StructureFactor.from_dict(found["hypers"]).to_dict() == found["hypers"]


def test_errors(slab):
    with pytest.raises(ValueError, match=r"system 0 is periodic along .*; give all directions or none"):
        StructureFactor(q_max=4.0, bins=5).compute(slab)
    with pytest.raises(ValueError, match="system 0 has no volume, by which scaled=True would measure q"):
        StructureFactor(q_max=4.0, bins=5, scaled=True).compute(ase.build.molecule("H2O"))
    with pytest.raises(ValueError, match="q_max must be greater than 0"):
        StructureFactor(q_max=0.0, bins=5)
    with pytest.raises(ValueError, match="expected one crystal, periodic in three directions; got 2 systems"):
        reflections([ase.build.bulk("Cu"), ase.build.bulk("Cu")], 3.0)
