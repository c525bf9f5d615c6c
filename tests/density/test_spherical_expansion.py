"""SphericalExpansion against featomic, against the sum it stands for, and in limits."""

import warnings

import ase
import ase.build
import ase.io
import featomic
import featomic.splines
import metatensor
import numpy as np
import pytest
import scipy.special
import torch
from ketmap_core import CoincidentAtomsWarning, info
from ketmap_density import SphericalExpansion

GRADIENTS = ["positions", "strain", "cell"]


@pytest.mark.parametrize("width", [0.0, 0.5], ids=["Step", "ShiftedCosine"])
@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0])
def test_featomic(systems, hypers, same, width, weight):
    """Values to 1e-8, gradients to 1e-7 of each block's maximum, and the same labels in the same order."""
    given = hypers(width=width, weight=weight)
    periodic = all(atoms.pbc.all() for atoms in systems)
    gradients = GRADIENTS if periodic else GRADIENTS[:2]
    ours = SphericalExpansion(**given).compute(systems, gradients=gradients)
    theirs = featomic.SphericalExpansion(**given).compute(systems, gradients=gradients)
    values, slopes = same(ours, theirs, gradients)
    assert values < 1e-8
    assert slopes < 1e-7


@pytest.mark.parametrize(
    "given",
    [
        {"radius": 5.0, "sigma": 0.3, "max_radial": 7, "max_angular": 6},
        {"radius": 4.0, "sigma": 1.0, "max_radial": 2, "max_angular": 8},
        {"radius": 6.0, "sigma": 0.4, "max_radial": 9, "max_angular": 1},
    ],
)
def test_featomic_hypers(hypers, same, nacl, given):
    systems = [ase.build.molecule("CH3CONH2"), nacl]
    ours = SphericalExpansion(**hypers(**given)).compute(systems)
    theirs = featomic.SphericalExpansion(**hypers(**given)).compute(systems)
    assert same(ours, theirs)[0] < 1e-8


def test_basis_radius(hypers, nacl):
    """GTOs with a radius of their own: featomic takes these only as its cubic splines of numerical integrals."""
    given = hypers(max_radial=2, max_angular=1)
    given["basis"]["radial"]["radius"] = 2.5
    spliner = featomic.splines.SoapSpliner(
        cutoff=featomic.cutoff.Cutoff(3.5, smoothing=featomic.cutoff.ShiftedCosine(width=0.5)),
        density=featomic.density.Gaussian(width=0.3),
        basis=featomic.basis.TensorProduct(
            max_angular=1, radial=featomic.basis.Gto(max_radial=2, radius=2.5), spline_accuracy=1e-6
        ),
    )
    ours = SphericalExpansion(**given).compute(nacl)
    theirs = featomic.SphericalExpansion(**spliner.get_hypers()).compute(nacl)
    for a, b in zip(ours.blocks(), theirs.blocks()):
        assert np.allclose(a.values, b.values, atol=2e-6)


def test_component_labels_of_gradients(hypers, nacl):
    tensor = SphericalExpansion(**hypers()).compute(nacl, gradients=GRADIENTS)
    block = tensor.block(1)
    assert block.components[0].names == ["o3_mu"]
    names = {name: [c.names[0] for c in block.gradient(name).components] for name in GRADIENTS}
    assert names == {
        "positions": ["xyz", "o3_mu"],
        "strain": ["xyz_1", "xyz_2", "o3_mu"],
        "cell": ["abc", "xyz", "o3_mu"],
    }


@pytest.mark.parametrize("name", GRADIENTS)
def test_finite_differences(hypers, nacl, name):
    """Gradient labels say what the data are: row and column of ε, vector and component of the cell."""
    rho = SphericalExpansion(**hypers(max_radial=2, max_angular=2))
    tensor, step = rho.compute(nacl, gradients=[name]), 1e-5

    def moved(a, b, by):
        atoms = nacl.copy()
        if name == "positions":
            atoms.positions[a, b] += by
        elif name == "cell":
            atoms.cell[a, b] += by
        else:
            deform = np.eye(3)
            deform[a, b] += by
            atoms.positions, atoms.cell = atoms.positions @ deform, atoms.cell.array @ deform
        return rho.compute(atoms)

    for a, b in ((0, 1), (1, 2), (1, 0)):
        plus, minus = moved(a, b, step), moved(a, b, -step)
        for key, block in tensor.items():
            difference = (plus.block(key).values - minus.block(key).values) / (2 * step)
            gradient = block.gradient(name)
            if name == "positions":
                slope = np.zeros_like(difference)
                here = gradient.samples["atom"] == a
                slope[gradient.samples["sample"][here]] = gradient.values[here][:, b]
            else:
                slope = gradient.values[:, a, b]
            assert np.abs(slope - difference).max() < 1e-6 * max(1.0, np.abs(difference).max())


def test_sum_over_neighbours(hypers):
    """c_nlm = Σ_j f_c(r) R_nl(r) Y_lm(r̂), with SciPy's harmonics and no spline."""
    rho = SphericalExpansion(**hypers(weight=0.0))
    atoms = ase.Atoms("OCCN", positions=[[0, 0, 0], [1.1, 0.3, -0.4], [-0.7, 1.9, 2.2], [2.0, 2.0, 2.0]])
    vectors = atoms.positions[1:3] - atoms.positions[0]
    r = np.linalg.norm(vectors, axis=1)
    theta, phi = np.arccos(vectors[:, 2] / r), np.arctan2(vectors[:, 1], vectors[:, 0])
    basis = rho.basis.bound(rho.cutoff.radius)
    functions = rho.density.radial_integrals(r, basis) * rho.cutoff.function(r)[:, None, None]
    tensor = rho.compute(atoms)
    for l in range(4):
        for m in range(-l, l + 1):
            y = scipy.special.sph_harm_y(l, abs(m), theta, phi) * (-1) ** m
            y = y.real if m == 0 else np.sqrt(2) * (y.real if m > 0 else y.imag)
            values = tensor.block({"o3_lambda": l, "center_type": 8, "neighbor_type": 6}).values[0, m + l]
            assert np.allclose(values, (functions[:, l] * y[:, None]).sum(0), atol=1e-10)


def test_partial_periodicity(hypers, same):
    """A slab and a chain equal what a cell with much vacuum gives featomic, which has no mixed periodicity."""
    slab = ase.build.graphene(size=(2, 1, 1), vacuum=None)
    slab.rattle(0.05, seed=3)
    slab.pbc = [True, True, False]
    chain = ase.Atoms("CO", positions=[[0, 0, 0], [0.3, 1.1, 0.2]], cell=[0, 2.4, 0], pbc=[False, True, False])
    boxed = []
    for atoms in (slab, chain):
        box = atoms.copy()
        box.cell = np.where(np.array(atoms.pbc)[:, None], atoms.cell.array, 30 * np.eye(3))
        box.pbc = True
        boxed.append(box)
    given = hypers()
    ours = SphericalExpansion(**given).compute([slab, chain], gradients=["positions", "strain"])
    theirs = featomic.SphericalExpansion(**given).compute(boxed, gradients=["positions", "strain"])
    values, slopes = same(ours, theirs, ["positions", "strain"])
    assert values < 1e-8 and slopes < 1e-7


def test_molecular_crystals(hypers, same, data):
    """Real crystals with H, C, N and O; not every molecule has every type, so some blocks are gathered."""
    systems = ase.io.read(data("azaphenacene/azaphenacene.xyz.gz"), ":2")
    systems += ase.io.read(data("paracetamol_alpha/paracetamol_train.xyz.gz"), ":1")
    given = hypers(radius=5.0, max_radial=7, max_angular=6)
    ours = SphericalExpansion(**given).compute(systems, gradients=["strain"])
    theirs = featomic.SphericalExpansion(**given).compute(systems, gradients=["strain"])
    values, slopes = same(ours, theirs, ["strain"])
    assert values < 1e-8 and slopes < 1e-7


def test_one_structure_or_a_list(hypers, same, nacl):
    rho = SphericalExpansion(**hypers())
    assert same(rho.compute(nacl), rho.compute([nacl]))[0] == 0.0


def test_empty(hypers):
    """No structures and structures without atoms give no blocks, with the right labels."""
    rho = SphericalExpansion(**hypers())
    for nothing in ([], ase.Atoms(), [ase.Atoms(), ase.Atoms()]):
        tensor = rho.compute(nothing, gradients=["positions", "strain", "cell"])
        assert len(tensor) == 0
        assert tensor.keys.names == ["o3_lambda", "o3_sigma", "center_type", "neighbor_type"]
    tensor = rho.compute([ase.Atoms(), ase.Atoms("He"), ase.Atoms()], gradients=["positions"])
    assert tensor.block(0).samples.values.tolist() == [[1, 0]]
    assert tensor.block(0).gradient("positions").samples.values.tolist() == [[0, 1, 0]]


def test_coincident_atoms(hypers):
    """A warning that names the pair; values and gradients stay finite."""
    atoms = ase.Atoms("OHH", positions=[[0, 0, 0], [0.9, 0, 0], [0.9, 0, 0]])
    with pytest.warns(CoincidentAtomsWarning, match="atoms 1 and 2 of system 0"):
        tensor = SphericalExpansion(**hypers()).compute(atoms, gradients=["positions", "strain"])
    for block in tensor.blocks():
        assert np.isfinite(block.values).all()
        assert all(np.isfinite(block.gradient(name).values).all() for name in ("positions", "strain"))


def test_no_warning_otherwise(hypers, systems):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        SphericalExpansion(**hypers()).compute(systems)


def test_threads(hypers, systems, same):
    """The same bits whatever the number of threads."""
    rho, threads = SphericalExpansion(**hypers()), torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = rho.compute(systems)
        torch.set_num_threads(2)
        two = rho.compute(systems)
    finally:
        torch.set_num_threads(threads)
    assert same(one, two)[0] == 0.0


@pytest.mark.parametrize("gradients", ["positions", [1], ["positons"], 3])
def test_bad_gradients(hypers, nacl, gradients):
    message = "did you mean 'positions'" if gradients == ["positons"] else "must be a list of names among positions"
    with pytest.raises(ValueError, match=message):
        SphericalExpansion(**hypers()).compute(nacl, gradients=gradients)


def test_blocks_are_views_and_save(hypers, same, tmp_path):
    """No copy of the dense array where all centres have the neighbour; strided blocks are written correctly."""
    tensor = SphericalExpansion(**hypers()).compute(ase.build.molecule("CH4"))
    values = [block.values for block in tensor.blocks({"center_type": 1})]
    assert len(values) == 8 and all(v.shape[0] == 4 and not v.flags.owndata for v in values)
    assert len({id(_owner(v)) for v in values}) == 1
    metatensor.save(str(tmp_path / "rho.mts"), tensor)
    assert same(metatensor.load(str(tmp_path / "rho.mts")), tensor)[0] == 0.0
    merged = tensor.keys_to_properties("neighbor_type")
    block = merged.block({"o3_lambda": 2, "center_type": 1})
    assert np.array_equal(block.values[..., 5:], tensor.block(dict(o3_lambda=2, center_type=1, neighbor_type=6)).values)


def _owner(array):
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array.base


def test_provenance(hypers, nacl):
    given = hypers()
    found = info(SphericalExpansion(**given).compute(nacl))
    assert found["calculator"] == "SphericalExpansion"
    assert found["hypers"]["cutoff"] == given["cutoff"]
    assert found["hypers"]["basis"]["radial"] == {"type": "Gto", "max_radial": 4, "radius": None}
