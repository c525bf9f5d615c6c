"""A representation and a regressor: from structures to energies, forces and stress."""

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ketmap_core import (
    Batch,
    CoincidentAtomsError,
    NotFittedError,
    as_batch,
    coincident,
    unknown_name,
)
from ketmap_core.errors import coincident_message

from .composition import composition_energies
from .leverage import Leverage, fit_leverage
from .potential import BaselinedPotential, Evaluation, baseline
from .predictions import TARGETS, as_tensors
from .representations import representation_of
from .ridge import Progress, Ridge
from .rows import DesignRows, complete_weights
from .scores import Errors
from .targets import Target, read_targets

UNITS = {"energy": "eV", "length": "Å"}


@dataclass(frozen=True)
class Fitted:
    """All that a fit leaves behind; a model has it whole or not at all, also when a fit is interrupted."""

    weights: Any  # TensorMap
    potential: BaselinedPotential
    leverage: Leverage
    errors: dict[str, Errors]
    report: dict  # targets, weights, alpha, cross_validation, condition_number, road, rows, features


class Model:
    """A potential that is linear in the features of a representation: E = Σ_i ε(type of i) + Σ_i w·p_i.

    With power spectra, these served well (root mean square errors on structures left out):

    * one molecule, ethanol of rMD17, 800 structures: cutoff 4 Å, ``Gaussian(0.4)``, ``max_angular=4``,
      ``max_radial=5``, weights ``{"energy": 0.1}``: 1.5 meV per atom and 60 meV/Å;
    * few and diverse crystals, Si of Zuo et al., J. Phys. Chem. A 124, 731 (2020), 171 structures: cutoff 5 Å,
      ``Gaussian(0.4)``, ``max_angular=6``, ``max_radial=7``, weights ``{"energy": 10}``: 6.3 meV per atom, 133 meV/Å.

    Weights of energies trade their errors for those of forces; errors depend little on α within two decades of the
    cross-validated one, and little on the width below 0.5 Å.

    :param representation: e.g. ``SoapPowerSpectrum``, any calculator of invariants, or a list of these; sums of their
        features over atoms are the columns of the fit.
    :param regressor: :class:`Ridge`.
    :param units: of the numbers in the structures; by default ``{"energy": "eV", "length": "Å"}``. Nothing is
        converted.
    """

    def __init__(self, representation: Any, regressor: Ridge | None = None, units: Mapping[str, str] | None = None):
        self.regressor = Ridge() if regressor is None else regressor
        for name in units or {}:
            if name not in UNITS:
                raise ValueError(unknown_name(name, UNITS, "unit"))
        self.representation = representation_of(representation)
        self.units = {**UNITS, **(units or {})}
        self._fitted: Fitted | None = None

    def fit(
        self,
        structures: Any,
        *,
        energy: Target | None = None,
        forces: Target | None = None,
        stress: Target | None = None,
        weights: Mapping[str, float] | None = None,
        progress: Progress | None = None,
    ) -> "Model":
        """Learn from structures, and give the model back.

        Every target is optional, one at least is given. It is the name of what the structures carry, an array
        or a TensorMap (see :func:`ketmap_linear.targets.read_targets`). Each structure must have each target;
        only stress is not asked of structures that are not periodic along three directions.

        Minimised is Σ_t weight_t Σ|predicted − reference|² / Σ|reference|² + α|w|² over the targets t:
        energies per atom less the composition baseline, force components, stress components.

        :param structures: one or a list of ASE, chemfiles or metatomic structures.
        :param energy: total energies.
        :param forces: −dE/dr.
        :param stress: (1/V) dE/dε, ASE's sign, 3 × 3 or Voigt.
        :param weights: of targets, 1 unless said.
        :param progress: called with (stage, done, total); total is 0 where it is not known.
        :raises ValueError: for bad structures and targets, naming the structure.
        :raises CoincidentAtomsError: for two atoms at one point.
        :raises MemoryLimitError: if there are too many features for the memory limit.
        """
        structures = _as_list(structures)
        batch = _plain(as_batch(structures))
        _check_structures(batch)
        given = {"energy": energy, "forces": forces, "stress": stress}
        targets = read_targets(structures, batch, **given)
        types = tuple(torch.unique(batch.types).tolist())
        composition = dict.fromkeys(types, 0.0)
        learnt = targets
        if targets.energy is not None:
            systems = batch.system.numpy()
            composition = composition_energies(batch.types.numpy(), systems, targets.energy)
            shift = np.bincount(systems, baseline(composition, batch.types).numpy())
            learnt = dataclasses.replace(targets, energy=targets.energy - shift)
        target_weights = complete_weights(weights)
        solution = self.regressor.solve(DesignRows(self.representation, types, batch, learnt, target_weights), progress)
        n = self.representation.n_features(types)
        for t, offset in zip(types, solution.weights[n:]):
            composition[t] += float(offset)
        tensor = self.representation.weights_to_tensor(solution.weights[:n], types)
        potential = BaselinedPotential.of(self.representation, tensor, composition)
        self._fitted = Fitted(
            weights=tensor,
            potential=potential,
            leverage=fit_leverage(lambda: potential.invariants(batch), types),
            errors={"train": potential.errors(batch, targets)},
            report={
                "targets": {name: t if isinstance(t, str) else name for name, t in given.items() if t is not None},
                "weights": {name: target_weights[name] for name in targets.names},
                "alpha": solution.alpha,
                "condition_number": solution.condition_number,
                "cross_validation": [[alpha, error] for alpha, error in solution.cross_validation.items()],
                "road": solution.road,
                "rows": solution.n_rows,
                "features": n,
            },
        )
        return self

    @property
    def fitted(self) -> Fitted:
        """What the fit left behind.

        :raises NotFittedError: before ``fit``.
        """
        if self._fitted is None:
            raise NotFittedError("this model has not been fitted: call fit, or load one")
        return self._fitted

    @property
    def types(self) -> tuple[int, ...]:
        """Atomic types of the training set, ascending."""
        return tuple(self.composition)

    @property
    def composition(self) -> dict[int, float]:
        """Energy of each type in the baseline."""
        return self.fitted.potential.composition

    @property
    def weights(self) -> Any:
        """Weights as a TensorMap with the keys and properties of the representation."""
        return self.fitted.weights

    @property
    def errors(self) -> dict[str, Errors]:
        """Errors by name of the set: ``train``, and those that :meth:`score` was told to keep."""
        return self.fitted.errors

    @property
    def alpha(self) -> float:
        """The regularisation, given or found."""
        return self.fitted.report["alpha"]

    @property
    def condition_number(self) -> float:
        """Of the scaled design matrix with √α below it."""
        return self.fitted.report["condition_number"]

    @property
    def report(self) -> dict:
        """How the fit went: targets, weights, alpha, cross_validation (pairs of α and error),
        condition_number, road, rows, features."""
        return self.fitted.report

    @property
    def leverage(self) -> Leverage:
        """How far environments lie from the training set."""
        return self.fitted.leverage

    def environments(self, batch: Batch, skin: float = 0.0) -> Any:
        """Neighbours within cutoff + skin, for :meth:`evaluate`.

        :raises UnknownTypesError: for types that were not in the training set.
        """
        return self.fitted.potential.environments(batch, skin=skin)

    def evaluate(self, batch: Batch, environments: Any = None, leverage: bool = False) -> Evaluation:
        """Energies, forces and virial of a batch, without labels: the road for dynamics."""
        found, features = self.fitted.potential.evaluate(batch, environments, diagonal=leverage)
        if not leverage:
            return found
        return dataclasses.replace(found, leverage=self.leverage.of(features, batch.types))

    def predict(self, structures: Any, names: Iterable[str] = ("energy", "forces")) -> dict[str, Any]:
        """Predictions by name, as NumPy TensorMaps (see :func:`ketmap_linear.predictions.as_tensors`).

        :param names: of ``energy``, ``energies`` (of atoms), ``forces`` and ``stress``.
        :raises UnknownTypesError: for types that were not in the training set.
        :raises ValueError: for stress of a system that is not periodic along three directions.
        """
        names = [names] if isinstance(names, str) else list(names)
        for name in names:
            if name not in TARGETS:
                raise ValueError(unknown_name(name, TARGETS, "prediction"))
        potential = self.fitted.potential
        batch = _plain(as_batch(structures))
        if "stress" in names and len(flat := torch.nonzero(~batch.pbc.all(dim=1))):
            i = int(flat[0])
            raise ValueError(
                f"stress needs a cell that is periodic along three directions; system {i} has pbc="
                f"{batch.pbc[i].tolist()}: leave it out, or do not ask for stress"
            )
        return as_tensors(names, batch, potential.arrays(batch))

    def score(self, structures: Any, name: str | None = None, **targets: Target) -> Errors:
        """Errors on structures that carry their targets.

        :param name: keep the errors in ``errors`` (and in the model file) under this name.
        :param targets: energy, forces, stress as in :meth:`fit`; by default those of the fit, by their names.
        """
        fitted = self.fitted
        structures = _as_list(structures)
        batch = _plain(as_batch(structures))
        asked = targets or fitted.report["targets"]
        found = fitted.potential.errors(batch, read_targets(structures, batch, **asked))
        if name is not None:
            fitted.errors[name] = found
        return found

    def save(self, path: str | Path) -> None:
        """Write one self-describing file, whole or not at all: see :mod:`ketmap_linear.storage`."""
        from .storage import save

        save(self, path)


def _as_list(structures: Any) -> list:
    return [structures] if hasattr(structures, "positions") else list(structures)


def _plain(batch: Batch) -> Batch:
    """In double precision, without autograd history."""
    return dataclasses.replace(
        batch,
        positions=batch.positions.detach().double(),
        cells=batch.cells.detach().double(),
        is_torch=False,
    )


def _check_structures(batch: Batch) -> None:
    """What can be predicted but not learnt from."""
    if len(batch) == 0:
        raise ValueError("no structures to learn from")
    empty = torch.nonzero(torch.diff(batch.starts) == 0)
    if len(empty):
        raise ValueError(f"structure {int(empty[0])} has no atoms: leave it out")
    found = coincident(batch)
    if found:
        raise CoincidentAtomsError(coincident_message(found))
