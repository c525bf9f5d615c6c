"""The names of the exchange contract, and the dialects that mean the same."""

from collections.abc import Sequence

KEY_TYPES = (
    "center_type",
    "neighbor_type",
    "neighbor_1_type",
    "neighbor_2_type",
    "neighbor_3_type",
    "first_atom_type",
    "second_atom_type",
    "neighbor_channel",
    "neighbor_1_channel",
    "neighbor_2_channel",
    "neighbor_3_channel",
)
O3 = ("o3_lambda", "o3_sigma")
PAIR = ("system", "first_atom", "second_atom", "cell_shift_a", "cell_shift_b", "cell_shift_c")
SAMPLES = (("system",), ("system", "atom"), PAIR, ("target",), ("_",))
CARTESIAN = ("xyz", "xyz_1", "xyz_2", "xyz_3", "pair_xyz", "abc")

GRADIENT_SAMPLES = {"positions": ("sample", "system", "atom"), "strain": ("sample",), "cell": ("sample",)}
GRADIENT_COMPONENTS = {"positions": ("xyz",), "strain": ("xyz_1", "xyz_2"), "cell": ("abc", "xyz")}

# Names in rascaline, early featomic, torch_spex and equistore, by the part of a TensorMap.
DIALECTS = {
    "keys": {
        "atom_type": "center_type",
        "species_center": "center_type",
        "center_species": "center_type",
        "species_neighbor": "neighbor_type",
        "neighbor_species": "neighbor_type",
        "species_neighbor_1": "neighbor_1_type",
        "species_neighbor_2": "neighbor_2_type",
        "species_atom_1": "first_atom_type",
        "species_atom_2": "second_atom_type",
        "species_first_atom": "first_atom_type",
        "species_second_atom": "second_atom_type",
        "spherical_harmonics_l": "o3_lambda",
        "angular_channel": "o3_lambda",
        "inversion_sigma": "o3_sigma",
        "a_i": "center_type",
        "lam": "o3_lambda",
        "sigma": "o3_sigma",
    },
    "samples": {
        "structure": "system",
        "center": "atom",
        "first_center": "first_atom",
        "second_center": "second_atom",
        "cell_x": "cell_shift_a",
        "cell_y": "cell_shift_b",
        "cell_z": "cell_shift_c",
    },
    "components": {
        "spherical_harmonics_m": "o3_mu",
        "spherical_component": "o3_mu",
        "m": "o3_mu",
        "cartesian_dimension": "xyz",
        "direction": "xyz",
        "direction_1": "xyz_1",
        "direction_2": "xyz_2",
    },
    "properties": {
        **{"n1": "n_1", "n2": "n_2", "l1": "l_1", "l2": "l_2"},
        **{"a1": "neighbor_1_type", "a2": "neighbor_2_type", "alpha_j": "neighbor_channel"},
    },
}
DIALECTS["samples"] |= {old: new for old, new in DIALECTS["keys"].items() if new.endswith("_type")}
DIALECTS["properties"] |= {old: new for old, new in DIALECTS["keys"].items() if new.endswith("_type")}

# Names that mean something else when they stand together, or alone.
PHRASES = {
    ("keys", ("l",)): ("o3_lambda",),
    ("samples", ("sample",)): ("_",),
    ("properties", ("a1", "n1", "l1")): ("neighbor_type", "n", "l"),
}
# Of pairs, whose first atom is called a centre.
PAIR_DIALECT = {
    "center": "first_atom",
    "neighbor": "second_atom",
    "species_center": "first_atom_type",
    "species_neighbor": "second_atom_type",
}


def contract_names(where: str, names: Sequence[str]) -> list[str]:
    """The contract's names for those of one part of a TensorMap; unknown ones come back unchanged.

    >>> contract_names("samples", ["structure", "center", "neighbor"])
    ['system', 'first_atom', 'second_atom']
    """
    if phrase := PHRASES.get((where, tuple(names))):
        return list(phrase)
    pairs = PAIR_DIALECT if where == "samples" and {"center", "neighbor"} <= set(names) else {}
    return [pairs.get(name) or contract_name(where, name) for name in names]


def contract_name(where: str, name: str) -> str:
    """The contract's name for one that may be in a dialect; other names come back unchanged.

    >>> contract_name("keys", "species_center")
    'center_type'
    """
    return DIALECTS[where].get(name, name)
