"""What made a TensorMap, kept in its ``info`` and through files.

Kept as strings, under these keys: ``ketmap.calculator``, ``ketmap.hypers`` (JSON), ``ketmap.units`` (JSON),
``ketmap.convention`` (names, order and signs of the exchange contract), ``ketmap.versions`` (JSON)
and ``ketmap.hash`` (of calculator, hyper-parameters, units and convention: equal hashes mean features that
can be compared).
"""

import hashlib
import json
from functools import cache
from importlib import metadata
from typing import Any

CONVENTION = "ketmap-1"
UNITS = {"length": "Å", "energy": "eV"}
PACKAGES = ("ketmap-core", "ketmap-ops", "ketmap-native", "metatensor-core", "torch", "vesin", "numpy")
_PREFIX = "ketmap."
_JSON = ("hypers", "units", "versions")


def stamp(tensor: Any, calculator: str, hypers: dict | None = None, units: dict | None = None) -> Any:
    """Write into ``tensor.info`` what made it, and give the tensor back.

    :param tensor: TensorMap of metatensor or metatensor.torch.
    :param calculator: name of the calculator.
    :param hypers: its hyper-parameters: what JSON can hold.
    :param units: by quantity; lengths in Å and energies in eV unless said.
    :raises TypeError: for hyper-parameters that JSON cannot hold.
    """
    try:
        hypers_text = json.dumps(hypers or {}, sort_keys=True)
    except TypeError as error:
        raise TypeError(f"the hyper-parameters of {calculator} cannot be kept as JSON: {error}") from None
    units_text = json.dumps({**UNITS, **(units or {})}, sort_keys=True, ensure_ascii=False)
    content = "\n".join((calculator, hypers_text, units_text, CONVENTION))
    tensor.set_info(_PREFIX + "calculator", calculator)
    tensor.set_info(_PREFIX + "hypers", hypers_text)
    tensor.set_info(_PREFIX + "units", units_text)
    tensor.set_info(_PREFIX + "convention", CONVENTION)
    tensor.set_info(_PREFIX + "versions", _versions())
    tensor.set_info(_PREFIX + "hash", hashlib.sha256(content.encode()).hexdigest()[:16])
    return tensor


def info(tensor: Any) -> dict[str, Any]:
    """What :func:`stamp` wrote, decoded; and whatever else the info holds, as text."""
    found = {}
    for key, value in tensor.info().items():
        name = key.removeprefix(_PREFIX)
        found[name] = json.loads(value) if key.startswith(_PREFIX) and name in _JSON else value
    return found


def versions() -> dict[str, str]:
    """Versions of the installed packages that numbers depend on."""
    return json.loads(_versions())


@cache
def _versions() -> str:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:  # native is optional
            continue
    return json.dumps(found, sort_keys=True)
