"""Every mistake in a YAML file is answered with its file, its line, what was found and what was expected."""

import re

import pytest
from ketmap.config import FeaturesConfig, MdConfig, TrainConfig
from ketmap.documents import ConfigError, dump, load

TRAIN = """\
data:
  file: structures.xyz
  units: {energy: Ha}
split: {train: 0.8, test: 0.2, validation: 0.0}
targets: [energy, forces]
weights: {forces: 2.0}
representation:
  type: SoapPowerSpectrum
  cutoff:
    radius: 5.0
    smoothing: {type: ShiftedCosine, width: 0.5}
  density: {type: Gaussian, width: 0.3}
  basis:
    type: TensorProduct
    max_angular: 3
    radial: {type: Gto, max_radial: 4}
regressor: {type: Ridge, alpha: 1e-8}
"""

SPECIES = """  species:
    type: AlchemicalChannels
    types: [1, 6, 8]
    mixing: [[1.0, 0.0], [0.0, 1], [0.5, 0.5]]
"""


def test_matrices_and_sequences_are_lists(tmp_path):
    (tmp_path / "a.yaml").write_text(TRAIN.replace("regressor:", SPECIES + "regressor:"))
    species = load(tmp_path / "a.yaml", TrainConfig).representation.build().species
    assert species.types == (1, 6, 8) and species.mixing.tolist() == [[1, 0], [0, 1], [0.5, 0.5]]


def test_a_contraction_of_other_functions(tmp_path):
    """A member of a family that is made of another one; of a third in its place would go on for ever."""
    contracted = "{type: Contracted, radial: {type: Gto, max_radial: 1, radius: 5.0}, coefficients: [[1.0], [0.5]]}"
    (tmp_path / "a.yaml").write_text(TRAIN.replace("{type: Gto, max_radial: 4}", contracted))
    radial = load(tmp_path / "a.yaml", TrainConfig).representation.build().basis.radial
    assert type(radial).__name__ == "Contracted" and radial.size == 1
    twice = contracted.replace("{type: Gto, max_radial: 1, radius: 5.0}", contracted)
    (tmp_path / "b.yaml").write_text(TRAIN.replace("{type: Gto, max_radial: 4}", twice))
    with pytest.raises(ConfigError, match=r"b.yaml:16: unknown type 'Contracted'.*allowed: .*Gto"):
        load(tmp_path / "b.yaml", TrainConfig)


MISTAKES = [  # what is written, what it is changed into, line, text
    ("max_angular: 3", "max_angulr: 3", 15, "unknown key 'max_angulr'; did you mean 'max_angular'?"),
    ("radius: 5.0", "radius: -5.0", 10, "cutoff radius must be greater than 0, got -5"),
    ("radius: 5.0", "radius: five", 10, "found 'five' (text), expected a number"),
    ("radius: 5.0", "radius: .nan", 10, "found nan, expected a finite number"),
    ("max_angular: 3", "max_angular: 2.5", 15, "found 2.5, expected an integer"),
    ("max_angular: 3", "max_angular: true", 15, "found true, expected an integer"),
    ("max_angular: 3", "max_angular: -1", 15, "max_angular must be at least 0, got -1"),
    ("type: ShiftedCosine", "type: ShiftdCosine", 11, "did you mean 'ShiftedCosine'? allowed: Step, Shi"),
    ("{type: Gto, ", "{", 16, "found a mapping (max_radial), expected a key 'type'"),
    ("{type: Gto, ", "{type: Gtos, ", 16, "unknown type 'Gtos'; did you mean 'Gto'?"),
    ("{type: ShiftedCosine, width", "{width", 11, "found a mapping (width), expected a key 'type'"),
    ("width: 0.3", "width: [1, 2]", 12, "found a list of 2, expected a number"),
    ("width: 0.3", "width: null", 12, "found nothing (null), expected a number"),
    ("width: 0.5", "width: 7.0", 11, "must not exceed"),
    (", max_radial: 4", "", 16, "found no key 'max_radial' in 'Gto', expected one"),
    ("  file: structures.xyz\n", "", 1, "found no key 'file' in 'data', expected one"),
    ("file: structures.xyz", "file: 3", 2, "found 3, expected text or a list"),
    ("file: structures.xyz", "file: []", 2, "expected text or a list of at least 1"),
    ("{energy: Ha}", "Ha", 3, "found 'Ha' (text), expected a mapping (key: value)"),
    ("[energy, forces]", "energy", 5, "found 'energy' (text), expected a list"),
    ("[energy, forces]", "[energy, force]", 5, "expected 'energy', 'forces' or 'stress'"),
    ("[energy, forces]", "[energy]", 6, "weights of forces, which targets does not list"),
    ("forces: 2.0", "forces: 0", 6, "found 0, expected a number greater than 0"),
    ("train: 0.8", 'train: "0:5"', 4, "must all be numbers or all be places"),
    ("train: 0.8", "train: -0.1", 4, "found -0.1, expected a number of at least 0 or text or a list"),
    ("alpha: 1e-8", "alpha: -1", 17, "alpha must be None or a number >= 0, got -1"),
    ("alpha: 1e-8", "alhpa: 1", 17, "unknown key 'alhpa'; did you mean 'alpha'?"),
    ("targets:", "data: {}\ntargets:", 5, "found key 'data' a second time, expected every key once"),
    ("targets:", "\ttargets:", 5, "expected valid YAML"),
    ("[energy, forces]", "[energy, forces", 6, "expected valid YAML"),
    ("type: SoapPowerSpectrum", "type: Soap", 8, "unknown type 'Soap'; allowed: SoapPowerSpectrum, Lode"),
]


BASES = [
    "{type: LaplacianEigenstate, max_radial: 3}",
    "{type: Explicit, by_angular: {0: {type: Gto, max_radial: 3}, "
    "2: {type: Monomials, angular_channel: 2, max_radial: 1}}}",
    "{type: TensorProduct, max_angular: 1, radial: {type: Contracted, radial: {type: Gto, max_radial: 1, radius: 4.0}, "
    "coefficients: [[0.6], [0.8]]}}",
    "{type: TensorProduct, max_angular: 0, radial: {type: Tabulated, points: ["
    + ", ".join(f"{{position: {r}.0, values: [{r * r}.0]}}" for r in range(6))
    + "]}}",
]
DENSITIES = [
    "{type: Gaussian, width: {1: 0.2, 8: 0.3}}",
    "{type: DiracDelta, scaling: {type: Willatt2018, scale: 2.0, rate: 1.0, exponent: 4}}",
]


@pytest.mark.parametrize("basis", BASES)
@pytest.mark.parametrize("density", DENSITIES)
def test_bases_and_densities(tmp_path, basis, density):
    """Every kind is known here too, and builds the object that its dictionary builds."""
    import ruamel.yaml
    from ketmap_soap import SoapPowerSpectrum

    start, end = TRAIN.index("  density"), TRAIN.index("regressor")
    path = tmp_path / "train.yaml"
    path.write_text(f"{TRAIN[:start]}  density: {density}\n  basis: {basis}\n{TRAIN[end:]}")
    built = load(path, TrainConfig).representation.build()
    given = ruamel.yaml.YAML(typ="safe").load(path.read_text())["representation"]
    assert built.to_dict() == SoapPowerSpectrum(**{k: v for k, v in given.items() if k != "type"}).to_dict()


@pytest.mark.parametrize(
    ("basis", "text"),
    [
        ("{type: LaplacianEigenstates, max_radial: 3}", "did you mean 'LaplacianEigenstate'"),
        ("{type: Explicit, by_angular: {0: {type: Gto, max_radil: 3}}}", "did you mean 'max_radial'"),
        ("{type: Explicit, by_angular: {s: {type: Gto, max_radial: 3}}}", "expected an integer"),
    ],
)
def test_mistakes_in_bases(tmp_path, basis, text):
    start, end = TRAIN.index("  basis"), TRAIN.index("regressor")
    path = tmp_path / "train.yaml"
    path.write_text(f"{TRAIN[:start]}  basis: {basis}\n{TRAIN[end:]}")
    with pytest.raises(ConfigError, match=re.escape(text)):
        load(path, TrainConfig)


@pytest.mark.parametrize(("before", "after", "line", "text"), MISTAKES)
def test_mistakes(tmp_path, before, after, line, text):
    assert TRAIN.count(before) == 1
    path = tmp_path / "train.yaml"
    path.write_text(TRAIN.replace(before, after))
    with pytest.raises(ConfigError, match=re.escape(text)) as caught:
        load(path, TrainConfig)
    assert str(caught.value).startswith(f"{path}:{line}: ")


def test_all_mistakes_are_told_at_once(tmp_path):
    path = tmp_path / "train.yaml"
    path.write_text(TRAIN.replace("radius: 5.0", "radius: five").replace("max_angular: 3", "max_angular: x"))
    with pytest.raises(ConfigError) as caught:
        load(path, TrainConfig)
    first, second = str(caught.value).splitlines()
    assert first.startswith(f"{path}:10: ") and second.startswith(f"{path}:15: ")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("", ":1: found nothing, expected a mapping (key: value)"),
        ("- a\n- b\n", ":1: found a list of 2, expected a mapping (key: value)"),
        ("just text", ":1: found 'just text' (text), expected a mapping"),
    ],
)
def test_no_mapping_at_all(tmp_path, content, text):
    path = tmp_path / "train.yaml"
    path.write_text(content)
    with pytest.raises(ConfigError, match=re.escape(text)):
        load(path, TrainConfig)


def test_no_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="expected a YAML file"):
        load(tmp_path / "train.yaml", TrainConfig)


def test_bytes_that_are_no_text(tmp_path):
    path = tmp_path / "train.yaml"
    path.write_bytes(b"PK\x03\x04\xff\xfe\x00")
    with pytest.raises(ConfigError, match="expected valid YAML"):
        load(path, TrainConfig)


def test_defaults_are_filled_in_and_read_back(tmp_path):
    path, copy = tmp_path / "train.yaml", tmp_path / "copy.yaml"
    path.write_text(TRAIN)
    settings = load(path, TrainConfig)
    dump(copy, settings, "a comment\nof two lines")
    text = copy.read_text()
    assert text.startswith("# a comment\n# of two lines\n")
    assert "center_atom_weight: 1.0" in text and "seed: 0" in text and "spline_accuracy:" in text
    assert load(copy, TrainConfig) == settings


def test_objects_are_those_of_the_library(tmp_path):
    from ketmap import Cutoff, Gaussian, Gto, Ridge, ShiftedCosine, TensorProduct

    path = tmp_path / "train.yaml"
    path.write_text(TRAIN)
    settings = load(path, TrainConfig)
    soap = settings.representation.build()
    assert soap.cutoff == Cutoff(5.0, ShiftedCosine(0.5))
    assert soap.density == Gaussian(0.3)
    assert soap.basis == TensorProduct(3, Gto(4))
    assert settings.regressor.build() == Ridge(alpha=1e-8)


def test_featomics_dictionaries_load(tmp_path):
    """Also the nulls that featomic writes for what has no counterpart here."""
    path = tmp_path / "features.yaml"
    path.write_text(
        "representation:\n"
        "  type: SphericalExpansion\n"
        "  cutoff: {radius: 4.0, smoothing: {type: Step}}\n"
        "  density: {type: Gaussian, width: 0.3, center_atom_weight: 0.5, scaling: null}\n"
        "  basis: {type: TensorProduct, max_angular: 2, radial: {type: Gto, max_radial: 2, radius: null},"
        " spline_accuracy: 1e-8}\n"
        "gradients: [positions]\n"
    )
    settings = load(path, FeaturesConfig)
    assert settings.representation.build().density.center_atom_weight == 0.5


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("pressure: 1.0", "pressure has no meaning for ensemble nve"),
        ("ensemble: npz", "expected 'nve', 'langevin' or 'npt'"),
        ("steps: 0", "found 0, expected a number of at least 1"),
        ("timestep: 0.0", "found 0.0, expected a number greater than 0"),
        ("fixed_shape: maybe", "found 'maybe' (text), expected true or false"),
        ("stepss: 3", "unknown key 'stepss'; did you mean 'steps'?"),
    ],
)
def test_mistakes_in_settings_of_dynamics(tmp_path, line, text):
    path = tmp_path / "md.yaml"
    path.write_text(f"model: model.ketmap\nstructure: start.xyz\n{line}\n")
    with pytest.raises(ConfigError, match=re.escape(text)) as caught:
        load(path, MdConfig)
    assert str(caught.value).startswith(f"{path}:3: ")
