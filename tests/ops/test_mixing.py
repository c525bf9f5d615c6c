"""Neighbour types mixed into channels: the plain expansion times the weights, and every derivative of it."""

import ketmap_ops as ops
import pytest
import torch
from ketmap_ops import backend, reference

from .conftest import N_CHANNELS, energy_arguments, neighbourhoods, radial

native_only = pytest.mark.skipif(not backend().startswith("native"), reason=f"no native kernels: {backend()}")


def weights(n_channels, dtype=torch.float64):
    return torch.randn(N_CHANNELS, n_channels, generator=torch.Generator().manual_seed(4), dtype=dtype)


def everything(road, x, mixing):
    arguments = (x.vectors, x.starts, x.own, mixing, *radial(x), x.center_weight)
    c = road.expand_mixed(*arguments)
    grad = torch.randn(c.shape, generator=torch.Generator().manual_seed(1), dtype=c.dtype)
    return [
        c,
        road.expand_mixed_vjp(grad, x.vectors, x.starts, mixing, *radial(x)),
        road.mixing_vjp(grad, *arguments),
    ]


@pytest.mark.parametrize("n_channels", [1, 2, 4, 7])
def test_is_the_plain_expansion_times_the_weights(random_system, n_channels):
    x, mixing = random_system, weights(n_channels)
    c = ops.expand(x.vectors, x.starts, x.own, *radial(x), x.center_weight)  # -> [centre, type, lm, n]
    expected = torch.einsum("tq,ctmn->cqmn", mixing, c)
    got = ops.expand_mixed(x.vectors, x.starts, x.own, mixing, *radial(x), x.center_weight)
    torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-12)


def test_unit_weights_change_nothing(random_system):
    x = random_system
    c = ops.expand(x.vectors, x.starts, x.own, *radial(x), x.center_weight)
    got = ops.expand_mixed(x.vectors, x.starts, x.own, torch.eye(3).double(), *radial(x), x.center_weight)
    torch.testing.assert_close(got, c, rtol=0, atol=1e-14)


@native_only
@pytest.mark.parametrize("n_channels", [1, 2, 4, 7])
def test_native_is_the_reference(random_system, n_channels):
    roads = (everything(road, random_system, weights(n_channels)) for road in (ops, reference))
    for got, expected in zip(*roads, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-12 * float(expected.abs().max()))


@native_only
def test_float32_is_close_to_float64():
    double, single = neighbourhoods(), neighbourhoods()
    for name, value in vars(single).items():
        if isinstance(value, torch.Tensor) and value.dtype == torch.float64:
            setattr(single, name, value.float())
    a, b = everything(ops, single, weights(4).float()), everything(ops, double, weights(4))
    assert a[0].dtype == torch.float32
    torch.testing.assert_close(a[0].double(), b[0], rtol=1e-4, atol=1e-5 * float(b[0].abs().max()))


@pytest.mark.parametrize("road", [pytest.param(ops, id="operators"), pytest.param(reference, id="reference")])
def test_derivatives_of_first_and_second_order_in_vectors_and_weights(road):
    x = neighbourhoods(n_atoms=5, n_pairs=9, l_max=2, n_max=2)
    vectors, mixing = x.vectors.clone().requires_grad_(), weights(2).requires_grad_()

    def function(v, u):
        return road.expand_mixed(v, x.starts, x.own, u, *radial(x), x.center_weight)

    assert torch.autograd.gradcheck(function, (vectors, mixing))
    assert torch.autograd.gradgradcheck(function, (vectors, mixing))


@pytest.mark.parametrize("n_atoms", [0, 3])
def test_no_pairs(n_atoms):
    x = neighbourhoods(n_atoms=n_atoms, n_pairs=0)
    c, *_ = everything(ops, x, weights(2))
    assert c.shape == (n_atoms, 2, 25, 3)


def test_centres_of_no_type_add_nothing_of_their_own():
    x = neighbourhoods()
    nobody = torch.full_like(x.own, -1)
    c = ops.expand_mixed(x.vectors, x.starts, nobody, weights(2), *radial(x), x.center_weight)
    expected = ops.expand_mixed(x.vectors, x.starts, x.own, weights(2), *radial(x), 0.0)
    torch.testing.assert_close(c, expected, rtol=0, atol=1e-14)


@native_only
def test_operators_keep_torchs_rules():
    x = neighbourhoods(n_atoms=5, n_pairs=8, l_max=2, n_max=2)
    vectors, mixing = x.vectors.clone().requires_grad_(), weights(2).requires_grad_()
    arguments = (vectors, x.starts, x.own, mixing, *radial(x), x.center_weight)
    grad = torch.randn(5, 2, 9, 2, dtype=torch.float64, requires_grad=True)
    torch.library.opcheck(torch.ops.ketmap.expand_mixed, arguments)
    torch.library.opcheck(torch.ops.ketmap.expand_mixed_vjp, (grad, vectors, x.starts, mixing, *radial(x)))
    torch.library.opcheck(torch.ops.ketmap.mixing_vjp, (grad, *arguments))


@native_only
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, u: (x.own + 1, u), r"'own' must be in \[-1, 3\); got 3"),
        (lambda x, u: (x.own, u[:2].contiguous()), "'starts' must be a contiguous tensor of shape"),
        (lambda x, u: (x.own, u.float()), "'mixing' must be a contiguous tensor"),
    ],
)
def test_wrong_arguments_are_named(change, message):
    x = neighbourhoods()
    own, mixing = change(x, weights(2))
    with pytest.raises(RuntimeError, match=message):
        ops.expand_mixed(x.vectors, x.starts, own, mixing, *radial(x), x.center_weight)


def energy(road, x, mixing, quadratic, diagonal=True):
    arguments = energy_arguments(x, diagonal)
    return road.soap_energy(*arguments[:-2], quadratic, diagonal, mixing)


@pytest.fixture
def quadratic(random_system):
    """Three kinds of centres, four channels."""
    n_l, n = random_system.table.shape[1:]
    q = torch.randn(N_CHANNELS, n_l, 4 * n, 4 * n, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    return (q + q.transpose(-1, -2)).contiguous()


def test_energy_of_channels_is_the_quadratic_form_of_mixed_coefficients(random_system, quadratic):
    """The form of the channels pulled back to the types gives the same energies, forces and virial."""
    x, u = random_system, weights(4)
    n_l, n = x.table.shape[1:]
    by_type = torch.einsum(
        "tq,klqnpm,sp->kltnsm", u, quadratic.reshape(N_CHANNELS, n_l, 4, n, 4, n), u
    ).reshape(N_CHANNELS, n_l, N_CHANNELS * n, N_CHANNELS * n)  # fmt: skip
    by_type = by_type.contiguous()
    got = energy(ops, x, u, quadratic)
    for a, b in zip(got[:3], energy(ops, x, None, by_type)[:3], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-11 * float(b.abs().max()))
    c = ops.expand_mixed(x.vectors, x.starts, x.own, u, *radial(x), x.center_weight)
    for l in range(n_l):
        expected = (c[:, :, l * l : (l + 1) ** 2] ** 2).sum(2) / (2 * l + 1) ** 0.5
        torch.testing.assert_close(got[3][:, :, l], expected, rtol=1e-11, atol=1e-13)


@native_only
def test_native_energy_of_channels_is_the_reference(random_system, quadratic):
    for got, expected in zip(
        energy(ops, random_system, weights(4), quadratic), energy(reference, random_system, weights(4), quadratic)
    ):
        torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-12 * float(expected.abs().max()))


@native_only
def test_energy_of_channels_keeps_torchs_rules():
    x, q = neighbourhoods(n_atoms=5, n_pairs=8, l_max=2, n_max=2), torch.eye(8).double().expand(3, 3, 8, 8).contiguous()
    torch.library.opcheck(torch.ops.ketmap.soap_energy, (*energy_arguments(x)[:-2], q, True, weights(4)))
    with pytest.raises(RuntimeError, match="'mixing' must be a contiguous tensor of shape"):
        energy(ops, x, weights(3), q)
