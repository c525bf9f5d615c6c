"""Incremental QR: the triangle R of X = QR, and Qᵀy, updated row block by row block.

The update annihilates a block of rows against the triangle (LAPACK ``tpqrt``; Gunter, van de Geijn, ACM TOMS
31, 60 (2005)). It does not square the condition number and costs about twice a Gram matrix.
"""

import numpy as np
from scipy.linalg import lapack

from .factor import Factor

BLOCK = 96  # columns that LAPACK treats at a time


class Triangle:
    """R and Qᵀy of the rows seen so far. Targets travel as one more column, so Q is never kept."""

    road = "qr"

    def __init__(self, n_features: int):
        self.triangle = np.zeros((n_features + 1, n_features + 1), order="F")  # -> R | Qᵀy

    def add(self, values: np.ndarray, targets: np.ndarray) -> None:  # [row, feature], [row]
        """Take in more rows of X and y."""
        rows = np.empty((len(values), len(self.triangle)), order="F")
        rows[:, :-1], rows[:, -1] = values, targets
        self.triangle = _annihilate(self.triangle, rows, triangular=False)

    def column_norms(self) -> np.ndarray:  # -> [feature]
        """Euclidean norm of each column of X."""
        return np.array([np.linalg.norm(self.triangle[: i + 1, i]) for i in range(len(self.triangle) - 1)])

    def scale(self, factors: np.ndarray) -> None:  # [feature]
        """Multiply each column of X by a number."""
        self.triangle[:, :-1] *= factors

    def factor(self, alpha: float) -> Factor:
        """Triangle of X with √α below it.

        :raises numpy.linalg.LinAlgError: when X has not full rank and α = 0.
        """
        triangle = self.triangle.copy(order="F")
        if alpha > 0.0:
            below = np.zeros_like(triangle)
            np.fill_diagonal(below[:-1, :-1], np.sqrt(alpha))
            triangle = _annihilate(triangle, below, triangular=True)
        upper = np.asfortranarray(triangle[:-1, :-1])
        diagonal = np.abs(np.diagonal(upper))
        if not diagonal.min() > len(upper) * np.finfo(float).eps * diagonal.max():
            raise np.linalg.LinAlgError(f"columns are linearly dependent and alpha={alpha:g}: give a larger alpha")
        return Factor(upper, triangle[:-1, -1].copy())


def _annihilate(triangle: np.ndarray, rows: np.ndarray, triangular: bool) -> np.ndarray:
    """R of the QR decomposition of [triangle; rows], both overwritten."""
    n = len(triangle)
    result = lapack.dtpqrt(n if triangular else 0, min(BLOCK, n), triangle, rows, overwrite_a=1, overwrite_b=1)
    return result[0]
