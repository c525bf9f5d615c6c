"""Products of equivariants coupled by Clebsch-Gordan coefficients, many paths at once; closed under differentiation."""

import dataclasses
from collections.abc import Sequence

import torch

from .library import native
from .reference import cg_product as reference

__all__ = ["CgPaths", "Factor", "Path", "cg_product", "outer_runs"]


@dataclasses.dataclass(frozen=True)
class Factor:
    """One pair of arrays to multiply: where they stand in a row of each operand, and which columns meet.

    Component m of an array begins at ``offset + (m + l) · stride``; its columns q follow each other.
    """

    offset_1: int
    stride_1: int
    l_1: int
    offset_2: int
    stride_2: int
    l_2: int
    runs: tuple[tuple[int, int, int], ...]  #: (q1, q2, count): column q1 of the first meets q2, q2 + 1 … of the second

    @property
    def size(self) -> int:
        """Number of pairs of columns."""
        return sum(count for *_, count in self.runs)


@dataclasses.dataclass(frozen=True)
class Path:
    """One coupling of a factor: the coefficients, and where the result goes."""

    factor: int
    entries: torch.Tensor  #: int [entry, (m1, m2, M)], counted from zero
    weights: torch.Tensor  #: float [entry]
    l: int
    block: int
    column: int  #: first property of the block that it fills


def outer_runs(n_1: int, n_2: int) -> tuple[tuple[int, int, int], ...]:
    """Runs of all columns with all columns, the second running fastest."""
    return tuple((q, 0, n_2) for q in range(n_1)) if n_2 else ()


class CgPaths:
    """What :func:`cg_product` is to compute: tables on one device, made once and used for any number of rows.

    :param factors: pairs of arrays; those that share runs share a table.
    :param paths: couplings, ascending by factor.
    :param blocks: for each block (group of rows, λ, number of properties); paths must fill each property once.
    """

    def __init__(self, factors: Sequence[Factor], paths: Sequence[Path], blocks: Sequence[tuple[int, int, int]]):
        places, runs = {}, []
        for factor in factors:
            if factor.runs not in places:
                places[factor.runs] = (len(runs), len(runs) + len(factor.runs))
                runs += factor.runs
        couplings, starts, entries, weights = {}, [0], [], []
        for path in paths:
            if id(path.entries) not in couplings:
                couplings[id(path.entries)] = (starts[-1], starts[-1] + len(path.weights))
                starts.append(starts[-1] + len(path.weights))
                entries.append(path.entries)
                weights.append(path.weights)
        self.blocks = [(int(group), int(l), int(n)) for group, l, n in blocks]
        sizes = [0] * len(blocks)
        for path in paths:
            sizes[path.block] += factors[path.factor].size
            if path.l != blocks[path.block][1]:
                raise ValueError(f"a path to λ = {path.l} fills a block of λ = {blocks[path.block][1]}")
        for index, (size, (_, _, wanted)) in enumerate(zip(sizes, blocks)):
            if size != wanted:
                raise ValueError(f"paths fill {size} properties of block {index}, which has {wanted}")
        self._tables = {
            "factors": _table(
                [
                    (f.offset_1, f.stride_1, f.l_1, f.offset_2, f.stride_2, f.l_2, *places[f.runs], f.size)
                    for f in factors
                ],
                9,
            ),
            "runs": _table(runs, 3).int(),
            "paths": _table([(p.factor, *couplings[id(p.entries)], p.l, p.block, p.column) for p in paths], 6),
            "blocks": _table([(group, 2 * l + 1, n) for group, l, n in self.blocks], 3),
            "entries": torch.cat([torch.zeros(0, 3, dtype=torch.int32), *(e.int() for e in entries)]),
        }
        self._weights = torch.cat([torch.zeros(0, dtype=torch.float64), *(w.double() for w in weights)])
        self._like: dict = {}

    @property
    def n_groups(self) -> int:
        return 1 + max((group for group, *_ in self.blocks), default=0)

    def tables(self, values: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """factors, runs, paths, blocks, entries, weights: as the operators take them, for the dtype and device."""
        kind = (values.device, values.dtype)
        if kind not in self._like:
            tables = [table.to(values.device) for table in self._tables.values()]
            self._like[kind] = (*tables, self._weights.to(*kind))
        return self._like[kind]


def _table(rows: Sequence[tuple[int, ...]], width: int) -> torch.Tensor:  # -> int64 [row, width]
    return torch.tensor(list(rows), dtype=torch.int64).reshape(-1, width)


def cg_product(
    a: torch.Tensor, b: torch.Tensor, paths: CgPaths, place: torch.Tensor | None = None
) -> list[torch.Tensor]:
    """The blocks out[row, M, q] = Σ_m1m2 C^{λM}_{l1m1,l2m2} a[row, m1, q1(q)] b[row, m2, q2(q)].

    A trilinear form: its derivatives are the same form with the arguments exchanged. Differentiable in ``a`` and
    ``b`` any number of times.

    :param a: rows ``[row, element]``, float32 or float64; likewise ``b``, with as many rows.
    :param paths: which arrays of a row are multiplied, how they couple, and the blocks they fill.
    :param place: where the product of a row stands in the blocks of each group, -1: nowhere, int64 ``[row, group]``;
        in each column 0, 1, 2 … must occur once. ``None``: every row, in this order, in one group.
    :return: a tensor ``[row, M, property]`` for each block; of operands on the ``meta`` device the shapes alone.
    """
    if a.dim() != 2 or b.dim() != 2 or a.shape[0] != b.shape[0]:
        raise ValueError(f"expected rows [row, element] of two operands, got {tuple(a.shape)} and {tuple(b.shape)}")
    if place is None:
        counts = [a.shape[0]] * paths.n_groups
        place = torch.arange(a.shape[0], device=a.device)[:, None].expand(-1, paths.n_groups)
    else:
        counts = (place >= 0).sum(dim=0).tolist()
    shapes = [(counts[group], 2 * l + 1, n) for group, l, n in paths.blocks]
    if a.is_meta:
        return [a.new_empty(shape) for shape in shapes]
    sizes = [rows * m * n for rows, m, n in shapes]
    bases = torch.tensor([0, *sizes], device=a.device).cumsum(0)
    arguments = (*paths.tables(a), place.contiguous(), bases)
    if not sizes:
        return []
    if _serves(a) and torch.is_grad_enabled() and (a.requires_grad or b.requires_grad):
        return list(_Blocks.apply(a.contiguous(), b.contiguous(), shapes, *arguments))
    road = torch.ops.ketmap.cg_product if _serves(a) else reference.cg_product
    flat = road(a.contiguous(), b.contiguous(), *arguments, sum(sizes))
    # one node backwards for all blocks; slices would each fill an array of the whole size
    return [part.view(shape) for part, shape in zip(flat.split(sizes), shapes)]


def _serves(a: torch.Tensor) -> bool:
    return native(a) and hasattr(torch.ops.ketmap, "cg_product")


def cg_product_vjp(
    grads: Sequence[torch.Tensor], a: torch.Tensor, b: torch.Tensor, *tables: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Gradients with respect to both operands from those with respect to each block.

    :param tables: those of :meth:`CgPaths.tables`, the places of rows, and where each block begins.
    """
    road = torch.ops.ketmap.cg_product_vjp if _serves(a) else reference.cg_product_vjp
    return road([grad.contiguous().flatten() for grad in grads], a.contiguous(), b.contiguous(), *tables)


class _Blocks(torch.autograd.Function):
    """The blocks as outputs of one node, which gets their gradients where they are: as parts of one array they would
    first be copied into such an array."""

    @staticmethod
    def forward(ctx, a, b, shapes, *arguments):
        ctx.save_for_backward(a, b, *arguments)
        sizes = [rows * m * n for rows, m, n in shapes]
        flat = torch.ops.ketmap.cg_product(a, b, *arguments, sum(sizes))
        return tuple(part.view(shape) for part, shape in zip(flat.split(sizes), shapes))

    @staticmethod
    def backward(ctx, *grads):
        a, b, *arguments = ctx.saved_tensors
        return *cg_product_vjp(grads, a, b, *arguments), *[None] * (1 + len(arguments))


def _setup(ctx, inputs, output):
    a, b, *tables, ctx.size = inputs
    ctx.save_for_backward(a, b, *tables)


def _backward(ctx, grad):
    a, b, *tables = ctx.saved_tensors
    return *cg_product_vjp(grad.split(tables[-1].diff().tolist()), a, b, *tables), *[None] * 9


def _setup_vjp(ctx, inputs, output):
    grads, *others = inputs
    ctx.n_blocks = len(grads)
    ctx.save_for_backward(*grads, *others)


def _backward_vjp(ctx, to_a, to_b):
    # F(a, b, g) is trilinear, and what comes here is the derivative of F(to_a, b, g) + F(a, to_b, g)
    grads, (a, b, *tables) = ctx.saved_tensors[: ctx.n_blocks], ctx.saved_tensors[ctx.n_blocks :]
    to_a, to_b = to_a.contiguous(), to_b.contiguous()
    sizes = [grad.numel() for grad in grads]
    size = sum(sizes)
    to_grad = torch.ops.ketmap.cg_product(to_a, b, *tables, size) + torch.ops.ketmap.cg_product(a, to_b, *tables, size)
    return list(to_grad.split(sizes)), *cg_product_vjp(grads, to_a, to_b, *tables), *[None] * 8


if hasattr(torch.ops.ketmap, "cg_product"):
    torch.library.register_autograd("ketmap::cg_product", _backward, setup_context=_setup)
    torch.library.register_autograd("ketmap::cg_product_vjp", _backward_vjp, setup_context=_setup_vjp)
    torch.library.register_fake("ketmap::cg_product", lambda a, *rest: a.new_empty(rest[-1]))
    torch.library.register_fake(
        "ketmap::cg_product_vjp", lambda grads, a, b, *rest: (torch.empty_like(a), torch.empty_like(b))
    )
