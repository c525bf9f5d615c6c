"""Sums over the pairs of neighbours around every centre, some centres at a time."""

from collections.abc import Callable, Iterator, Sequence

import torch
from ketmap_core.pairs import COINCIDENT

from .around import Around
from .functions import AngularFunction, angular_values, partial_derivatives, third_side_squared
from .slopes import Slopes
from .sums import segment_sum, segments, sparse_sum

#: triplets computed at once: few enough that their functions stay in cache
CHUNK = 32768


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
        kinds = [[n for n, f in enumerate(functions) if f.closed == closed] for closed in (True, False)]
        self.groups = [names for names in kinds if names]

    def values(self) -> torch.Tensor:  # -> [row, function]
        distances, units = (part[self.pairs] for part in self.around.directions)
        table = torch.cat([units, distances[:, None], self.fading(distances)[:, None]], dim=1)  # (x, y, z, r, f_c)
        columns = [self._sums(names, table) for names in self.groups]
        order = torch.tensor([n for names in self.groups for n in names], dtype=torch.int64, device=table.device)
        return torch.cat([table.new_zeros(self.n_rows, 0), *columns], dim=1)[:, order.argsort()]

    def _sums(self, names: list[int], table: torch.Tensor) -> torch.Tensor:  # -> [row, function]
        functions = [self.functions[n] for n in names]
        parts = [table.new_zeros(0, len(names))]
        for first, second, starts in self._chunks(functions[0].closed):
            a, b = table.index_select(0, first), table.index_select(0, second)
            ij, ik, fade = a[:, 3], b[:, 3], a[:, 4] * b[:, 4]
            cosine = (a[:, :3] * b[:, :3]) @ a.new_ones(3)
            if functions[0].closed:
                fade = fade * self._closing(ij, ik, cosine)
            terms = [term * fade for term in angular_values(functions, ij, ik, cosine)]
            parts.append(segment_sum(torch.stack(terms, dim=1), starts))
        return torch.cat(parts)

    def slopes(self) -> Slopes:
        around = self.around
        units, distances = around.units[self.pairs], around.distances[self.pairs].detach()
        total = distances.new_zeros(len(self.pairs), 3, len(self.functions))
        for names in self.groups:
            for first, second, _ in self._chunks(self.functions[names[0]].closed):
                self._add_slopes(total, names, units, distances, first, second)
        order = torch.argsort(self.rows, stable=True)
        return around.slopes(self.rows[order], self.pairs[order], total[order])

    def _add_slopes(self, total, names, units, distances, first, second):
        """Chain rule from (r_ij, r_ik, cos θ) to the vectors: ∂cos θ/∂r_ij = (r̂_ik − cos θ r̂_ij)/r_ij."""
        functions = [self.functions[n] for n in names]

        def terms(ij, ik, cosine):
            fade = self.fading(ij) * self.fading(ik)
            if functions[0].closed:
                fade = fade * self._closing(ij, ik, cosine)
            return [term * fade for term in angular_values(functions, ij, ik, cosine)]

        a, b, ij, ik = units[first], units[second], distances[first], distances[second]
        cosine = (a * b).sum(1)
        along = partial_derivatives(terms, ij, ik, cosine)  # -> [triplet, function] each
        for own, r, other, slope, places in ((a, ij, b, along[0], first), (b, ik, a, along[1], second)):
            turning = (other - cosine[:, None] * own) / torch.where(r > 0, r, 1.0)[:, None]  # -> [triplet, xyz]
            terms_of = own[:, :, None] * slope[:, None] + turning[:, :, None] * along[2][:, None]
            sorted_places, order = torch.sort(places, stable=True)
            targets, counts = torch.unique_consecutive(sorted_places, return_counts=True)
            starts = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
            sums = sparse_sum(starts, order, terms_of.new_ones(len(order)), terms_of)
            total[targets[:, None], :, torch.tensor(names, device=targets.device)] += sums.transpose(1, 2)

    def _closing(self, ij, ik, cosine) -> torch.Tensor:  # -> [triplet]
        """f_c(r_jk); atoms at one point count as ones that are 10⁻⁶ Å apart, where the root has derivatives."""
        return self.fading(third_side_squared(ij, ik, cosine).clamp(min=COINCIDENT**2).sqrt())

    def _chunks(self, closed: bool) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
        """Places j and k of the triplets of some centres, and the starts of their rows; j and k are near if closed."""
        vectors = self.around.environments.vectors[self.pairs]
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
            starts = cumulated[row : last + 1] - cumulated[row]
            if closed:
                side = vectors.index_select(0, second) - vectors.index_select(0, first)
                kept = torch.nonzero(side.square() @ side.new_ones(3) < self.radius**2)[:, 0]
                first, second = first[kept], second[kept]
                starts = torch.searchsorted(kept, starts)
            yield first, second, starts
            row = last
