"""Torch reference of the power spectrum and its explicit derivatives: any device, any float.

p[ab, l, n1, n2] = f_ab (−1)^l/√(2l+1) Σ_m c[a, lm, n1] c[b, lm, n2], with channel pairs ab in the order
(0,0) (0,1) … (1,1) …, and f = 1 for a = b, √2 for a < b (Bartók, Kondor, Csányi, PRB 87, 184115 (2013)).
"""

import functools
import math

import torch

from .expansion import expand, expand_jacobian


@functools.cache
def channel_pairs(n_channels: int) -> torch.Tensor:  # -> int64 [2, ab]
    """Pairs a ≤ b of channels, row by row."""
    return torch.triu_indices(n_channels, n_channels)


def factors(l_max: int, like: torch.Tensor) -> torch.Tensor:  # -> [l]
    """(−1)^l/√(2l+1)."""
    return like.new_tensor([(-1) ** l / math.sqrt(2 * l + 1) for l in range(l_max + 1)])


def contract(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """(−1)^l/√(2l+1) Σ_m left right.  # [..., lm, n1], [..., lm, n2] -> [..., l, n1, n2]"""
    l_max = math.isqrt(left.shape[-2]) - 1
    parts = [slice(l * l, (l + 1) ** 2) for l in range(l_max + 1)]
    products = [left[..., m, :].transpose(-1, -2) @ right[..., m, :] for m in parts]
    return torch.stack(products, dim=-3) * factors(l_max, left)[:, None, None]


def unlike(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:  # -> [slot]
    """√2 for unlike channels, 1 for like ones."""
    return 1 + (math.sqrt(2.0) - 1) * (first != second).to(torch.float64)


def _slots(place: torch.Tensor, n_channels: int):
    """Centre, first and second channel, √2 for unlike channels, and output row, of all wanted (centre, ab)."""
    center, ab = torch.nonzero(place >= 0, as_tuple=True)
    first, second = channel_pairs(n_channels).to(place.device)[:, ab]
    return center, first, second, unlike(first, second), place[center, ab]


def power_spectrum(c: torch.Tensor, place: torch.Tensor, n_rows: int) -> torch.Tensor:
    """Invariants of the wanted (centre, ab).  # [centre, channel, lm, n], [centre, ab] -> [row, l, n1, n2]"""
    center, first, second, weight, row = _slots(place, c.shape[1])
    values = contract(c[center, first] * weight.to(c.dtype)[:, None, None], c[center, second])
    return values.new_zeros(n_rows, *values.shape[1:]).index_copy(0, row, values)


def power_spectrum_of_pairs(vectors, starts, own, table, spacing, cutoff, width, center_weight, place, n_rows):
    return power_spectrum(expand(vectors, starts, own, table, spacing, cutoff, width, center_weight), place, n_rows)


def power_spectrum_vjp(grad: torch.Tensor, c: torch.Tensor, place: torch.Tensor) -> torch.Tensor:
    """Gradient for c of Σ grad · p.  # [row, l, n1, n2] -> [centre, channel, lm, n]"""
    center, first, second, weight, row = _slots(place, c.shape[1])
    l_max = grad.shape[1] - 1
    degree = torch.tensor([l for l in range(l_max + 1) for _ in range(2 * l + 1)], device=c.device)
    scale = factors(l_max, c)[:, None, None] * weight.to(c.dtype)[:, None, None, None]
    g = (grad[row] * scale)[:, degree]  # -> [slot, lm, n1, n2]
    to_first = torch.einsum("smab,smb->sma", g, c[center, second])
    to_second = torch.einsum("smab,sma->smb", g, c[center, first])
    place = torch.cat([center * c.shape[1] + first, center * c.shape[1] + second])
    flat = c.new_zeros(c.shape[0] * c.shape[1], *c.shape[2:])
    return flat.index_add(0, place, torch.cat([to_first, to_second])).reshape(c.shape)


def product_rule(dc: torch.Tensor, c: torch.Tensor, first: torch.Tensor, second: torch.Tensor):
    """Derivatives of p[first, second] from those of c: dc[first] c[second] + c[first] dc[second], weighted.

    # [slot, channel, x, lm, n], [slot, channel, lm, n], [slot], [slot] -> [slot, x, l, n1, n2]
    """
    slot = torch.arange(len(first), device=c.device)
    weight = unlike(first, second).to(c.dtype)[:, None, None, None, None]
    left, right = dc[slot, first], dc[slot, second]
    value = contract(left, c[slot, second][:, None].expand_as(left))
    return weight * (value + contract(c[slot, first][:, None].expand_as(right), right))


def pair_slots(starts: torch.Tensor) -> torch.Tensor:  # -> int64 [pair]
    """centre · n_channels + channel of each pair."""
    every = torch.arange(starts.shape[0] - 1, device=starts.device)
    return torch.repeat_interleave(every, starts[1:] - starts[:-1])


def position_entries(starts, neighbors, centers, n_channels: int):
    """The (slot, atom) whose motion changes c: each neighbour once, however many images it has.

    Returns int64 [pair] ``entry`` (−1 where the neighbour is an image of the centre itself, whose motion changes
    nothing), and int64 [entry] ``slot`` = centre · n_channels + channel and ``atom``, ascending.
    """
    slots = pair_slots(starts)
    atoms = neighbors.long()
    other = atoms != centers.long()[slots // max(n_channels, 1)]
    n_atoms = int(atoms.max()) + 1 if len(atoms) else 1
    unique, place = torch.unique_consecutive((slots * n_atoms + atoms)[other], return_inverse=True)
    entry = torch.full_like(atoms, -1)
    entry[other] = place
    return entry, unique // n_atoms, unique % n_atoms


def _position_terms(slot, atom, centers, place):
    """Which sample of p each entry, and each centre by its own motion, contributes to.

    Returns int64 [term] ``sample``, ``atom``, ``source``: an entry, or len(slot) + centre.
    """
    n_channels = math.isqrt(2 * place.shape[1])
    source, samples = [slot[:0]], [slot[:0]]
    for ab, (a, b) in enumerate(channel_pairs(n_channels).T.tolist()):
        channel = slot % n_channels
        kept = torch.nonzero((channel == a) | (channel == b))[:, 0]
        source += [kept, len(slot) + torch.arange(len(centers), device=slot.device)]
        samples += [place[slot[kept] // n_channels, ab], place[:, ab]]
    source, samples = torch.cat(source), torch.cat(samples)
    wanted = samples >= 0
    atoms = torch.cat([atom, centers.long()])
    return samples[wanted], atoms[source[wanted]], source[wanted]


def position_rows(starts, neighbors, centers, place: torch.Tensor):
    """Rows of the positions gradient: for each sample, ascending, the atoms that it depends on, ascending.

    ``place`` int64 [centre, ab]: sample of p, −1: not wanted. Returns int64 [row] ``sample`` and ``atom``.
    """
    _, slot, atom = position_entries(starts, neighbors, centers, math.isqrt(2 * place.shape[1]))
    sample, atoms, _ = _position_terms(slot, atom, centers, place)
    n_atoms = int(atoms.max()) + 1 if len(atoms) else 1
    codes = (sample * n_atoms + atoms).sort().values
    return codes // n_atoms, codes % n_atoms


def power_spectrum_positions(
    c, vectors, starts, neighbors, centers, table, spacing, cutoff, width, place, row_starts
) -> torch.Tensor:  # -> [row, 3, l, n1, n2]
    """∂p/∂r, with the rows of :func:`position_rows`; ``row_starts`` int64 [sample + 1]: the first of each sample."""
    n_centers, n_channels = c.shape[:2]
    jacobian = expand_jacobian(vectors, starts, centers, table, spacing, cutoff, width)
    entry, slot, atom = position_entries(starts, neighbors, centers, n_channels)
    moved = c.new_zeros(len(slot), *jacobian.shape[1:])
    moved = moved.index_add(0, entry[entry >= 0], jacobian[entry >= 0])  # -> [entry, 3, lm, n]
    own = c.new_zeros(n_centers * n_channels, *jacobian.shape[1:]).index_add(0, slot, -moved)
    own = own.reshape(n_centers, n_channels, *jacobian.shape[1:])

    sample, atoms, source = _position_terms(slot, atom, centers, place)
    known = torch.nonzero(place >= 0)
    of_sample = known.new_zeros(int(place.max()) + 1 if place.numel() else 0, 2)
    of_sample[place[known[:, 0], known[:, 1]]] = known
    center_of, ab_of = of_sample[sample].T
    first, second = channel_pairs(n_channels).to(c.device)[:, ab_of]
    n_atoms = int(atoms.max()) + 1 if len(atoms) else 1
    row = torch.empty_like(sample)
    row[torch.argsort(sample * n_atoms + atoms)] = torch.arange(len(sample), device=c.device)
    output = c.new_empty(int(row_starts[-1]), 3, table.shape[-2], table.shape[-1], table.shape[-1])
    for part in torch.arange(len(sample), device=c.device).split(1024):
        dc = c.new_zeros(len(part), n_channels, *jacobian.shape[1:])
        entries = torch.nonzero(source[part] < len(slot))[:, 0]
        centres = torch.nonzero(source[part] >= len(slot))[:, 0]
        dc[entries, slot[source[part][entries]] % n_channels] = moved[source[part][entries]]
        dc[centres] = own[source[part][centres] - len(slot)]
        output[row[part]] = product_rule(dc, c[center_of[part]], first[part], second[part])
    return output


def power_spectrum_jvp(dc, c, place: torch.Tensor, n_rows: int) -> torch.Tensor:
    """Derivatives of p from those of c.  # [centre, channel, x, lm, n] -> [row, x, l, n1, n2]"""
    center, first, second, _, row = _slots(place, c.shape[1])
    values = product_rule(dc[center], c[center], first, second)
    return values.new_zeros(n_rows, *values.shape[1:]).index_copy(0, row, values)


def packing(n_channels: int, n_l: int, n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Unique features of one type of centre: their places in [ab, l, n1, n2], and weights.

    For a = b only n1 ≤ n2, with weight √2 where n1 < n2: all scalar products are those of the full features.
    """
    same = torch.eye(n_channels, dtype=torch.bool)[tuple(channel_pairs(n_channels))][:, None, None]  # -> [ab, 1, 1]
    once = torch.ones(n, n, dtype=torch.float64)
    weight = torch.where(same, math.sqrt(2.0) * once.triu(1) + torch.eye(n), once)  # -> [ab, n1, n2]
    weight = weight[:, None].expand(-1, n_l, -1, -1).reshape(-1)
    columns = torch.nonzero(weight)[:, 0]
    return columns, weight[columns]


def power_spectrum_sums(dc, c, segments) -> torch.Tensor:
    """Unique features of Σ over the centres of each segment of the derivatives of p, see :func:`packing`.

    ``segments`` int64 [segment + 1] cut the centre axis.  # [centre, channel, x, lm, n] -> [segment, x, feature]
    """
    n_channels, n_x = dc.shape[1:3]
    first, second = channel_pairs(n_channels).to(c.device)
    columns, weight = packing(n_channels, math.isqrt(c.shape[2]), c.shape[3])
    columns, weight = columns.to(c.device), weight.to(c)
    sums = c.new_zeros(len(segments) - 1, n_x, len(columns))
    for segment, (begin, end) in enumerate(zip(segments[:-1].tolist(), segments[1:].tolist())):
        for i in range(begin, end):
            every = torch.full_like(first, i)
            rows = product_rule(dc[every], c[every], first, second)  # -> [ab, x, l, n1, n2]
            sums[segment] += rows.transpose(0, 1).flatten(1)[:, columns] * weight
    return sums


def power_spectrum_design(c, vectors, starts, neighbors, centers, own, table, spacing, cutoff, width) -> torch.Tensor:
    """∂/∂r of the sum of p over all centres of each type, as unique features: [atom, 3, kind · feature].

    Every atom is a centre; ``own`` int32 [centre] is its channel, which is also its kind.
    """
    n_centers, n_channels = c.shape[:2]
    n_ab = n_channels * (n_channels + 1) // 2
    place = torch.arange(n_centers * n_ab, device=c.device).reshape(n_centers, n_ab)
    sample, atom = position_rows(starts, neighbors, centers, place)
    row_starts = torch.searchsorted(sample, torch.arange(n_centers * n_ab + 1, device=c.device))
    rows = power_spectrum_positions(
        c, vectors, starts, neighbors, centers, table, spacing, cutoff, width, place, row_starts
    )
    columns, weight = packing(n_channels, table.shape[-2], table.shape[-1])
    dense = c.new_zeros(n_centers * n_channels * n_ab, *rows.shape[1:])
    kind = own[sample // n_ab].long()
    dense.index_add_(0, (atom * n_channels + kind) * n_ab + sample % n_ab, rows)
    dense = dense.reshape(n_centers, n_channels, n_ab, 3, -1).permute(0, 3, 1, 2, 4).flatten(3)
    return (dense[..., columns.to(c.device)] * weight.to(c)).flatten(2)
