"""The native kernels against the torch reference, for every instruction set of this machine and any thread count."""

import os
import subprocess
import sys

import ketmap_ops as ops
import pytest
import torch
from ketmap_ops import backend, reference

from .conftest import energy_arguments, everything, neighbourhoods, radial

pytestmark = pytest.mark.skipif(not backend().startswith("native"), reason=f"no native kernels: {backend()}")


def assert_close(a, b, tolerance=1e-12):
    assert a.shape == b.shape
    assert (a - b).abs().max() <= tolerance * b.abs().max().clamp(min=1e-300)


def test_group_is_the_same(random_system):
    x = random_system
    for got, expected in zip(ops.group(*x.half, *x.places), reference.group(*x.half, *x.places), strict=True):
        torch.testing.assert_close(got, expected, rtol=0, atol=0)


def test_operators_agree_with_the_reference(random_system):
    for got, expected in zip(everything(ops, random_system), everything(reference, random_system), strict=True):
        assert_close(got, expected)


@pytest.mark.parametrize("n_max", [3, 8])
def test_a_table_for_every_channel(n_max):
    """Every road reads the table of each pair's channel; equal tables are one table."""
    x = neighbourhoods(n_max=n_max)
    whole, shared = x.table, everything(ops, x)
    x.table = torch.stack([whole, whole, whole])
    for got, expected in zip(everything(ops, x), shared, strict=True):
        assert torch.equal(got, expected)
    x.table = torch.stack([whole, 2 * whole, whole.flip(0)]).contiguous()
    for got, expected in zip(everything(ops, x), everything(reference, x), strict=True):
        assert_close(got, expected)
    double = ops.expand(x.vectors, x.starts, x.own, whole, *radial(x)[1:], x.center_weight)[:, 1] * 2
    assert_close(ops.expand(x.vectors, x.starts, x.own, *radial(x), x.center_weight)[:, 1], double)
    x.table = x.table[:2].contiguous()
    with pytest.raises(RuntimeError, match="'table' must have an entry for every channel"):
        everything(ops, x)


def test_float32_is_close_to_float64():
    double, single = neighbourhoods(), neighbourhoods()
    for name, value in vars(single).items():
        if isinstance(value, torch.Tensor) and value.dtype == torch.float64:
            setattr(single, name, value.float())
    for got, expected in zip(
        ops.soap_energy(*energy_arguments(single)), ops.soap_energy(*energy_arguments(double)), strict=True
    ):
        assert got.dtype == torch.float32
        assert_close(got.double(), expected, 2e-5)


def test_any_number_of_threads_gives_the_same_bits():
    x = neighbourhoods(n_atoms=60, n_pairs=600)
    results = []
    threads = torch.get_num_threads()
    try:
        for n in (1, 2, 3):
            torch.set_num_threads(n)
            results.append([*ops.group(*x.half, *x.places), *everything(ops, x)])
    finally:
        torch.set_num_threads(threads)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


INSTRUCTION_SET = """
import sys, torch, ketmap_ops as ops
sys.path.insert(0, sys.argv[1])
from conftest import everything, neighbourhoods
x = neighbourhoods(l_max=6, n_max=8)
torch.save([ops.backend(), everything(ops, x)], sys.argv[2])
"""


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
    for got, wanted in zip(results, everything(reference, neighbourhoods(l_max=6, n_max=8)), strict=True):
        assert_close(got, wanted)


def test_unknown_instruction_set_is_refused():
    command = [sys.executable, "-c", "import ketmap_ops; ketmap_ops.backend()"]
    run = subprocess.run(command, env={**os.environ, "KETMAP_ISA": "sse9"}, capture_output=True, text=True)
    assert run.returncode != 0
    assert "KETMAP_ISA is 'sse9', but this machine serves generic up to" in run.stderr


def test_operators_keep_torchs_rules():
    x = neighbourhoods(n_atoms=5, n_pairs=8, l_max=2, n_max=2)
    vectors = x.vectors.clone().requires_grad_()
    arguments = (x.starts, x.own, *radial(x), x.center_weight)
    torch.library.opcheck(torch.ops.ketmap.expand, (vectors, *arguments))
    grad = torch.randn(5, 3, 9, 2, dtype=torch.float64, requires_grad=True)
    torch.library.opcheck(torch.ops.ketmap.expand_vjp, (grad, vectors, x.starts, *radial(x)))
    torch.library.opcheck(torch.ops.ketmap.expand_jacobian, (x.vectors, x.starts, x.own, *radial(x)))
    torch.library.opcheck(torch.ops.ketmap.pair_terms, (vectors, *radial(x)))
    left, rows = torch.ones(2 * len(x.vectors), dtype=torch.float64), 2 * torch.arange(len(x.vectors) + 1)
    torch.library.opcheck(torch.ops.ketmap.pair_gradients, (left, x.vectors, rows, *radial(x)))
    torch.library.opcheck(torch.ops.ketmap.group, (*x.half, *x.places))
    for diagonal in (False, True):
        torch.library.opcheck(torch.ops.ketmap.soap_energy, energy_arguments(x, diagonal))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vectors": lambda v: v.to(torch.int64)}, "expected float32 or float64"),
        ({"vectors": lambda v: v[:, :2].contiguous()}, "'vectors' must be a contiguous tensor of shape"),
        ({"vectors": lambda v: v[:-1].contiguous()}, "'starts' must end with the number of pairs"),
        ({"table": lambda t: t.float()}, "'table' must be a contiguous tensor"),
        ({"table": lambda t: t[:4].contiguous()}, "row >= 6"),
        ({"own": lambda o: o.long()}, "'own' must be a contiguous tensor"),
        ({"own": lambda o: o + 1}, r"'own' must be in \[-1, 3\); got 3"),
        ({"starts": lambda s: s.flip(0)}, "'starts' must ascend from zero"),
    ],
)
def test_wrong_arguments_are_named(change, message):
    x = neighbourhoods()
    for name, function in change.items():
        setattr(x, name, function(getattr(x, name)))
    with pytest.raises(RuntimeError, match=message):
        ops.expand(x.vectors, x.starts, x.own, *radial(x), x.center_weight)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("kind", lambda k: k - 1, r"'kind' must be in \[0, 3\); got -1"),
        ("neighbors", lambda n: n + 20, r"'neighbors' must be in \[0, 20\)"),
        ("reverse", lambda r: r - 1, r"'reverse' must be in \[0, \d+\); got -1"),
        ("system", lambda s: s + 1, r"'system' must be in \[0, 1\); got 1"),
        ("quadratic", lambda q: q[..., 1:].contiguous(), "'quadratic' must be a contiguous tensor of shape"),
        ("centers", lambda c: c[1:].contiguous(), "every atom must be a centre"),
    ],
)
def test_wrong_arguments_of_the_energy_are_named(name, change, message):
    x = neighbourhoods()
    setattr(x, name, change(getattr(x, name)))
    with pytest.raises(RuntimeError, match=message):
        ops.soap_energy(*energy_arguments(x))


def test_wrong_arguments_of_the_grouping_are_named():
    x = neighbourhoods()
    first, *rest = x.half
    with pytest.raises(RuntimeError, match=r"'first' must be in \[0, 20\)"):
        ops.group(first + 20, *rest, *x.places)
    with pytest.raises(RuntimeError, match=r"'channel' must be in \[-1, 2\); got 2"):
        ops.group(*x.half, *x.places[:3], 2)
