"""What contract and files need of TensorMaps, for metatensor and metatensor.torch alike."""

import importlib
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import metatensor
import numpy as np
import torch


def is_torch(tensor: Any) -> bool:
    """Whether this is a TensorMap of metatensor.torch.

    :raises TypeError: if it is no TensorMap at all.
    """
    if isinstance(tensor, metatensor.TensorMap):
        return False
    if hasattr(tensor, "keys_to_samples") and hasattr(tensor, "blocks"):
        return True
    raise TypeError(f"expected a TensorMap of metatensor or metatensor.torch, got {type(tensor).__name__}")


def library(tensor: Any) -> ModuleType:
    """The module whose Labels, TensorBlock and TensorMap belong to this tensor."""
    return importlib.import_module("metatensor.torch") if is_torch(tensor) else metatensor


def as_numpy(values: Any) -> np.ndarray:
    """Values of blocks or labels, of either library."""
    return values.detach().cpu().numpy() if hasattr(values, "detach") else np.asarray(values)


def labels_like(like: Any, names: Sequence[str], values: Any) -> Any:
    """Labels of the same library and device as the Labels ``like``; ``values`` [entry, name] are unique."""
    names, kind = list(names), library_of(like).Labels
    if library_of(like) is metatensor:
        rows = np.ascontiguousarray(values, dtype=np.int32).reshape(-1, len(names))
        return kind(names, rows, assume_unique=True)
    rows = values if isinstance(values, torch.Tensor) else torch.tensor(np.asarray(values, dtype=np.int32))
    return kind(names, rows.to(like.values).reshape(-1, len(names)), assume_unique=True)


def library_of(labels: Any) -> ModuleType:
    """The module that these Labels belong to."""
    return metatensor if isinstance(labels, metatensor.Labels) else importlib.import_module("metatensor.torch")


def describe(names: Sequence[str], key: Sequence[int]) -> str:
    """The words for one block.

    >>> describe(["center_type", "neighbor_type"], [6, 1])
    'block (center_type=6, neighbor_type=1)'
    """
    return "block (" + ", ".join(f"{name}={value}" for name, value in zip(names, key)) + ")"
