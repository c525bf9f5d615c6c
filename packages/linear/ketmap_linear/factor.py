"""The triangular factor from which everything about a ridge solution follows."""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import blas, lapack

from .lanczos import largest_eigenvalue

DIRECT = 64  # columns up to which singular values are computed one and all


@dataclass(frozen=True)
class Factor:
    """Upper triangular R with RᵀR = XᵀX + α, and z = R⁻ᵀ Xᵀy, of a design matrix X and targets y."""

    upper: np.ndarray  # -> [feature, feature], Fortran order, zeros (or anything) below the diagonal
    projected: np.ndarray  # -> [feature]

    def weights(self) -> np.ndarray:  # -> [feature]
        """argmin |Xw − y|² + α|w|², which is R⁻¹ z."""
        return self.solve(self.projected)

    def solve(self, vector: np.ndarray, transposed: bool = False) -> np.ndarray:  # -> [feature]
        """R⁻¹ v or R⁻ᵀ v."""
        return blas.dtrsv(self.upper, vector, trans=int(transposed))

    def whiten(self, rows: np.ndarray) -> np.ndarray:  # [row, feature] -> [row, feature]
        """rows · R⁻¹: products of what this returns are rows (XᵀX + α)⁻¹ rowsᵀ."""
        return blas.dtrsm(1.0, self.upper, rows.T, trans_a=1).T

    def extremes(self) -> tuple[float, float]:
        """Smallest and largest singular value of R, by Lanczos iterations on (RᵀR)⁻¹ and RᵀR."""
        n = len(self.upper)
        if n <= DIRECT:
            values = np.linalg.svd(np.triu(self.upper), compute_uv=False)
            return float(values[-1]), float(values[0])
        squared = largest_eigenvalue(lambda v: blas.dtrmv(self.upper, blas.dtrmv(self.upper, v), trans=1), n)
        inverse = largest_eigenvalue(lambda v: self.solve(self.solve(v, transposed=True)), n)
        return float(inverse**-0.5), float(squared**0.5)


def invert(upper: np.ndarray) -> np.ndarray:
    """R⁻¹ of a triangular R, upper triangular too."""
    inverse, info = lapack.dtrtri(upper)
    if info:
        raise np.linalg.LinAlgError(f"the triangular factor is singular at column {info - 1}")
    return np.triu(inverse)
