"""Laws of the operators, for whichever road (native or reference) this installation takes."""

import math
import os
import subprocess
import sys

import ketmap_ops as ops
import pytest
import torch
from ketmap_ops import reference
from scipy.interpolate import BSpline

from .conftest import energy_arguments, neighbourhoods, radial


def test_spline_pieces_are_the_cardinal_quintic_b_spline():
    t = torch.linspace(0, 0.999, 11, dtype=torch.float64)
    spline = BSpline.basis_element(range(7), extrapolate=False)
    weights = reference.expansion.bspline_weights(t)
    for k in range(6):
        torch.testing.assert_close(weights[:, k], torch.from_numpy(spline(t.numpy() + 5 - k)), rtol=0, atol=1e-15)


@pytest.mark.parametrize("width", [0.0, 0.5])
def test_derivatives_of_first_and_second_order(width):
    x = neighbourhoods(n_atoms=6, n_pairs=12, l_max=3, n_max=2)
    vectors = x.vectors.clone().requires_grad_()
    arguments = (x.starts, x.own, x.table, x.spacing, x.cutoff, width, x.center_weight)
    assert torch.autograd.gradcheck(lambda v: ops.expand(v, *arguments), vectors)
    assert torch.autograd.gradgradcheck(lambda v: ops.expand(v, *arguments), vectors)


def test_one_pair_along_z_has_only_the_harmonics_of_its_axis():
    """Y_l0(z) = sqrt((2l+1)/4π), all other m vanish; a constant table makes R = 1."""
    table = torch.ones(60, 4, 1, dtype=torch.float64)
    vectors = torch.tensor([[0.0, 0.0, 1.3]], dtype=torch.float64)
    starts, own = torch.tensor([0, 1]), torch.tensor([-1], dtype=torch.int32)
    c = ops.expand(vectors, starts, own, table, 0.1, 3.0, 0.0, 1.0)[0, 0, :, 0]
    expected = torch.zeros(16, dtype=torch.float64)
    for l in range(4):
        expected[l * l + l] = math.sqrt((2 * l + 1) / (4 * math.pi))
    torch.testing.assert_close(c, expected, rtol=0, atol=1e-14)


def test_harmonics_of_degree_one_are_y_z_x():
    table = torch.ones(60, 2, 1, dtype=torch.float64)
    vectors = torch.tensor([[0.3, -0.5, 0.8]], dtype=torch.float64)
    c = ops.expand(vectors, torch.tensor([0, 1]), torch.tensor([-1], dtype=torch.int32), table, 0.1, 3.0, 0.0, 0.0)
    unit = vectors[0] / vectors.norm()
    torch.testing.assert_close(c[0, 0, 1:, 0], math.sqrt(3 / (4 * math.pi)) * unit[[1, 2, 0]], rtol=0, atol=1e-14)


def test_pairs_beyond_the_cutoff_add_nothing():
    x = neighbourhoods()
    inside = x.vectors.norm(dim=1) < x.cutoff
    assert 0 < inside.sum() < len(inside)
    kept = torch.cat([torch.zeros(1, dtype=torch.int64), inside.long().cumsum(0)])[x.starts]
    with_skin = ops.expand(x.vectors, x.starts, x.own, *radial(x), x.center_weight)
    without = ops.expand(x.vectors[inside], kept, x.own, *radial(x), x.center_weight)
    torch.testing.assert_close(with_skin, without, rtol=0, atol=1e-14)


def test_coincident_atoms_stay_finite():
    x = neighbourhoods()
    x.vectors[3] = 0
    c = ops.expand(x.vectors, x.starts, x.own, *radial(x), x.center_weight)
    g = ops.expand_vjp(torch.ones_like(c), x.vectors, x.starts, *radial(x))
    assert c.isfinite().all() and g.isfinite().all()
    assert (g[3] == 0).all()


@pytest.mark.parametrize("n_atoms", [0, 3])
def test_no_pairs(n_atoms):
    x = neighbourhoods(n_atoms=n_atoms, n_pairs=0)
    c = ops.expand(x.vectors, x.starts, x.own, *radial(x), x.center_weight)
    assert c.shape == (n_atoms, 3 if n_atoms else 0, 25, 3)
    energies, forces, virial, _ = ops.soap_energy(*energy_arguments(x))
    assert energies.shape == (n_atoms,) and (forces == 0).all() and (virial == 0).all()


def test_energy_is_the_quadratic_form_and_its_gradient():
    x = neighbourhoods()

    def total(positions, strain):
        i = x.centers[torch.repeat_interleave(torch.arange(len(x.starts) - 1), x.starts.diff()) // 3].long()
        v = positions[x.neighbors.long()] - positions[i] + x.shifts.double() @ x.cells[0]
        c = ops.expand(v @ (torch.eye(3).double() + strain), x.starts, x.own, *radial(x), x.center_weight)
        parts = []
        for l in range(5):
            block = c[:, :, l * l : (l + 1) ** 2].transpose(1, 2).flatten(2)  # -> [centre, m, channel n]
            parts.append(torch.einsum("cmi,cij,cmj->c", block, x.quadratic[x.kind.long(), l], block))
        return sum(parts)

    positions = x.positions.clone().requires_grad_()
    strain = torch.zeros(3, 3, dtype=torch.float64, requires_grad=True)
    expected = total(positions, strain)
    dr, de = torch.autograd.grad(expected.sum(), (positions, strain))
    energies, forces, virial, _ = ops.soap_energy(*energy_arguments(x))
    torch.testing.assert_close(energies, expected, rtol=1e-12, atol=0)
    torch.testing.assert_close(forces, -dr, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(virial[0], de, rtol=1e-10, atol=1e-10)


def test_diagonal_invariants():
    x = neighbourhoods()
    c = ops.expand(x.vectors, x.starts, x.own, *radial(x), x.center_weight)
    features = ops.soap_energy(*energy_arguments(x, diagonal=True))[3]
    for l in range(5):
        expected = (c[:, :, l * l : (l + 1) ** 2] ** 2).sum(2) / math.sqrt(2 * l + 1)
        torch.testing.assert_close(features[:, :, l], expected, rtol=1e-12, atol=1e-14)
    assert ops.soap_energy(*energy_arguments(x, diagonal=False))[3].numel() == 0


def test_group_orders_pairs_canonically_whatever_order_they_come_in():
    x = neighbourhoods()
    shuffled = torch.randperm(len(x.half[0]), generator=torch.Generator().manual_seed(3))
    turned = torch.arange(len(shuffled)) % 2 == 0  # and half of them seen from the other side
    first, second, shifts, vectors = (a[shuffled] for a in x.half)
    sign = torch.where(turned, -1, 1)[:, None]
    other = (
        torch.where(turned, second, first),
        torch.where(turned, first, second),
        shifts * sign.int(),
        vectors * sign,
    )
    for got, expected in zip(ops.group(*other, *x.places), ops.group(*x.half, *x.places), strict=True):
        torch.testing.assert_close(got, expected, rtol=0, atol=0)
    torch.testing.assert_close(x.vectors[x.reverse], -x.vectors, rtol=0, atol=0)
    segments = torch.repeat_interleave(torch.arange(len(x.starts) - 1), x.starts.diff())
    rows = [(int(s), int(n), *map(int, k)) for s, n, k in zip(segments, x.neighbors, x.shifts, strict=True)]
    assert rows == sorted(rows)


def test_group_leaves_out_unwanted_centres_and_channels():
    x = neighbourhoods()
    rank, channel, *_ = x.places
    only_first = torch.where(rank == 0, 0, -1).int()
    without_type_2 = torch.where(channel == 2, -1, channel).int()
    starts, neighbors, _, _, reverse = ops.group(*x.half, only_first, without_type_2, 1, 2)
    expected = x.neighbors[: int(x.starts[2])]  # the channels 0 and 1 of the first centre
    assert starts[-1] == len(expected)
    torch.testing.assert_close(neighbors, expected, rtol=0, atol=0)
    center = int(x.centers[0])
    assert all((r == -1) == (int(n) != center) for r, n in zip(reverse, neighbors, strict=True))


def test_without_native_kernels_the_reference_serves_and_says_so(tmp_path):
    code = "import ketmap_ops as ops; print(ops.backend())"
    environment = {**os.environ, "KETMAP_NATIVE": "0"}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "reference: KETMAP_NATIVE=0"
    # a package that cannot be imported stands for one that was never built
    (tmp_path / "ketmap_native.py").write_text("raise ImportError('never built')")
    environment = {name: value for name, value in os.environ.items() if name != "KETMAP_NATIVE"}
    environment["PYTHONPATH"] = str(tmp_path)
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert run.stdout.startswith("reference: the package ketmap-native is not installed")
    assert "10 to 100 times slower" in run.stderr and "Install a C++ compiler" in run.stderr
