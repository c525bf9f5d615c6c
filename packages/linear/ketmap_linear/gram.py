"""Normal equations: the Gram matrix XᵀX and the moments Xᵀy, accumulated over a stream of rows."""

import numpy as np
from scipy.linalg import blas, lapack

from .factor import Factor


class Gram:
    """Half a Gram matrix, grown by symmetric rank-k updates.

    The fastest road; it squares the condition number, so α below rounding (see
    :func:`ketmap_linear.ridge.rounding`) is out of its reach.
    """

    road = "gram"

    def __init__(self, n_features: int):
        self.matrix = np.zeros((n_features, n_features), order="F")  # upper half
        self.moments = np.zeros(n_features)

    def add(self, values: np.ndarray, targets: np.ndarray) -> None:  # [row, feature], [row]
        """Take in more rows of X and y."""
        self.matrix = blas.dsyrk(1.0, values.T, beta=1.0, c=self.matrix, overwrite_c=1)
        self.moments += targets @ values

    def column_norms(self) -> np.ndarray:  # -> [feature]
        """Euclidean norm of each column of X."""
        return np.sqrt(np.diagonal(self.matrix))

    def scale(self, factors: np.ndarray) -> None:  # [feature]
        """Multiply each column of X by a number."""
        self.matrix *= factors
        self.matrix *= factors[:, None]
        self.moments *= factors

    def factor(self, alpha: float) -> Factor:
        """Cholesky factor of XᵀX + α.

        :raises numpy.linalg.LinAlgError: when α is lost in rounding.
        """
        shifted = self.matrix.copy(order="F")
        shifted.T.flat[:: len(shifted) + 1] += alpha
        upper, info = lapack.dpotrf(shifted, lower=0, clean=0, overwrite_a=1)
        if info:
            raise np.linalg.LinAlgError(f"XᵀX + {alpha:g} is not positive definite at column {info - 1}")
        return Factor(upper, blas.dtrsv(upper, self.moments, trans=1))
