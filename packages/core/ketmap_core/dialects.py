"""TensorMaps of other programs, given the contract's names."""

from typing import Any

from .names import contract_name
from .provenance import derive
from .tensors import as_numpy, labels_like, library

# featomic's data are [row, column] of the strain and [cell vector, Cartesian] of the cell, as finite
# differences show, but labelled the other way round.
_SWAPPED = {("xyz_2", "xyz_1"): ("xyz_1", "xyz_2"), ("xyz", "abc"): ("abc", "xyz")}


def canonicalize(tensor: Any, equivariant: bool = False) -> Any:
    """The same numbers under the names of the exchange contract; ``info`` is kept, and
    its ``history`` says that this was done, where anything had to be.

    Put right are: names of rascaline, early featomic and torch-spex (``species_center``, ``atom_type``,
    ``structure``, ``spherical_harmonics_l``, ``direction`` …); featomic's labels of strain gradients
    (``xyz_2``, ``xyz_1``) and cell gradients (``xyz``, ``abc``), whose data are in the contract's order
    already; rascaline's ``cell`` gradients, which are derivatives with respect to strain; ``pair_xyz`` where
    there are no gradients, whose components are called ``xyz``; a missing ``o3_sigma``, taken as +1. Unknown
    names are left alone: see :func:`ketmap_core.check`.

    :param tensor: of metatensor or metatensor.torch. Values are shared with the result, not copied.
    :param equivariant: give invariants (no ``o3_*`` keys) λ=0, σ=+1 and the component ``o3_mu``.
    :raises ValueError: if two names become one, as ``species_center`` beside ``center_type``.
    """
    lib = library(tensor)
    names, keys = _keys(tensor.keys, equivariant)
    if len(set(names)) < len(names):
        raise ValueError(f"keys {list(tensor.keys.names)} hold two names that mean the same: {names}")
    scalar = equivariant and "o3_lambda" not in [contract_name("keys", name) for name in tensor.keys.names]
    blocks = [_block(lib, block, scalar) for block in tensor.blocks()]
    result = lib.TensorMap(labels_like(tensor.keys, names, keys), blocks)
    if _spelling(result) == _spelling(tensor):  # nothing was done that history would have to tell
        for key, value in tensor.info().items():
            result.set_info(key, value)
        return result
    return derive(result, "canonicalize", tensor, {"equivariant": equivariant}, same_features=True)


def _spelling(tensor: Any) -> list:
    """All names in a TensorMap."""
    return [list(tensor.keys.names), [_names_in(block) for block in tensor.blocks()]]


def _names_in(block: Any) -> list:
    parts = [block.samples, *block.components, block.properties]
    gradients = [[name, _names_in(block.gradient(name))] for name in block.gradients_list()]
    return [[list(labels.names) for labels in parts], gradients]


def _keys(keys: Any, equivariant: bool) -> tuple[list[str], list[list[int]]]:
    names = [contract_name("keys", name) for name in keys.names]
    rows = as_numpy(keys.values).tolist()
    if "o3_lambda" in names and "o3_sigma" not in names:
        place = names.index("o3_lambda") + 1
        return [*names[:place], "o3_sigma", *names[place:]], [[*r[:place], 1, *r[place:]] for r in rows]
    if equivariant and "o3_lambda" not in names:
        place = 0 if names != ["_"] else 1
        return ["o3_lambda", "o3_sigma", *names[place:]], [[0, 1, *row[place:]] for row in rows]
    order = sorted(range(len(names)), key=lambda i: {"o3_lambda": 0, "o3_sigma": 1}.get(names[i], 2))
    return [names[i] for i in order], [[row[i] for i in order] for row in rows]


def _block(lib: Any, block: Any, scalar: bool) -> Any:
    components = [_component(labels) for labels in block.components]
    if not block.gradients_list():
        components = [_called(labels, {"pair_xyz": "xyz"}) for labels in components]
    return _rebuilt(lib, block, components, scalar)


def _rebuilt(lib: Any, block: Any, components: list[Any], scalar: bool) -> Any:
    mu = [labels_like(block.properties, ["o3_mu"], [[0]])] if scalar else []
    values = block.values[..., None, :] if scalar else block.values
    samples, properties = (_translated(part, getattr(block, part)) for part in ("samples", "properties"))
    result = lib.TensorBlock(values, samples, components + mu, properties)
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
        result.add_gradient(name, _rebuilt(lib, gradient, own + components, scalar))
    return result


def _component(labels: Any) -> Any:
    return _translated("components", labels)


def _translated(part: str, labels: Any) -> Any:
    return _called(labels, {name: contract_name(part, name) for name in labels.names})


def _called(labels: Any, new_names: dict[str, str]) -> Any:
    names = [new_names.get(name, name) for name in labels.names]
    return labels if names == list(labels.names) else labels_like(labels, names, labels.values)
