"""Points and periodic meshes: sums of splines, the transpose, and every derivative."""

import ketmap_ops as ops
import pytest
import scipy.interpolate
import torch
from ketmap_ops import backend
from ketmap_ops.reference import mesh as reference

native_only = pytest.mark.skipif(not backend().startswith("native"), reason=f"no native kernels: {backend()}")

SHAPE = (9, 10, 12)


def points(n=7, f=3, dtype=torch.float64, shape=SHAPE):
    """Values, places (some outside of the mesh) and a mesh."""
    generator = torch.Generator().manual_seed(2)
    places = 30 * torch.rand(n, 3, generator=generator, dtype=dtype) - 8
    places[0] = torch.tensor([0.0, 3.0, -1.0])  # on knots
    values = torch.randn(n, f, generator=generator, dtype=dtype)
    return values, places, torch.randn(*shape, f, generator=generator, dtype=dtype)


@pytest.mark.parametrize("order", [3, 4, 6, 9])
def test_are_the_splines_of_scipy(order):
    """One point, one side at a time: cardinal B-splines."""
    place = torch.tensor([[4.3, 5.8, 6.1]], dtype=torch.float64)
    mesh = ops.mesh_spread(torch.ones(1, 1, dtype=torch.float64), place, (16, 16, 16), order)[..., 0]
    spline = scipy.interpolate.BSpline.basis_element(range(order + 1), extrapolate=False)
    for axis in range(3):
        along = mesh.sum(dim=[a for a in range(3) if a != axis])
        for knot in range(16):
            x = float(place[0, axis]) - knot
            x += 16 * (x < 0)
            expected = float(spline(x)) if 0 <= x <= order else 0.0
            assert along[knot] == pytest.approx(expected, abs=1e-14)


@pytest.mark.parametrize("order", [3, 5, 6])
def test_gather_is_the_transpose_of_spread(order):
    values, places, mesh = points()
    there = (ops.mesh_spread(values, places, SHAPE, order) * mesh).sum()
    back = (ops.mesh_gather(mesh, places, order) * values).sum()
    torch.testing.assert_close(there, back, rtol=1e-13, atol=0)


def everything(road, values, places, mesh, order):
    spread = (mesh.shape[:3],) if road is ops else mesh.shape[:3]
    return [
        road.mesh_spread(values, places, *spread, order),
        road.mesh_gather(mesh, places, order),
        road.mesh_slopes(values, mesh, places, order),
    ]


@native_only
@pytest.mark.parametrize("order", [3, 6, 9])
@pytest.mark.parametrize("f", [0, 1, 3, 8, 77])
def test_native_is_the_reference(f, order):
    given = points(40, f)
    for got, expected in zip(*(everything(road, *given, order) for road in (ops, reference)), strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-12)


@native_only
def test_any_number_of_threads_gives_the_same_bits():
    given, threads = points(500, 5), torch.get_num_threads()
    found = []
    for n in (1, 2, 5):
        torch.set_num_threads(n)
        found.append(everything(ops, *given, 6))
    torch.set_num_threads(threads)
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other))


def test_float32_is_close_to_float64():
    double = points()
    single = [x.float() for x in double]
    for got, expected in zip(everything(ops, *single, 6), everything(ops, *double, 6)):
        assert got.dtype == torch.float32
        torch.testing.assert_close(got.double(), expected, rtol=1e-4, atol=1e-4)


def test_derivatives_are_finite_differences():
    values, places, mesh = points(3, 2, shape=(5, 6, 5))
    inputs = [x.requires_grad_() for x in (values, places[:, :] + 0.01, mesh)]

    def spread(values, places):
        return ops.mesh_spread(values, places, (5, 6, 5), 5)

    def gather(mesh, places):
        return ops.mesh_gather(mesh, places, 5)

    assert torch.autograd.gradcheck(spread, inputs[:2], fast_mode=True)
    assert torch.autograd.gradcheck(gather, inputs[:0:-1], fast_mode=True)
    assert torch.autograd.gradgradcheck(spread, inputs[:2], fast_mode=True)
    assert torch.autograd.gradgradcheck(gather, inputs[:0:-1], fast_mode=True)


def test_no_points():
    values, places, mesh = points(1)
    assert not ops.mesh_spread(values[:0], places[:0], SHAPE, 4).any()
    assert ops.mesh_gather(mesh, places[:0], 4).shape == (0, 3)


@native_only
def test_bad_input():
    values, places, mesh = points()
    with pytest.raises(RuntimeError, match="at least 'order' knots"):
        ops.mesh_spread(values, places, (5, 9, 9), 6)
    with pytest.raises(RuntimeError, match="'order' must be 3"):
        ops.mesh_gather(mesh, places, 11)
    with pytest.raises(RuntimeError, match="'places' must be finite"):
        ops.mesh_gather(mesh, places * float("nan"), 4)
    with pytest.raises(RuntimeError, match="'values' must be a contiguous tensor"):
        ops.mesh_spread(values[1:], places, SHAPE, 4)
