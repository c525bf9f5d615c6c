"""What calculators of products ask of the calculators that they multiply: densities with the right names."""

import itertools
from collections.abc import Sequence
from typing import Any

import metatensor
import numpy as np
from ketmap_core.tensors import as_numpy, library
from ketmap_density.blocks import Maker

#: names of keys of the neighbours, and what they become in the first or second factor of a product
NEIGHBORS = ("neighbor_type", "neighbor_channel")


def neighbor_name(tensor: Any) -> str | None:
    """The key that tells neighbours apart, if there is one."""
    return next((name for name in NEIGHBORS if name in tensor.keys.names), None)


def indexed(name: str, index: int) -> str:
    """The name of a neighbour key in a factor of a product.

    >>> indexed("neighbor_type", 2), indexed("neighbor_channel", 1)
    ('neighbor_2_type', 'neighbor_1_channel')
    """
    return name.replace("neighbor_", f"neighbor_{index}_")


def factor_names(index: int) -> dict[str, str]:
    """Names of keys of a product that say which blocks its first or second factor is made of: there, and in the
    density."""
    return {f"l_{index}": "o3_lambda", **{indexed(name, index): name for name in NEIGHBORS}}


def named(tensor: Any, index: int) -> Any:
    """A density with names for the first or second factor: ``neighbor_1_type``, ``n_1``."""
    rename = library(tensor).rename_dimension
    if neighbor := neighbor_name(tensor):
        tensor = rename(tensor, "keys", neighbor, indexed(neighbor, index))
    if len(tensor.keys):
        for name in list(tensor.property_names):
            tensor = rename(tensor, "properties", name, f"{name}_{index}")
    return tensor


def neighbors_in_properties(tensor: Any, index: int, types: Sequence[int] | None) -> Any:
    """A named density with its neighbours' types moved from keys to properties.

    :param types: the types that there are to be; by default those of the blocks that are merged.
    """
    name = next((indexed(name, index) for name in NEIGHBORS if indexed(name, index) in tensor.keys.names), None)
    if name is None or not len(tensor.keys):
        return tensor
    if types is None:
        return tensor.keys_to_properties(name)
    make = Maker.like(tensor)
    return tensor.keys_to_properties(make.labels([name], np.array(types).reshape(-1, 1)))


def check_samples(selected: Any) -> None:
    """:raises ValueError: for selected samples that are no Labels: a product has other keys than its densities."""
    if selected is not None and not hasattr(selected, "names"):
        raise ValueError(f"selected samples must be Labels, got {type(selected).__name__}")


def needed(selected: Any, *factors: dict[str, str]) -> Any:
    """The keys of a density that the selected keys of a product need, as Labels; ``None``: all.

    :param factors: for each factor that this density is: names in the product, and in the density.
    """
    if selected is None or not hasattr(selected, "names"):
        return None
    names, values = list(selected.names), as_numpy(selected.values)
    found: dict[str, set[int]] = {}
    for name in dict.fromkeys(factors[0].values()):
        columns = [next((own for own, theirs in factor.items() if theirs == name), None) for factor in factors]
        if all(column in names for column in columns):
            found[name] = set(values[:, [names.index(column) for column in columns]].flatten().tolist())
    if not found:
        return None
    entries = np.array(list(itertools.product(*map(sorted, found.values()))), dtype=np.int32)
    return metatensor.Labels(list(found), entries.reshape(-1, len(found)))
