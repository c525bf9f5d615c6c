"""The exchange contract: whether a TensorMap keeps it, and if not, where."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .lazy import LazyTensor
from .names import (
    CARTESIAN,
    DIALECTS,
    GRADIENT_COMPONENTS,
    GRADIENT_SAMPLES,
    KEY_TYPES,
    O3,
    SAMPLES,
)
from .tensors import as_numpy, describe, is_torch


@dataclass
class Report:
    """What :func:`check` found; true when there are no problems."""

    problems: list[str] = field(default_factory=list)
    n_blocks: int = 0

    def __bool__(self) -> bool:
        """Whether the contract is kept."""
        return not self.problems

    def __str__(self) -> str:
        """All that was found, a line each."""
        if self:
            return f"keeps the contract ({self.n_blocks} blocks)"
        return "\n".join([f"{len(self.problems)} problems:", *(f"- {problem}" for problem in self.problems)])


def check(tensor: Any) -> Report:
    """Whether a TensorMap keeps the exchange contract, and if not, where it does not.

    Looked at: names of keys, samples, components, properties and gradients and their order; ranges of
    λ and σ; component values -λ … λ; samples sorted by system and atom, no label twice; gradient samples
    within their block; floating point values that are finite.

    :param tensor: of metatensor or metatensor.torch, or a view of a file (:func:`ketmap_core.open_tensor`), of which
        one block at a time is read; equivariant (keys ``o3_lambda``, ``o3_sigma``) or
        invariant (without); by atom, pair or system.
    :raises TypeError: if it is no TensorMap.
    """
    if not isinstance(tensor, LazyTensor):
        is_torch(tensor)
    report = Report(n_blocks=len(tensor.keys))
    problems = report.problems
    equivariant = _check_keys(tensor.keys, problems)
    names, values = list(tensor.keys.names), as_numpy(tensor.keys.values)
    for row, block in zip(values, tensor.blocks()):
        key = dict(zip(names, row.tolist()))
        where = describe(key, key.values())
        _check_values(block.values, where, problems)
        _check_samples(block.samples, where, problems)
        _check_components(block.components, key.get("o3_lambda") if equivariant else None, where, problems)
        _check_properties(block.properties, where, problems)
        for name in block.gradients_list():
            _check_gradient(block, name, f"{where}: gradient '{name}'", problems)
    return report


def _check_keys(keys: Any, problems: list[str]) -> bool:
    names = list(keys.names)
    _dialect("keys", names, "keys", problems)
    for name in names:
        if name.endswith(("_type", "_channel")) and name not in (*KEY_TYPES, *DIALECTS["keys"]):
            problems.append(f"keys: unknown name '{name}'; known: {', '.join(KEY_TYPES)}")
    found = [name for name in names if name in O3]
    if found and found != list(O3):
        problems.append(f"keys: expected both o3_lambda and o3_sigma, in this order, or neither; got {names}")
        return False
    values = as_numpy(keys.values)
    for name, column in zip(names, values.T):
        allowed = {"o3_lambda": column >= 0, "o3_sigma": abs(column) == 1}.get(name, column >= 0)
        if (name in O3 or name in KEY_TYPES) and not allowed.all():
            expected = "+1 or -1" if name == "o3_sigma" else "0 or more"
            problems.append(f"keys: {name} is {column[~allowed][0]}, expected {expected}")
    _unique(values, "keys", problems)
    return bool(found)


def _check_values(values: Any, where: str, problems: list[str]) -> None:
    array = as_numpy(values)
    if array.dtype not in (np.float32, np.float64):
        problems.append(f"{where}: values are {array.dtype}, expected float32 or float64")
    elif not (finite := np.isfinite(array)).all():
        first = tuple(int(i) for i in np.argwhere(~finite)[0])
        problems.append(f"{where}: {int((~finite).sum())} values are not finite, the first at index {first}")


def _check_samples(samples: Any, where: str, problems: list[str]) -> None:
    names, values = tuple(samples.names), as_numpy(samples.values)
    if _dialect("samples", names, where, problems):
        return
    base = tuple(name for name in names if name not in KEY_TYPES)  # keys_to_samples appends types
    if base not in SAMPLES or names[: len(base)] != base:
        expected = "; ".join(", ".join(known) for known in SAMPLES[:3])
        problems.append(f"{where}: samples are named {', '.join(names)}; expected one of: {expected}")
        return
    _unique(values, f"{where}: samples", problems)
    if "system" in names:
        _check_order(values[:, : 2 if names[:2] == ("system", "atom") else 1], f"{where}: samples", problems)
        if "atom" in names and (values[:, :2] < 0).any():
            problems.append(f"{where}: samples have negative system or atom indices")


def _check_order(columns: np.ndarray, where: str, problems: list[str]) -> None:
    steps = np.diff(columns.astype(np.int64), axis=0)
    first = np.where(steps[:, 0] != 0, steps[:, 0], steps[:, -1])  # the step of the first column that changes
    if (first < 0).any():
        row = int(np.nonzero(first < 0)[0][0]) + 1
        problems.append(f"{where} are not sorted by system and atom, first at row {row}")


def _check_components(components: Any, o3_lambda: int | None, where: str, problems: list[str]) -> None:
    names = [name for labels in components for name in labels.names]
    if _dialect("components", names, where, problems):
        return
    if o3_lambda is None and "o3_mu" in names:
        problems.append(f"{where}: component o3_mu, but no o3_lambda and o3_sigma in the keys")
    elif o3_lambda is not None and names.count("o3_mu") != 1:
        problems.append(f"{where}: expected one component o3_mu, got {names or 'none'}")
    for labels in components:
        name, values = labels.names[0], as_numpy(labels.values)[:, 0].tolist()
        if len(labels.names) != 1 or name not in (*CARTESIAN, "o3_mu"):
            unknown = ", ".join(labels.names)
            problems.append(f"{where}: unknown component {unknown}; known: o3_mu, {', '.join(CARTESIAN)}")
        elif name == "o3_mu" and o3_lambda is not None:
            _expect(values, list(range(-o3_lambda, o3_lambda + 1)), f"{where}: component o3_mu", problems)
        elif name in CARTESIAN:
            _expect(values, [0, 1, 2], f"{where}: component {name}", problems)


def _check_properties(properties: Any, where: str, problems: list[str]) -> None:
    _dialect("properties", properties.names, where, problems)
    _unique(as_numpy(properties.values), f"{where}: properties", problems)


def _check_gradient(block: Any, name: str, where: str, problems: list[str]) -> None:
    gradient = block.gradient(name)
    _check_values(gradient.values, where, problems)
    if name not in GRADIENT_SAMPLES:
        problems.append(f"{where}: unknown name; known: {', '.join(GRADIENT_SAMPLES)}")
        return
    names, values = tuple(gradient.samples.names), as_numpy(gradient.samples.values)
    if names != GRADIENT_SAMPLES[name]:
        expected = ", ".join(GRADIENT_SAMPLES[name])
        problems.append(f"{where}: samples are {', '.join(names)}; expected {expected}")
        return
    components = [labels.names[0] for labels in gradient.components]
    components = components[: len(components) - len(block.components)]  # the others are those of the values
    if components != list(GRADIENT_COMPONENTS[name]):
        expected = ", ".join(GRADIENT_COMPONENTS[name])
        problems.append(
            f"{where}: components are {', '.join(components)}; expected {expected}"
            " (canonicalize puts featomic's labels right)"
        )
    for axis, labels in zip(components, gradient.components):
        _expect(as_numpy(labels.values)[:, 0].tolist(), [0, 1, 2], f"{where}: component {axis}", problems)
    _unique(values, f"{where}: samples", problems)
    sample, n_samples = values[:, 0], len(block.samples)
    outside = (sample < 0) | (sample >= n_samples)
    if outside.any():
        first = sample[outside][0]
        problems.append(f"{where}: sample {first} is outside the {n_samples} samples of the block")
    elif name == "positions" and "system" in block.samples.names and len(values):
        column = list(block.samples.names).index("system")
        systems = as_numpy(block.samples.values)[sample, column]
        if (row := np.nonzero(systems != values[:, 1])[0]).size:
            right, wrong = systems[row[0]], values[row[0], 1]
            problems.append(f"{where}: row {row[0]} belongs to system {right}, but is labelled {wrong}")


def _dialect(part: str, names: Any, where: str, problems: list[str]) -> bool:
    known = [name for name in names if name in DIALECTS[part]]
    for name in known:
        right = DIALECTS[part][name]
        problems.append(f"{where}: {part} name '{name}' is called '{right}' here; canonicalize renames it")
    return bool(known)


def _expect(values: list[int], expected: list[int], where: str, problems: list[str]) -> None:
    if values != expected:
        problems.append(f"{where} has values {values}, expected {expected}")


def _unique(values: np.ndarray, where: str, problems: list[str]) -> None:
    if values.shape[1] == 0:
        return
    rows = values[np.lexsort(values.T)]
    again = (rows[1:] == rows[:-1]).all(axis=1)
    if again.any():
        problems.append(f"{where} hold {rows[1:][again][0].tolist()} more than once")
