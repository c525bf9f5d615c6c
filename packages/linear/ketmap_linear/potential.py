"""A representation's potential plus the composition baseline: batches to energies, forces and virial."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from ketmap_core import Batch, UnknownTypesError

from .scores import Deviation, Errors
from .targets import Targets

ATOMS = 5000  # atoms evaluated at once, where there are many systems


@dataclass(frozen=True)
class Evaluation:
    """What the potential says about a batch."""

    energies: torch.Tensor  # -> [atom] composition baseline included
    forces: torch.Tensor  # -> [atom, 3]
    virial: torch.Tensor  # -> [system, xyz_1, xyz_2] dE/dε, r -> r (1 + ε)
    leverage: torch.Tensor | None = None  # -> [atom]


@dataclass(frozen=True)
class BaselinedPotential:
    """E_i = ε(type of i) + w·p_i."""

    potential: Any  # of the representation: w·p_i
    composition: dict[int, float]  # energy by type, ascending

    @classmethod
    def of(cls, representation: Any, weights: Any, composition: dict[int, float]) -> "BaselinedPotential":
        """From weights in a TensorMap: the same bits after ``fit`` and after ``load``."""
        types = tuple(composition)
        return cls(representation.potential(representation.tensor_to_weights(weights, types), types), composition)

    def environments(self, batch: Batch, skin: float = 0.0) -> Any:
        """Neighbours within cutoff + skin."""
        self._check_types(batch)
        return self.potential.environments(batch, skin=skin)

    def evaluate(self, batch: Batch, environments: Any = None, diagonal: bool = False) -> tuple[Evaluation, Any]:
        """Energies, forces and virial; and the diagonal invariants [atom, k] on request."""
        if environments is None:
            environments = self.environments(batch)
        found = self.potential(batch, environments, diagonal=diagonal)
        energies = found.energies + baseline(self.composition, batch.types).to(found.energies.dtype)
        return Evaluation(energies, found.forces, found.virial), found.features

    def parts(self, batch: Batch) -> Iterator[Batch]:
        """The batch in pieces of some thousand atoms: memory does not grow with the number of systems."""
        return batch.parts(ATOMS)

    def invariants(self, batch: Batch) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Diagonal invariants [atom, k] and types [atom], some systems at a time."""
        for part in self.parts(batch):
            yield self.evaluate(part, diagonal=True)[1], part.types

    def arrays(self, batch: Batch) -> dict[str, np.ndarray]:
        """energy [system], energies [atom], forces [atom, 3], stress [system, 3, 3] (NaN: no 3D cell)."""
        self._check_types(batch)
        found = [self.evaluate(part)[0] for part in self.parts(batch)]
        energies = torch.cat([e.energies for e in found]) if found else torch.zeros(0, dtype=torch.float64)
        forces = torch.cat([e.forces for e in found]) if found else torch.zeros(0, 3, dtype=torch.float64)
        virial = torch.cat([e.virial for e in found]) if found else torch.zeros(0, 3, 3, dtype=torch.float64)
        volumes = torch.linalg.det(batch.cells).abs()
        volumes[~batch.pbc.all(dim=1)] = torch.nan
        energy = torch.zeros(len(batch), dtype=energies.dtype).index_add(0, batch.system.long(), energies)
        stress = virial / volumes[:, None, None]
        return {
            "energy": energy.numpy(),
            "energies": energies.numpy(),
            "forces": forces.numpy(),
            "stress": stress.numpy(),
        }

    def errors(self, batch: Batch, targets: Targets) -> Errors:
        """Errors of the predictions."""
        found = self.arrays(batch)
        deviations = {}
        if targets.energy is not None:
            sizes = np.diff(batch.starts.numpy())
            deviations["energy"] = Deviation.of((found["energy"] - targets.energy) / sizes)
        if targets.forces is not None:
            deviations["forces"] = Deviation.of(found["forces"] - targets.forces)
        if targets.stress is not None:
            solid = batch.pbc.all(dim=1).numpy()
            deviations["stress"] = Deviation.of(found["stress"][solid] - targets.stress[solid])
        return Errors(len(batch), batch.n_atoms, **deviations)

    def _check_types(self, batch: Batch) -> None:
        unknown = sorted(set(batch.types.tolist()) - set(self.composition))
        if unknown:
            raise UnknownTypesError(
                f"atomic types {unknown} were not in the training set, which has {list(self.composition)}"
            )


def baseline(composition: dict[int, float], types: torch.Tensor) -> torch.Tensor:  # [atom] -> [atom]
    """Baseline energy of each atom; all types must be in the composition, whose types ascend."""
    known = torch.tensor(list(composition), dtype=types.dtype, device=types.device)
    values = torch.tensor(list(composition.values()), dtype=torch.float64, device=types.device)
    return values[torch.searchsorted(known, types)]
