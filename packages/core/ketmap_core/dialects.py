"""TensorMaps of other programs, given the contract's names."""

from typing import Any

import numpy as np
import torch

from .names import PAIR, contract_name, contract_names
from .provenance import derive
from .tensors import as_numpy, labels_like, library, library_of

# featomic's data are [row, column] of the strain and [cell vector, Cartesian] of the cell, as finite
# differences show, but labelled the other way round.
_SWAPPED = {("xyz_2", "xyz_1"): ("xyz_1", "xyz_2"), ("xyz", "abc"): ("abc", "xyz")}


def canonicalize(tensor: Any, equivariant: bool = False, *, pseudo_species: bool = False) -> Any:
    """The same numbers under the names of the exchange contract; ``info`` is kept, and its ``history`` says that this
    was done, where anything had to be.

    Put right are:

    * names of rascaline, equistore, early featomic and torch_spex (``species_center``, ``atom_type``, ``structure``,
      ``spherical_harmonics_l``, ``direction``, ``a_i``, ``lam``, ``m`` …), and columns in another order;
    * a missing ``o3_sigma``, taken as +1 (sphericart's ``SphericalHarmonics``);
    * featomic's labels of strain gradients (``xyz_2``, ``xyz_1``) and cell gradients (``xyz``, ``abc``), whose data are
      in the contract's order already; rascaline's ``cell`` gradients, which are derivatives with respect to strain;
    * ``pair_xyz`` where there are no gradients, whose components are called ``xyz``; featomic's gradient
      rows of pairs of an atom and its own image, two of one label, which are left out, since they are zero;
    * pairs of one system without ``system`` (the neighbour list of a metatomic ``System``, a TensorBlock, which
      may be given as it is).

    Unknown names are left alone: see :func:`ketmap_core.check`.

    :param tensor: of metatensor or metatensor.torch. Values are shared with the result, not copied.
    :param equivariant: give invariants (no ``o3_*`` keys) λ=0, σ=+1 and the component ``o3_mu``.
    :param pseudo_species: the types of neighbours are numbers of pseudo-species (torch-spex's ``Alchemical``, which
        counts them up or, in its first version, down from 0): they are called ``neighbor_channel`` and count up.
    :raises ValueError: if two names become one, as ``species_center`` beside ``center_type``.
    """
    tensor = _as_map(tensor)
    lib = library(tensor)
    names, keys = _keys(tensor.keys, equivariant)
    if len(set(names)) < len(names):
        raise ValueError(f"keys {list(tensor.keys.names)} hold two names that mean the same: {names}")
    scalar = equivariant and "o3_lambda" not in contract_names("keys", tensor.keys.names)
    blocks = [_block(lib, block, scalar) for block in tensor.blocks()]
    result = lib.TensorMap(labels_like(tensor.keys, names, keys), blocks)
    if pseudo_species:
        result = _with_channels(lib, result)
    if _spelling(result) == _spelling(tensor):  # nothing was done that history would have to tell
        for key, value in tensor.info().items():
            result.set_info(key, value)
        return result
    asked = {"equivariant": equivariant, "pseudo_species": pseudo_species}
    hypers = {name: True for name, value in asked.items() if value}
    return derive(result, "canonicalize", tensor, hypers, same_features=True)


def _as_map(tensor: Any) -> Any:
    """A lone block becomes a TensorMap."""
    if hasattr(tensor, "gradients_list") and hasattr(tensor, "samples"):
        lib = library_of(tensor.samples)
        keys = labels_like(tensor.samples, ["_"], [[0]])
        block = _copy(lib, tensor, tensor.samples, tensor.properties)
        return lib.TensorMap(keys, [block])
    return tensor


def _spelling(tensor: Any) -> list:
    """All names in a TensorMap, and how many rows they label."""
    return [list(tensor.keys.names), [_names_in(block) for block in tensor.blocks()]]


def _names_in(block: Any) -> list:
    parts = [block.samples, *block.components, block.properties]
    gradients = [[name, _names_in(block.gradient(name))] for name in block.gradients_list()]
    return [[(list(labels.names), len(labels)) for labels in parts], gradients]


def _keys(keys: Any, equivariant: bool) -> tuple[list[str], list[list[int]]]:
    names = contract_names("keys", keys.names)
    rows = as_numpy(keys.values).tolist()
    if equivariant and "o3_lambda" not in names:
        place = 0 if names != ["_"] else 1
        return ["o3_lambda", "o3_sigma", *names[place:]], [[0, 1, *row[place:]] for row in rows]
    if "o3_lambda" in names and "o3_sigma" not in names:
        names, rows = [*names, "o3_sigma"], [[*row, 1] for row in rows]
    order = sorted(range(len(names)), key=lambda i: {"o3_lambda": 0, "o3_sigma": 1}.get(names[i], 2))
    return [names[i] for i in order], [[row[i] for i in order] for row in rows]


def _block(lib: Any, block: Any, scalar: bool) -> Any:
    components = [_component(labels) for labels in block.components]
    if not block.gradients_list():
        components = [_called(labels, {"pair_xyz": "xyz"}) for labels in components]
    return _rebuilt(lib, block, components, scalar)


def _rebuilt(lib: Any, block: Any, components: list[Any], scalar: bool, of: Any = None) -> Any:
    """The block, or the gradient ``of`` a block, with the contract's names."""
    mu = [labels_like(block.properties, ["o3_mu"], [[0]])] if scalar else []
    values = block.values[..., None, :] if scalar else block.values
    samples = block.samples
    if of is None:
        samples = _samples(samples)
    else:
        samples, values = _gradient_rows(samples, values, of)
    result = lib.TensorBlock(values, samples, components + mu, _translated("properties", block.properties))
    for name in block.gradients_list():
        gradient = block.gradient(name)
        axes = [labels.names[0] for labels in gradient.components]
        here = len(axes) - len(block.components)  # the components after these are those of the values
        if name == "cell" and axes[:here] == ["direction_1", "direction_2"]:
            name = "strain"
        own = [_component(labels) for labels in gradient.components[:here]]
        wanted = _SWAPPED.get(tuple(labels.names[0] for labels in own), None)
        if wanted:
            own = [labels_like(labels, [axis], labels.values) for labels, axis in zip(own, wanted)]
        result.add_gradient(name, _rebuilt(lib, gradient, own + components, scalar, of=result))
    return result


def _gradient_rows(samples: Any, values: Any, block: Any) -> tuple[Any, Any]:
    """Samples with the contract's names, and the values.

    A pair of an atom and its own image does not move with the atom; featomic's rows about that, two of one label and
    one of them not zero, are left out.
    """
    names = [contract_name("samples", name) for name in samples.names]
    kept = _kept(as_numpy(samples.values), block)
    if kept is None:
        return _called(samples, dict(zip(samples.names, names))), values
    rows = kept if isinstance(values, np.ndarray) else torch.from_numpy(kept).to(values.device)
    return labels_like(samples, names, as_numpy(samples.values)[kept]), values[rows]


def _kept(rows: np.ndarray, block: Any) -> np.ndarray | None:
    """Which gradient ``rows`` stay; None: all."""
    pairs = list(block.samples.names)
    if "second_atom" not in pairs or len(np.unique(rows, axis=0)) == len(rows):
        return None
    first, second = (as_numpy(block.samples.values)[:, pairs.index(name)] for name in ("first_atom", "second_atom"))
    return np.flatnonzero((first != second)[rows[:, 0]])


def _samples(labels: Any) -> Any:
    names, rows = contract_names("samples", labels.names), as_numpy(labels.values)
    if names[:2] == ["first_atom", "second_atom"]:  # of one system
        names, rows = ["system", *names], np.insert(rows, 0, 0, axis=1)
    if set(PAIR) <= set(names):
        order = sorted(range(len(names)), key=lambda i: PAIR.index(names[i]) if names[i] in PAIR else len(PAIR) + i)
        names, rows = [names[i] for i in order], rows[:, order]
    return labels if names == list(labels.names) else labels_like(labels, names, rows)


def _component(labels: Any) -> Any:
    if list(labels.names) == ["cartesian_dimension"]:  # counted from −1 in torch_spex
        return labels_like(labels, ["xyz"], [[0], [1], [2]])
    return _translated("components", labels)


def _translated(part: str, labels: Any) -> Any:
    return _called(labels, dict(zip(labels.names, contract_names(part, labels.names))))


def _called(labels: Any, new_names: dict[str, str]) -> Any:
    names = [new_names.get(name, name) for name in labels.names]
    return labels if names == list(labels.names) else labels_like(labels, names, labels.values)


def _with_channels(lib: Any, tensor: Any) -> Any:
    """Types of neighbours become numbers of pseudo-species, wherever they are."""

    blocks = [_copy(lib, old, _channels(old.samples), _channels(old.properties)) for old in tensor.blocks()]
    return lib.TensorMap(_channels(tensor.keys), blocks)


def _channels(labels: Any) -> Any:
    names = [
        name.replace("_type", "_channel") if name.startswith("neighbor") and name.endswith("_type") else name
        for name in labels.names
    ]
    if names == list(labels.names) and "neighbor_channel" not in names:
        return labels
    rows = as_numpy(labels.values).copy()
    columns = [i for i, name in enumerate(names) if name.endswith("_channel")]
    rows[:, columns] = abs(rows[:, columns])
    return labels_like(labels, names, rows)


def _copy(lib: Any, old: Any, samples: Any, properties: Any) -> Any:
    """A block that shares its values, with other labels; its gradients get the ``properties`` too."""
    result = lib.TensorBlock(old.values, samples, list(old.components), properties)
    for name in old.gradients_list():
        gradient = old.gradient(name)
        result.add_gradient(name, _copy(lib, gradient, gradient.samples, properties))
    return result
