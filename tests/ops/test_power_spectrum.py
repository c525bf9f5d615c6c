"""The power spectrum's operators: native against the torch reference, against their definition, derivatives."""

import json
import math
import os
import subprocess
import sys

import pytest
import torch
from ketmap_ops import backend, expand
from ketmap_ops import reference as torch_reference
from ketmap_ops.outer import expand_outer
from ketmap_ops.power_spectrum import (
    packing,
    position_rows,
    power_spectrum,
    power_spectrum_design,
    power_spectrum_jvp,
    power_spectrum_of_pairs,
    power_spectrum_positions,
    power_spectrum_rows,
    power_spectrum_sums,
    power_spectrum_vjp,
)
from ketmap_ops.reference import outer
from ketmap_ops.reference import power_spectrum as reference

from .conftest import N_CHANNELS, neighbourhoods, radial

N_AB = N_CHANNELS * (N_CHANNELS + 1) // 2


def case(x, seed=0):
    """Coefficients, and places of two thirds of the (centre, pair of channels) in any order."""
    generator = torch.Generator().manual_seed(seed)
    c = expand(x.vectors, x.starts, x.own, *radial(x), x.center_weight)
    wanted = torch.rand(len(c), N_AB, generator=generator) < 0.67
    place, n_rows = torch.full((len(c), N_AB), -1), int(wanted.sum())
    place[wanted] = torch.randperm(n_rows, generator=generator)
    return c, place, n_rows, generator


def operators(x):
    """All operators on the same data: pairs of (arguments, name)."""
    c, place, n_rows, generator = case(x)
    n_l, n = math.isqrt(c.shape[2]), c.shape[3]
    grad = torch.randn(n_rows, n_l, n, n, generator=generator, dtype=torch.float64).to(c.dtype)
    dc = torch.randn(len(c), N_CHANNELS, 2, *c.shape[2:], generator=generator, dtype=torch.float64).to(c.dtype)
    sample, _ = position_rows(x.starts, x.neighbors, x.centers, place)
    row_starts = torch.searchsorted(sample, torch.arange(n_rows + 1))
    segments = torch.tensor([0, 3, 3, len(c) - 2, len(c)])
    return {
        power_spectrum_rows: (reference.power_spectrum, (c, place, n_rows)),
        power_spectrum_of_pairs: (
            reference.power_spectrum_of_pairs,
            (x.vectors, x.starts, x.own, *radial(x), x.center_weight, place, n_rows),
        ),
        power_spectrum_vjp: (reference.power_spectrum_vjp, (grad, c, place)),
        power_spectrum_jvp: (reference.power_spectrum_jvp, (dc, c, place, n_rows)),
        power_spectrum_positions: (
            reference.power_spectrum_positions,
            (c, x.vectors, x.starts, x.neighbors, x.centers, *radial(x), place, row_starts),
        ),
        expand_outer: (outer.expand_outer, (x.vectors, x.vectors, x.starts, x.own, *radial(x))),
        power_spectrum_sums: (reference.power_spectrum_sums, (dc, c, segments)),
        power_spectrum_design: (
            reference.power_spectrum_design,
            (c, x.vectors, x.starts, x.neighbors, x.centers, x.own, *radial(x)),
        ),
    }


def test_native_and_reference_agree(random_system):
    for native, (by_torch, arguments) in operators(random_system).items():
        found, expected = native(*arguments), by_torch(*arguments)
        assert found.shape == expected.shape
        assert (found - expected).abs().max() <= 1e-12 * expected.abs().max(), native.__name__


def test_float32(random_system):
    double = operators(random_system)
    for name, value in vars(random_system).items():
        if isinstance(value, torch.Tensor) and value.dtype == torch.float64:
            setattr(random_system, name, value.float())
    for native, (_, arguments) in operators(random_system).items():
        found, expected = native(*arguments), native(*double[native][1])
        assert found.dtype == torch.float32
        assert (found - expected).abs().max() < 2e-5 * expected.abs().max(), native.__name__


def test_any_number_of_threads_gives_the_same_bits():
    x, threads = neighbourhoods(n_atoms=40, n_pairs=300), torch.get_num_threads()
    results = []
    try:
        for n in (1, 2, 3):
            torch.set_num_threads(n)
            results.append([native(*arguments) for native, (_, arguments) in operators(x).items()])
    finally:
        torch.set_num_threads(threads)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


def test_definition():
    c = torch.randn(5, 2, 9, 3, dtype=torch.float64)
    p = power_spectrum(c)
    assert p.shape == (5, 3, 3, 3, 3)
    for ab, (a, b) in enumerate([(0, 0), (0, 1), (1, 1)]):
        for l in range(3):
            m = slice(l * l, (l + 1) ** 2)
            sums = torch.einsum("imp,imq->ipq", c[:, a, m], c[:, b, m])
            factor = (-1) ** l / math.sqrt(2 * l + 1) * (1 if a == b else math.sqrt(2))
            assert torch.allclose(p[:, ab, l], factor * sums, rtol=1e-13, atol=1e-14)


def test_derivatives_of_any_order():
    """The operators are closed under differentiation: values, vjp and jvp call each other."""
    c = torch.randn(2, 2, 4, 2, dtype=torch.float64, requires_grad=True)
    place = torch.tensor([[0, -1, 2], [1, 3, -1]])

    def rows(c):
        return power_spectrum_rows(c, place, 4)

    def slope(c):
        return torch.autograd.grad((rows(c) ** 2).sum(), c, create_graph=True)[0]

    assert torch.autograd.gradcheck(rows, c)
    assert torch.autograd.gradgradcheck(rows, c)
    assert torch.autograd.gradgradcheck(slope, c)


def test_positions_are_derivatives():
    """Σ over pairs of p's change = rows contracted with displacements: jacobian of the reference by autograd."""
    x = neighbourhoods(n_atoms=6, n_pairs=14, l_max=2, n_max=2)
    slots = torch.repeat_interleave(torch.arange(len(x.starts) - 1), x.starts.diff())
    centers = x.centers[slots // N_CHANNELS].long()

    def p_of(positions):
        vectors = positions[x.neighbors.long()] - positions[centers] + x.shifts.double() @ x.cells[0]
        return power_spectrum(torch_reference.expand(vectors, x.starts, x.own, *radial(x), 0.7))

    place = torch.arange(6 * N_AB).reshape(6, N_AB)
    sample, atom = position_rows(x.starts, x.neighbors, x.centers, place)
    row_starts = torch.searchsorted(sample, torch.arange(6 * N_AB + 1))
    c = expand(x.vectors, x.starts, x.own, *radial(x), 0.7)
    rows = power_spectrum_positions(c, x.vectors, x.starts, x.neighbors, x.centers, *radial(x), place, row_starts)
    dense = torch.autograd.functional.jacobian(p_of, x.positions).flatten(0, 1)  # -> [sample, l, n, n, atom, 3]
    expected = dense.permute(0, 4, 5, 1, 2, 3)
    assert torch.allclose(rows, expected[sample, atom], atol=1e-11 * dense.abs().max())
    expected[sample, atom] = 0
    assert torch.all(expected == 0)


def test_packing_keeps_scalar_products():
    p = power_spectrum(torch.randn(2, 3, 9, 4, dtype=torch.float64)).flatten(1)
    columns, weight = packing(3, 3, 4)
    packed = p[:, columns] * weight
    assert len(columns) == 3 * (3 * 16) + 3 * (3 * 10)
    assert torch.allclose(packed @ packed.T, p @ p.T, rtol=1e-13)


@pytest.mark.skipif(not backend().startswith("native"), reason=f"no native kernels: {backend()}")
def test_bad_arguments():
    c = torch.zeros(2, 2, 5, 3, dtype=torch.float64)
    with pytest.raises(RuntimeError, match=r"\(l_max \+ 1\)² entries lm"):
        power_spectrum_rows(c, torch.zeros(2, 3, dtype=torch.int64), 6)
    with pytest.raises(RuntimeError, match="'place' must be a contiguous tensor of shape"):
        power_spectrum_rows(c[:, :, :4].contiguous(), torch.zeros(2, 2, dtype=torch.int64), 6)
    x = neighbourhoods(n_atoms=5, n_pairs=6)
    c = expand(x.vectors, x.starts, x.own, *radial(x), 0.7)
    with pytest.raises(RuntimeError, match="every atom must be a centre, of one of the types"):
        power_spectrum_design(c, x.vectors, x.starts, x.neighbors, x.centers, x.own - 1, *radial(x))


@pytest.mark.skipif("avx512" not in backend(), reason=f"this machine has fewer instruction sets: {backend()}")
@pytest.mark.parametrize("instruction_set", ["generic", "avx2"])
def test_instruction_sets_agree(tmp_path, instruction_set):
    script = (
        "import torch; from ketmap_ops.power_spectrum import power_spectrum; torch.manual_seed(0); "
        "c = torch.randn(3, 2, 16, 5, dtype=torch.float64); print(power_spectrum(c).sum(dim=(2, 3, 4)).tolist())"
    )
    environment = dict(os.environ, KETMAP_ISA=instruction_set)
    run = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    torch.manual_seed(0)
    expected = power_spectrum(torch.randn(3, 2, 16, 5, dtype=torch.float64)).sum(dim=(2, 3, 4))
    assert torch.allclose(torch.tensor(json.loads(run.stdout), dtype=torch.float64), expected, rtol=1e-12)
