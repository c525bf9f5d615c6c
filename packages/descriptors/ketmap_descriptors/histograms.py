"""Pair distances counted in bins: the ν = 1 density, projected on spherical shells."""

import dataclasses
import math

import numpy as np
import torch
from ketmap_core import Batch
from ketmap_density.hypers import integer, number
from ketmap_density.selection import Selection

from .around import Around
from .calculator import NO_CUTOFF, Descriptor, Key, Part, Parts, chosen_properties
from .functions import partial_derivatives
from .slopes import Slopes
from .sums import segment_sum, segments

#: half width, in σ, beyond which a Gaussian counts for nothing (2e-15)
TAIL = 8.0


class RadialDistribution(Descriptor):
    """How many neighbours stand at which distance: the density of the neighbours on spherical shells, or g(r).

    h_b = ∫_{shell b} ρ(r) d³r with a normalised Gaussian at every neighbour, so that each neighbour counts as 1: the
    l = 0 part of the neighbour density in a basis of shells. With ``width`` 0 it is a histogram of distances.
    Normalised, it is divided by what a gas of the neighbours' number density would have there: g(r).

    Keys ``center_type, neighbor_type``; samples ``system, atom``: the centres that have such a neighbour; or
    ``system``: the sum over all centres of the type (normalised: the mean). Property ``bin``, between ``edges[bin]``
    and ``edges[bin + 1]``.

    :param cutoff: end of the last bin, Å.
    :param bins: number of bins, all of one width.
    :param width: standard deviation of the Gaussians, Å; 0: sharp, without derivatives.
    :param per_system: whether centres are summed up.
    :param normalized: whether to give g(r).
    :raises ValueError: (from ``compute``) for gradients of a sharp histogram, and for g(r) of systems without a volume.

    >>> import ase.build
    >>> histogram = RadialDistribution(cutoff=4.5, bins=9, per_system=True)
    >>> histogram.compute(ase.build.bulk("Cu", "fcc", 3.6)).block().values.tolist()
    [[0.0, 0.0, 0.0, 0.0, 0.0, 12.0, 0.0, 6.0, 24.0]]
    """

    key_names = ("center_type", "neighbor_type")
    property_names = ("bin",)

    def __init__(
        self, *, cutoff: float, bins: int, width: float = 0.0, per_system: bool = False, normalized: bool = False
    ):
        self.reach = number(cutoff, "cutoff", above=0)
        self.bins = integer(bins, "bins", minimum=1)
        self.width = number(width, "width", minimum=0)
        self.per_system, self.normalized = bool(per_system), bool(normalized)

    @property
    def edges(self) -> np.ndarray:  # -> [bin + 1]
        """Where bins begin and end, Å."""
        return np.linspace(0, self.reach, self.bins + 1)

    @property
    def sample_names(self) -> tuple[str, ...]:
        return ("system",) if self.per_system else ("system", "atom")

    @property
    def exempt_laws(self) -> dict[str, str]:
        exempt = dict.fromkeys(NO_CUTOFF, "bins end at the cutoff, the density of an atom does not")
        if self.normalized:
            exempt |= {law: "a molecule has no volume" for law in ("isolated", "coincident", "extensive")}
            if self.per_system:
                exempt["supercell"] = "a mean over atoms, no sum"
        return exempt

    def to_dict(self) -> dict:
        return {
            "cutoff": self.reach,
            "bins": self.bins,
            "width": self.width,
            "per_system": self.per_system,
            "normalized": self.normalized,
        }

    def compute(self, systems, *, gradients=None, **options):
        if gradients and self.width == 0:
            raise ValueError("a sharp histogram of distances has no derivatives; give RadialDistribution a width")
        return super().compute(systems, gradients=gradients, **options)

    compute.__doc__ = Descriptor.compute.__doc__

    def parts(self, batch: Batch, selection: Selection) -> Parts:
        if self.normalized:
            _check_volumes(batch)
        chosen = dataclasses.replace(selection, samples=None) if self.per_system else selection
        around = Around(batch, self.reach + TAIL * self.width, chosen, selection.wanted("neighbor_type"))
        properties = chosen_properties(selection, np.arange(self.bins)[:, None])
        bins = torch.from_numpy(properties[:, 0]).to(around.starts.device)

        def terms(r: torch.Tensor) -> list[torch.Tensor]:  # -> [pair] of each property
            return [
                _inside(r, self.edges[b + 1], self.width) - _inside(r, self.edges[b], self.width) for b in bins.tolist()
            ]

        def columns(r: torch.Tensor) -> torch.Tensor:  # -> [pair, property]
            return torch.cat([r[:, None][:, :0], *(term[:, None] for term in terms(r))], dim=1)

        sums = segment_sum(columns(around.distances), around.starts)  # -> [centre · channel, property]

        def part(key: Key) -> Part:
            channel = around.channel.get(key[1])
            if channel is None:
                return self._samples_of_nothing(around.nothing(len(bins)))
            centers = around.centers_with(key[0], (channel, 1))
            counts = sums[centers * len(around.channel) + channel]
            system = batch.system[around.environments.centers[centers].long()].long()  # ascends
            samples = around.labels(centers)
            weights, inverse = self._weights(batch, key, bins)  # -> [system, property]
            rows = torch.arange(len(centers), device=centers.device)
            if self.per_system:
                present, rows = torch.unique_consecutive(system, return_inverse=True)
                ends = torch.searchsorted(system, torch.cat([present, present[-1:] + 1]))
                counts, samples = segment_sum(counts, ends), present.cpu().numpy()[:, None]
                system = present
            values = counts * weights[system]

            def slopes() -> Slopes:
                pairs, starts = around.pairs_of(centers, channel)
                (along,) = partial_derivatives(terms, around.distances[pairs])
                at = rows[segments(starts)]
                along = along * weights.detach()[system][at]
                made = around.slopes(at, pairs, around.units[pairs][:, :, None] * along[:, None])
                if not self.normalized:
                    return made
                return dataclasses.replace(made, volume=(values.detach(), inverse[system]))

            return Part(samples, values, slopes)

        every = [(a, b) for a in around.occurring for b in around.channel]
        available = [(a, b) for a, b in every if around.occurring[a][:, around.channel[b]].any()]
        return Parts(available, properties, part)

    def _samples_of_nothing(self, part: Part) -> Part:
        return Part(part.samples[:, : len(self.sample_names)], part.values, part.slopes)

    def _weights(self, batch: Batch, key: Key, bins: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """What counts are multiplied by in each system [system, property]; 1/cell where that has the volume in it."""
        if not self.normalized:
            return batch.positions.new_ones(len(batch), len(bins)), None
        edges = torch.from_numpy(self.edges).to(batch.positions)
        shells = 4 * math.pi / 3 * (edges[1:] ** 3 - edges[:-1] ** 3)[bins]
        numbers = [
            torch.bincount(batch.system[batch.types == kind].long(), minlength=len(batch)).clamp(min=1) for kind in key
        ]
        expected = numbers[1][:, None] * shells  # in a volume of 1; for g(r), N/V of all atoms of the neighbour's type
        if self.per_system:
            expected = expected * numbers[0][:, None]
        cells = torch.where(batch.pbc.all(dim=1)[:, None, None], batch.cells, torch.eye(3).to(batch.cells))
        return torch.linalg.det(cells).abs()[:, None] / expected, torch.linalg.inv(cells.detach())


def _inside(r: torch.Tensor, radius: float, width: float) -> torch.Tensor:
    """How much of a normalised Gaussian at distance r lies within ``radius`` of the origin. -> [pair]"""
    if radius == 0:
        return torch.zeros_like(r)
    if width == 0:
        return (r < radius).to(r.dtype)
    x = math.sqrt(0.5) / width
    safe = r.clamp(min=1e-3 * width)  # even in r: this changes the sixth digit of what is at the origin
    below, above = (radius - safe) * x, (radius + safe) * x
    shares = 0.5 * (torch.erf(below) + torch.erf(above))
    return shares - width / (math.sqrt(2 * math.pi) * safe) * (torch.exp(-(below**2)) - torch.exp(-(above**2)))


def _check_volumes(batch: Batch) -> None:
    periodic = batch.pbc.all(dim=1).cpu().numpy()
    filled = np.diff(batch.starts.cpu().numpy()) > 0
    if (bad := np.flatnonzero(~periodic & filled)).size:
        raise ValueError(
            f"system {bad[0]} has no volume: g(r) needs periodicity in three directions; or give normalized=False"
        )
