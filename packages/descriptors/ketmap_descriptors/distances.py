"""Distances to the nearest neighbours, in ascending order."""

import numpy as np
import torch
from ketmap_core import Batch
from ketmap_density.hypers import integer, number
from ketmap_density.selection import Selection

from .around import Around
from .calculator import Descriptor, Key, Part, Parts, chosen_properties


class SortedDistances(Descriptor):
    """Distances from each atom to its nearest neighbours, ascending, with featomic's names.

    Keys ``center_type, neighbor_type``, or ``center_type`` alone; samples ``system, atom``: the centres that have such
    a neighbour, or all; property ``neighbor`` = 0 … ``max_neighbors`` − 1. Where there are fewer neighbours, ``cutoff``
    stands for the others.

    :param cutoff: radius in Å.
    :param max_neighbors: how many distances are kept.
    :param separate_neighbor_types: whether neighbours of each type stand in a block of their own.

    >>> import ase.build
    >>> calculator = SortedDistances(cutoff=3.0, max_neighbors=3, separate_neighbor_types=True)
    >>> tensor = calculator.compute(ase.build.molecule("H2O"))
    >>> tensor.block(dict(center_type=8, neighbor_type=1)).values.round(3).tolist()
    [[0.969, 0.969, 3.0]]
    """

    property_names = ("neighbor",)

    def __init__(self, *, cutoff: float, max_neighbors: int, separate_neighbor_types: bool):
        self.cutoff = number(cutoff, "cutoff", above=0)
        self.max_neighbors = integer(max_neighbors, "max_neighbors", minimum=1)
        self.separate_neighbor_types = bool(separate_neighbor_types)

    @property
    def exempt_laws(self) -> dict[str, str]:
        exempt = {
            "smooth_at_cutoff": "distances are not faded out",
            "zero_beyond": "missing neighbours count as cutoff",
        }
        if not self.separate_neighbor_types:
            exempt["second_order"] = "slopes jump where neighbours change places, as they do in one of the systems"
        return exempt

    @property
    def key_names(self) -> tuple[str, ...]:
        return ("center_type", "neighbor_type") if self.separate_neighbor_types else ("center_type",)

    def to_dict(self) -> dict:
        return {
            "cutoff": self.cutoff,
            "max_neighbors": self.max_neighbors,
            "separate_neighbor_types": self.separate_neighbor_types,
        }

    def parts(self, batch: Batch, selection: Selection) -> Parts:
        separate = self.separate_neighbor_types
        around = Around(batch, self.cutoff, selection, selection.wanted("neighbor_type") if separate else None)
        channels = around.environments.types if separate else (None,)
        properties = chosen_properties(selection, np.arange(self.max_neighbors)[:, None])
        starts = around.starts if separate else around.starts[:: max(len(around.environments.types), 1)]
        nearest, place = _nearest(around.distances, starts, self.max_neighbors, self.cutoff)  # -> [slot, neighbor]
        column = torch.from_numpy(properties[:, 0]).to(starts.device)

        def rows_of(key: Key) -> torch.Tensor:
            if not separate:
                return around.centers_with(key[0])
            return around.centers_with(key[0], (around.channel[key[1]], 1))

        def part(key: Key) -> Part:
            if separate and key[1] not in around.channel:
                return around.nothing(len(properties))
            rows = rows_of(key)
            slots = rows * len(channels) + (around.channel[key[1]] if separate else 0)
            values = nearest[slots][:, column]

            def slopes():
                there = torch.arange(place.shape[1], device=starts.device) < torch.diff(starts)[slots, None]
                row, rank = torch.nonzero(there, as_tuple=True)
                pairs = starts[slots[row]] + place[slots[row], rank]
                which = rank[:, None] == column  # -> [entry, property]
                along = around.units[pairs][:, :, None] * which[:, None]
                return around.slopes(row, pairs, along)

            return Part(around.labels(rows), values, slopes)

        if separate:
            occurring = around.occurring.items()
            available = [
                (a, b) for a, counts in occurring for b, place in around.channel.items() if counts[:, place].any()
            ]
        else:
            available = [(a,) for a in around.occurring]
        return Parts(available, properties, part)


def _nearest(
    distances: torch.Tensor, starts: torch.Tensor, most: int, missing: float
) -> tuple[torch.Tensor, torch.Tensor]:  # -> [slot, most], int64 [slot, rank]
    """The ``most`` shortest distances of each slot, ``missing`` where there are fewer; their places in the slot."""
    counts = torch.diff(starts)
    width = max(int(counts.max()) if len(counts) else 0, 1)
    there = torch.arange(width, device=starts.device) < counts[:, None]  # -> [slot, place]
    table = distances.new_full(there.shape, missing).masked_scatter(there, distances)
    nearest, place = torch.topk(table, min(most, width), dim=1, largest=False)
    return torch.nn.functional.pad(nearest, (0, max(most - width, 0)), value=missing), place
