"""Sums over wave vectors: the native kernel against the reference, the reference against the formula."""

import math
import os
import subprocess
import sys

import ketmap_ops as ops
import pytest
import torch
from ketmap_ops import backend
from ketmap_ops.reference import waves as reference

native_only = pytest.mark.skipif(not backend().startswith("native"), reason=f"no native kernels: {backend()}")


def systems(sizes=((20, 13, 37), (1, 1, 5), (0, 0, 3), (7, 7, 0), (9, 9, 150)), n_channels=2, l_max=3, n=3, seed=0):
    """Arguments: atoms (some of no channel), centres and waves of each system."""
    generator = torch.Generator().manual_seed(seed)
    starts = torch.cat([torch.zeros(1, 3, dtype=torch.int64), torch.tensor(sizes).cumsum(0)]).T.contiguous()
    n_atoms, _, n_waves = starts[:, -1].tolist()
    centers = [
        torch.randperm(atoms, generator=generator)[:centers] + first
        for (atoms, centers, _), first in zip(sizes, starts[0].tolist())
    ]
    return (
        8 * torch.rand(n_atoms, 3, generator=generator, dtype=torch.float64),
        torch.randint(-1, n_channels, (n_atoms,), generator=generator, dtype=torch.int32),
        torch.cat(centers).to(torch.int32),
        3 * torch.randn(n_waves, 3, generator=generator, dtype=torch.float64),
        torch.randn(n_waves, (l_max + 1) ** 2, n, generator=generator, dtype=torch.float64),
        starts,
        n_channels,
    )


def gradients_of(road, arguments, waves=True):
    *tensors, n_channels = arguments
    shape = (len(tensors[2]), n_channels, *tensors[4].shape[1:])
    grad = torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(tensors[0])
    return road.wave_field_vjp(grad, *tensors, waves)


def everything(road, arguments):
    return [road.wave_field(*arguments), *gradients_of(road, arguments)]


def assert_close(got, expected, tolerance=1e-12):
    for a, b in zip(got, expected, strict=True):
        assert a.shape == b.shape
        assert b.numel() == 0 or (a - b).abs().max() <= tolerance * b.abs().max().clamp(min=1e-300)


def test_reference_is_the_formula():
    arguments = systems(((5, 4, 6),), l_max=2)
    positions, channel, centers, k, weights, _, n_channels = arguments
    c = reference.wave_field(*arguments)
    for i, center in enumerate(centers.tolist()):
        for a in range(n_channels):
            angles = (positions[channel == a] - positions[center]) @ k.T  # -> [atom, wave]
            even, odd = torch.cos(angles).sum(0), torch.sin(angles).sum(0)
            for lm in range(9):
                expected = (odd if math.isqrt(lm) % 2 else even) @ weights[:, lm]
                torch.testing.assert_close(c[i, a, lm], expected, rtol=0, atol=1e-12)


def test_pieces_of_the_reference_add_up(monkeypatch):
    arguments = systems()
    whole = everything(reference, arguments)
    monkeypatch.setattr(reference, "BLOCK", 100)
    assert_close(everything(reference, arguments), whole, 1e-13)


@native_only
@pytest.mark.parametrize(
    ("sizes", "n_channels", "l_max", "n"),
    [
        (((20, 13, 37), (1, 1, 5), (0, 0, 3), (7, 7, 0), (9, 9, 150)), 2, 3, 3),
        (((70, 70, 700), (400, 300, 300)), 3, 4, 6),
        (((30, 30, 300),), 1, 0, 1),
        (((12, 0, 30),), 2, 1, 2),
        ((), 2, 1, 2),
        (((30, 30, 30),), 70, 1, 1),
    ],
)
def test_native_is_the_reference(sizes, n_channels, l_max, n):
    sizes = torch.tensor(sizes, dtype=torch.int64).reshape(-1, 3).tolist()
    if not sizes:
        *tensors, n_channels = systems(((0, 0, 0),), n_channels, l_max, n)
        arguments = (*tensors[:-1], torch.zeros(3, 1, dtype=torch.int64), n_channels)
    else:
        arguments = systems(sizes, n_channels, l_max, n)
    assert_close(everything(ops, arguments), everything(reference, arguments))


@native_only
def test_far_away_atoms_have_good_phases():
    """Angles up to 10⁵: no more is lost than their own rounding."""
    positions, *rest = systems(((40, 40, 60),))
    arguments = positions + 5e3, *rest
    assert_close(everything(ops, arguments), everything(reference, arguments), 1e-9)
    near = ops.wave_field(positions, *rest)
    assert_close([ops.wave_field(*arguments)], [near], 1e-9)


@native_only
def test_what_is_not_wanted_comes_empty():
    arguments = systems()
    some, every = gradients_of(ops, arguments, waves=False), gradients_of(ops, arguments)
    assert torch.equal(some[0], every[0])
    assert some[1].shape == (0, 3) and some[2].shape == (0, 16, 3)


def test_float32_is_close_to_float64():
    double = systems()
    single = tuple(x.float() if isinstance(x, torch.Tensor) and x.is_floating_point() else x for x in double)
    found = everything(ops, single)
    assert all(x.dtype == torch.float32 for x in found)
    assert_close([x.double() for x in found], everything(ops, double), 2e-5)


@native_only
def test_any_number_of_threads_gives_the_same_bits():
    arguments = systems(((60, 60, 900), (300, 300, 200), (5, 5, 40)))
    results, threads = [], torch.get_num_threads()
    try:
        for n in (1, 2, 3):
            torch.set_num_threads(n)
            results.append(everything(ops, arguments))
    finally:
        torch.set_num_threads(threads)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


@native_only
def test_a_system_does_not_depend_on_its_company():
    first, second = systems(((20, 20, 90),)), systems(((30, 20, 400),), seed=3)
    together = [torch.cat([a, b]) for a, b in zip(first[:5], second[:5])]
    together[2] = torch.cat([first[2], second[2] + 20])
    starts = torch.cat([first[5], second[5][:, 1:] + first[5][:, -1:]], dim=1)
    both = ops.wave_field(*together, starts, 2)
    assert torch.equal(both, torch.cat([ops.wave_field(*first), ops.wave_field(*second)]))


INSTRUCTION_SET = """
import sys, torch, ketmap_ops as ops
sys.path.insert(0, sys.argv[1])
from test_waves import everything, systems
torch.save([ops.backend(), everything(ops, systems())], sys.argv[2])
"""


@native_only
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
    assert_close(results, everything(reference, systems()))


@pytest.mark.parametrize("road", [pytest.param(ops, id="operators"), pytest.param(reference, id="reference")])
def test_derivatives_of_first_and_second_order(road):
    arguments = systems(((4, 3, 3), (2, 2, 2)), l_max=1, n=1)
    positions, channel, centers, k, weights, *rest = arguments
    inputs = [x.clone().requires_grad_() for x in (positions, k, weights)]

    def function(r, q, w):
        return road.wave_field(r, channel, centers, q, w, *rest)

    assert torch.autograd.gradcheck(function, inputs)
    assert torch.autograd.gradgradcheck(function, inputs)
    # where only atoms move
    (moved,) = torch.autograd.grad(function(inputs[0], k, weights).sum(), inputs[0])
    (expected,) = torch.autograd.grad(function(*inputs).sum(), inputs[0])
    torch.testing.assert_close(moved, expected, rtol=0, atol=1e-13)
    assert torch.autograd.gradgradcheck(lambda r: function(r, k, weights), inputs[:1])


@native_only
def test_operators_keep_torchs_rules():
    *tensors, n_channels = systems(((4, 3, 3), (2, 2, 2)), l_max=1, n=2)
    tensors = [x.requires_grad_() if x.is_floating_point() else x for x in tensors]
    grad = torch.randn(5, 2, 4, 2, dtype=torch.float64, requires_grad=True)
    torch.library.opcheck(torch.ops.ketmap.wave_field, (*tensors, n_channels))
    # its own backward runs on the reference, which reads `starts`: nothing for torch's tracer
    kinds = ("test_schema", "test_autograd_registration", "test_faketensor")
    for waves in (False, True):
        torch.library.opcheck(torch.ops.ketmap.wave_field_vjp, (grad, *tensors, waves), test_utils=kinds)


@native_only
@pytest.mark.parametrize(
    ("place", "change", "message"),
    [
        (0, lambda r: r[:, :2], "'positions' must be a contiguous tensor of shape"),
        (1, lambda c: c + 2, r"'channel' must be in \[-1, 2\)"),
        (2, lambda c: c.flip(0), "'centers' must be atoms of their system"),
        (3, lambda k: k.float(), "'k' must be a contiguous tensor of shape"),
        (4, lambda w: w[:, :15], "'weights' must be"),
        (5, lambda s: s + 1, "'starts' must ascend from zero to the numbers of atoms, centres and waves"),
    ],
)
def test_wrong_arguments_are_named(place, change, message):
    arguments = list(systems())
    arguments[place] = change(arguments[place])
    with pytest.raises(RuntimeError, match=message):
        ops.wave_field(*arguments)


CELLS = torch.tensor(
    [[[3.1, 0.2, 0.4], [0.1, 4.2, -0.3], [-1.0, 0.5, 5.3]], [[0.0, 6.0, 0.0], [4.0, 0.0, 0.5], [0.0, 0.0, 9.0]]],
    dtype=torch.float64,
)


@pytest.mark.parametrize("road", [pytest.param(ops, id="operators"), pytest.param(reference, id="reference")])
@pytest.mark.parametrize("directions", [1, 2, 3])
def test_lattice_points_are_half_of_a_sphere(road, directions):
    cells, cutoff = CELLS[:, :directions].contiguous(), 6.0
    points, starts = road.lattice_points(cells, cutoff)
    for rows, m in zip(cells, points.split(starts.diff().tolist()), strict=True):
        grid = torch.cartesian_prod(*[torch.arange(-12, 13)] * directions).reshape(-1, directions).double()
        k = 2 * math.pi * grid @ torch.linalg.pinv(rows).T
        length = torch.linalg.vector_norm(k, dim=1)
        expected = {tuple(row) for row in grid[(length < cutoff) & (length > 0)].tolist()}
        found = {tuple(row) for row in m.tolist()}
        assert len(found) == len(m) == len(expected) // 2
        assert found | {tuple(-x for x in row) for row in found} == expected


@native_only
def test_lattice_points_keep_types_and_torchs_rules():
    single = ops.lattice_points(CELLS.float(), 5.0)
    for a, b, c in zip(single, ops.lattice_points(CELLS, 5.0), reference.lattice_points(CELLS, 5.0), strict=True):
        assert torch.equal(a.double(), b.double()) and torch.equal(b, c)
    assert single[0].dtype == torch.float32
    torch.library.opcheck(torch.ops.ketmap.lattice_points, (CELLS, 5.0), test_utils=("test_schema", "test_faketensor"))
    with pytest.raises(RuntimeError, match="'cells' must be"):
        torch.ops.ketmap.lattice_points(CELLS[0], 5.0)
