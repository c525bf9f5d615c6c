"""SoapPowerSpectrum against featomic, dscribe, finite differences and in limits."""

import math

import ase
import ase.build
import featomic
import metatensor
import numpy as np
import pytest
import torch
from dscribe.descriptors import SOAP
from ketmap_core import CoincidentAtomsWarning, check, info
from ketmap_density import SphericalExpansion
from ketmap_soap import SoapPowerSpectrum

GRADIENTS = ["positions", "strain", "cell"]


def deviation(ours, theirs) -> float:
    return float(np.abs(ours - theirs).max(initial=0) / np.abs(theirs).max(initial=1e-12))


def assert_equal(ours, theirs, gradients=()):
    """Same labels in the same order, values to 1e-8, gradients to 1e-7 of each block's maximum."""
    assert ours.keys == theirs.keys
    for key, expected in theirs.items():
        block = ours.block(key)
        assert block.samples == expected.samples and block.properties == expected.properties
        assert deviation(block.values, expected.values) < 1e-8, key
        for name in gradients:
            gradient, reference = block.gradient(name), expected.gradient(name)
            assert gradient.samples == reference.samples
            # a gradient that vanishes by symmetry is compared with the values
            scale = max(np.abs(reference.values).max(initial=0), 1e-3 * np.abs(expected.values).max())
            assert np.abs(gradient.values - reference.values).max(initial=0) <= 1e-7 * scale, (key, name)


@pytest.mark.parametrize("given", [{}, {"width": 0.0}, {"weight": 0.0}, {"weight": 0.5, "max_radial": 7}])
def test_featomic(systems, hypers, given):
    gradients = GRADIENTS if all(atoms.pbc.all() for atoms in systems) else GRADIENTS[:2]
    ours = SoapPowerSpectrum(**hypers(**given)).compute(systems, gradients=gradients)
    theirs = featomic.SoapPowerSpectrum(**hypers(**given)).compute(systems, gradients=gradients)
    assert_equal(ours, theirs, gradients)
    assert check(ours)


def test_featomic_with_many_functions(hypers):
    given = hypers(radius=5.0, max_radial=7, max_angular=6)
    systems = [ase.build.molecule("CH3CONH2"), ase.build.bulk("NaCl", "rocksalt", 5.6)]
    ours, theirs = (kind(**given).compute(systems) for kind in (SoapPowerSpectrum, featomic.SoapPowerSpectrum))
    assert_equal(ours, theirs)


def test_component_labels_of_gradients(hypers, mixed):
    block = SoapPowerSpectrum(**hypers()).compute(mixed[0], gradients=GRADIENTS).block(0)
    names = {name: [c.names[0] for c in block.gradient(name).components] for name in GRADIENTS}
    assert names == {"positions": ["xyz"], "strain": ["xyz_1", "xyz_2"], "cell": ["abc", "xyz"]}


def test_definition(hypers, mixed):
    """f_ab (−1)^l/√(2l+1) Σ_m c_a c_b, written out from the spherical expansion."""
    rho = SphericalExpansion(**hypers()).compute(mixed)
    for key, block in SoapPowerSpectrum(**hypers()).compute(mixed).items():
        center, a, b = key.values.tolist()
        for l in range(4):
            mine = block.values.reshape(-1, 4, 4, 4)[:, l]  # -> [sample, n1, n2]
            c = []
            for neighbor in (a, b):
                part = rho.block({"o3_lambda": l, "center_type": center, "neighbor_type": neighbor})
                rows = [part.samples.position(sample) for sample in block.samples]
                c.append(part.values[rows])
            factor = (-1) ** l / math.sqrt(2 * l + 1) * (1 if a == b else math.sqrt(2))
            assert deviation(mine, factor * np.einsum("imp,imq->ipq", *c)) < 1e-13


def test_dscribe_similarities():
    """The same overlap of Gaussians in any complete basis: cosines between environments converge to dscribe's.

    dscribe's Gaussians are exp(−r²/2σ²) as well, and its cutoff has no smoothing; its own basis differs, so the two
    agree as both bases grow, within 2 %.
    """
    rattled = [ase.build.molecule("CH4") for _ in range(8)]
    for seed, atoms in enumerate(rattled):
        atoms.rattle(0.15, seed=seed)
    theirs = SOAP(species=["C", "H"], r_cut=5.0, n_max=10, l_max=6, sigma=0.4, periodic=False)
    x = theirs.create(rattled, centers=[[0]] * len(rattled)).reshape(len(rattled), -1)
    ours = SoapPowerSpectrum(
        cutoff={"radius": 5.0, "smoothing": {"type": "Step"}},
        density={"type": "Gaussian", "width": 0.4},
        basis={"type": "TensorProduct", "max_angular": 6, "radial": {"type": "Gto", "max_radial": 11}},
    )
    tensor = ours.compute(rattled, selected_keys=metatensor.Labels(["center_type"], np.array([[6]])))
    y = np.hstack([block.values for block in tensor.blocks()])
    distances = []
    for features in (x, y):
        unit = features / np.linalg.norm(features, axis=1)[:, None]
        distances.append(np.sqrt(np.maximum(2 - 2 * unit @ unit.T, 0))[np.triu_indices(len(unit), 1)])
    assert np.corrcoef(*distances)[0, 1] > 0.98


@pytest.mark.parametrize("name", GRADIENTS)
def test_finite_differences(hypers, name):
    """Of the sum over all samples, weighted; a slab that is periodic in two directions for positions and strain."""
    calculator = SoapPowerSpectrum(**hypers())
    atoms = ase.build.bulk("NaCl", "rocksalt", 5.0)
    atoms.rattle(0.2, seed=3)
    if name != "cell":
        atoms.pbc = [True, True, False]
        atoms.positions += [0, 0, 1.0]

    def scalar(atoms):
        rng, total = np.random.default_rng(0), 0.0
        for block in calculator.compute(atoms).blocks():
            total += np.sum(rng.normal(size=block.values.shape) * block.values)
        return total

    def moved(direction, step):
        new = atoms.copy()
        if name == "positions":
            new.positions += step * direction
        elif name == "strain":
            new.set_cell(new.cell.array @ (np.eye(3) + step * direction), scale_atoms=False)
            new.positions = new.positions @ (np.eye(3) + step * direction)
        else:
            new.set_cell(new.cell.array + step * direction, scale_atoms=False)
        return new

    direction = np.random.default_rng(1).normal(size=(2 if name == "positions" else 3, 3))
    expected, h = 0.0, 1e-4
    for factor, step in ((8, h), (-8, -h), (-1, 2 * h), (1, -2 * h)):
        expected += factor * scalar(moved(direction, step)) / (12 * h)
    rng, found = np.random.default_rng(0), 0.0
    for block in calculator.compute(atoms, gradients=[name]).blocks():
        gradient = block.gradient(name)
        weights = rng.normal(size=block.values.shape)[gradient.samples.column("sample")]
        along = direction[gradient.samples.column("atom")] if name == "positions" else direction
        along = along[None] if name != "positions" else along
        weighted = along[..., None] * gradient.values
        found += np.sum(weights * weighted.sum(axis=tuple(range(1, weighted.ndim - 1))))
    assert found == pytest.approx(expected, rel=1e-8)


def test_isolated_atom(hypers):
    """One Gaussian at the origin: only l = 0, and p = R_n0(0) R_n'0(0)/4π."""
    calculator = SoapPowerSpectrum(**hypers())
    tensor = calculator.compute(ase.Atoms("N"), gradients=["positions", "strain"])
    values = tensor.block(0).values.reshape(4, 4, 4)
    rho = SphericalExpansion(**hypers()).compute(ase.Atoms("N")).block(0).values.ravel()
    assert np.allclose(values[0], np.outer(rho, rho), rtol=1e-14)
    assert np.all(values[1:] == 0)
    assert tensor.block(0).gradient("positions").samples.values.tolist() == [[0, 0, 0]]
    assert np.all(tensor.block(0).gradient("positions").values == 0)
    assert np.all(tensor.block(0).gradient("strain").values == 0)


def test_slab_is_a_crystal_cut(hypers):
    """With a cell vector longer than the cutoff, periodicity along it changes nothing."""
    slab = ase.build.fcc111("Al", (2, 2, 2), vacuum=5.0)
    calculator = SoapPowerSpectrum(**hypers())
    assert slab.pbc.tolist() == [True, True, False]
    flat = calculator.compute(slab, gradients=["positions"])
    slab.pbc = True
    bulk = calculator.compute(slab, gradients=["positions"])
    metatensor.allclose_raise(flat, bulk, rtol=0, atol=1e-14)


def test_empty(hypers):
    calculator = SoapPowerSpectrum(**hypers())
    assert len(calculator.compute([]).keys) == 0
    assert calculator.compute(ase.Atoms()).keys.names == ["center_type", "neighbor_1_type", "neighbor_2_type"]
    with_empty = calculator.compute([ase.Atoms(), ase.Atoms("N")], gradients=["positions"])
    assert with_empty.block(0).samples.values.tolist() == [[1, 0]]


def test_coincident_atoms(hypers):
    calculator = SoapPowerSpectrum(**hypers())
    with pytest.warns(CoincidentAtomsWarning, match="atoms 0 and 1 of system 0"):
        tensor = calculator.compute(ase.Atoms("CO", positions=np.zeros((2, 3))), gradients=["positions"])
    for block in tensor.blocks():
        assert np.isfinite(block.values).all() and np.isfinite(block.gradient("positions").values).all()


def test_provenance(hypers):
    calculator = SoapPowerSpectrum(**hypers())
    stamped = info(calculator.compute(ase.Atoms("N")))
    assert stamped["calculator"] == "SoapPowerSpectrum"
    again = SoapPowerSpectrum.from_dict(stamped["hypers"])
    assert again.to_dict() == calculator.to_dict()


def test_bad_input(hypers):
    calculator = SoapPowerSpectrum(**hypers())
    with pytest.raises(ValueError, match="did you mean 'positions'"):
        calculator.compute(ase.Atoms("N"), gradients=["position"])
    with pytest.raises(ValueError, match="not finite"):
        calculator.compute(ase.Atoms("N", positions=[[np.nan, 0, 0]]))
    names = ["center_type", "neighbor_1_type", "neighbor_2_type"]
    with pytest.raises(ValueError, match="neighbor_1_type=1, neighbor_2_type=8"):
        calculator.compute(ase.build.molecule("H2O"), selected_keys=metatensor.Labels(names, np.array([[1, 8, 1]])))


def test_same_bits_for_any_number_of_threads(hypers):
    systems = [ase.build.bulk("NaCl", "rocksalt", 5.6, cubic=True) * (2, 2, 2), ase.build.molecule("CH3OH")]
    systems[0].rattle(0.1)
    calculator = SoapPowerSpectrum(**hypers())
    threads = torch.get_num_threads()
    found = []
    try:
        for n in (1, 2, 3):
            torch.set_num_threads(n)
            found.append(calculator.compute(systems, gradients=["positions", "strain"]))
    finally:
        torch.set_num_threads(threads)
    assert metatensor.equal(found[0], found[1]) and metatensor.equal(found[0], found[2])


def test_misspelt_and_missing_hyper_parameters_are_named():
    with pytest.raises(ValueError, match="unknown hyper-parameter of SoapPowerSpectrum 'cutof'; did you mean 'cutoff'"):
        SoapPowerSpectrum(cutof=1.0)
    with pytest.raises(ValueError, match="SoapPowerSpectrum needs cutoff, density, basis; missing: cutoff"):
        SoapPowerSpectrum()
