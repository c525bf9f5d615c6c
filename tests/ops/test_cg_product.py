"""The coupled product: its definition, derivatives of any order, native against reference."""

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch
from ketmap_ops.cg_product import CgPaths, Factor, Path, cg_product, cg_product_vjp, outer_runs
from ketmap_ops.library import backend
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


def by_block(flat, bases):
    return list(flat.split(bases.diff().tolist()))


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


needs_native = pytest.mark.skipif(not backend().startswith("native"), reason=f"no native kernels: {backend()}")
SIZES = [(3, 5), (1, 1), (4, 4), (8, 8), (2, 16), (5, 40), (16, 3)]


@needs_native
@pytest.mark.parametrize(("n_1", "n_2"), SIZES)
def test_native_and_reference_agree(n_1, n_2):
    x = case(n_1=n_1, n_2=n_2, n_rows=9)
    *tables, size = operator_arguments(x)
    found = torch.ops.ketmap.cg_product(x.a, x.b, *tables, size)
    torch.testing.assert_close(found, reference.cg_product(x.a, x.b, *tables, size), rtol=1e-12, atol=1e-12)
    grad = torch.randn(size, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    for mine, expected in zip(
        torch.ops.ketmap.cg_product_vjp(by_block(grad, tables[-1]), x.a, x.b, *tables),
        reference.cg_product_vjp(by_block(grad, tables[-1]), x.a, x.b, *tables),
        strict=True,
    ):
        torch.testing.assert_close(mine, expected, rtol=1e-12, atol=1e-11)


@needs_native
@pytest.mark.parametrize(("n_1", "n_2"), SIZES[:3])
def test_float32(n_1, n_2):
    double, single = (case(n_1=n_1, n_2=n_2, dtype=dtype) for dtype in (torch.float64, torch.float32))
    found, expected = (cg_product(x.a, x.b, x.products, x.place) for x in (single, double))
    for mine, other in zip(found, expected, strict=True):
        assert mine.dtype == torch.float32
        torch.testing.assert_close(mine.double(), other, rtol=2e-5, atol=2e-5)
    *tables, size = operator_arguments(single)
    for mine, other in zip(
        cg_product_vjp(by_block(torch.ones(size), tables[-1]), single.a, single.b, *tables),
        reference.cg_product_vjp(by_block(torch.ones(size), tables[-1]), single.a, single.b, *tables),
        strict=True,
    ):
        torch.testing.assert_close(mine, other, rtol=2e-4, atol=2e-4)


@needs_native
def test_any_number_of_threads_gives_the_same_bits():
    x, threads = case(n_1=4, n_2=8, n_rows=400), torch.get_num_threads()
    *tables, size = operator_arguments(x)
    grad, results = torch.linspace(-1, 1, size, dtype=torch.float64), []
    try:
        for n in (1, 2, 3):
            torch.set_num_threads(n)
            both = torch.ops.ketmap.cg_product_vjp(by_block(grad, tables[-1]), x.a, x.b, *tables)
            results.append((torch.ops.ketmap.cg_product(x.a, x.b, *tables, size), *both))
    finally:
        torch.set_num_threads(threads)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


@needs_native
def test_streamed_results_are_the_same():
    """More than caches hold is stored past them."""
    x = case(n_1=8, n_2=8, n_rows=3000)
    found = cg_product(x.a, x.b, x.products, x.place)
    assert sum(block.numel() for block in found) > 2**20
    again = cg_product(x.a[:5], x.b[:5], x.products)
    for block, few, (group, *_) in zip(found, again, x.blocks, strict=True):
        rows = x.place[:5, group]
        assert torch.equal(block[rows[rows >= 0]], few[rows >= 0])


@needs_native
def test_operators_keep_torchs_rules():
    x = case(n_1=2, n_2=2, n_rows=3)
    *tables, size = operator_arguments(x)
    a, b, grad = x.a.requires_grad_(), x.b.requires_grad_(), torch.randn(size, dtype=torch.float64, requires_grad=True)
    torch.library.opcheck(torch.ops.ketmap.cg_product, (a, b, *tables, size))
    torch.library.opcheck(torch.ops.ketmap.cg_product_vjp, (by_block(grad, tables[-1]), a, b, *tables))


INSTRUCTION_SET = """
import sys, torch
sys.path.insert(0, sys.argv[1])
from ketmap_ops.library import backend
from test_cg_product import SIZES, by_block, case, operator_arguments
results = []
for n_1, n_2 in SIZES:
    x = case(n_1, n_2)
    *tables, size = operator_arguments(x)
    results.append(torch.ops.ketmap.cg_product(x.a, x.b, *tables, size))
    results += torch.ops.ketmap.cg_product_vjp(by_block(results[-1], tables[-1]), x.a, x.b, *tables)
torch.save([backend(), results], sys.argv[2])
"""


@needs_native
@pytest.mark.parametrize("name", ["generic", "avx2", "avx512"])
def test_instruction_sets_agree(name, tmp_path):
    file = tmp_path / "results.pt"
    command = [sys.executable, "-c", INSTRUCTION_SET, os.path.dirname(__file__), str(file)]
    run = subprocess.run(command, env={**os.environ, "KETMAP_ISA": name}, capture_output=True, text=True)
    if run.returncode and f"KETMAP_ISA is '{name}', but this machine serves" in run.stderr:
        pytest.skip(f"this machine has no {name}")
    assert run.returncode == 0, run.stderr
    used, results = torch.load(file, weights_only=True)
    assert used == f"native ({name})"
    expected = []
    for n_1, n_2 in SIZES:
        x = case(n_1, n_2)
        *tables, size = operator_arguments(x)
        expected.append(reference.cg_product(x.a, x.b, *tables, size))
        expected += reference.cg_product_vjp(by_block(expected[-1], tables[-1]), x.a, x.b, *tables)
    for found, wanted in zip(results, expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-11, atol=1e-11)


@needs_native
@pytest.mark.parametrize(
    ("table", "column", "by", "message"),
    [
        (0, 0, 10**6, "'factors' must lie within the rows"),
        (0, 6, 10**6, "'factors' must name runs"),
        (0, 8, 1, "the size of a factor must be that of its runs"),
        (1, 2, -(10**6), "'runs' must be columns and counts"),
        (2, 1, -(10**6), "'paths' must name entries and blocks"),
        (2, 5, 1, "'paths' must lie within their blocks"),
        (2, 0, 10**6, "'paths' must ascend by factor"),
        (3, 0, 5, "'place' must have a column for the group of every block"),
        (3, 2, 10**6, "'bases' must leave room"),
        (4, 0, 99, "'entries' must be components of their l1, l2 and λ"),
        (6, 0, 10**6, "'place' must be in"),
    ],
)
def test_bad_tables_are_named(table, column, by, message):
    """The native operator reads and writes where the tables say, so it checks them."""
    x = case()
    *tables, size = operator_arguments(x)
    tables[table] = tables[table].clone()
    tables[table][..., column] += by
    with pytest.raises(RuntimeError, match=message):
        torch.ops.ketmap.cg_product(x.a, x.b, *tables, size)


@needs_native
def test_bad_gradients_are_named():
    x = case()
    *tables, size = operator_arguments(x)
    grads = by_block(torch.ones(size, dtype=torch.float64), tables[-1])
    with pytest.raises(RuntimeError, match="'grads' must have an entry for every block"):
        torch.ops.ketmap.cg_product_vjp([*grads, grads[0][:0]], x.a, x.b, *tables)
    moved = [grads[0][:-1], torch.ones(len(grads[1]) + 1, dtype=torch.float64), *grads[2:]]
    with pytest.raises(RuntimeError, match="'grads' must have the sizes of the blocks"):
        torch.ops.ketmap.cg_product_vjp(moved, x.a, x.b, *tables)
