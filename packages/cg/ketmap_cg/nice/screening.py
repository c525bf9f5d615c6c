"""Which equivariants each order needs, and which products are worth making."""

import numpy as np

from ..layout import Symmetry

#: columns of a table of candidates: which component q_1 of ρ^(ν−1), (k, σ_1), meets which q_2 of the density, (l, σ_2)
CANDIDATE = ("k", "sigma_1", "q_1", "l", "sigma_2", "q_2")


def couples(first: Symmetry, second: Symmetry, wanted: Symmetry) -> bool:
    """Whether (k, σ1) ⊗ (l, σ2) holds (λ, σ): a triangle, and σ = σ1 σ2 (−1)^(k + l + λ).

    >>> couples((1, 1), (1, 1), (1, -1)), couples((1, 1), (1, 1), (1, 1)), couples((1, 1), (3, 1), (1, 1))
    (True, False, False)
    """
    (k, sigma_1), (l, sigma_2), (degree, sigma) = first, second, wanted
    return abs(k - l) <= degree <= k + l and sigma == sigma_1 * sigma_2 * (-1) ** (k + l + degree)


def needed(
    density: list[Symmetry], max_order: int, max_angular: int, symmetries: tuple[Symmetry, ...]
) -> list[list[Symmetry]]:
    """The (λ, σ) of every order 1 … ``max_order`` that come out, or that those of higher orders are made of."""
    reachable = [sorted(set(density))]
    for _ in range(1, max_order):
        every = [(l, sigma) for l in range(max_angular + 1) for sigma in (1, -1)]
        every += [symmetry for symmetry in symmetries if symmetry not in every]
        below = [s for s in reachable[-1] if s[0] <= max_angular or len(reachable) == 1]
        reachable.append([s for s in every if any(couples(a, b, s) for a in below for b in density)])
    found = [[s for s in reachable[-1] if s in symmetries]]
    for order in range(max_order - 1, 0, -1):
        # the density itself is multiplied at every order, whole
        keep = [
            s
            for s in reachable[order - 1]
            if s in symmetries
            or order == 1
            or (s[0] <= max_angular and any(couples(s, b, wanted) for b in density for wanted in found[0]))
        ]
        found.insert(0, keep)
    return found


def candidates(
    wanted: Symmetry,
    first: dict[Symmetry, np.ndarray],
    second: dict[Symmetry, np.ndarray],
    limit: int,
    symmetric: bool,
) -> tuple[np.ndarray, float]:  # -> int64 [candidate, CANDIDATE], share of the variance left out
    """The ``limit`` products with the largest expected variance, sorted by the arrays that they multiply.

    For independent factors whose components have variances v1 and v2 each, every component of the product has v1 v2,
    since Σ_m1m2 C² = 1.

    :param first: variances of the components of each (k, σ) of order ν − 1; ``second``: of the density.
    :param symmetric: both are the density, whose products with exchanged factors are the same: half of them.
    """
    tables, sizes = [], []
    for one, v_1 in first.items():
        for two, v_2 in second.items():
            if not couples(one, two, wanted) or (symmetric and one > two):
                continue
            q_1, q_2 = np.indices((len(v_1), len(v_2))).reshape(2, -1)
            if symmetric and one == two:  # for odd l1 + l2 + λ the product of an array with itself vanishes
                keep = q_1 <= q_2 if (one[0] + two[0] + wanted[0]) % 2 == 0 else q_1 < q_2
                q_1, q_2 = q_1[keep], q_2[keep]
            table = np.empty((len(q_1), len(CANDIDATE)), dtype=np.int64)
            table[:, :2], table[:, 2], table[:, 3:5], table[:, 5] = one, q_1, two, q_2
            tables.append(table)
            sizes.append(v_1[q_1] * v_2[q_2])
    if not tables:
        return np.zeros((0, len(CANDIDATE)), dtype=np.int64), 0.0
    table, size = np.concatenate(tables), np.concatenate(sizes)
    best = np.argsort(-size, kind="stable")[:limit]
    best = best[size[best] > 0]
    chosen = table[best]
    chosen = chosen[np.lexsort(chosen[:, [5, 2, 4, 3, 1, 0]].T)]
    total = size.sum()
    return chosen, float(1 - size[best].sum() / total) if total > 0 else 0.0
