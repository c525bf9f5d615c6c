"""The stream of weighted rows: energies, forces and stresses of some structures at a time."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from ketmap_core import Batch, unknown_name

from .stream import Rows
from .targets import Targets

CHUNK = 16_000_000  # numbers in a chunk of the design matrix
SYMMETRIC = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))  # components of a stress
WEIGHTS = {"energy": 1.0, "forces": 1.0, "stress": 1.0}


@dataclass(frozen=True)
class DesignRows:
    """Rows of the design matrix of a representation, made again whenever they are gone through.

    Energies are divided by the number of atoms, forces and stresses are taken as they are. The rows of a
    target are then multiplied by one number, such that their squared targets sum to the weight of the target.
    """

    representation: Any
    types: tuple[int, ...]
    batch: Batch
    targets: Targets  # energies without the composition baseline
    weights: dict[str, float]

    @property
    def n_features(self) -> int:
        """Number of columns."""
        return self.representation.n_features(self.types)

    @property
    def n_offsets(self) -> int:
        """Number of columns for what the composition baseline leaves: counts of the types, in rows of energies."""
        return 0 if self.targets.energy is None else len(self.types)

    @property
    def sizes(self) -> np.ndarray:  # -> [structure]
        """Number of atoms of each structure."""
        return np.diff(self.batch.starts.numpy())

    @property
    def counts(self) -> np.ndarray:  # -> [structure]
        """Number of rows of each structure."""
        counts = np.zeros(len(self.batch), dtype=int)
        counts += self.targets.energy is not None
        if self.targets.forces is not None:
            counts += 3 * self.sizes
        if self.targets.stress is not None:
            counts += 6 * self.batch.pbc.all(dim=1).numpy()
        return counts

    def factors(self) -> dict[str, float]:
        """What the rows of each target are multiplied by."""
        targets, found = self.targets, {}
        if targets.energy is not None:
            found["energy"] = _factor(self.weights["energy"], targets.energy / self.sizes)
        if targets.forces is not None:
            found["forces"] = _factor(self.weights["forces"], targets.forces)
        if targets.stress is not None:
            found["stress"] = _factor(self.weights["stress"], targets.stress[~np.isnan(targets.stress)])
        return found

    def chunks(self) -> Iterator[tuple[int, int]]:
        """First and last + 1 structure of each chunk."""
        limit = max(1, CHUNK // self.n_features)
        first, rows = 0, 0
        for i, count in enumerate(self.counts):
            if rows and rows + count > limit:
                yield first, i
                first, rows = i, 0
            rows += count
        yield first, len(self.counts)

    def __iter__(self) -> Iterator[Rows]:
        """Chunks of rows: all energies, all forces, all stresses of their structures."""
        factors = self.factors()
        for first, last in self.chunks():
            yield self._rows(first, last, factors)

    def _rows(self, first: int, last: int, factors: dict[str, float]) -> Rows:
        batch, targets = self.batch.cut(first, last), self.targets
        gradients = [g for g, t in (("positions", "forces"), ("strain", "stress")) if t in factors]
        design = self.representation.design(batch, self.types, gradients=gradients)
        n = self.n_features
        counts = self.counts[first:last]
        values = torch.zeros(int(counts.sum()), n + self.n_offsets, dtype=torch.float64)
        wanted, owners = np.empty(len(values)), np.empty(len(values), dtype=int)
        places = np.arange(first, last)
        end = 0

        def section(structures: np.ndarray, reference: np.ndarray) -> torch.Tensor:
            nonlocal end
            here = slice(end, end := end + len(structures))
            wanted[here], owners[here] = reference, structures
            return values[here]

        if "energy" in factors:
            scales = factors["energy"] / self.sizes[first:last]  # -> [structure]
            rows = section(places, targets.energy[first:last] * scales)
            torch.mul(design.values, torch.from_numpy(scales)[:, None], out=rows[:, :n])
            kinds = torch.searchsorted(torch.tensor(self.types, dtype=batch.types.dtype), batch.types)
            atoms = torch.from_numpy(scales)[batch.system.long()]
            rows[:, n:].index_put_((batch.system.long(), kinds), atoms, accumulate=True)
        if "forces" in factors:
            atoms = slice(int(self.batch.starts[first]), int(self.batch.starts[last]))
            reference = targets.forces[atoms].ravel() * factors["forces"]
            rows = section(np.repeat(places, 3 * self.sizes[first:last]), reference)
            torch.mul(design.positions.reshape(len(rows), n), -factors["forces"], out=rows[:, :n])
        if "stress" in factors:
            solid = batch.pbc.all(dim=1).numpy()
            a, b = np.array(SYMMETRIC).T
            counted = np.where(a == b, 1.0, 2.0**0.5) * factors["stress"]  # xy stands for xy and yx
            reference = targets.stress[first:last][solid][:, a, b] * counted
            rows = section(np.repeat(places[solid], len(SYMMETRIC)), reference.ravel())
            volumes = torch.linalg.det(batch.cells[solid]).abs()
            scales = torch.from_numpy(counted) / volumes[:, None]
            torch.mul(design.strain[solid][:, a, b], scales[:, :, None], out=rows[:, :n].reshape(-1, len(a), n))
        return Rows(values.numpy(), wanted, owners)


def complete_weights(weights: Mapping[str, float] | None) -> dict[str, float]:
    """Weights of all targets, 1 where nothing is said.

    :raises ValueError: for unknown targets and for weights that are not positive.

    >>> complete_weights({"forces": 10.0})
    {'energy': 1.0, 'forces': 10.0, 'stress': 1.0}
    """
    for name, weight in (weights or {}).items():
        if name not in WEIGHTS:
            raise ValueError(unknown_name(name, WEIGHTS, "target"))
        if not weight > 0:
            raise ValueError(f"weight of {name} must be positive, got {weight}")
    return {**WEIGHTS, **(weights or {})}


def _factor(weight: float, targets: np.ndarray) -> float:
    squares = float(np.sum(targets**2))
    return (weight / squares) ** 0.5 if squares > 0 else 1.0
