"""Sums over the pairs of neighbours around every centre, some centres at a time."""

from collections.abc import Callable, Iterator, Sequence

import torch

from .around import Around
from .functions import AngularFunction, angular_values, partial_derivatives, third_side_squared
from .slopes import Slopes
from .sums import segment_sum, segments, sparse_sum

#: triplets computed at once: few enough that their functions stay in cache
CHUNK = 16384


class Triplets:
    """Σ_{j<k} of angular functions over neighbours j and k in two channels, around the centres ``rows``."""

    def __init__(
        self,
        around: Around,
        rows: torch.Tensor,
        channels: Sequence[int | None],
        functions: Sequence[AngularFunction],
        fading: Callable[[torch.Tensor], torch.Tensor],
        radius: float,
    ):
        self.around, self.functions, self.fading, self.radius = around, functions, fading, radius
        self.n_rows = len(rows)
        self.same = channels[0] == channels[1]
        lists = [around.pairs_of(rows, channel) for channel in channels[: 1 if self.same else 2]]
        self.starts = [starts for _, starts in lists]  # of each row in its list of pairs
        # the pairs of all channels one list after the other; triplets name places in it
        self.pairs = torch.cat([pairs for pairs, _ in lists])
        self.rows = torch.cat([segments(starts) for starts in self.starts])
        self.groups = [[n for n, f in enumerate(functions) if f.closed == closed] for closed in (True, False)]

    def values(self) -> torch.Tensor:  # -> [row, function]
        around = self.around
        table = torch.cat([around.directions[1][self.pairs], around.distances[self.pairs][:, None]], dim=1)
        table = torch.cat([table, self.fading(table[:, 3:])], dim=1)  # -> [place, (x, y, z, r, f_c)]
        parts = []
        for first, second, starts in self._chunks():
            a, b = table[first], table[second]
            cosine, fading = (a[:, :3] * b[:, :3]).sum(1), a[:, 4] * b[:, 4]
            parts.append(self._chunk(a[:, 3], b[:, 3], cosine, fading, starts))
        return torch.cat([table.new_zeros(0, len(self.functions)), *parts])

    def _chunk(self, ij, ik, cosine, fading, starts) -> torch.Tensor:  # -> [row, function]
        sums = []
        for names, keep, ends in self._kinds(ij, ik, cosine, starts):
            one, other, angle, fade = (x if keep is None else x[keep] for x in (ij, ik, cosine, fading))
            functions = [self.functions[n] for n in names]
            if functions[0].closed:
                fade = fade * self._closing(one, other, angle)
            terms = torch.stack([term * fade for term in angular_values(functions, one, other, angle)], dim=1)
            sums.append(segment_sum(terms, ends))
        order = [n for names in self.groups for n in names]
        return torch.cat(sums, dim=1)[:, torch.tensor(order).argsort()] if sums else ij.new_zeros(len(starts) - 1, 0)

    def slopes(self) -> Slopes:
        around = self.around
        units, distances = around.units[self.pairs], around.distances[self.pairs].detach()
        total = distances.new_zeros(len(self.pairs), 3, len(self.functions))
        for first, second, starts in self._chunks():
            ij, ik = distances[first], distances[second]
            cosine = (units[first] * units[second]).sum(1)
            for names, keep, _ in self._kinds(ij, ik, cosine, starts):
                here = (
                    (first, second, ij, ik, cosine)
                    if keep is None
                    else (x[keep] for x in (first, second, ij, ik, cosine))
                )
                self._add_slopes(total, names, units, *here)
        order = torch.argsort(self.rows, stable=True)
        return around.slopes(self.rows[order], self.pairs[order], total[order])

    def _add_slopes(self, total, names, units, first, second, ij, ik, cosine):
        """Chain rule from (r_ij, r_ik, cos θ) to the vectors: ∂cos θ/∂r_ij = (r̂_ik − cos θ r̂_ij)/r_ij."""
        functions = [self.functions[n] for n in names]

        def terms(ij, ik, cosine):
            fade = self.fading(ij) * self.fading(ik)
            if functions[0].closed:
                fade = fade * self._closing(ij, ik, cosine)
            return [term * fade for term in angular_values(functions, ij, ik, cosine)]

        along = partial_derivatives(terms, ij, ik, cosine)  # -> [triplet, function] each
        a, b = units[first], units[second]
        for own, r, other, slope, places in ((a, ij, b, along[0], first), (b, ik, a, along[1], second)):
            turning = (other - cosine[:, None] * own) / torch.where(r > 0, r, 1.0)[:, None]  # -> [triplet, xyz]
            terms_of = own[:, :, None] * slope[:, None] + turning[:, :, None] * along[2][:, None]
            sorted_places, order = torch.sort(places, stable=True)
            targets, counts = torch.unique_consecutive(sorted_places, return_counts=True)
            starts = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
            sums = sparse_sum(starts, order, terms_of.new_ones(len(order)), terms_of)
            if len(names) == total.shape[2]:
                total[targets] += sums
            else:
                total[targets[:, None], :, torch.tensor(names, device=targets.device)] += sums.transpose(1, 2)

    def _closing(self, ij, ik, cosine) -> torch.Tensor:  # -> [triplet]
        """f_c(r_jk)."""
        square = third_side_squared(ij, ik, cosine)
        return self.fading(torch.where(square > 0, torch.where(square > 0, square, 1.0).sqrt(), 0.0))

    def _kinds(self, ij, ik, cosine, starts) -> Iterator[tuple[list[int], torch.Tensor | None, torch.Tensor]]:
        """For the closed functions and the others: which, the triplets that count (None: all), starts of the rows."""
        for closed, names in zip((True, False), self.groups):
            if not names:
                continue
            if not closed:
                yield names, None, starts
                continue
            near = third_side_squared(ij.detach(), ik.detach(), cosine.detach()) < self.radius**2
            before = torch.cat([starts.new_zeros(1), near.cumsum(0)])
            yield names, torch.nonzero(near)[:, 0], before[starts]

    def _chunks(self) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
        """Places j and k of the triplets of some centres, and the starts of their rows."""
        own = self.starts[0]  # the first neighbour's list starts at place 0
        counts = torch.diff(own)
        n_first = len(segments(own))
        if self.same:
            per_row = counts * (counts - 1) // 2
            ends = own[1:][segments(own)]
            every = torch.arange(n_first, device=own.device)
            partners, offset = ends - every - 1, every + 1  # of each first neighbour: all that follow it
        else:
            others = self.starts[1]
            per_row = counts * torch.diff(others)
            row = segments(own)
            partners, offset = torch.diff(others)[row], others[row] + n_first
        cumulated = torch.cat([per_row.new_zeros(1), per_row.cumsum(0)])
        row = 0
        while row < self.n_rows:
            last = int(torch.searchsorted(cumulated, cumulated[row] + CHUNK, right=True)) - 1
            last = min(max(last, row + 1), self.n_rows)
            here = slice(int(own[row]), int(own[last]))
            repeats = partners[here]
            first = torch.repeat_interleave(torch.arange(here.start, here.stop, device=own.device), repeats)
            before = repeats.cumsum(0) - repeats
            within = torch.arange(len(first), device=own.device) - torch.repeat_interleave(before, repeats)
            second = within + torch.repeat_interleave(offset[here], repeats)
            yield first, second, cumulated[row : last + 1] - cumulated[row]
            row = last
