"""Errors of predictions, as a table."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np

TARGETS = ("energy", "forces", "stress")


@dataclass(frozen=True)
class Deviation:
    """Root mean square and mean absolute error."""

    rmse: float
    mae: float

    @classmethod
    def of(cls, differences: np.ndarray) -> "Deviation":
        """From predicted − reference, of any shape."""
        return cls(float(np.sqrt(np.mean(differences**2))), float(np.mean(np.abs(differences))))


@dataclass(frozen=True)
class Errors:
    """Errors on some structures, in the model's units: energy per atom, components of forces and stress."""

    structures: int
    atoms: int
    energy: Deviation | None = None
    forces: Deviation | None = None
    stress: Deviation | None = None

    def to_dict(self) -> dict:
        """As JSON can hold it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, given: Mapping) -> "Errors":
        """What :meth:`to_dict` wrote."""
        deviations = {name: given[name] and Deviation(**given[name]) for name in TARGETS}
        return cls(given["structures"], given["atoms"], **deviations)

    def __str__(self) -> str:
        parts = [f"{self.structures} structures"]
        for name in TARGETS:
            if deviation := getattr(self, name):
                label = "energy per atom" if name == "energy" else name
                parts.append(f"{label} RMSE {deviation.rmse:.4g} MAE {deviation.mae:.4g}")
        return "; ".join(parts)
