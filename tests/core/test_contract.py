"""The checker accepts what keeps the contract, and catches each way of breaking it."""

import ase
import ase.build
import metatensor
import metatensor.torch
import numpy as np
import pytest
import torch
from ketmap_core import canonicalize, check
from metatensor import Labels, TensorBlock, TensorMap


def labels(names, values):
    return Labels(names, np.array(values, dtype=np.int32).reshape(-1, len(names)))


def equivariant(
    keys=("o3_lambda", "o3_sigma", "center_type", "neighbor_type"),
    key=(1, 1, 6, 1),
    samples=("system", "atom"),
    sample_values=((0, 0), (0, 1), (1, 0)),
    component="o3_mu",
    mu=(-1, 0, 1),
    properties=("n",),
    dtype=np.float64,
    gradients=None,
    edit=None,
):
    """A TensorMap of one block that keeps the contract, but for what the arguments change."""
    values = np.ones((len(sample_values), len(mu), 2), dtype=dtype)
    if edit is not None:
        values[edit] = np.nan
    property_values = [[i] * len(properties) for i in range(2)]
    components = [labels([component], mu)]
    block = TensorBlock(values, labels(samples, sample_values), components, labels(properties, property_values))
    for name, (names, rows, axes) in (gradients or {}).items():
        own = [labels([axis], [0, 1, 2]) for axis in axes]
        shape = (len(rows), *[3] * len(axes), len(mu), 2)
        block.add_gradient(name, TensorBlock(np.ones(shape), labels(names, rows), own + components, block.properties))
    return TensorMap(labels(keys, [key]), [block])


POSITIONS = (("sample", "system", "atom"), [(0, 0, 0), (2, 1, 0)], ("xyz",))


def test_a_tensor_that_keeps_the_contract():
    tensor = equivariant(
        gradients={
            "positions": POSITIONS,
            "strain": (("sample",), [0, 1, 2], ("xyz_1", "xyz_2")),
            "cell": (("sample",), [0, 1, 2], ("abc", "xyz")),
        }
    )
    report = check(tensor)
    assert report, str(report)
    assert str(report) == "keeps the contract (1 blocks)" and report.problems == []
    assert check(tensor.to(arrays="torch"))
    assert check(metatensor.torch.load_buffer(torch.frombuffer(bytearray(buffer(tensor)), dtype=torch.uint8)))


def buffer(tensor):
    return bytes(metatensor.io.save_buffer(tensor))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"keys": ("o3_lambda", "o3_sigma", "species_center", "neighbor_type")},
            "'species_center' is called 'center",
        ),
        (
            {"keys": ("o3_sigma", "o3_lambda", "center_type", "neighbor_type")},
            "expected both o3_lambda and o3_sigma",
        ),
        ({"keys": ("o3_lambda", "center_type"), "key": (1, 6)}, "expected both o3_lambda and o3_sigma"),
        (
            {"keys": ("o3_lambda", "o3_sigma", "central_type"), "key": (1, 1, 6)},
            "unknown name 'central_type'",
        ),
        ({"key": (-1, 1, 6, 1)}, "o3_lambda is -1, expected 0 or more"),
        ({"key": (1, 0, 6, 1)}, r"o3_sigma is 0, expected \+1 or -1"),
        ({"key": (1, 1, -6, 1)}, "center_type is -6, expected 0 or more"),
        ({"key": (2, 1, 6, 1)}, r"component o3_mu has values \[-1, 0, 1\], expected \[-2, -1, 0, 1, 2\]"),
        ({"mu": (0, 1, 2)}, r"component o3_mu has values \[0, 1, 2\], expected \[-1, 0, 1\]"),
        ({"component": "mu"}, "unknown component mu; known: o3_mu"),
        ({"component": "spherical_harmonics_m"}, "'spherical_harmonics_m' is called 'o3_mu'"),
        ({"keys": ("center_type", "neighbor_type"), "key": (6, 1)}, "component o3_mu, but no o3_lambda"),
        ({"component": "xyz", "mu": (0, 1, 2)}, r"expected one component o3_mu, got \['xyz'\]"),
        ({"samples": ("structure", "atom")}, "samples name 'structure' is called 'system'"),
        (
            {"samples": ("atom", "system")},
            "samples are named atom, system; expected one of: system; system, atom",
        ),
        ({"samples": ("system", "site")}, "samples are named system, site; expected"),
        ({"sample_values": ((1, 0), (0, 0), (0, 1))}, "not sorted by system and atom, first at row 1"),
        ({"sample_values": ((0, 0), (0, 2), (0, 1))}, "not sorted by system and atom, first at row 2"),
        ({"sample_values": ((0, -1), (0, 2))}, "negative system or atom"),
        ({"properties": ("n1", "n2")}, "properties name 'n1' is called 'n_1'"),
        ({"dtype": np.int64}, "values are int64, expected float32 or float64"),
        ({"edit": (1, 2, 0)}, r"1 values are not finite, the first at index \(1, 2, 0\)"),
        (
            {"gradients": {"momenta": POSITIONS}},
            "gradient 'momenta': unknown name; known: positions, strain, cell",
        ),
        (
            {"gradients": {"positions": (("sample",), [0, 1], ("xyz",))}},
            "samples are sample; expected sample, system",
        ),
        (
            {"gradients": {"positions": (POSITIONS[0], [(0, 0, 0), (2, 0, 0)], ("xyz",))}},
            "row 1 belongs to system 1, but is labelled 0",
        ),
        (
            {"gradients": {"strain": (("sample",), [0, 1], ("xyz_2", "xyz_1"))}},
            r"components are xyz_2, xyz_1; expected xyz_1, xyz_2 \(canonicalize",
        ),
        (
            {"gradients": {"cell": (("sample",), [0], ("xyz", "abc"))}},
            "components are xyz, abc; expected abc, xyz",
        ),
    ],
)
def test_each_way_of_breaking_it(changes, message):
    report = check(equivariant(**changes))
    assert not report
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(str(report))
    assert report.problems[0].startswith(("keys", "block (")) and "problems:" in str(report)


def test_gradient_samples_outside_the_block():
    """metatensor refuses these when it builds a block, so the labels are exchanged behind its back."""
    from ketmap_core.contract import _check_gradient

    class Gradient:
        values = np.ones((1, 3, 1))
        samples = labels(["sample", "system", "atom"], [[5, 0, 0]])
        components = (labels(["xyz"], [0, 1, 2]),)

    class Block:
        samples, components = labels(["system"], [0]), ()

        def gradient(self, name):
            return Gradient()

    problems = []
    _check_gradient(Block(), "positions", "block", problems)
    assert problems == ["block: sample 5 is outside the 1 samples of the block"]


def test_what_models_predict():
    system = labels(["system"], [0, 1])
    energy = TensorBlock(np.ones((2, 1)), system, [], labels(["energy"], [0]))
    stress_axes = [labels([name], [0, 1, 2]) for name in ("xyz_1", "xyz_2")]
    stress = TensorBlock(np.ones((2, 3, 3, 1)), system, stress_axes, labels(["stress"], [0]))
    for block in (energy, stress):
        assert check(TensorMap(labels(["_"], [0]), [block]))


def test_cartesian_components_have_three_values():
    block = TensorBlock(np.ones((1, 2, 1)), labels(["system"], [0]), [labels(["xyz"], [0, 1])], labels(["n"], [0]))
    report = check(TensorMap(labels(["_"], [0]), [block]))
    assert "component xyz has values [0, 1], expected [0, 1, 2]" in str(report)


@pytest.mark.parametrize("what", [None, {"a": 1}, np.ones(3), "features.mts"])
def test_only_tensormaps(what):
    with pytest.raises(TypeError, match=r"expected a TensorMap of metatensor or metatensor.torch, got"):
        check(what)


def test_empty_tensors():
    assert check(TensorMap(labels(["center_type"], []), []))
    assert check(equivariant(sample_values=()))


HYPERS = {
    "cutoff": {"radius": 4.0, "smoothing": {"type": "ShiftedCosine", "width": 0.5}},
    "density": {"type": "Gaussian", "width": 0.5},
    "basis": {"type": "TensorProduct", "max_angular": 2, "radial": {"type": "Gto", "max_radial": 1}},
}


@pytest.mark.filterwarnings("ignore:.*cell.*")
@pytest.mark.parametrize(
    ("name", "gradients"),
    [
        ("SphericalExpansion", ["positions", "strain", "cell"]),
        ("SoapPowerSpectrum", ["positions", "strain"]),
        ("SphericalExpansionByPair", ["positions"]),
        ("SoapRadialSpectrum", ["positions"]),
    ],
)
def test_featomic_keeps_it_once_canonical(name, gradients):
    featomic = pytest.importorskip("featomic")
    hypers = HYPERS
    if name == "SoapRadialSpectrum":
        hypers = {**HYPERS, "basis": {"radial": {"type": "Gto", "max_radial": 1}}}
    structures = [ase.build.bulk("NaCl", "rocksalt", 5.6), ase.build.bulk("Si")]
    tensor = getattr(featomic, name)(**hypers).compute(structures, gradients=gradients)
    assert bool(check(tensor)) == ("strain" not in gradients)
    assert check(canonicalize(tensor)), str(check(canonicalize(tensor)))
    assert check(canonicalize(tensor, equivariant=True))


def test_labels_twice():
    """featomic's NeighborList labels two gradient rows alike when a pair is an atom and its own image."""
    featomic = pytest.importorskip("featomic")
    calculator = featomic.NeighborList(cutoff=4.0, full_neighbor_list=True)
    tensor = calculator.compute(ase.build.bulk("NaCl", "rocksalt", 5.6), gradients=["positions"])
    report = check(tensor)
    assert len(report.problems) == 2 and "samples hold [0, 0, 0] more than once" in report.problems[0]
