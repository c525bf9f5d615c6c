"""What made a TensorMap, kept in its ``info`` and through files.

Kept as strings, under these keys: ``ketmap.calculator``, ``ketmap.hypers`` (JSON), ``ketmap.units`` (JSON),
``ketmap.convention`` (names, order and signs of the exchange contract), ``ketmap.versions`` (JSON)
and ``ketmap.hash`` (of calculator, hyper-parameters, units and convention: equal hashes mean features that
can be compared). What was done to a TensorMap after that is in ``ketmap.history`` (JSON): a list of steps
``{"operation": …, "hypers": …}``, the first one first.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from functools import cache
from importlib import metadata
from typing import Any

CONVENTION = "ketmap-1"
UNITS = {"length": "Å", "energy": "eV"}
PACKAGES = ("ketmap-core", "ketmap-ops", "ketmap-native", "metatensor-core", "torch", "vesin", "numpy")
_PREFIX = "ketmap."
_JSON = ("hypers", "units", "versions", "history")
_SUMMARY = ("calculator", "hypers", "hash", "history")


def stamp(tensor: Any, calculator: str, hypers: dict | None = None, units: dict | None = None) -> Any:
    """Write into ``tensor.info`` what made it, and give the tensor back.

    :param tensor: TensorMap of metatensor or metatensor.torch.
    :param calculator: name of the calculator.
    :param hypers: its hyper-parameters: what JSON can hold.
    :param units: by quantity; lengths in Å and energies in eV unless said.
    :raises TypeError: for hyper-parameters that JSON cannot hold.
    """
    hypers_text = _text(hypers or {}, calculator)
    units_text = json.dumps({**UNITS, **(units or {})}, sort_keys=True, ensure_ascii=False)
    tensor.set_info(_PREFIX + "calculator", calculator)
    tensor.set_info(_PREFIX + "hypers", hypers_text)
    tensor.set_info(_PREFIX + "units", units_text)
    tensor.set_info(_PREFIX + "convention", CONVENTION)
    tensor.set_info(_PREFIX + "versions", _versions())
    tensor.set_info(_PREFIX + "hash", _hash(calculator, hypers_text, units_text, CONVENTION))
    return tensor


def derive(
    tensor: Any, operation: str, sources: Any, hypers: dict | None = None, *, same_features: bool = False
) -> Any:
    """Write into ``tensor.info`` that ``operation`` made it of ``sources``, and give the tensor back.

    What all sources agree upon is kept: calculator, hyper-parameters, units, and whatever else their info holds.
    ``history`` gets one more step, ``{"operation": …, "hypers": …}``; where sources differ in calculator,
    hyper-parameters or history, the step says under ``sources`` what each of them was. The hash follows from
    those of the sources, the operation and its hypers; a source without one gives a result without one.

    :param tensor: the result, of metatensor or metatensor.torch; its own info is overwritten.
    :param operation: the name of what was done, ``"cg_product"``.
    :param sources: the TensorMap it was done to, or several of them.
    :param hypers: parameters of the operation: what JSON can hold.
    :param same_features: the result holds the features of the sources, only arranged in another way (labels, selected
        rows, joined data sets); a hash that all sources share is kept.
    :raises TypeError: for hyper-parameters that JSON cannot hold.
    :raises ValueError: for no source, and for sources in different units.

    >>> import metatensor
    >>> import numpy as np
    >>> from metatensor import Labels, TensorBlock, TensorMap
    >>> block = TensorBlock(np.ones((1, 1)), Labels.range("system", 1), [], Labels.range("n", 1))
    >>> tensor = stamp(TensorMap(Labels.single(), [block]), calculator="SoapRadialSpectrum")
    >>> twice = derive(metatensor.multiply(tensor, 2.0), "multiply", tensor, {"by": 2.0})
    >>> info(twice)["calculator"], info(twice)["history"]
    ('SoapRadialSpectrum', [{'operation': 'multiply', 'hypers': {'by': 2.0}}])
    """
    sources = [sources] if hasattr(sources, "info") else list(sources)
    if not sources:
        raise ValueError(f"{operation}: expected at least one source, got none")
    step = {"operation": operation, "hypers": json.loads(_text(hypers or {}, operation))}
    raw = [dict(source.info()) for source in sources]
    merged = {key: value for key, value in raw[0].items() if all(other.get(key) == value for other in raw)}
    merged.pop(_PREFIX + "hash", None)
    if units := _common_units(operation, sources):
        merged[_PREFIX + "units"] = json.dumps(units, sort_keys=True, ensure_ascii=False)
    summaries = [{key: found[key] for key in _SUMMARY if key in found} for found in map(info, sources)]
    if any(summary != summaries[0] for summary in summaries):
        step["sources"] = [summary for i, summary in enumerate(summaries) if summary not in summaries[:i]]
        history = []
    else:
        history = summaries[0].get("history", [])
    merged[_PREFIX + "history"] = json.dumps([*history, step], ensure_ascii=False)
    hashes = [summary.get("hash") for summary in summaries]
    if None not in hashes:
        same = same_features and len(set(hashes)) == 1
        merged[_PREFIX + "hash"] = hashes[0] if same else _hash(operation, _text(step["hypers"], operation), *hashes)
    for key, value in merged.items():
        tensor.set_info(key, value)
    return tensor


def _common_units(operation: str, sources: Sequence[Any]) -> dict[str, str]:
    units: dict[str, str] = {}
    for source in sources:
        for quantity, unit in info(source).get("units", {}).items():
            if units.setdefault(quantity, unit) != unit:
                raise ValueError(
                    f"{operation}: sources are in different units of {quantity}, {units[quantity]} and {unit}"
                )
    return units


def _text(hypers: dict, what: str) -> str:
    try:
        return json.dumps(hypers, sort_keys=True)
    except TypeError as error:
        raise TypeError(f"the hyper-parameters of {what} cannot be kept as JSON: {error}") from None


def _hash(*content: str) -> str:
    return hashlib.sha256("\n".join(content).encode()).hexdigest()[:16]


def info(tensor: Any) -> dict[str, Any]:
    """What :func:`stamp` and :func:`derive` wrote, decoded; and whatever else the info holds, as text."""
    found = {}
    for key, value in tensor.info().items():
        name = key.removeprefix(_PREFIX)
        found[name] = json.loads(value) if key.startswith(_PREFIX) and name in _JSON else value
    return found


def differences(one: Any, other: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    """Where nested dictionaries part: the path there, and both values.

    >>> list(differences({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}, "hypers"))
    [('hypers.a.c', 2, 3)]
    """
    if isinstance(one, dict) and isinstance(other, dict):
        for name in sorted({*one, *other}):
            yield from differences(one.get(name), other.get(name), f"{path}.{name}")
    elif one != other:
        yield path, one, other


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
