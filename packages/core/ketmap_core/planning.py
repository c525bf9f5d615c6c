"""What a calculation will give and cost, before it is done: blocks, features, bytes, time.

A calculator can be planned if it declares the sizes of its blocks, by a method with the arguments of ``compute``::

    def shapes(self, systems, *, gradients=None, selected_samples=None, selected_properties=None, selected_keys=None):
        return [BlockShape(key, values, gradients, itemsize), …]  # one for each block that ``compute`` would make
"""

import dataclasses
import math
import time
from typing import Any

from .structures import as_batch

CHUNK = 4096  # atoms whose neighbours are counted at once
TRIAL = 64_000_000  # bytes that may be computed to measure the time


@dataclasses.dataclass(frozen=True)
class BlockShape:
    """The sizes of one block and of its gradients."""

    key: dict[str, int]
    values: tuple[int, ...]  #: [sample, component …, property]
    gradients: dict[str, tuple[int, ...]]  #: by name: [gradient sample, component …, property]
    itemsize: int = 8  #: bytes of a number
    additive: bool = True  #: whether more systems make blocks longer and nothing else: properties stay

    @classmethod
    def of(cls, key: Any, block: Any, additive: bool = True) -> "BlockShape":
        """Those of a block (whose numbers do not matter) of a TensorMap."""
        named = dict(zip(key.names, map(int, key.values)))
        gradients = {name: tuple(gradient.values.shape) for name, gradient in block.gradients()}
        return cls(named, tuple(block.values.shape), gradients, block.values.itemsize, additive)

    @property
    def nbytes(self) -> int:
        """Of values and gradients; labels are not counted."""
        return self.itemsize * sum(map(math.prod, (self.values, *self.gradients.values())))

    def __add__(self, other: "BlockShape") -> "BlockShape":
        """The block of the systems of both."""

        def longer(a, b):
            return (a[0] + b[0], *a[1:])

        gradients = {name: longer(shape, other.gradients[name]) for name, shape in self.gradients.items()}
        return dataclasses.replace(self, values=longer(self.values, other.values), gradients=gradients)


@dataclasses.dataclass(frozen=True)
class Plan:
    """What ``calculator.compute`` would give for these systems; see :func:`plan`."""

    calculator: str
    blocks: tuple[BlockShape, ...]
    n_systems: int
    n_atoms: int
    seconds: float | None  #: an estimate; None: not measured
    measured_on: int = 0  #: systems that were computed to measure the time

    @property
    def features(self) -> int:
        """Numbers of components and properties together, of all blocks: what a sample could have at most."""
        return sum(math.prod(block.values[1:]) for block in self.blocks)

    @property
    def samples(self) -> int:
        """Rows of all blocks."""
        return sum(block.values[0] for block in self.blocks)

    @property
    def nbytes(self) -> int:
        """Of all values and gradients; labels are not counted."""
        return sum(block.nbytes for block in self.blocks)

    def bytes_of(self, gradient: str | None = None) -> int:
        """Of the values, or of one gradient."""
        shapes = [(b.values if gradient is None else b.gradients[gradient], b.itemsize) for b in self.blocks]
        return sum(math.prod(shape) * itemsize for shape, itemsize in shapes)

    def __str__(self) -> str:
        lines = [f"{self.calculator}: {self.n_systems} systems, {self.n_atoms} atoms"]
        lines.append(f"  {len(self.blocks)} blocks, {self.samples} samples, {self.features} features")
        names = list(self.blocks[0].gradients) if self.blocks else []
        for name in [None, *names]:
            rows = sum((b.values if name is None else b.gradients[name])[0] for b in self.blocks)
            what = "values" if name is None else f"{name} gradient"
            lines.append(f"  {what:<20}{rows:>12} rows {_readable(self.bytes_of(name)):>10}")
        if self.seconds is None:
            return "\n".join(lines)
        return "\n".join([*lines, f"  about {_duration(self.seconds)}, measured on {self.measured_on} of the systems"])


def plan(calculator, systems, *, gradients: list[str] | None = None, trial: int = TRIAL, **selections) -> Plan:
    """What ``calculator.compute(systems, gradients=gradients, **selections)`` would give, without computing it.

    Counts and bytes are exact: neighbours are searched and counted. The time is an estimate: some of the systems,
    spread over the list, are computed, as many as give no more than ``trial`` bytes, and their time is scaled by the
    bytes of the results. ``trial=0`` leaves that out.

    :param calculator: anything with ``compute`` and ``shapes``, see :mod:`ketmap_core.planning`.
    :raises TypeError: for a calculator that does not declare the sizes of its blocks.

    >>> import ase.build
    >>> from ketmap import Cutoff, Gaussian, Gto, SphericalExpansion, TensorProduct, plan
    >>> rho = SphericalExpansion(
    ...     cutoff=Cutoff(5.0), density=Gaussian(0.3), basis=TensorProduct(max_angular=2, radial=Gto(max_radial=3))
    ... )
    >>> print(plan(rho, ase.build.molecule("CH4"), gradients=["positions"], trial=0))
    SphericalExpansion: 1 systems, 5 atoms
      12 blocks, 30 samples, 144 features
      values                        30 rows     2.9 kB
      positions gradient            90 rows    25.9 kB
    """
    name = type(calculator).__name__
    if not hasattr(calculator, "shapes"):
        raise TypeError(f"{name} cannot be planned: it has no method `shapes` that declares the sizes of its blocks")
    batch = as_batch(systems)
    chosen = {key: value for key, value in selections.items() if value is not None}
    listed = list(systems) if isinstance(systems, list | tuple) else [systems]
    whole = "selected_samples" in chosen or len(listed) != len(batch)  # samples are those of the whole list
    parts = [listed] if whole else _parts(listed, batch.starts.diff().tolist())
    blocks: dict[tuple, BlockShape] = {}
    for part in parts:
        shapes = calculator.shapes(systems if whole else part, gradients=gradients, **chosen)
        if len(parts) > 1 and not all(block.additive for block in shapes):
            shapes = calculator.shapes(systems, gradients=gradients, **chosen)
            blocks = {tuple(block.key.values()): block for block in shapes}
            break
        for block in shapes:
            key = tuple(block.key.values())
            blocks[key] = blocks[key] + block if key in blocks else block
    found = Plan(name, tuple(blocks.values()), len(batch), batch.n_atoms, None)
    if trial <= 0 or whole or not listed or found.nbytes == 0:
        return found
    count = max(1, min(len(listed), int(len(listed) * trial / found.nbytes)))
    some = listed[:: math.ceil(len(listed) / count)]
    size = sum(block.nbytes for block in calculator.shapes(some, gradients=gradients, **chosen))
    calculator.compute(some[:1], gradients=gradients, **chosen)  # tables are made once
    start = time.perf_counter()
    calculator.compute(some, gradients=gradients, **chosen)
    seconds = (time.perf_counter() - start) * found.nbytes / max(size, 1)
    return dataclasses.replace(found, seconds=seconds, measured_on=len(some))


def _parts(systems: list, sizes: list[int]) -> list[list]:
    """Some systems at a time, of about :data:`CHUNK` atoms; one part at least."""
    parts, atoms = [[]], 0
    for system, size in zip(systems, sizes, strict=True):
        if parts[-1] and atoms + size > CHUNK:
            parts.append([])
            atoms = 0
        parts[-1].append(system)
        atoms += size
    return parts


def _readable(size: float) -> str:
    """
    >>> _readable(512), _readable(2880), _readable(3.2e9)
    ('512 B', '2.9 kB', '3.2 GB')
    """
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if size < 1000 or unit == "TB":
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    raise AssertionError


def _duration(seconds: float) -> str:
    """
    >>> _duration(0.01), _duration(12.3), _duration(4000)
    ('0.010 s', '12 s', '1.1 h')
    """
    if seconds < 1:
        return f"{seconds:.3f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"
