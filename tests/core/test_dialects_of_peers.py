"""What featomic, metatomic, sphericart and torch-spex make keeps the contract once it is canonical."""

from typing import Dict, List, Optional  # noqa: UP035 (metatomic compares annotations with these)

import ase
import ase.build
import metatensor
import metatensor.torch as mts
import numpy as np
import pytest
import torch
from ketmap_core import as_batch, canonicalize, check, find_pairs, from_dense, info
from ketmap_core.tensors import as_numpy
from metatensor import Labels, TensorBlock, TensorMap
from metatomic.torch import (
    AtomisticModel,
    ModelCapabilities,
    ModelEvaluationOptions,
    ModelMetadata,
    ModelOutput,
    NeighborListOptions,
    System,
    systems_to_torch,
)
from sphericart.torch import SphericalHarmonics
from sphericart.torch.metatensor import SphericalHarmonics as LabelledHarmonics
from vesin.metatomic import NeighborList


def labels(names, values):
    return Labels(names, np.array(values, dtype=np.int32).reshape(-1, len(names)))


def torch_labels(names, values):
    return mts.Labels(names, torch.tensor(values, dtype=torch.int32).reshape(-1, len(names)))


# ---------------------------------------------------------------------------- featomic

BASIS = {"type": "TensorProduct", "max_angular": 2, "radial": {"type": "Gto", "max_radial": 1}, "spline_accuracy": None}
HYPERS = {
    "cutoff": {"radius": 4.0, "smoothing": {"type": "ShiftedCosine", "width": 0.5}},
    "density": {"type": "Gaussian", "width": 0.5},
    "basis": BASIS,
}
ALL = ["positions", "strain", "cell"]
CALCULATORS = {
    "SphericalExpansion": (HYPERS, ALL),
    "SphericalExpansionByPair": (HYPERS, ALL),
    "SoapPowerSpectrum": (HYPERS, ALL),
    "SoapRadialSpectrum": (
        {**HYPERS, "basis": {"radial": {"type": "Gto", "max_radial": 1}, "spline_accuracy": None}},
        ALL,
    ),
    "LodeSphericalExpansion": (
        {
            "density": {"type": "SmearedPowerLaw", "smearing": 0.8, "exponent": 1},
            "basis": {**BASIS, "radial": {"type": "Gto", "max_radial": 1, "radius": 3.0}},
        },
        ["positions"],
    ),
    "AtomicComposition": ({"per_system": False}, ALL),
    "SortedDistances": ({"cutoff": 4.0, "max_neighbors": 10, "separate_neighbor_types": True}, []),
    "NeighborList": ({"cutoff": 4.0, "full_neighbor_list": True}, ["positions"]),
}


def crystal():
    atoms = ase.build.bulk("NaCl", "rocksalt", 5.6)
    atoms.set_cell(atoms.cell.array + np.random.default_rng(0).normal(0, 0.2, (3, 3)))
    atoms.rattle(0.1, seed=1)
    return atoms


@pytest.mark.filterwarnings("ignore:.*cell.*")
@pytest.mark.parametrize("library", ["numpy", "torch"])
@pytest.mark.parametrize("name", CALCULATORS)
def test_calculators_of_featomic(name, library):
    featomic = pytest.importorskip("featomic")
    hypers, gradients = CALCULATORS[name]
    tensor = getattr(featomic, name)(**hypers).compute([crystal(), ase.build.bulk("Si")], gradients=gradients or None)
    if library == "torch":
        tensor = tensor.to(arrays="torch") if name == "NeighborList" else torch_map(tensor)
    result = canonicalize(tensor)
    assert check(result), str(check(result))
    assert check(canonicalize(tensor, equivariant=name != "NeighborList"))
    for before, after in zip(tensor.blocks(), result.blocks()):
        assert (before.values == after.values).all()
        for gradient in before.gradients_list() if name != "NeighborList" else ():
            total = before.gradient(gradient).values.sum()
            assert after.gradient(gradient).values.sum() == total


def torch_map(tensor):
    return mts.load_buffer(torch.frombuffer(bytearray(bytes(metatensor.io.save_buffer(tensor))), dtype=torch.uint8))


def strained(atoms, row, column, step):
    """r → r (1 + ε) with one element of ε: positions and cell vectors are rows."""
    strain = np.eye(3)
    strain[row, column] += step
    changed = atoms.copy()
    changed.set_cell(atoms.cell.array @ strain)
    changed.positions = atoms.positions @ strain
    return changed


def stretched(atoms, row, column, step):
    """One Cartesian component of one cell vector changed, atoms left where they are."""
    changed = atoms.copy()
    cell = atoms.cell.array.copy()
    cell[row, column] += step
    changed.set_cell(cell)
    return changed


@pytest.mark.filterwarnings("ignore:.*cell.*")
@pytest.mark.parametrize(
    ("gradient", "axes", "change"),
    [("strain", ("xyz_1", "xyz_2"), strained), ("cell", ("abc", "xyz"), stretched)],
)
@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("SphericalExpansion", {"o3_lambda": 2, "center_type": 11, "neighbor_type": 17}),
        ("SphericalExpansionByPair", {"o3_lambda": 2, "first_atom_type": 11, "second_atom_type": 17}),
        ("SoapPowerSpectrum", {"center_type": 11, "neighbor_1_type": 11, "neighbor_2_type": 17}),
        ("SoapRadialSpectrum", {"center_type": 11, "neighbor_type": 17}),
    ],
)
def test_labels_of_featomic_are_put_right(name, key, gradient, axes, change):
    """Finite differences show which axis of the data is which."""
    featomic = pytest.importorskip("featomic")
    calculator = getattr(featomic, name)(**CALCULATORS[name][0])
    atoms = crystal()

    def values(structure):
        return calculator.compute(structure).block(key).values

    block = canonicalize(calculator.compute(atoms, gradients=[gradient])).block(key)
    derivative = block.gradient(gradient)
    assert tuple(part.names[0] for part in derivative.components[:2]) == axes
    analytic = np.zeros((*block.values.shape[:1], 3, 3, *block.values.shape[1:]))
    analytic[derivative.samples["sample"]] = derivative.values
    numeric = np.zeros_like(analytic)
    for row, column in np.ndindex(3, 3):
        up, down = (values(change(atoms, row, column, step)) for step in (1e-4, -1e-4))
        numeric[:, row, column] = (up - down) / 2e-4
    np.testing.assert_allclose(analytic, numeric, atol=1e-7 * max(1.0, abs(numeric).max()))
    transposed = analytic.swapaxes(1, 2)
    assert (gradient == "strain" and "o3_lambda" not in key) or abs(analytic - transposed).max() > 1e-2  # order matters


def test_rows_of_one_label_are_left_out():
    """featomic writes a row of ones and one of zeros for a pair of an atom and its own image, which does not move."""
    featomic = pytest.importorskip("featomic")
    calculator = featomic.NeighborList(cutoff=4.0, full_neighbor_list=True)
    raw = calculator.compute(ase.build.bulk("NaCl", "rocksalt", 5.6), gradients=["positions"])
    assert "more than once" in str(check(raw))
    with pytest.raises(RuntimeError, match="can not have the same label entry multiple times"):
        torch_map(raw)  # such a file cannot be read
    for tensor in (raw, raw.to(arrays="torch")):
        result = canonicalize(tensor)
        assert check(result)
        assert len(result.block({"first_atom_type": 11, "second_atom_type": 11}).gradient("positions").samples) == 0
        block = result.block({"first_atom_type": 11, "second_atom_type": 17})
        gradient, ends = block.gradient("positions"), as_numpy(block.samples.values)
        signs = np.where(ends[gradient.samples.values[:, 0], 2] == gradient.samples.values[:, 2], 1.0, -1.0)
        np.testing.assert_array_equal(as_numpy(gradient.values)[..., 0], signs[:, None, None] * np.eye(3))


# ---------------------------------------------------------------------------- metatomic


@pytest.mark.parametrize("full_list", [True, False])
def test_neighbor_lists_of_metatomic(full_list):
    atoms = crystal()
    (system,) = systems_to_torch([atoms], dtype=torch.float64)
    options = NeighborListOptions(cutoff=4.0, full_list=full_list, strict=True)
    block = NeighborList(options, length_unit="angstrom").compute(system)
    for given in (block, mts.TensorMap(mts.Labels.single(), [block.copy()])):
        tensor = canonicalize(given)
        assert check(tensor), str(check(tensor))
        found = tensor.block(0)
        assert found.samples.names[0] == "system" and torch.equal(found.values, block.values)
    pairs = find_pairs(as_batch(system), 4.0)
    assert len(block.samples) == len(pairs.first) * (2 if full_list else 1)
    assert info(tensor)["history"][0]["operation"] == "canonicalize"


QUANTITIES = {
    "energy": [],
    "energy_ensemble": [],
    "non_conservative_force": ["xyz"],
    "non_conservative_stress": ["xyz_1", "xyz_2"],
    "position": ["xyz"],
    "feature": [],
}


class Constant(torch.nn.Module):
    """A model that answers with ones, labelled as metatomic demands; it checks that itself."""

    def forward(
        self,
        systems: List[System],  # noqa: UP006
        outputs: Dict[str, ModelOutput],  # noqa: UP006
        selected_atoms: Optional[mts.Labels] = None,  # noqa: UP045
    ) -> Dict[str, mts.TensorMap]:  # noqa: UP006
        results = {}
        for name, output in outputs.items():
            by_atom = output.sample_kind == "atom"
            rows = [[i, atom] for i, one in enumerate(systems) for atom in range(len(one))]
            rows = rows if by_atom else [[i] for i in range(len(systems))]
            samples = torch_labels(["system", "atom"] if by_atom else ["system"], rows)
            components = [torch_labels([axis], [0, 1, 2]) for axis in QUANTITIES[name]]
            properties = torch_labels(
                ["energy" if name == "energy_ensemble" else name], [0, 1] if "ens" in name else [0]
            )
            values = torch.ones(len(samples), *[3] * len(components), len(properties), dtype=torch.float64)
            block = mts.TensorBlock(values, samples, components, properties)
            results[name] = mts.TensorMap(mts.Labels.single(), [block])
        return results


@pytest.mark.parametrize("name", QUANTITIES)
def test_outputs_of_metatomic_models(name):
    kind = "system" if name == "non_conservative_stress" or name.startswith("energy") else "atom"
    wanted = {name: ModelOutput(sample_kind=kind)}
    capabilities = ModelCapabilities(
        outputs=wanted, atomic_types=[11, 17], interaction_range=0.0, dtype="float64", supported_devices=["cpu"]
    )
    model = AtomisticModel(Constant().eval(), ModelMetadata(), capabilities)
    systems = systems_to_torch([crystal(), crystal()], dtype=torch.float64)
    tensor = model(systems, ModelEvaluationOptions(outputs=wanted), check_consistency=True)[name]
    assert check(tensor), str(check(tensor))
    assert mts.equal(canonicalize(tensor), tensor)


# ---------------------------------------------------------------------------- sphericart


def vectors(n=5, dtype=torch.float64):
    return torch.rand(n, 3, generator=torch.Generator().manual_seed(1), dtype=dtype) - 0.5


def test_harmonics_of_sphericart_with_labels():
    xyz = vectors()
    samples = torch_labels(["system", "atom"], [[0, i] for i in range(len(xyz))])
    components = [torch_labels(["xyz"], [0, 1, 2])]
    block = mts.TensorBlock(xyz[:, :, None], samples, components, mts.Labels.single())
    tensor = canonicalize(LabelledHarmonics(3).compute(mts.TensorMap(mts.Labels.single(), [block])))
    assert check(tensor), str(check(tensor))
    assert tensor.keys.names == ["o3_lambda", "o3_sigma"]
    dense = from_dense(SphericalHarmonics(3).compute(xyz), samples, properties=mts.Labels.single())
    assert mts.equal(tensor, dense)


def test_harmonics_of_sphericart_with_gradients():
    """They are derivatives with respect to the vectors, not to atoms: nothing the contract has a name for."""
    xyz = vectors()
    block = mts.TensorBlock(
        *(xyz[:, :, None], mts.Labels.range("sample", len(xyz)), [torch_labels(["xyz"], [0, 1, 2])]),
        mts.Labels.single(),
    )
    xyz_map = mts.TensorMap(mts.Labels.single(), [block])
    assert check(canonicalize(LabelledHarmonics(2).compute(xyz_map)))
    tensor = canonicalize(LabelledHarmonics(2).compute_with_gradients(xyz_map))
    assert tensor.block(0).gradients_list() == ["positions"]
    problems = check(tensor).problems
    assert len(problems) == 3 and all("samples are sample; expected sample, system, atom" in one for one in problems)


@pytest.mark.parametrize("last", [(), (4,)])
def test_dense_arrays(last):
    values = torch.rand(5, 16, *last, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    values.requires_grad_()
    samples = [["system", "atom"], [[0, i] for i in range(5)]]
    results = from_dense(values, torch_labels(*samples)), from_dense(values.detach().numpy(), labels(*samples))
    for tensor in results:
        assert check(tensor), str(check(tensor))
        assert len(tensor.keys) == 4
        assert list(tensor.block(0).properties.names) == (["n"] if last else ["_"])
        for key, block in tensor.items():
            l = int(key["o3_lambda"])
            expected = values.detach().reshape(5, 16, -1)[:, l * l : (l + 1) ** 2]
            np.testing.assert_array_equal(as_numpy(block.values), expected.numpy())
    results[0].block(1).values.sum().backward()
    assert values.grad[:, 1:4].eq(1).all() and values.grad[:, 4:].eq(0).all()
    assert np.shares_memory(results[1].block(2).values, values.detach().numpy())


def test_dense_arrays_turn_as_the_contract_says():
    """A rotation of the vectors turns each block by Wigner's matrix of its λ."""
    from ketmap_core.o3 import wigner_d
    from scipy.spatial.transform import Rotation

    xyz, rotation = vectors(), Rotation.random(random_state=0).as_matrix()
    harmonics = SphericalHarmonics(3)
    before = from_dense(harmonics.compute(xyz))
    after = from_dense(harmonics.compute(xyz @ torch.from_numpy(rotation.T)))
    for key, block in before.items():
        turned = np.einsum("mk,ikp->imp", wigner_d(int(key["o3_lambda"]), rotation), block.values.numpy())
        np.testing.assert_allclose(after.block(key).values.numpy(), turned, atol=1e-12)


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ((5, 8), {}, r"expected values \[sample, \(l_max \+ 1\)²\] .*, got \[5, 8\]"),
        ((5,), {}, r"got \[5\]"),
        ((5, 0), {}, r"got \[5, 0\]"),
        ((5, 9), {"samples": labels(["system"], [0, 1])}, r"2 samples do not fit values \[5, 9\], expected 5"),
        ((5, 9, 2), {"properties": labels(["n"], [0])}, r"1 properties do not fit values \[5, 9, 2\], expected 2"),
    ],
)
def test_dense_arrays_that_cannot_be(shape, options, message):
    with pytest.raises(ValueError, match=message):
        from_dense(np.zeros(shape), **options)


# ---------------------------------------------------------------------------- torch-spex


def spex(neighbors):
    """An expansion of HO as ``spex.metatensor.SphericalExpansion`` of torch-spex 0.1.0 lays it out: all types of
    neighbours for every centre, or numbers of pseudo-species in their place."""
    keys = [[l, 1, center, neighbor] for l in range(2) for center in (1, 8) for neighbor in neighbors]
    blocks = []
    for l, *_, center, _ in keys:
        samples = torch_labels(["system", "atom"], [[0, 0 if center == 8 else 1]])
        mu = torch_labels(["o3_mu"], list(range(-l, l + 1)))
        values = torch.rand(1, 2 * l + 1, 3, generator=torch.Generator().manual_seed(l), dtype=torch.float32)
        blocks.append(mts.TensorBlock(values, samples, [mu], torch_labels(["n"], [0, 1, 2])))
    return mts.TensorMap(torch_labels(["o3_lambda", "o3_sigma", "center_type", "neighbor_type"], keys), blocks)


def test_torch_spex():
    plain = spex([1, 8])
    assert check(plain) and mts.equal(canonicalize(plain), plain)
    tensor = canonicalize(spex([0, 1]), pseudo_species=True)
    assert check(tensor), str(check(tensor))
    assert tensor.keys.names == ["o3_lambda", "o3_sigma", "center_type", "neighbor_channel"]
    assert info(tensor)["history"] == [{"operation": "canonicalize", "hypers": {"pseudo_species": True}}]
    moved = canonicalize(spex([0, 1]).keys_to_properties("neighbor_type"), pseudo_species=True)
    assert moved.block(0).properties.names == ["neighbor_channel", "n"] and check(moved)


def test_torch_spex_power_spectrum():
    """``spex.metatensor.SoapPowerSpectrum``: λ is among the properties."""
    properties = torch_labels(["o3_lambda", "property"], [[0, 0], [0, 1], [1, 0]])
    block = mts.TensorBlock(torch.ones(1, 3), torch_labels(["system", "atom"], [[0, 0]]), [], properties)
    tensor = mts.TensorMap(torch_labels(["center_type"], [8]), [block])
    assert check(tensor) and mts.equal(canonicalize(tensor), tensor)


def first_torch_spex(types):
    """As the first torch_spex (lab-cosmo/torch_spex) wrote its expansion; pseudo-species are 0, −1, …"""
    blocks, keys = [], []
    for l in range(2):
        for center in (1, 8):
            keys.append([center, l, 1])
            properties = [[a, n, l] for a in types for n in range(2)]
            values = np.random.default_rng(l).normal(size=(1, 2 * l + 1, len(properties)))
            samples = labels(["structure", "center"], [[0, 0 if center == 8 else 1]])
            mu = labels(["m"], list(range(-l, l + 1)))
            blocks.append(TensorBlock(values, samples, [mu], labels(["a1", "n1", "l1"], properties)))
    return TensorMap(labels(["a_i", "lam", "sigma"], keys), blocks)


def test_first_torch_spex():
    source = first_torch_spex([1, 8])
    assert "'a_i' is called 'center_type' here" in str(check(source))
    tensor = canonicalize(source)
    assert check(tensor), str(check(tensor))
    assert tensor.keys.names == ["o3_lambda", "o3_sigma", "center_type"]
    assert tensor.keys.values.tolist() == [[0, 1, 1], [0, 1, 8], [1, 1, 1], [1, 1, 8]]
    assert tensor.block(0).properties.names == ["neighbor_type", "n", "l"]
    channels = canonicalize(first_torch_spex([0, -1, -2]), pseudo_species=True).block(3)
    assert channels.properties.names == ["neighbor_channel", "n", "l"]
    assert channels.properties["neighbor_channel"].tolist() == [0, 0, 1, 1, 2, 2]


def test_pairs_of_the_first_torch_spex():
    """Its ``VectorExpansion`` names the types before the shifts, and counts Cartesian components from −1."""
    names = ["structure", "center", "neighbor", "species_center", "species_neighbor", "cell_x", "cell_y", "cell_z"]
    samples = labels(names, [[0, 0, 1, 8, 1, 0, 0, 1], [0, 1, 0, 1, 8, 0, 0, -1]])
    values = np.random.default_rng(0).normal(size=(2, 3, 1))
    expansion = TensorBlock(values, samples, [labels(["m"], [-1, 0, 1])], labels(["n"], [0]))
    tensor = canonicalize(TensorMap(labels(["l"], [1]), [expansion]))
    assert check(tensor), str(check(tensor))
    found = tensor.block(0).samples
    assert found.names[:6] == ["system", "first_atom", "second_atom", "cell_shift_a", "cell_shift_b", "cell_shift_c"]
    assert found.values.tolist()[0] == [0, 0, 1, 0, 0, 1, 8, 1]
    shifts = TensorBlock(values, samples, [labels(["cartesian_dimension"], [-1, 0, 1])], labels(["_"], [0]))
    tensor = canonicalize(TensorMap(labels(["_"], [0]), [shifts]))
    assert check(tensor), str(check(tensor))


# ---------------------------------------------------------------------------- equistore


def test_features_of_nice_and_equistore():
    """Names of equistore's time: ``nice``'s order of correlation among the keys stays, everything else is renamed."""
    names = ["order_nu", "inversion_sigma", "spherical_harmonics_l", "species_center"]
    properties = labels(["species_neighbor_1", "n1", "species_neighbor_2", "n2"], [[1, 0, 1, 0], [1, 0, 8, 1]])
    block = TensorBlock(
        np.ones((1, 3, 2)),
        labels(["structure", "center"], [[0, 0]]),
        [labels(["spherical_harmonics_m"], [-1, 0, 1])],
        properties,
    )
    tensor = canonicalize(TensorMap(labels(names, [[2, 1, 1, 8]]), [block]))
    assert check(tensor), str(check(tensor))
    assert tensor.keys.names == ["o3_lambda", "o3_sigma", "order_nu", "center_type"]
    assert tensor.block(0).properties.names == ["neighbor_1_type", "n_1", "neighbor_2_type", "n_2"]
