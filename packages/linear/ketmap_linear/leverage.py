"""How far an environment lies from those of the training set.

In the space of the diagonal invariants Σ_m c²_anlm / √(2l+1), per type of the centre, the training
environments have a mean and a covariance, of which the largest principal components are kept and the rest is
taken as isotropic (probabilistic PCA: Tipping, Bishop, J. R. Stat. Soc. B 61, 611 (1999)). The leverage is
the squared Mahalanobis distance from the mean: small in directions in which the training set varies, large
off its subspace.
"""

import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch

COMPONENTS = 24  # principal components kept
RESOLUTION = 1e-10  # smallest variance, relative to the mean square of the features
ARRAYS = ("mean", "axes", "precision", "floor")

Chunks = Callable[[], Iterable[tuple[torch.Tensor, torch.Tensor]]]  # features [atom, k] and types [atom], repeatedly


@dataclass(frozen=True)
class Leverage:
    """Moments of the training environments of each type."""

    types: tuple[int, ...]
    mean: torch.Tensor  # -> [type, k]
    axes: torch.Tensor  # -> [type, k, component]
    precision: torch.Tensor  # -> [type, component] 1/variance, above that of the floor
    floor: torch.Tensor  # -> [type] variance in all other directions
    maximum: float = 0.0  # largest leverage of the training set

    def of(self, features: torch.Tensor, types: torch.Tensor) -> torch.Tensor:
        """Leverage of atoms.

        :param features: [atom, k] diagonal invariants.
        :param types: [atom] atomic numbers, all known.
        """
        found = features.new_empty(len(features))
        for kind, center in enumerate(self.types):
            atoms = torch.nonzero(types == center)[:, 0]
            offsets = features[atoms] - self.mean[kind]  # -> [atom, k]
            projected = offsets @ self.axes[kind]  # -> [atom, component]
            found[atoms] = (offsets**2).sum(dim=1) / self.floor[kind] + projected**2 @ self.precision[kind]
        return found

    def to_bytes(self) -> bytes:
        """Arrays as NPZ."""
        content = io.BytesIO()
        np.savez(content, **{name: getattr(self, name).numpy() for name in ARRAYS}, maximum=self.maximum)
        return content.getvalue()

    @classmethod
    def from_bytes(cls, types: tuple[int, ...], content: bytes) -> "Leverage":
        """What :meth:`to_bytes` wrote."""
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            return cls(types, *(torch.from_numpy(arrays[n]) for n in ARRAYS), float(arrays["maximum"]))


def fit_leverage(chunks: Chunks, types: tuple[int, ...]) -> Leverage:
    """Go through the training environments twice: for their moments, and for the largest leverage."""
    shift, counts, sums, squares = None, torch.zeros(len(types), dtype=torch.float64), None, None
    for features, kinds in chunks():
        if shift is None:  # moments about a typical value do not cancel
            shift, n = features.mean(dim=0), features.shape[1]
            sums, squares = features.new_zeros(len(types), n), features.new_zeros(len(types), n, n)
        for kind, center in enumerate(types):
            offsets = features[kinds == center] - shift
            counts[kind] += len(offsets)
            sums[kind] += offsets.sum(dim=0)
            squares[kind] += offsets.T @ offsets
    offset = sums / counts[:, None]
    mean = offset + shift
    covariance = squares / counts[:, None, None] - offset[:, :, None] * offset[:, None, :]
    variances, axes = torch.linalg.eigh(covariance)  # ascending
    kept = min(COMPONENTS, variances.shape[1] - 1)
    split = variances.shape[1] - kept
    smallest = RESOLUTION * (mean**2).mean(dim=1) + torch.finfo(mean.dtype).tiny
    floor = torch.maximum(variances[:, :split].mean(dim=1), smallest)
    precision = 1.0 / torch.maximum(variances[:, split:], floor[:, None]) - 1.0 / floor[:, None]
    leverage = Leverage(types, mean, axes[:, :, split:].contiguous(), precision, floor)
    maximum = max(float(leverage.of(features, kinds).max()) for features, kinds in chunks())
    return Leverage(**{**vars(leverage), "maximum": maximum})
