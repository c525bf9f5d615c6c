"""A fitted model as one file: an archive of JSON, weights as TensorMap and moments of the training
environments.

``model.json`` holds what a reader needs to use the weights without ketmap: representation and its
hyper-parameters, composition, units, and how the model was made. TensorMaps that a representation needs besides its
weights, such as the contraction of NICE, are members of their own. Nothing in it is executed or unpickled.
"""

import json
from pathlib import Path
from typing import Any

from ketmap_core import FileFormatError, load_archive, save_archive
from ketmap_core.files import ketmap_class, pack_tensor, unpack_tensor
from metatensor import TensorMap

from .leverage import Leverage
from .model import Fitted, Model
from .potential import BaselinedPotential
from .ridge import Ridge
from .scores import Errors

KIND, VERSION = "ketmap linear model", 1
DESCRIPTION, WEIGHTS, LEVERAGE = "model.json", "weights.mts", "leverage.npz"
TENSOR = "tensor"  # key in model.json that names a member


def save(model: Model, path: str | Path) -> None:
    """Write a fitted model, whole or not at all.

    :raises NotFittedError: before ``fit``.
    """
    fitted, kind = model.fitted, type(model.representation)
    description = {
        "representation": {
            "module": kind.__module__,
            "class": kind.__name__,
            "hypers": model.representation.to_dict(),
        },
        "regressor": {"class": "Ridge", "hypers": model.regressor.to_dict()},
        "types": list(model.types),
        "composition": {str(t): energy for t, energy in model.composition.items()},
        "units": model.units,
        "errors": {name: errors.to_dict() for name, errors in fitted.errors.items()},
        "fit": fitted.report,
    }
    tensors: dict[str, bytes] = {}
    description = _without_tensors(description, "", tensors)
    members = {
        DESCRIPTION: json.dumps(description, indent=1, ensure_ascii=False).encode(),
        **_packed(fitted.weights),
        **tensors,
        LEVERAGE: fitted.leverage.to_bytes(),
    }
    save_archive(path, members, kind=KIND, version=VERSION)


def load(path: str | Path, representation: type | None = None) -> Model:
    """Read a model; its predictions are those of the saved one, bit for bit.

    :param representation: class of the representation, if it is none of ketmap's.
    :raises FileFormatError: for files that are cut, foreign or made by a newer version.
    :raises FileNotFoundError: if there is no such file.
    """
    members = load_archive(path, kind=KIND, version=VERSION)
    description = _with_tensors(json.loads(members[DESCRIPTION]), members, path)
    given = description["representation"]
    kind = representation or ketmap_class(path, given["module"], given["class"], "representation")
    model = Model(
        kind.from_dict(given["hypers"]),
        Ridge(**description["regressor"]["hypers"]),
        units=description["units"],
    )
    weights = _unpacked(members)
    composition = {int(t): energy for t, energy in description["composition"].items()}
    model._fitted = Fitted(
        weights=weights,
        potential=BaselinedPotential.of(model.representation, weights, composition),
        leverage=Leverage.from_bytes(tuple(composition), members[LEVERAGE]),
        errors={name: Errors.from_dict(errors) for name, errors in description["errors"].items()},
        report=description["fit"],
    )
    return model


def _packed(weights: Any) -> dict[str, bytes]:
    """One TensorMap, or one for each of several representations."""
    if isinstance(weights, list):
        return {f"{index}/{WEIGHTS}": pack_tensor(tensor) for index, tensor in enumerate(weights)}
    return {WEIGHTS: pack_tensor(weights)}


def _unpacked(members: dict[str, bytes]) -> Any:
    if WEIGHTS in members:
        return unpack_tensor(members[WEIGHTS])
    return [unpack_tensor(members[f"{index}/{WEIGHTS}"]) for index in range(sum(WEIGHTS in name for name in members))]


def _without_tensors(value: Any, place: str, members: dict[str, bytes]) -> Any:
    """A description for JSON: TensorMaps become members of the archive, named by their ``place`` in it."""
    if isinstance(value, TensorMap):
        members[name := f"{place.removesuffix('.mts')}.mts"] = pack_tensor(value)
        return {TENSOR: name}
    if isinstance(value, dict):
        return {key: _without_tensors(part, f"{place}/{key}".lstrip("/"), members) for key, part in value.items()}
    if isinstance(value, list):
        return [_without_tensors(part, f"{place}/{index}", members) for index, part in enumerate(value)]
    return value


def _with_tensors(value: Any, members: dict[str, bytes], path: str | Path) -> Any:
    """The inverse of :func:`_without_tensors`."""
    if isinstance(value, dict) and list(value) == [TENSOR]:
        if value[TENSOR] not in members:
            raise FileFormatError(f"'{path}' lacks its part {value[TENSOR]}; write it again or take a copy")
        return unpack_tensor(members[value[TENSOR]])
    if isinstance(value, dict):
        return {key: _with_tensors(part, members, path) for key, part in value.items()}
    return [_with_tensors(part, members, path) for part in value] if isinstance(value, list) else value
