"""Fewer rows than columns: the same solution from the triangle of Xᵀ, where w = Xᵀa and (XXᵀ + α) a = y."""

from functools import cached_property

import numpy as np

from .factor import Factor, invert
from .qr import Triangle

CHUNK = 2048  # columns of X taken in at a time


class Dual:
    """Holds X (it has few rows); RᵀR = XXᵀ for the triangle R of Xᵀ."""

    road = "dual"

    def __init__(self, values: np.ndarray, targets: np.ndarray, groups: list[np.ndarray]):
        self.values, self.targets, self.groups = values, targets, groups  # -> [row, feature], [row]

    def column_norms(self) -> np.ndarray:  # -> [feature]
        """Euclidean norm of each column of X."""
        return np.linalg.norm(self.values, axis=0)

    def scale(self, factors: np.ndarray) -> None:  # [feature]
        """Multiply each column of X by a number."""
        self.values *= factors
        self.__dict__.pop("triangle", None)

    @cached_property
    def triangle(self) -> Triangle:
        """R of Xᵀ."""
        triangle = Triangle(len(self.values))
        for start in range(0, self.values.shape[1], CHUNK):
            columns = self.values[:, start : start + CHUNK].T
            triangle.add(columns, np.zeros(len(columns)))
        return triangle

    def solve(self, alpha: float) -> tuple[np.ndarray, float]:
        """Weights [feature], and the condition number of [X; √α], infinite for α = 0."""
        factor = self.triangle.factor(alpha)
        largest = factor.extremes()[1]
        return self._multipliers(factor) @ self.values, largest / alpha**0.5 if alpha else np.inf

    def left_out(self, alpha: float) -> float:
        """Mean over the rows of the squared residual of a fit without the row's group.

        With C = (XXᵀ + α)⁻¹ and a = Cy, the residuals are C_gg⁻¹ a_g: exact, without refitting.
        """
        factor = self.triangle.factor(alpha)
        inverse = invert(factor.upper)  # C = R⁻¹R⁻ᵀ
        multipliers = self._multipliers(factor)
        total = 0.0
        for rows in self.groups:
            part = inverse[rows]
            total += np.sum(np.linalg.solve(part @ part.T, multipliers[rows]) ** 2)
        return total / len(self.targets)

    def _multipliers(self, factor: Factor) -> np.ndarray:  # -> [row]
        return factor.solve(factor.solve(self.targets, transposed=True))
