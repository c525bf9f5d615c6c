"""What contract and files need of TensorMaps, for metatensor and metatensor.torch alike."""

import importlib
from types import ModuleType
from typing import Any

import metatensor
import numpy as np


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
