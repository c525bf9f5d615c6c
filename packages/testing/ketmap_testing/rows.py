"""TensorMaps as plain arrays, so that laws can relabel, rotate and compare them.

Two rules make every comparison simple. A row that is absent counts as zeros: calculators may leave out
centres without a neighbour. A deviation is relative to the largest value of its block, but never to less than
``FLOOR`` of the largest value of the whole TensorMap: a block that vanishes by symmetry holds rounding noise.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

FLOOR = 1e-4


class LawBroken(AssertionError):
    """A calculator or model breaks a law; carries ``law``, ``where`` and ``deviation``."""

    def __init__(self, law: str, where: str, deviation: float, rtol: float):
        super().__init__(f"{law}: {where}: relative deviation {deviation:.2e}, allowed {rtol:.0e}")
        self.law, self.where, self.deviation = law, where, deviation


class NotApplicable(Exception):
    """The law says nothing about this calculator on these systems; the message tells why."""


def lacks_gradients(error: Exception) -> bool:
    """Whether an error says that gradients are not offered, by the name of the argument or in words."""
    return not isinstance(error, AssertionError) and "gradient" in str(error)


def compute(calculator, systems, gradients=()):
    """``calculator.compute``, without the ``gradients`` if it does not offer them: the TensorMap, names of those that
    it has."""
    if gradients:
        try:
            return calculator.compute(systems, gradients=list(gradients)), tuple(gradients)
        except Exception as error:
            if not lacks_gradients(error):
                raise
    return calculator.compute(systems), ()


@dataclass(frozen=True)
class Deviation:
    """How far one block is from what the law asks for, and which block."""

    value: float
    where: str


@dataclass(frozen=True)
class Rows:
    """One block (or one gradient of a block) as arrays.

    names: of the sample columns; samples: [row, column] int; values: [row, *components, property];
    components: names of the component axes; properties: [property, name] int.
    """

    key: dict[str, int]
    names: tuple[str, ...]
    samples: np.ndarray
    values: np.ndarray
    components: tuple[str, ...]
    properties: np.ndarray

    @property
    def label(self) -> str:
        return "block (" + ", ".join(f"{name}={value}" for name, value in self.key.items()) + ")"

    @property
    def atom_columns(self) -> list[int]:
        return [i for i, name in enumerate(self.names) if name == "atom" or name.endswith("_atom")]


Tensor = dict[tuple[int, ...], Rows]


def array(values) -> np.ndarray:
    """A NumPy array of what may be a torch tensor with a gradient."""
    return np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)


def rows(tensor, gradient: str | None = None) -> Tensor:
    """The blocks of a TensorMap (metatensor or metatensor.torch), or one of their gradients, by key.

    Gradient rows are named by the row of the block that they belong to, followed by the gradient's own
    columns (``grad_system``, ``grad_atom``).
    """
    result = {}
    for key, block in tensor.items():
        entries = {str(name): int(value) for name, value in zip(key.names, array(key.values), strict=True)}
        names, samples = tuple(block.samples.names), array(block.samples.values)
        source = block
        if gradient is not None:
            source = block.gradient(gradient)
            own = array(source.samples.values)
            names += tuple(f"grad_{name}" for name in source.samples.names[1:])
            samples = np.hstack([samples[own[:, 0]], own[:, 1:]])
        result[tuple(entries.values())] = Rows(
            key=entries,
            names=names,
            samples=samples.astype(np.int64),
            values=array(source.values),
            components=tuple(component.names[0] for component in source.components),
            properties=array(source.properties.values),
        )
    return result


def relabel(tensor: Tensor, systems=None, atoms=None, offsets=None, cells=None) -> Tensor:
    """Rename the samples of a transformed structure into those of the original.

    systems: {new index: old index}; atoms: per new system, the old atom of each new atom;
    offsets: per new system [atom, 3], lattice translation of each new atom; cells: per new system, integer
    [3, 3] such that new cell = matrix @ old cell. Offsets and cells only matter for samples that hold cell
    shifts.
    """
    return {key: _relabelled(block, systems, atoms, offsets, cells) for key, block in tensor.items()}


def _relabelled(block: Rows, systems, atoms, offsets, cells) -> Rows:
    column = {name: i for i, name in enumerate(block.names)}
    old = block.samples.copy()
    for system in np.unique(block.samples[:, column["system"]]):
        here = np.flatnonzero(block.samples[:, column["system"]] == system)
        sample = block.samples[here]
        if "cell_shift_a" in column and cells is not None:
            axes = [column[f"cell_shift_{axis}"] for axis in "abc"]
            first, second = (offsets[system][sample[:, column[f"{which}_atom"]]] for which in ("first", "second"))
            old[np.ix_(here, axes)] = sample[:, axes] @ cells[system] + second - first
        if atoms is not None:
            for i in block.atom_columns:
                old[here, i] = atoms[system][sample[:, i]]
        if systems is not None:
            for i in (column["system"], column.get("grad_system")):
                if i is not None:
                    old[here, i] = systems[system]
    return replace(block, samples=old)


def select(tensor: Tensor, system: int) -> Tensor:
    """The rows of one system, named as if it were the only one."""
    result = {}
    for key, block in tensor.items():
        keep = block.samples[:, block.names.index("system")] == system
        result[key] = replace(block, samples=block.samples[keep], values=block.values[keep])
    return relabel(result, systems={system: 0})


def without(tensor: Tensor, system: int) -> Tensor:
    """All rows but those of one system."""
    result = {}
    for key, block in tensor.items():
        keep = block.samples[:, block.names.index("system")] != system
        result[key] = replace(block, samples=block.samples[keep], values=block.values[keep])
    return result


def total(tensor: Tensor) -> Tensor:
    """Sums over the rows of each system."""
    result = {}
    for key, block in tensor.items():
        systems, place = np.unique(block.samples[:, block.names.index("system")], return_inverse=True)
        values = np.zeros((len(systems), *block.values.shape[1:]))
        np.add.at(values, place, block.values)
        result[key] = replace(block, names=("system",), samples=systems[:, None], values=values)
    return result


def scaled(tensor: Tensor, factor: float) -> Tensor:
    return {key: replace(block, values=factor * block.values) for key, block in tensor.items()}


def largest(tensors: Iterable[Tensor]) -> float:
    """The largest absolute value, NaN included."""
    values = [np.abs(block.values).max() for tensor in tensors for block in tensor.values() if block.values.size]
    return float(np.max(values)) if values else 0.0


def align(reference: Rows, block: Rows | None) -> np.ndarray:
    """Values of ``block`` in the rows of ``reference``; absent rows are zeros."""
    values = np.zeros(reference.values.shape)
    if block is None or not len(block.samples) or not len(reference.samples):
        return values
    _same_properties(reference, block)
    _, place = np.unique(np.vstack([reference.samples, block.samples]), axis=0, return_inverse=True)
    place = place.reshape(-1)
    at = np.full(place.max() + 1, -1)
    at[place[len(reference.samples) :]] = np.arange(len(block.samples))
    source = at[place[: len(reference.samples)]]
    values[source >= 0] = block.values[source[source >= 0]]
    return values


def _same_properties(expected: Rows, actual: Rows):
    if expected.properties.shape != actual.properties.shape or (expected.properties != actual.properties).any():
        raise LawBroken("properties", f"{expected.label}: the transformed system has other properties", np.inf, 0)


def compare(expected: Tensor, actual: Tensor, note: str = "", scale: Tensor | None = None) -> Iterator[Deviation]:
    """Deviation of each block; several rows of ``actual`` may stand for one of ``expected`` (supercells).

    scale: a TensorMap whose values say what is large, where not the two that are compared.
    """
    ceiling = largest([expected, actual] if scale is None else [scale])
    for key in expected | actual:
        a, b = expected.get(key), actual.get(key)
        gaps = [0.0]
        if b is not None:
            gaps += _max_abs(b.values - align(b, a))
        if a is not None:
            gaps += _max_abs(a.values[_absent(a, b)])
        judges = [a, b] if scale is None else [scale.get(key)]
        size = max([FLOOR * ceiling] + [x for block in judges if block is not None for x in _max_abs(block.values)])
        value = np.max(gaps) / (size or 1.0)
        yield Deviation(float(value) if np.isfinite(value) else np.inf, (a if a is not None else b).label + note)


def _absent(a: Rows, b: Rows | None) -> np.ndarray:
    if b is None or not len(b.samples):
        return np.ones(len(a.samples), dtype=bool)
    _, place = np.unique(np.vstack([a.samples, b.samples]), axis=0, return_inverse=True)
    place = place.reshape(-1)
    return ~np.isin(place[: len(a.samples)], place[len(a.samples) :])


def _max_abs(values: np.ndarray) -> list[float]:
    return [float(np.abs(values).max())] if values.size else []


def settle(law: str, deviations: Iterable[Deviation], rtol: float) -> float:
    """The largest deviation, or LawBroken where it exceeds ``rtol``."""
    worst = Deviation(0.0, "")
    for deviation in deviations:
        if not deviation.value <= worst.value:
            worst = deviation
    if not worst.value <= rtol:
        raise LawBroken(law, worst.where, worst.value, rtol)
    return worst.value
