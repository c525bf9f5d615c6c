"""Features of pairs of centres, and messages: densities of neighbours, seen along the pair and summed up.

Nigam, Pozdnyakov, Fraux, Ceriotti, *J. Chem. Phys.* **156**, 204115 (2022). Three TensorMaps meet: features of atoms i,
terms of pairs |r_ij⟩ and features of atoms j, which may be of any order. Pair and neighbour are coupled first (to
k_ij), then the centre (to λ), so that sums over j are taken before the centre is multiplied.
"""

import re
from typing import Any

import metatensor
from ketmap_core import derive
from ketmap_core.names import O3
from ketmap_core.tensors import as_numpy, library

from .product import ClebschGordanProduct

PAIR_KEYS = ("first_atom_type", "second_atom_type")
SUMMED = ("second_atom", "cell_shift_a", "cell_shift_b", "cell_shift_c")


class PairFeatures:
    """ρ_i^{⊗ν} ⊗ |r_ij⟩ ⊗ ρ_j^{⊗ν1}: equivariants of two centres.

    Keys ``o3_lambda, o3_sigma, first_atom_type, second_atom_type`` and how the factors couple: ``l_ij`` and ``l_j`` to
    ``k_ij``, that and ``l_i`` to λ; samples those of the pairs. Names of properties (and of further keys) get the atoms
    that they belong to: ``n_i``, ``n_ij``, ``n_j``, ``neighbor_i_type`` …

    Exchanging i and j gives the same numbers in other couplings: |r_ji⟩ = (−1)^l |r_ij⟩ with the exchanged shift.
    """

    def compute(self, pairs: Any, first: Any = None, second: Any = None, *, angular_cutoff=None, selected_keys=None):
        """The features of all pairs, with the gradients that all have; differentiable where they are torch's.

        :param pairs: TensorMap by pair, such as that of :class:`~ketmap_density.SphericalExpansionByPair`.
        :param first: features of the atoms i: equivariant TensorMap by atom; ``None``: none.
        :param second: likewise of the atoms j.
        :param angular_cutoff: largest ``k_ij``.
        :param selected_keys: Labels of some of the keys of the result: only what matches is computed.
        :raises ValueError: for TensorMaps that are not of pairs, or not of atoms, or of other systems.
        """
        _check_pairs(pairs)
        if selected_keys is not None and first is None and second is None:
            raise ValueError("pairs alone are not multiplied: select keys where they are computed")
        along = _suffixed(pairs, "ij", {})
        if second is not None:
            chosen = selected_keys if first is None else _up_to(angular_cutoff)
            along = _couple(along, _at(second, "second_atom", "j"), ("l_ij", "l_j"), chosen)
        if first is not None:
            names = ("l_i", "l_ij" if second is None else "k_ij")
            along = _couple(_at(first, "first_atom", "i"), along, names, selected_keys)
        return derive(along, "PairFeatures", _given(pairs, first, second), {"angular_cutoff": angular_cutoff})


class MessagePassing:
    """ρ_i^{⊗[ν ← ν1]} = Σ_j ρ_i^{⊗ν} ⊗ |r_ij⟩ ⊗ ρ_j^{⊗ν1}: what neighbours know, seen along the pairs and summed.

    Keys ``o3_lambda, o3_sigma, center_type, neighbor_type`` (that of j) and the couplings of :class:`PairFeatures`;
    samples ``system, atom``. Pairs of an atom with itself count where the pairs have them (``center_atom_weight``). The
    result reaches twice as far as the cutoff, and is a density that can be multiplied and passed on again.

    >>> import ase.build
    >>> from ketmap_cg import MessagePassing
    >>> from ketmap_density import Cutoff, Gaussian, Gto, ShiftedCosine, TensorProduct
    >>> from ketmap_density import SphericalExpansion, SphericalExpansionByPair
    >>> basis = TensorProduct(max_angular=1, radial=Gto(max_radial=1))
    >>> hypers = dict(cutoff=Cutoff(3.0, smoothing=ShiftedCosine(0.5)), density=Gaussian(0.4), basis=basis)
    >>> water = ase.build.molecule("H2O")
    >>> pairs = SphericalExpansionByPair(**hypers).compute(water)
    >>> density = SphericalExpansion(**hypers).compute(water).keys_to_properties("neighbor_type")
    >>> messages = MessagePassing().compute(pairs, density, density, angular_cutoff=1)
    >>> messages.keys.names
    ['o3_lambda', 'o3_sigma', 'center_type', 'l_i', 'neighbor_type', 'l_ij', 'l_j', 'k_ij']
    >>> messages.block(0).properties.names
    ['neighbor_i_type', 'n_i', 'n_ij', 'neighbor_j_type', 'n_j']
    """

    def compute(self, pairs: Any, first: Any = None, second: Any = None, *, angular_cutoff=None, selected_keys=None):
        """The messages at all atoms, with the gradients that all have; differentiable where they are torch's.

        :param pairs: TensorMap by pair, such as that of :class:`~ketmap_density.SphericalExpansionByPair`.
        :param first: features of the centres i: equivariant TensorMap by atom; ``None``: the messages alone.
        :param second: likewise of the neighbours j; ``None``: the sum is the density itself.
        :param angular_cutoff: largest ``k_ij``.
        :param selected_keys: Labels of some of the keys of the result: only what matches is computed.
        :raises ValueError: for TensorMaps that are not of pairs, or not of atoms, or of other systems.
        """
        chosen = _keys_of_pairs(selected_keys if first is None else _up_to(angular_cutoff))
        if second is None and first is not None:
            chosen = None  # pairs alone are not multiplied
        along = PairFeatures().compute(pairs, second=second, angular_cutoff=angular_cutoff, selected_keys=chosen)
        message = _summed(along)
        if first is not None:
            names = ("l_i", "l_ij" if second is None else "k_ij")
            message = _couple(_suffixed(first, "i", {"center_type": "center_type"}), message, names, selected_keys)
        return derive(message, "MessagePassing", _given(pairs, first, second), {"angular_cutoff": angular_cutoff})


def _couple(first: Any, second: Any, names: tuple[str, str], selected_keys: Any) -> Any:
    return ClebschGordanProduct().compute(first, second, *names, selected_keys=selected_keys)


def _up_to(angular_cutoff: int | None) -> Any:
    if angular_cutoff is None:
        return None
    return metatensor.Labels.range("o3_lambda", angular_cutoff + 1)


def _given(*tensors: Any) -> list[Any]:
    return [tensor for tensor in tensors if tensor is not None]


def _summed(along: Any) -> Any:
    """Sum over the neighbours of each first atom."""
    tools = library(along)
    if len(along.keys):
        along = tools.sum_over_samples(along, list(SUMMED))
        along = tools.rename_dimension(along, "samples", "first_atom", "atom")
    along = tools.rename_dimension(along, "keys", "first_atom_type", "center_type")
    return tools.rename_dimension(along, "keys", "second_atom_type", "neighbor_type")


def _keys_of_pairs(selected: Any) -> Any:
    """Selected keys of messages as those of the pairs that are summed."""
    if selected is None:
        return None
    names = {"center_type": "first_atom_type", "neighbor_type": "second_atom_type"}
    return type(selected)([names.get(name, name) for name in selected.names], selected.values)


def _at(tensor: Any, atom: str, which: str) -> Any:
    """Features of atoms as those of the first or second atom of pairs."""
    _check_atoms(tensor)
    tensor = _suffixed(tensor, which, {"center_type": f"{atom}_type"})
    return library(tensor).rename_dimension(tensor, "samples", "atom", atom) if len(tensor.keys) else tensor


def _suffixed(tensor: Any, which: str, keys: dict[str, str]) -> Any:
    """Names of properties and keys with the atoms that they belong to; some keys are renamed to others."""
    rename = library(tensor).rename_dimension
    for name in list(tensor.keys.names):
        new = keys.get(name) or (name if name in (*O3, *PAIR_KEYS) else suffixed(name, which))
        if new != name:
            tensor = rename(tensor, "keys", name, new)
    if len(tensor.keys):
        for name in list(tensor.property_names):
            tensor = rename(tensor, "properties", name, suffixed(name, which))
    return tensor


def suffixed(name: str, which: str) -> str:
    """The name of a dimension with the atoms that it belongs to.

    >>> suffixed("n", "i"), suffixed("neighbor_type", "j"), suffixed("n_2", "ij")
    ('n_i', 'neighbor_j_type', 'n_2_ij')
    """
    stem, kind = re.fullmatch(r"(.*?)(_type|_channel)?", name).groups()
    return f"{stem}_{which}{kind or ''}"


def _check_pairs(tensor: Any) -> None:
    library(tensor)  # raises for what is no TensorMap
    missing = [name for name in (*O3, *PAIR_KEYS) if name not in tensor.keys.names]
    if missing:
        raise ValueError(
            f"expected the TensorMap of pairs, with keys {', '.join((*O3, *PAIR_KEYS))}; "
            f"got {', '.join(tensor.keys.names)}"
        )


def _check_atoms(tensor: Any) -> None:
    library(tensor)
    samples = list(tensor.sample_names) if len(as_numpy(tensor.keys.values)) else ["system", "atom"]
    if "center_type" not in tensor.keys.names or samples != ["system", "atom"]:
        raise ValueError(
            "expected a TensorMap of atoms, with key center_type and samples system, atom; "
            f"got keys {', '.join(tensor.keys.names)} and samples {', '.join(samples)}"
        )
