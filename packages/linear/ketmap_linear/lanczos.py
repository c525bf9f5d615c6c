"""The largest eigenvalue of a symmetric positive matrix that is only known by its products."""

from collections.abc import Callable

import numpy as np
from scipy.linalg import eigvalsh_tridiagonal

STEPS = 200
ACCURACY = 1e-8  # relative change between steps at which the value is taken


def largest_eigenvalue(product: Callable[[np.ndarray], np.ndarray], n: int) -> float:
    """By Lanczos iterations with full reorthogonalisation, from a fixed start.

    The value grows towards the eigenvalue (Golub, Van Loan, Matrix Computations, section 10.1) and is good even where
    eigenvectors are not, because eigenvalues cluster: it is returned whatever the number of steps has made of it.
    """
    steps = min(STEPS, n)
    basis = np.empty((steps, n))
    vector = np.random.default_rng(0).normal(size=n)
    diagonal, beside = [], []
    value = 0.0
    for step in range(steps):
        basis[step] = vector / np.linalg.norm(vector)
        vector = product(basis[step])
        diagonal.append(basis[step] @ vector)
        before, value = value, eigvalsh_tridiagonal(diagonal, beside)[-1]
        for _ in range(2):  # twice is enough (Parlett)
            vector = vector - basis[: step + 1].T @ (basis[: step + 1] @ vector)
        beside.append(np.linalg.norm(vector))
        if value - before < ACCURACY * value or beside[-1] < ACCURACY * value:
            break
    return float(value)
