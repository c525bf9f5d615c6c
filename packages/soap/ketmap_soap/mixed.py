"""Power spectra of neighbour types that are mixed into channels: blocks by channel, gradients, rows of designs."""

import functools
from collections.abc import Iterator

import numpy as np
import torch
from ketmap_core import Batch
from ketmap_density import Environments, Expansion
from ketmap_density.gradients import PositionRows
from ketmap_density.mixed import MovedAtoms, merged_rows, mixed_outer, wanted_channels
from ketmap_density.selection import Selection
from ketmap_ops.power_spectrum import power_spectrum_jvp, power_spectrum_rows, power_spectrum_sums

from .assembly import Assembly, Key, check_order
from .weights import MIXED_KEYS

#: centres and atoms that move them, of which derivatives in all channels are held at once
CHUNK = 1024


def choose_keys(selection: Selection, batch: Batch, expansion: Expansion) -> list[Key]:
    """Keys in the order (center_type, neighbor_1_channel, neighbor_2_channel), or as selected: every centre has every
    channel."""
    types = torch.unique(batch.types).tolist()
    wanted = selection.wanted("center_type")
    channels = range(expansion.species.n_channels)
    available = [
        (t, a, b) for t in types if wanted is None or t in wanted for a in channels for b in channels if a <= b
    ]
    keys = selection.choose_keys(available)
    check_order(keys, MIXED_KEYS)
    return keys


def chunks(rows: PositionRows) -> Iterator[slice]:
    """Some centres at a time, by the number of their rows."""
    starts, first = rows.starts, 0
    while first < len(starts) - 1:
        last = int(torch.searchsorted(starts, starts[first] + CHUNK, right=True)) - 1
        last = min(max(last, first + 1), len(starts) - 1)
        yield slice(first, last)
        first = last


class MixedAssembly(Assembly):
    """Blocks by channel, not by neighbour type. A centre's own density is mixed too: all centres have all channels."""

    names = MIXED_KEYS

    def _prepare(self) -> tuple[np.ndarray, tuple[int, ...]]:  # -> bool [centre, channel], labels of the channels
        channels = wanted_channels(self.expansion, self.selection, *MIXED_KEYS[1:])
        self.mixing = self.expansion.mixing(self.environments, channels)  # -> [type, channel]
        return np.ones((len(self.environments), len(channels)), dtype=bool), channels

    def _restrict(self) -> None:
        """Nothing: every channel needs all neighbours."""

    def _coefficients(self) -> torch.Tensor:  # -> [centre, channel, lm, n]
        return self.expansion.coefficients(self.environments, self.batch, self.table, self.mixing)

    def _values(self) -> torch.Tensor:  # -> [row, l, n1, n2]
        return power_spectrum_rows(self._coefficients(), self.place, len(self.rows.centers))

    def _outer(self, left: torch.Tensor) -> torch.Tensor:  # -> [centre, channel, left, xyz, lm, n]
        return mixed_outer(self.expansion, self.environments, self.mixing.detach(), left, self.spline[0])

    @functools.cached_property
    def around(self) -> PositionRows:
        """All neighbours of all centres, whatever their types: each moves all channels."""
        return merged_rows(self.environments, self.batch, slice(0, len(self.environments)))

    @functools.cached_property
    def position_rows(self) -> tuple[torch.Tensor, torch.Tensor]:  # -> int64 [row + 1], [gradient row]
        first, last = self.around.starts[:-1], self.around.starts[1:]
        center = torch.from_numpy(self.rows.centers).to(first.device)
        counts = (last - first)[center]
        starts = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        inside = torch.arange(int(starts[-1]), device=first.device) - torch.repeat_interleave(starts[:-1], counts)
        return starts, self.around.atoms[torch.repeat_interleave(first[center], counts) + inside]

    def _positions(self, coefficients: torch.Tensor) -> torch.Tensor:  # -> [gradient row, xyz, l, n1, n2]
        starts, atoms = self.position_rows
        n_l, n = self.table.shape[-2:]
        dense = coefficients.new_empty(len(atoms), 3, n_l, n, n)
        for centers in chunks(self.around):
            moved = MovedAtoms(self.expansion, self.environments, self.batch, centers, self.spline[0])
            center = moved.center  # -> [entry]
            row = self.place[center]  # -> [entry, ab]
            inside = torch.arange(len(center), device=center.device) - moved.rows.starts[moved.rows.slot]
            wanted = row >= 0
            place = torch.full_like(row, -1)
            place[wanted] = torch.arange(int(wanted.sum()), device=row.device)
            dc = moved.mixed(self.mixing.detach())
            values = power_spectrum_jvp(dc, coefficients[center], place, int(wanted.sum()))
            dense[(starts[row] + inside[:, None])[wanted]] = values
        return dense


def moved_sums(
    expansion: Expansion, environments: Environments, batch: Batch, c: torch.Tensor, n_features: int
) -> torch.Tensor:  # -> [atom, xyz, kind, feature]
    """∂/∂r of the sums of the power spectra over the centres of each kind, as unique features."""
    mixing = expansion.mixing(environments).detach()
    table = expansion.radial(environments)[0]
    n_kinds = len(environments.types)
    sums = c.new_zeros(batch.n_atoms, 3, n_kinds, n_features)
    around = merged_rows(environments, batch, slice(0, len(environments)))
    for centers in chunks(around):
        moved = MovedAtoms(expansion, environments, batch, centers, table)
        code = moved.rows.atoms * n_kinds + environments.kind[moved.center]
        code, order = torch.sort(code, stable=True)
        places, counts = torch.unique_consecutive(code, return_counts=True)
        segments = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        dc = moved.mixed(mixing)[order]
        found = power_spectrum_sums(dc, c[moved.center[order]], segments)  # -> [segment, xyz, feature]
        sums[places // n_kinds, :, places % n_kinds] += found
    return sums
