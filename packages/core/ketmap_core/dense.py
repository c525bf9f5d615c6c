"""Dense arrays of spherical harmonics, as sphericart makes them, as TensorMaps."""

import importlib
from typing import Any

import metatensor
import numpy as np
import torch

from .tensors import labels_like


def from_dense(values: Any, samples: Any = None, properties: Any = None) -> Any:
    """A TensorMap of an array that holds all degrees one after the other, at index l² + l + m.

    That is how sphericart, spherical harmonics of SciPy put together, and ketmap's own operators lay them out. Keys
    ``o3_lambda``, ``o3_sigma`` (= +1), component ``o3_mu``. Blocks are views of the array.

    :param values: [sample, (l_max + 1)²] or [sample, (l_max + 1)², property], of NumPy (gives a TensorMap of
        metatensor) or torch (of metatensor.torch, autograd goes on).
    :param samples: Labels of the rows, ``system, atom`` say; by default ``_``, counted from 0.
    :param properties: Labels of the last axis; by default ``_`` = 0 without that axis, ``n``, counted from 0, with it.
    :raises ValueError: if the second axis has no square number of entries or Labels do not fit.

    >>> harmonics = np.ones((5, 9))  # 5 vectors, l = 0, 1, 2
    >>> tensor = from_dense(harmonics)
    >>> [block.shape for block in tensor.blocks()]
    [(5, 1, 1), (5, 3, 1), (5, 5, 1)]
    """
    is_torch = isinstance(values, torch.Tensor)
    values = values if is_torch else np.asarray(values)
    shape = tuple(values.shape)
    size = shape[1] if len(shape) in (2, 3) else 0
    l_max = round(size**0.5) - 1
    if size == 0 or (l_max + 1) ** 2 != size:
        raise ValueError(
            f"expected values [sample, (l_max + 1)²] or [sample, (l_max + 1)², property], got {list(shape)}"
        )
    lib = importlib.import_module("metatensor.torch") if is_torch else metatensor
    labels = _maker(lib, values)
    if properties is None:
        properties = labels(["_"], [[0]]) if len(shape) == 2 else labels(["n"], np.arange(shape[2])[:, None])
    if samples is None:
        samples = labels(["_"], np.arange(shape[0])[:, None])
    values = values[..., None] if len(shape) == 2 else values  # -> [sample, lm, property]
    for what, given, count in (("samples", samples, shape[0]), ("properties", properties, values.shape[2])):
        if len(given) != count:
            raise ValueError(f"{len(given)} {what} do not fit values {list(shape)}, expected {count}")
    blocks = []
    for l in range(l_max + 1):
        mu = labels(["o3_mu"], np.arange(-l, l + 1)[:, None])
        blocks.append(lib.TensorBlock(values[:, l * l : (l + 1) ** 2], samples, [mu], properties))
    keys = labels(["o3_lambda", "o3_sigma"], [[l, 1] for l in range(l_max + 1)])
    return lib.TensorMap(keys, blocks)


def _maker(lib: Any, values: Any):
    """Makes labels beside ``values``: of their library, on their device."""
    like = lib.Labels.single() if lib is metatensor else lib.Labels.single().to(values.device)
    return lambda names, rows: labels_like(like, names, rows)
