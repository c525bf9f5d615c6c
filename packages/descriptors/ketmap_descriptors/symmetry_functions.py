"""Atom-centred symmetry functions: sums over the pairs, and over the triplets, around every atom."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from ketmap_core import Batch
from ketmap_density import Cutoff
from ketmap_density.hypers import complete
from ketmap_density.selection import Selection
from ketmap_ops.reference.expansion import cutoff_function

from .around import Around
from .calculator import Descriptor, Key, Part, Parts, chosen_properties
from .functions import AngularFunction, RadialFunction, partial_derivatives
from .sums import segment_sum, segments
from .triplets import Triplets


class _SymmetryFunctions(Descriptor):
    """What both calculators share: hyper-parameters and properties."""

    family: type
    property_names = ("g", "n")

    def __init__(self, *, cutoff: Cutoff = None, functions: Sequence | None = None, **misspelt):
        complete(type(self).__name__, misspelt, cutoff=cutoff, functions=functions)
        self.cutoff = Cutoff.from_dict(cutoff)
        self.functions = tuple(self.family.from_dict(function) for function in functions)
        if not self.functions:
            kinds = ", ".join(kind.__name__ for kind in self.family.__subclasses__())
            raise ValueError(f"{type(self).__name__} needs at least one of {kinds} among its functions")

    def to_dict(self) -> dict:
        return {"cutoff": self.cutoff.to_dict(), "functions": [function.to_dict() for function in self.functions]}

    def _properties(self, selection: Selection) -> np.ndarray:  # -> [property, (g, n)]
        every = np.array([(function.g, n) for n, function in enumerate(self.functions)])
        return chosen_properties(selection, every)

    def _fading(self, r: torch.Tensor) -> torch.Tensor:
        return cutoff_function(r, self.cutoff.radius, self.cutoff.width)


class RadialSymmetryFunctions(_SymmetryFunctions):
    """Behler and Parrinello's symmetry functions of pairs, G¹, G² and G³, for each type of neighbour.

    Keys ``center_type, neighbor_type``; samples ``system, atom``: the centres that have such a neighbour; properties
    ``g`` (1, 2 or 3) and ``n``, the place in ``functions``.

    :param cutoff: :class:`~ketmap_density.Cutoff`, or featomic's dictionary; with ``ShiftedCosine(width=radius)`` it is
        Behler's f_c.
    :param functions: list of :class:`G1`, :class:`G2`, :class:`G3`, or dictionaries.

    >>> import ase.build
    >>> from ketmap_density import Cutoff, ShiftedCosine
    >>> from ketmap_descriptors import G1, G2
    >>> acsf = RadialSymmetryFunctions(
    ...     cutoff=Cutoff(6.0, smoothing=ShiftedCosine(6.0)), functions=[G1(), G2(eta=1.0, shift=2.0)]
    ... )
    >>> acsf.compute(ase.build.molecule("CH4")).block(dict(center_type=6, neighbor_type=1)).values.round(4).tolist()
    [[3.6832, 1.6081]]
    """

    family = RadialFunction
    key_names = ("center_type", "neighbor_type")

    def parts(self, batch: Batch, selection: Selection) -> Parts:
        around = Around(batch, self.cutoff.radius, selection, selection.wanted("neighbor_type"))
        properties = self._properties(selection)
        functions = [self.functions[n] for _, n in properties]

        def terms(r: torch.Tensor) -> list[torch.Tensor]:  # -> [pair] of each property
            fading = self._fading(r)
            return [function.values(r) * fading for function in functions]

        none = [around.distances[:, None][:, :0]]
        columns = torch.cat([*none, *(column[:, None] for column in terms(around.distances))], dim=1)
        sums = segment_sum(columns, around.starts)  # -> [centre · channel, property]

        def part(key: Key) -> Part:
            channel = around.channel.get(key[1])
            if channel is None:
                return around.nothing(len(properties))
            rows = around.centers_with(key[0], (channel, 1))
            values = sums[rows * len(around.channel) + channel]

            def slopes():
                pairs, starts = around.pairs_of(rows, channel)
                (along,) = partial_derivatives(terms, around.distances[pairs])  # -> [pair, property]
                return around.slopes(segments(starts), pairs, around.units[pairs][:, :, None] * along[:, None])

            return Part(around.labels(rows), values, slopes)

        every = [(a, b) for a in around.occurring for b in around.channel]
        available = [(a, b) for a, b in every if around.occurring[a][:, around.channel[b]].any()]
        return Parts(available, properties, part)


class AngularSymmetryFunctions(_SymmetryFunctions):
    """Behler and Parrinello's symmetry functions of triplets, G⁴ and G⁵, for each pair of types of neighbours.

    Keys ``center_type, neighbor_1_type, neighbor_2_type`` with the lower type first; samples ``system, atom``: the
    centres that have both neighbours; properties ``g`` (4 or 5) and ``n``, the place in ``functions``. Every pair of
    neighbours counts once (as in dscribe; twice in the sum that Behler's paper writes).

    :param cutoff: :class:`~ketmap_density.Cutoff`, or featomic's dictionary; with ``ShiftedCosine(width=radius)`` it is
        Behler's f_c.
    :param functions: list of :class:`G4`, :class:`G5`, or dictionaries.

    >>> import ase.build
    >>> from ketmap_density import Cutoff, ShiftedCosine
    >>> from ketmap_descriptors import G4
    >>> acsf = AngularSymmetryFunctions(
    ...     cutoff=Cutoff(6.0, smoothing=ShiftedCosine(6.0)), functions=[G4(eta=0.01, zeta=1, lambda_=-1)]
    ... )
    >>> tensor = acsf.compute(ase.build.molecule("CH4"))
    >>> tensor.block(dict(center_type=6, neighbor_1_type=1, neighbor_2_type=1)).values.round(4).tolist()
    [[5.1226]]
    """

    family = AngularFunction
    exempt_laws: ClassVar = {law: "two atoms make no triplet" for law in ("zero_beyond", "smooth_at_cutoff")}
    key_names = ("center_type", "neighbor_1_type", "neighbor_2_type")

    def parts(self, batch: Batch, selection: Selection) -> Parts:
        types = [selection.wanted(f"neighbor_{i}_type") for i in (1, 2)]
        types = None if None in types else tuple(sorted({*types[0], *types[1]}))
        around = Around(batch, self.cutoff.radius, selection, types)
        properties = self._properties(selection)
        functions = [self.functions[n] for _, n in properties]

        def part(key: Key) -> Part:
            channels = [around.channel.get(kind) for kind in key[1:]]
            if None in channels or channels[0] > channels[1]:
                return around.nothing(len(properties))
            rows = around.centers_with(key[0], *_needed(*channels))
            triplets = Triplets(around, rows, channels, functions, self._fading, self.cutoff.radius)
            return Part(around.labels(rows), triplets.values(), triplets.slopes)

        available = [
            (center, first, second)
            for center, counts in around.occurring.items()
            for first in around.channel
            for second in around.channel
            if first <= second and _has(counts, *_needed(around.channel[first], around.channel[second]))
        ]
        return Parts(available, properties, part)


def _needed(first: int | None, second: int | None) -> list[tuple[int | None, int]]:
    """How many neighbours in which channels a centre needs to have triplets."""
    return [(first, 2)] if first == second else [(first, 1), (second, 1)]


def _has(counts: np.ndarray, *needed: tuple[int, int]) -> bool:
    return bool(np.all([counts[:, channel] >= least for channel, least in needed], axis=0).any())
