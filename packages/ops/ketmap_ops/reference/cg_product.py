"""Torch reference of coupled products; see :func:`ketmap_ops.cg_product.cg_product` and its tables."""

import torch

SPARSE = 0.125  # share of coefficients that are not zero, below which single terms cost less than a matrix product


def cg_product(a, b, factors, runs, paths, blocks, entries, weights, place, bases, size):
    parts: list[list[tuple[int, torch.Tensor]]] = [[] for _ in range(len(blocks))]
    by_factor: dict[int, list[list[int]]] = {}
    for path in paths.tolist():
        by_factor.setdefault(path[0], []).append(path)
    for index, (offset_1, stride_1, l_1, offset_2, stride_2, l_2, first, last, _) in enumerate(factors.tolist()):
        if index not in by_factor:
            continue
        q_1, q_2 = columns(runs[first:last])
        left = a[:, places(offset_1, stride_1, l_1, q_1)]  # -> [row, m1, q]
        right = b[:, places(offset_2, stride_2, l_2, q_2)]  # -> [row, m2, q]
        products = (left[:, :, None] * right[:, None]).flatten(1, 2)  # -> [row, m1 m2, q]
        mine = by_factor[index]
        coupled = couple(products, l_2, [path[1:4] for path in mine], entries, weights)
        for (*_, block, column), values in zip(mine, coupled):
            parts[block].append((column, values))
    found = []
    for (group, n_m, _), filled in zip(blocks.tolist(), parts):
        rows = place[:, group]
        kept = (rows >= 0).nonzero()[:, 0]
        order = kept[torch.argsort(rows[kept])]
        ordered = [values for _, values in sorted(filled, key=lambda part: part[0])]
        values = torch.cat(ordered, dim=2) if ordered else a.new_zeros(len(a), n_m, 0)
        found.append(values[order].flatten())
    return torch.cat(found) if found else a.new_zeros(0)


def cg_product_vjp(grads, a, b, *tables):
    grad = torch.cat([a.new_zeros(0), *(g.flatten() for g in grads)])
    with torch.enable_grad():
        x, y = (v.detach().requires_grad_() for v in (a, b))
        form = (cg_product(x, y, *tables, grad.numel()) * grad).sum()
        found = torch.autograd.grad(form, (x, y), allow_unused=True)
    return tuple(torch.zeros_like(v) if g is None else g for v, g in zip((a, b), found))


def couple(products, l_2, paths, entries, weights):
    """Σ_m1m2 C products, for the paths (first entry, last entry, λ) of one factor.  # -> [row, M, q] each"""
    n_m = [2 * l + 1 for *_, l in paths]
    m, mu, value = [], [], []
    for (first, last, _), start in zip(paths, [sum(n_m[:i]) for i in range(len(n_m))]):
        entry = entries[first:last].long()
        m.append(entry[:, 0] * (2 * l_2 + 1) + entry[:, 1])
        mu.append(entry[:, 2] + start)
        value.append(weights[first:last])
    m, mu, value = torch.cat(m), torch.cat(mu), torch.cat(value)
    if len(value) < SPARSE * sum(n_m) * products.shape[1]:
        terms = products[:, m] * value[:, None]
        result = products.new_zeros(len(products), sum(n_m), products.shape[2]).index_add(1, mu, terms)
    else:
        matrix = products.new_zeros(sum(n_m), products.shape[1])
        matrix[mu, m] = value
        result = matrix @ products
    return result.split(n_m, dim=1)


def columns(runs):  # -> q1, q2: int64 [q]
    """The pairs of columns that runs (q1, q2, count) stand for."""
    first, second, count = runs.long().T
    within = torch.arange(int(count.sum()), device=runs.device) - torch.repeat_interleave(
        count.cumsum(0) - count, count
    )
    return torch.repeat_interleave(first, count), torch.repeat_interleave(second, count) + within


def places(offset, stride, l, q):  # -> int64 [m, q]
    """Where the columns q of all components stand in a row."""
    return offset + stride * torch.arange(2 * l + 1, device=q.device)[:, None] + q
