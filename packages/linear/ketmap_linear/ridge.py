"""Ridge regression of a stream of rows: which road is taken, α, solution and condition number."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from ketmap_core import KetmapError

from .dual import Dual
from .gram import Gram
from .primal import Primal
from .qr import Triangle
from .regularisation import sample, search
from .stream import Stream

GB = 1e9
KEPT = 16_000_000  # numbers in the rows kept for cross-validation, when features are few
LOWEST = 1e-22  # smallest α that the QR road tries: (1e-11)², still above rounding

Progress = Callable[[str, int, int], None]  # stage, done, total (0: not known)


class MemoryLimitError(KetmapError, MemoryError):
    """The fit would need more memory than allowed."""


@dataclass(frozen=True)
class Solution:
    """Weights, and how they were found."""

    weights: np.ndarray  # -> [feature + offset]
    alpha: float
    condition_number: float  # of the scaled design matrix with √α below it
    road: str  # gram, qr or dual
    n_rows: int
    cross_validation: dict[float, float] = field(default_factory=dict)  # α: mean squared left-out residual


@dataclass(frozen=True)
class Ridge:
    """Linear least squares with α‖w‖².

    Minimised is ‖X'w' − y‖² + α‖w'‖², where rows of X and y carry the weights of their targets (see
    ``Model.fit``: the weighted squares of a target's rows sum to its weight) and X' = X/s, w' = s·w with one
    number s, the root of the mean squared column norm: columns keep their relative sizes, which is the prior
    that features carry, and α is free of units and of the size of the data set. Useful α lie between 1e-12
    and 1e-6. Columns for the types, which learn what the composition baseline leaves, are each scaled to unit norm.

    Three roads lead to the solution, taken by number of rows, features and α, never growing with the data
    set: ``gram`` (Cholesky of XᵀX + α) as a rule; ``qr`` (incremental QR of X, α as more rows) where α is
    lost in the rounding of XᵀX; ``dual`` (incremental QR of Xᵀ) where rows are fewer than features.

    :param alpha: a number ≥ 0; None: the one of smallest cross-validated error, to half a decade and 1 %.
    :param memory_limit: GB that the fit may take, the features of one chunk of structures aside.
    :param cv: with ``alpha=None``, leave out one structure at a time (None) or one of so many folds, each of
        neighbours in the data set. Left-out residuals are exact, from the fit to all; they are taken of as
        many structures, chosen at random, as fit beside the Gram matrix.
    :raises ValueError: for an alpha, limit or number of folds that make no sense.

    >>> Ridge(alpha=1e-8)
    Ridge(alpha=1e-08, memory_limit=8.0, cv=None)
    """

    alpha: float | None = None
    memory_limit: float = 8.0
    cv: int | None = None

    def __post_init__(self):
        if self.alpha is not None and not (np.isfinite(self.alpha) and self.alpha >= 0):
            raise ValueError(f"alpha must be None or a number >= 0, got {self.alpha}")
        if not self.memory_limit > 0:
            raise ValueError(f"memory_limit must be a positive number of GB, got {self.memory_limit}")
        if self.cv is not None and (not isinstance(self.cv, int) or self.cv < 2):
            raise ValueError(f"cv must be None or a number of folds >= 2, got {self.cv}")

    def to_dict(self) -> dict:
        """The arguments, as JSON can hold them."""
        return {"alpha": self.alpha, "memory_limit": self.memory_limit, "cv": self.cv}

    def solve(self, stream: Stream, progress: Progress | None = None) -> Solution:
        """Go through the stream (once, or twice when the Gram matrix turns out too coarse) and solve.

        :raises MemoryLimitError: naming the number of features and what to lower.
        :raises ValueError: for cross-validation with less than two structures.
        :raises numpy.linalg.LinAlgError: if alpha=0 and columns are linearly dependent.
        """
        n, n_rows = columns(stream), int(stream.counts.sum())
        coarse = rounding(n)
        if n_rows < n:
            road = "dual"
        else:
            road = "qr" if self.alpha is not None and self.alpha < coarse else "gram"
        groups = self._groups(stream, road)
        self._check_memory(stream, groups, road)
        problem, scale = condense(stream, groups, road, progress)
        alpha, path = self.alpha, {}
        if alpha is None:
            alpha, path = self._search(problem, coarse if road == "gram" else LOWEST, progress)
            if road == "gram" and alpha < 3.2 * coarse and self._fits(stream, groups, "qr"):
                problem, scale = condense(stream, groups, "qr", progress)
                alpha, path = self._search(problem, LOWEST, progress)
        weights, condition = problem.solve(alpha)
        return Solution(weights * scale, alpha, condition, problem.road, n_rows, dict(sorted(path.items())))

    def _groups(self, stream: Stream, road: str) -> list[np.ndarray]:
        if self.alpha is not None:
            return []
        if np.count_nonzero(stream.counts) < 2:
            raise ValueError("cross-validation needs two structures or more; give alpha")
        n = columns(stream)
        budget = stream.counts.sum() if road == "dual" else max(n // 3, KEPT // n)
        return sample(stream.counts, self.cv, int(budget))

    def _fits(self, stream: Stream, groups: list[np.ndarray], road: str) -> bool:
        return memory(stream, groups, road) <= self.memory_limit * GB

    def _check_memory(self, stream: Stream, groups: list[np.ndarray], road: str) -> None:
        if not self._fits(stream, groups, road):
            needed = memory(stream, groups, road) / GB
            raise MemoryLimitError(
                f"{stream.n_features} features and {int(stream.counts.sum())} rows need {needed:.2g} GB "
                f"(road: {road}), more than memory_limit={self.memory_limit:g} GB; lower "
                "max_radial, max_angular or the number of types, or raise memory_limit"
            )

    def _search(self, problem: Primal | Dual, lowest: float, progress: Progress | None) -> tuple[float, dict]:
        tried = itertools.count(1)

        def error(alpha: float) -> float:
            if progress:
                progress("cross-validation", next(tried), 0)
            return problem.left_out(alpha)

        return search(error, lowest)


def rounding(n_features: int) -> float:
    """α below which a Gram matrix whose mean diagonal element is 1 says nothing: its own rounding errors."""
    return 4 * np.finfo(float).eps * n_features


def columns(stream: Stream) -> int:
    """Columns of the design matrix."""
    return stream.n_features + stream.n_offsets


def memory(stream: Stream, groups: list[np.ndarray], road: str) -> float:
    """Bytes that a road needs: matrices and their copies while they are factorised, rows kept aside."""
    n, n_rows = columns(stream), int(stream.counts.sum())
    if road == "dual":
        return 8.0 * (n * n_rows + 5 * n_rows**2)
    kept = sum(int(stream.counts[group].sum()) for group in groups)
    return 8.0 * ((2 if road == "gram" else 4) * n**2 + 2 * n * kept)


def condense(
    stream: Stream, groups: list[np.ndarray], road: str, progress: Progress | None = None
) -> tuple[Primal | Dual, np.ndarray]:
    """One pass over the stream: the problem with scaled columns, and the scales [column]."""
    n, counts = columns(stream), stream.counts
    kept = np.full(len(counts), road == "dual")
    kept[np.concatenate(groups) if groups else []] = True
    n_kept = int(counts[kept].sum())
    values, targets, owners = np.empty((n_kept, n)), np.empty(n_kept), np.empty(n_kept, dtype=int)
    condensed = Gram(n) if road == "gram" else Triangle(n) if road == "qr" else None
    end = 0
    for rows in stream:
        if condensed is not None:
            condensed.add(rows.values, rows.targets)
        chosen = kept[rows.structures]
        here = slice(end, end := end + np.count_nonzero(chosen))
        values[here], targets[here] = rows.values[chosen], rows.targets[chosen]
        owners[here] = rows.structures[chosen]
        if progress:
            progress("features", int(rows.structures.max()) + 1, len(counts))
    places = [np.nonzero(np.isin(owners, group))[0] for group in groups]
    problem = Dual(values, targets, places) if road == "dual" else Primal(condensed, values, targets, places)
    norms = problem.column_norms()
    norms[: stream.n_features] = np.sqrt(np.mean(norms[: stream.n_features] ** 2))
    scale = 1.0 / np.where(norms > 0, norms, 1.0)
    problem.scale(scale)
    return problem, scale
