"""The coupled product: its definition, derivatives of any order, native against reference."""

from types import SimpleNamespace

import pytest
import torch
from ketmap_ops.cg_product import CgPaths, Factor, Path, cg_product, outer_runs
from ketmap_ops.reference import cg_product as reference

COUPLINGS = [(0, 1, (1,)), (1, 2, (1, 2, 3)), (2, 2, (0, 2, 4)), (3, 1, (2,))]


def random_coupling(l_1, l_2, l, generator, share=0.3):
    """The operator takes any coefficients: random ones, most of them zero.  # -> int [entry, 3], float [entry]"""
    dense = torch.randn(2 * l_1 + 1, 2 * l_2 + 1, 2 * l + 1, generator=generator, dtype=torch.float64)
    dense *= torch.rand(dense.shape, generator=generator) < share
    dense[0, 0, 0] = 0.7
    entries = dense.nonzero()
    return entries, dense[tuple(entries.T)]


def case(n_1=3, n_2=5, n_rows=7, seed=0, dtype=torch.float64):
    """Two operands with gaps between their arrays; outer products and chosen pairs; blocks of several paths in two
    groups of rows, of which the second lacks some."""
    generator = torch.Generator().manual_seed(seed)
    chosen = ((0, 0, n_2), (n_1 - 1, n_2 - 1, 1), (0, n_2 // 2, n_2 - n_2 // 2), (n_1 - 1, 0, 1))
    x = SimpleNamespace(factors=[], paths=[])
    size_1, size_2, blocks = 2, 1, {}
    for index, (l_1, l_2, lambdas) in enumerate(COUPLINGS):
        runs = chosen if index % 2 else outer_runs(n_1, n_2)
        x.factors.append(Factor(size_1, n_1 + 1, l_1, size_2, n_2, l_2, runs))
        size_1, size_2 = size_1 + (n_1 + 1) * (2 * l_1 + 1), size_2 + n_2 * (2 * l_2 + 1) + 3
        for l in lambdas:  # a block for each λ
            block = blocks.setdefault(l, [len(blocks), len(blocks) % 2, l, 0])
            x.paths.append(Path(index, *random_coupling(l_1, l_2, l, generator), l, block[0], block[3]))
            block[3] += x.factors[-1].size
    x.blocks = [tuple(rest) for _, *rest in blocks.values()]
    x.a = torch.randn(n_rows, size_1, generator=generator, dtype=torch.float64).to(dtype)
    x.b = torch.randn(n_rows, size_2, generator=generator, dtype=torch.float64).to(dtype)
    x.place = torch.full((n_rows, 2), -1)
    x.place[:, 0] = torch.randperm(n_rows, generator=generator)
    x.place[1::2, 1] = torch.randperm(n_rows // 2, generator=generator)
    x.products = CgPaths(x.factors, x.paths, x.blocks)
    return x


def written_out(x):
    """The definition, one number at a time, for the rows that each block has."""
    result = []
    for index, (group, l, n) in enumerate(x.blocks):
        rows = x.place[:, group]
        block = torch.zeros(int((rows >= 0).sum()), 2 * l + 1, n, dtype=torch.float64)
        for path in x.paths:
            if path.block == index:
                factor = x.factors[path.factor]
                pairs = [(q1, q2 + k) for q1, q2, count in factor.runs for k in range(count)]
                for (m1, m2, mu), weight in zip(path.entries.tolist(), path.weights):
                    for q, (q1, q2) in enumerate(pairs, path.column):
                        left = x.a[:, factor.offset_1 + m1 * factor.stride_1 + q1]
                        right = x.b[:, factor.offset_2 + m2 * factor.stride_2 + q2]
                        block[rows[rows >= 0], mu, q] += (weight * left * right)[rows >= 0]
        result.append(block)
    return result


def test_definition():
    x = case()
    for found, expected in zip(cg_product(x.a, x.b, x.products, x.place), written_out(x), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-13, atol=1e-13)


def test_every_row_in_one_group():
    x = case()
    x.blocks = [(0, *rest) for _, *rest in x.blocks]
    x.place = torch.arange(len(x.a))[:, None]
    found = cg_product(x.a, x.b, CgPaths(x.factors, x.paths, x.blocks))
    for block, expected in zip(found, written_out(x), strict=True):
        torch.testing.assert_close(block, expected, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_sparse_and_dense_coefficients(share, monkeypatch):
    """Both ways of the reference."""
    monkeypatch.setattr(reference, "SPARSE", share)
    x = case()
    arguments = operator_arguments(x)
    flat = reference.cg_product(x.a, x.b, *arguments)
    torch.testing.assert_close(flat, torch.cat([block.flatten() for block in written_out(x)]), rtol=1e-13, atol=1e-13)


def operator_arguments(x):
    sizes = [int((x.place[:, group] >= 0).sum()) * (2 * l + 1) * n for group, l, n in x.blocks]
    bases = torch.tensor([0, *sizes]).cumsum(0)
    return (*x.products.tables(x.a), x.place, bases, sum(sizes))


def test_derivatives_of_any_order():
    x = case(n_1=2, n_2=2, n_rows=3)

    def product(a, b):
        return torch.cat([block.flatten() for block in cg_product(a, b, x.products, x.place)])

    def slope(a, b):
        return torch.autograd.grad((product(a, b) ** 3).sum(), (a, b), create_graph=True)

    a, b = x.a.requires_grad_(), x.b.requires_grad_()
    assert torch.autograd.gradcheck(product, (a, b), fast_mode=True)
    assert torch.autograd.gradgradcheck(product, (a, b), fast_mode=True)
    assert torch.autograd.gradcheck(slope, (a, b), fast_mode=True)
    assert torch.autograd.gradgradcheck(slope, (a, b), fast_mode=True)


def test_one_operand_twice():
    x = case()
    a = torch.randn(4, max(x.a.shape[1], x.b.shape[1]), dtype=torch.float64, requires_grad=True)
    place = torch.tensor([[0, -1], [1, 0], [2, -1], [3, 1]])

    def product(a):
        return torch.cat([block.flatten() for block in cg_product(a, a, x.products, place)])

    assert torch.autograd.gradcheck(product, a, fast_mode=True)


def test_nothing_to_do():
    x = case()
    for block, (_, l, n) in zip(cg_product(x.a[:0], x.b[:0], x.products, x.place[:0]), x.blocks, strict=True):
        assert block.shape == (0, 2 * l + 1, n)
    assert cg_product(x.a, x.b, CgPaths([], [], [])) == []


def test_bad_arguments():
    x = case()
    with pytest.raises(ValueError, match="expected rows"):
        cg_product(x.a, x.b[1:], x.products)
    with pytest.raises(ValueError, match="paths fill 15 properties of block 0, which has 16"):
        CgPaths(x.factors[:1], x.paths[:1], [(0, 1, 16)])
    with pytest.raises(ValueError, match="a path to λ = 1 fills a block of λ = 2"):
        CgPaths(x.factors[:1], x.paths[:1], [(0, 2, 15)])
