"""Principal components of what lower orders do not know."""

import dataclasses

import torch

#: relative size of the ridge that keeps the regression on lower orders determined
RIDGE = 1e-12


@dataclasses.dataclass
class Moments:
    """Second moments of candidates and lower features, summed over rows and components."""

    candidates: torch.Tensor  # [candidate, candidate]
    lower: torch.Tensor  # [lower, lower]
    mixed: torch.Tensor  # [lower, candidate]
    count: int = 0

    @classmethod
    def empty(cls, n_candidates: int, n_lower: int) -> "Moments":
        new = torch.zeros
        shapes = ((n_candidates, n_candidates), (n_lower, n_lower), (n_lower, n_candidates))
        return cls(*(new(shape, dtype=torch.float64) for shape in shapes))

    def add(self, values: torch.Tensor, lower: torch.Tensor) -> None:
        """``values`` [row, μ, candidate], ``lower`` [row, μ, lower]."""
        x, y = values.flatten(0, 1), lower.flatten(0, 1)
        self.candidates.addmm_(x.T, x)
        self.lower.addmm_(y.T, y)
        self.mixed.addmm_(y.T, x)
        self.count += len(x)


def principal(moments: Moments, limit: int, tolerance: float):
    """Regress candidates on lower features, and diagonalise the covariance of what is left.

    :return: components [candidate, feature], purifier [lower, feature], variances [feature], and a report:
        ``purified``, the share of variance that lower orders know, and ``unexplained``, that of the rest which the
        features leave out.
    """
    count = max(moments.count, 1)
    covariance, weights = moments.candidates / count, _regression(moments)
    total = float(covariance.diagonal().sum())
    cross = weights.T @ (moments.mixed / count)  # -> [candidate, candidate]
    covariance = covariance - cross - cross.T + weights.T @ (moments.lower / count) @ weights
    values, vectors = torch.linalg.eigh((covariance + covariance.T) / 2)
    values, vectors = values.flip(0).clamp(min=0.0), vectors.flip(1)
    kept = min(limit, int((values > tolerance * total).sum()))
    components = vectors[:, :kept]
    if kept:  # eigenvectors have no sign of their own
        peaks = components.gather(0, components.abs().argmax(dim=0, keepdim=True))
        components = components * peaks.sign()
    rest = float(values.sum())
    report = {
        "purified": 1 - rest / total if total > 0 else 0.0,
        "unexplained": float(values[kept:].sum()) / rest if rest > 0 else 0.0,
    }
    return components.contiguous(), weights @ components, values[:kept].numpy(), report


def _regression(moments: Moments) -> torch.Tensor:  # -> [lower, candidate]
    """Least squares of all candidates on the lower features, on scaled columns."""
    scale = moments.lower.diagonal().sqrt()
    inverse = torch.where(scale > 0, 1 / scale, torch.zeros_like(scale))
    gram = moments.lower * inverse[:, None] * inverse + RIDGE * torch.eye(len(scale), dtype=torch.float64)
    return inverse[:, None] * torch.linalg.solve(gram, inverse[:, None] * moments.mixed)
