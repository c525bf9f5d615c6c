"""The usual case, more rows than columns: a Gram matrix or a triangle, and some rows as they are."""

from dataclasses import dataclass

import numpy as np

from .gram import Gram
from .qr import Triangle


@dataclass
class Primal:
    """All rows in condensed form, and groups of them as they are."""

    condensed: Gram | Triangle
    values: np.ndarray  # -> [kept row, feature]
    targets: np.ndarray  # -> [kept row]
    groups: list[np.ndarray]  # places of each group among the kept rows

    @property
    def road(self) -> str:
        """gram or qr."""
        return self.condensed.road

    def column_norms(self) -> np.ndarray:  # -> [feature]
        """Euclidean norm of each column of X."""
        return self.condensed.column_norms()

    def scale(self, factors: np.ndarray) -> None:  # [feature]
        """Multiply each column of X by a number."""
        self.condensed.scale(factors)
        self.values *= factors

    def solve(self, alpha: float) -> tuple[np.ndarray, float]:
        """Weights [feature], and the condition number of [X; √α]."""
        factor = self.condensed.factor(alpha)
        smallest, largest = factor.extremes()
        return factor.weights(), largest / smallest

    def left_out(self, alpha: float) -> float:
        """Mean over the kept rows of the squared residual of a fit without the row's group.

        With the residuals r of the fit to all rows and H = X (XᵀX + α)⁻¹ Xᵀ, those of the fit without group g
        are (1 − H_gg)⁻¹ r_g: exact, without refitting (Allen's PRESS, Technometrics 16, 125 (1974), for
        groups).
        """
        factor = self.condensed.factor(alpha)
        residuals = self.targets - self.values @ factor.weights()
        whitened = factor.whiten(self.values)
        total = 0.0
        for rows in self.groups:
            part = whitened[rows]
            total += np.sum(np.linalg.solve(np.eye(len(rows)) - part @ part.T, residuals[rows]) ** 2)
        return total / len(self.targets)
