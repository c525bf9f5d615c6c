"""Coupled products of dense arrays: the operator alone, and its gradient, against e3nn's tensor product of the same
paths."""

import math

import harness
import torch
from e3nn import o3
from ketmap_cg import couple
from ketmap_core.o3 import couplings
from ketmap_ops.library import backend


def e3nn_product(l_1: int, l_2: int, n_1: int, n_2: int):
    """All columns with all columns (mode uvuv), to every λ, without weights and normalisation."""
    lambdas = range(abs(l_1 - l_2), l_1 + l_2 + 1)
    sigma = (-1) ** (l_1 + l_2)
    return o3.TensorProduct(
        [(n_1, (l_1, (-1) ** l_1))],
        [(n_2, (l_2, (-1) ** l_2))],
        [(n_1 * n_2, (l, sigma)) for l in lambdas],
        [(0, 0, i, "uvuv", False) for i in range(len(lambdas))],
        irrep_normalization="none",
        path_normalization="none",
    ).to(torch.float64)


def operations(l_1: int, l_2: int, n_1: int, n_2: int) -> int:
    """Of one row: a multiplication for each pair of components, two operations for each coefficient that is not
    zero."""
    lambdas = range(abs(l_1 - l_2), l_1 + l_2 + 1)
    terms = sum(len(couplings(l_1, l_2, l)) for l in lambdas)
    return n_1 * n_2 * ((2 * l_1 + 1) * (2 * l_2 + 1) + 2 * terms)


def difference(ours, theirs, l_1: int, l_2: int) -> float:
    """After e3nn's signs and norms: of each λ a factor ±√(2λ+1)."""
    worst, start = 0.0, 0
    for l, mine in zip(range(abs(l_1 - l_2), l_1 + l_2 + 1), ours):
        size = mine[0].numel()
        part = theirs[:, start : start + size].reshape(len(mine), -1, 2 * l + 1).transpose(1, 2)
        start += size
        part = part * math.sqrt(2 * l + 1) * torch.sign((part * mine).sum())
        worst = max(worst, float((part - mine).abs().max() / mine.abs().max()))
    return worst


def measure(report, l_1: int, l_2: int, n: int, n_rows: int, seconds: float):
    torch.manual_seed(0)
    a = torch.randn(n_rows, 2 * l_1 + 1, n, dtype=torch.float64)
    b = torch.randn(n_rows, 2 * l_2 + 1, n, dtype=torch.float64)
    x, y = (array.transpose(1, 2).flatten(1).contiguous() for array in (a, b))  # e3nn: component fastest
    theirs = e3nn_product(l_1, l_2, n, n)

    def slopes(product, *operands):
        leaves = [operand.clone().requires_grad_() for operand in operands]
        found = product(*leaves)
        found = found if isinstance(found, list) else [found]
        return torch.autograd.grad(found, leaves, grad_outputs=[torch.ones_like(each) for each in found])

    work = operations(l_1, l_2, n, n) * n_rows
    for what, ours, peer in (
        ("values", lambda: couple(a, b), lambda: theirs(x, y)),
        ("values and gradients", lambda: slopes(couple, a, b), lambda: slopes(theirs, x, y)),
    ):
        times = harness.alternate(seconds, ketmap=ours, e3nn=peer)
        more = {"gigaflops": work / times["ketmap"] / 1e9} if what == "values" else {}
        report.row(
            f"{l_1} ⊗ {l_2}, {n} × {n} columns, {n_rows} rows, {what}",
            times["ketmap"] / n_rows * 1e6,
            {"e3nn": times["e3nn"] / n_rows * 1e6},
            unit="µs/row",
            **more,
            difference=difference(couple(a, b), theirs(x, y), l_1, l_2),
        )


def main():
    given = harness.options(__doc__)
    report = harness.Report("cg_product", given)
    cases = [(1, 1, 2)] if given.tiny else [(1, 1, 16), (2, 2, 16), (3, 3, 4), (3, 3, 16), (4, 4, 8), (6, 6, 8)]
    for l_1, l_2, n in cases:
        measure(report, l_1, l_2, n, 10 if given.tiny else 500, given.seconds / 2)
    report.note(f"Operators: {backend()}. Operations: products of components, and two for each coefficient ≠ 0.")
    report.save()


if __name__ == "__main__":
    main()
