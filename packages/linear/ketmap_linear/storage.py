"""A fitted model as one file: an archive of JSON, weights as TensorMap and moments of the training
environments.

``model.json`` holds what a reader needs to use the weights without ketmap: representation and its
hyper-parameters, composition, units, and how the model was made. Nothing in it is executed or unpickled.
"""

import json
from pathlib import Path
from typing import Any

from ketmap_core import load_archive, save_archive
from ketmap_core.files import ketmap_class, pack_tensor, unpack_tensor

from .leverage import Leverage
from .model import Fitted, Model
from .potential import BaselinedPotential
from .ridge import Ridge
from .scores import Errors

KIND, VERSION = "ketmap linear model", 1
DESCRIPTION, WEIGHTS, LEVERAGE = "model.json", "weights.mts", "leverage.npz"


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
    members = {
        DESCRIPTION: json.dumps(description, indent=1, ensure_ascii=False).encode(),
        **_packed(fitted.weights),
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
    description = json.loads(members[DESCRIPTION])
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
