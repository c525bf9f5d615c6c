"""How many independent invariants there are, by characters: the second road to counting features."""

import numpy as np


def independent_scalars(sizes, order: int, sigma: int = 1) -> int:
    """Dimension of the scalars of parity ``sigma`` in the symmetric power of ``sizes[l]`` copies of each l.

    Characters of the symmetric power follow from Newton's identities, h_ν = (1/ν) Σ_k p_k h_(ν−k) with p_k(g) = χ(g^k);
    the multiplicity is their mean over O(3), here an exact trigonometric sum (Weyl's measure (1 − cos θ)/π on 0 … π).
    """
    points = 4 * order * len(sizes) + 8
    theta = 2 * np.pi * np.arange(points) / points
    total = 0.0
    for inverted in (1, -1):
        power = [None] + [_character(sizes, k * theta, inverted**k) for k in range(1, order + 1)]
        h = [np.ones_like(theta)]
        for n in range(1, order + 1):
            h.append(sum(power[k] * h[n - k] for k in range(1, n + 1)) / n)
        total += (1 if inverted > 0 else sigma) * np.mean((1 - np.cos(theta)) * h[order]) / 2
    assert abs(total - round(total)) < 1e-6
    return round(total)


def _character(sizes, theta, inverted):
    found = np.zeros_like(theta)
    for l, n in enumerate(sizes):
        found += n * inverted**l * sum(np.cos(m * theta) for m in range(-l, l + 1))
    return found


def random_density(sizes, rows: int, seed: int = 0):
    """The TensorMap of a density with random coefficients."""
    from metatensor import Labels, TensorBlock, TensorMap

    rng = np.random.default_rng(seed)
    samples = Labels(["system", "atom"], np.array([[i, 0] for i in range(rows)]))
    blocks, keys = [], []
    for l, n in enumerate(sizes):
        mu = Labels(["o3_mu"], np.arange(-l, l + 1)[:, None])
        values = rng.normal(size=(rows, 2 * l + 1, n))
        blocks.append(TensorBlock(values, samples, [mu], Labels.range("n", n)))
        keys.append([l, 1, 1])
    return TensorMap(Labels(["o3_lambda", "o3_sigma", "center_type"], np.array(keys)), blocks)


def rank(features: np.ndarray) -> int:
    values = np.linalg.svd(features / np.abs(features).max(axis=0), compute_uv=False)
    return int((values > 1e-9 * values[0]).sum())
