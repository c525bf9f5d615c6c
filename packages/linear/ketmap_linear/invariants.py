"""Any calculator of invariants as a representation: columns are what its blocks hold, derivatives come by autograd."""

import dataclasses
import functools
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import metatensor
import numpy as np
import torch
from ketmap_core import Batch, CoincidentAtomsWarning, PairMemory, UnknownTypesError, as_batch, coincident, find_pairs
from ketmap_core.errors import coincident_message
from ketmap_core.pairs import NEAR

from .described import build, describe
from .results import Design, Found

LEVERAGE = 48  # invariants that tell how far an environment lies from the training set


@dataclasses.dataclass(frozen=True)
class Layout:
    """Which columns belong to which block, for atoms of some types."""

    names: tuple[str, ...]  # of keys
    properties: tuple[str, ...]
    blocks: dict[tuple[int, ...], np.ndarray]  # properties [column, name] of each key
    starts: dict[tuple[int, ...], int]  # first column of each key
    size: int


class Invariants:
    """A calculator as a representation of models: its invariant blocks, summed over atoms, are the columns.

    Invariant are blocks without ``o3_lambda``, and those with λ = 0, σ = +1.

    :param calculator: with ``compute(systems, gradients=…)`` that takes batches and, for forces, torch with autograd.
    """

    def __init__(self, calculator: Any):
        self.calculator = calculator
        self._layout = functools.lru_cache(maxsize=8)(self._made_layout)

    def to_dict(self) -> dict:
        """What :meth:`from_dict` builds it from."""
        return {"calculator": describe(self.calculator)}

    @classmethod
    def from_dict(cls, given: dict) -> "Invariants":
        return cls(build(given["calculator"]))

    @property
    def cutoff(self) -> Any:
        """The calculator's, if it has one."""
        return getattr(self.calculator, "cutoff", None)

    def _made_layout(self, types: tuple[int, ...]) -> Layout:
        """From the blocks of no atoms, where the calculator knows them; or from those of a drop."""
        known = hasattr(self.calculator, "empty")
        tensor = self.calculator.empty(types) if known else self.calculator.compute(_drop(types))
        blocks = {key: _integers(block.properties.values) for key, block in _invariant(tensor)}
        if not blocks:
            name = type(self.calculator).__name__
            raise ValueError(f"{name} gives no invariants: a model of energies needs λ = 0, σ = +1")
        sizes = [len(properties) for properties in blocks.values()]
        starts = dict(zip(blocks, np.cumsum([0, *sizes]).tolist()))
        properties = tuple(tensor.block(0).properties.names)
        return Layout(tuple(tensor.keys.names), properties, blocks, starts, sum(sizes))

    def n_features(self, types: tuple[int, ...]) -> int:
        """Number of columns."""
        return self._layout(tuple(types)).size

    def compute(self, batch: Batch, types: tuple[int, ...], gradients: Sequence[str] = ()) -> Any:
        """The calculator's TensorMap; of one with o3 keys only the scalars."""
        options = {}
        if "o3_lambda" in self._layout(tuple(types)).names:
            options["selected_keys"] = metatensor.Labels(["o3_lambda", "o3_sigma"], np.array([[0, 1]], dtype=np.int32))
        return self.calculator.compute(batch, gradients=list(gradients) or None, **options)

    def design(
        self, systems: Any, types: tuple[int, ...], gradients: Sequence[str] = ("positions", "strain")
    ) -> Design:
        """Features summed over the atoms of each system, and their derivatives: ``values @ w`` are energies.

        :raises UnknownTypesError: for atoms of other types.
        """
        batch = as_batch(systems)
        check_types(batch, types)
        layout = self._layout(tuple(types))
        tensor = self.compute(batch, types, gradients)
        values = torch.zeros(len(batch), layout.size, dtype=torch.float64)
        positions = (
            torch.zeros(batch.n_atoms, 3, layout.size, dtype=torch.float64) if "positions" in gradients else None
        )
        strain = torch.zeros(len(batch), 3, 3, layout.size, dtype=torch.float64) if "strain" in gradients else None
        starts = batch.starts.numpy()
        for key, block in _invariant(tensor):
            columns = self.columns(layout, key, block)
            system = block.samples.values[:, 0]
            _add(values, system, columns, _flat(block.values))
            if positions is not None:
                gradient = block.gradient("positions")
                atoms = starts[gradient.samples.values[:, 1]] + gradient.samples.values[:, 2]
                _add(positions, atoms, columns, _flat(gradient.values, 2))
            if strain is not None:
                gradient = block.gradient("strain")
                _add(strain, system[gradient.samples.values[:, 0]], columns, _flat(gradient.values, 3))
        return Design(values, positions, strain)

    def columns(self, layout: Layout, key: tuple[int, ...], block: Any) -> np.ndarray:  # -> [property]
        """Where the properties of a block stand among the columns."""
        properties = _integers(block.properties.values)
        expected = layout.blocks[key]
        if np.array_equal(properties, expected):
            return layout.starts[key] + np.arange(len(expected))
        place = {tuple(row): index for index, row in enumerate(expected.tolist())}
        return layout.starts[key] + np.array([place[tuple(row)] for row in properties.tolist()], dtype=int)

    def weights_to_tensor(self, w: Any, types: tuple[int, ...]) -> metatensor.TensorMap:
        """Weights ``[feature]`` with the keys and properties of the calculator and the sample ``target`` 0."""
        layout, w = self._layout(tuple(types)), np.asarray(torch.as_tensor(w).detach().cpu(), dtype=float)
        samples, blocks = metatensor.Labels.range("target", 1), []
        for key, properties in layout.blocks.items():
            here = w[layout.starts[key] : layout.starts[key] + len(properties)]
            labels = metatensor.Labels(list(layout.properties), properties.astype(np.int32))
            blocks.append(metatensor.TensorBlock(here[None].copy(), samples, [], labels))
        keys = np.array(list(layout.blocks), dtype=np.int32).reshape(len(blocks), -1)
        return metatensor.TensorMap(metatensor.Labels(list(layout.names), keys), blocks)

    def tensor_to_weights(self, tensor: Any, types: tuple[int, ...]) -> torch.Tensor:  # -> [feature]
        """The inverse of :meth:`weights_to_tensor`; blocks that are missing mean zeros.

        :raises ValueError: for blocks that the calculator does not have.
        """
        layout = self._layout(tuple(types))
        w = torch.zeros(layout.size, dtype=torch.float64)
        for key, block in tensor.items():
            entry = tuple(int(value) for value in key.values)
            if tuple(key.names) != layout.names or entry not in layout.blocks:
                raise ValueError(f"weights for {dict(zip(key.names, entry))}, which is no block of types {types}")
            w[self.columns(layout, entry, block)] = torch.as_tensor(np.asarray(block.values)[0], dtype=torch.float64)
        return w

    def potential(self, w: Any, types: tuple[int, ...]) -> "InvariantPotential":
        """The potential with these weights ``[feature]``."""
        w = torch.as_tensor(w, dtype=torch.float64)
        if w.shape != (self.n_features(types),):
            raise ValueError(f"expected {self.n_features(types)} weights for types {types}, got {tuple(w.shape)}")
        return InvariantPotential(self, w, tuple(types))


@dataclasses.dataclass(frozen=True)
class Near:
    """Pairs of atoms that may meet: all that needs a list where a calculator finds its own neighbours.

    What these are it may remember: at the first evaluation, if that is where the list was made.
    """

    skin: float
    centers: torch.Tensor  # -> [pair]
    neighbors: torch.Tensor  # -> [pair]
    vectors: torch.Tensor  # -> [pair, 3]
    memory: PairMemory
    types: tuple[int, ...] = (0,)

    @property
    def cutoff(self) -> float:
        """Up to here pairs are known, skin included; grows with what the calculator asks for."""
        return max(NEAR, self.memory.cutoff) + self.skin

    @property
    def starts(self) -> torch.Tensor:  # -> [pair + 1]
        """Every pair by itself."""
        return torch.arange(len(self.centers) + 1)


class InvariantPotential:
    """E = Σ_i w·p_i of a calculator, with forces and virial by one pass backwards through it."""

    def __init__(self, invariants: Invariants, w: torch.Tensor, types: tuple[int, ...]):
        self.invariants, self.w, self.types = invariants, w, types

    def environments(self, batch: Batch, skin: float = 0.0) -> Near:
        """Atoms that may meet, and room for what the calculator finds.

        :raises UnknownTypesError: for atoms of types that the weights do not know.
        """
        check_types(batch, self.types)
        pairs = find_pairs(batch, NEAR + skin)
        if self._labels_nothing and (found := coincident(batch, pairs)):  # others see to that themselves
            warnings.warn(coincident_message(found), CoincidentAtomsWarning, stacklevel=2)
        return Near(skin, pairs.first, pairs.second, pairs.vectors, PairMemory(batch, skin))

    def __call__(self, batch: Batch, environments: Near, diagonal: bool = False) -> Found:
        """Energies and their derivatives; ``diagonal``: also some of the invariants of each atom."""
        with torch.enable_grad():
            positions = batch.positions.detach().clone().requires_grad_()
            strain = torch.zeros_like(batch.cells).requires_grad_()
            deform = torch.eye(3).to(strain) + strain
            moved = dataclasses.replace(
                batch,
                positions=torch.einsum("ax,axy->ay", positions, deform[batch.system.long()]),
                cells=batch.cells.detach() @ deform,
                is_torch=True,
                memory=environments.memory,
            )
            energies, features = self._energies(moved, diagonal)
            gradient, virial = torch.autograd.grad(energies.sum(), (positions, strain), allow_unused=True)
        gradient = torch.zeros_like(positions) if gradient is None else gradient
        virial = torch.zeros_like(strain) if virial is None else virial
        return Found(energies.detach(), -gradient, virial, features)

    def differentiable(self, batch: Batch) -> torch.Tensor:  # -> [atom]
        """The same energies through torch's autograd, as often as the calculator allows."""
        return self._energies(batch, False)[0]

    def _energies(self, batch: Batch, diagonal: bool) -> tuple[torch.Tensor, torch.Tensor | None]:
        if self._labels_nothing and not diagonal:
            return self._without_labels(batch), None
        layout = self.invariants._layout(self.types)
        tensor = self.invariants.compute(batch, self.types)
        w = self.w.to(batch.positions)
        energies = torch.zeros_like(batch.positions[:, 0])
        chosen, size = self._diagonal(layout)
        features = energies.detach().new_zeros(batch.n_atoms, size) if diagonal else None
        for key, block in _invariant(tensor):
            columns = torch.from_numpy(self.invariants.columns(layout, key, block)).to(w.device)
            samples = block.samples.values.to(w.device).long()
            atoms = batch.starts[samples[:, 0]] + samples[:, 1]
            values = _flat(block.values)
            energies = energies.index_add(0, atoms, values @ w[columns])
            if diagonal:
                places = chosen[columns.cpu().numpy()]
                features[atoms[:, None], places[places >= 0]] += values.detach()[:, places >= 0]
        return energies, features

    @property
    def _labels_nothing(self) -> bool:
        return hasattr(self.invariants.calculator, "scalars")

    def _without_labels(self, batch: Batch) -> torch.Tensor:  # -> [atom]
        """Energies from the dense array of a calculator whose invariants are coefficients: no TensorMap on the way."""
        present = torch.unique(batch.types)
        known = torch.tensor(self.types, dtype=present.dtype, device=present.device)
        centers, values = self.invariants.calculator.scalars(batch, present.tolist())
        weights = self._dense.to(values)[:, torch.searchsorted(known, present)]  # -> [kind, channel, column]
        weights = weights[torch.searchsorted(known, batch.types[centers.long()])]
        energies = torch.einsum("caq,caq->c", values[..., : weights.shape[2]], weights)
        return torch.zeros_like(batch.positions[:, 0]).index_copy(0, centers.long(), energies)

    @functools.cached_property
    def _dense(self) -> torch.Tensor:  # -> [center type, neighbour type, column]
        """Weights where :meth:`_without_labels` needs them."""
        layout, calculator = self.invariants._layout(self.types), self.invariants.calculator
        places = {}
        for key, properties in layout.blocks.items():
            named = dict(zip(layout.names, key))
            pair = self.types.index(named["center_type"]), self.types.index(named["neighbor_type"])
            columns = calculator.scalar_column(named) + properties[:, layout.properties.index("n")]
            places[key] = (*pair, torch.from_numpy(columns).long())
        size = 1 + max(int(columns.max()) for *_, columns in places.values())
        dense = self.w.new_zeros(len(self.types), len(self.types), size)
        for key, place in places.items():
            first = layout.starts[key]
            dense[place] = self.w[first : first + len(layout.blocks[key])]
        return dense

    def _diagonal(self, layout: Layout) -> tuple[np.ndarray, int]:  # -> [feature], −1: left out
        """Which columns tell how far an environment lies from others: some, evenly spread; the same for all centres."""
        center = layout.names.index("center_type") if "center_type" in layout.names else None
        rest = {}
        for key, properties in layout.blocks.items():
            around = key if center is None else (*key[:center], *key[center + 1 :])
            for row in properties.tolist():
                rest.setdefault((around, tuple(row)), len(rest))
        kept = np.unique(np.linspace(0, len(rest) - 1, min(LEVERAGE, len(rest))).astype(int))
        place = np.full(len(rest), -1)
        place[kept] = np.arange(len(kept))
        chosen = np.empty(layout.size, dtype=int)
        for key, properties in layout.blocks.items():
            around = key if center is None else (*key[:center], *key[center + 1 :])
            for offset, row in enumerate(properties.tolist()):
                chosen[layout.starts[key] + offset] = place[rest[around, tuple(row)]]
        return chosen, len(kept)


def _drop(types: tuple[int, ...]) -> Batch:
    """Three atoms of every type, all of them neighbours of all."""
    numbers = torch.tensor(types, dtype=torch.int32).repeat(3)
    golden = np.arange(len(numbers)) + 0.5  # points of a sphere, by the golden angle
    z, phi = 1 - 2 * golden / len(numbers), np.pi * (1 + 5**0.5) * golden
    radius = np.sqrt(1 - z**2)
    points = 0.7 * np.stack([radius * np.cos(phi), radius * np.sin(phi), z], axis=1)
    return Batch(
        positions=torch.from_numpy(points),
        cells=torch.zeros(1, 3, 3, dtype=torch.float64),
        pbc=torch.zeros(1, 3, dtype=torch.bool),
        types=numbers,
        system=torch.zeros(len(numbers), dtype=torch.int32),
        starts=torch.tensor([0, len(numbers)]),
    )


def check_types(batch: Batch, types: tuple[int, ...]) -> None:
    """:raises UnknownTypesError: for atoms of other types."""
    unknown = sorted(set(batch.types.tolist()) - set(types))
    if unknown:
        raise UnknownTypesError(f"atoms of types {unknown}; the model knows {', '.join(map(str, types))}")


def _invariant(tensor: Any) -> Iterator[tuple[tuple[int, ...], Any]]:
    """Keys and blocks of what does not change under rotation and inversion."""
    names = list(tensor.keys.names)
    for key, block in zip(_integers(tensor.keys.values).tolist(), tensor.blocks()):
        named = dict(zip(names, key))
        if named.get("o3_lambda", 0) == 0 and named.get("o3_sigma", 1) == 1:
            yield tuple(key), block


def _integers(values: Any) -> np.ndarray:
    return np.asarray(values.cpu() if isinstance(values, torch.Tensor) else values)


def _flat(values: Any, lead: int = 1) -> torch.Tensor:
    """Without the component of λ = 0.  # [..., (1), property] -> [..., property]"""
    values = torch.as_tensor(values)
    return values if values.dim() == lead + 1 else values[..., 0, :]


def _add(out: torch.Tensor, rows: np.ndarray, columns: np.ndarray, values: torch.Tensor) -> None:
    """Add ``values`` [row, ..., column] at their places, in order."""
    first = int(columns[0]) if len(columns) else 0
    here = slice(first, first + len(columns))
    index = torch.from_numpy(np.asarray(rows, dtype=np.int64))
    if len(columns) and np.array_equal(columns, np.arange(first, first + len(columns))):
        out[..., here].index_add_(0, index, values.to(out.dtype))
    else:
        part = out.new_zeros(len(out), *values.shape[1:]).index_add_(0, index, values.to(out.dtype))
        out[..., torch.from_numpy(columns)] += part
