"""Which α, and which rows are left out together to find it."""

from collections.abc import Callable, Sequence

import numpy as np

START, HIGHEST = -6, 2  # decades
STEPS = (2.0, 1.0, 0.5)  # decades
GAIN = 0.01  # smaller relative gains are not worth a step: errors are flat, and large α are stable


def search(error: Callable[[float], float], lowest: float) -> tuple[float, dict[float, float]]:
    """The α of smallest error, to half a decade and 1 %, by descending in log α with ever smaller steps.

    :param error: of α; one that cannot be computed (``LinAlgError``) counts as infinite.
    :param lowest: smallest α to try.
    :returns: α, and every α tried with its error.
    """
    path: dict[float, float] = {}
    bottom = np.ceil(2 * np.log10(lowest)) / 2

    def of(exponent: float) -> float:
        alpha = float(10.0**exponent)
        if alpha not in path:
            path[alpha] = float("inf")
            try:
                path[alpha] = float(error(alpha))
            except np.linalg.LinAlgError:
                pass
        return path[alpha]

    best = max(float(START), bottom)
    for step in STEPS:
        while True:
            beside = [e for e in (best - step, best + step) if bottom <= e <= HIGHEST]
            nearest = min(beside, key=of, default=best)
            if not of(nearest) < (1 - GAIN) * of(best):
                break
            best = nearest
    return float(10.0**best), path


def sample(counts: Sequence[int], folds: int | None, budget: int) -> list[np.ndarray]:
    """Groups of structures that are left out together, at random until they hold ``budget`` rows (at least
    one).

    :param counts: rows of each structure.
    :param folds: number of groups, each of neighbours in the data set (a trajectory stays together); None:
        each structure is a group.
    :returns: indices of the structures of each group.
    """
    n = len(counts)
    groups = np.array_split(np.arange(n), min(folds or n, n))
    order = np.random.default_rng(0).permutation(len(groups))
    sizes = np.cumsum([sum(counts[i] for i in groups[g]) for g in order])
    return [groups[g] for g in order[: max(1, int(np.searchsorted(sizes, budget, side="right")))]]
