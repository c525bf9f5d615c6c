"""Wigner matrices against SciPy's harmonics at random points, e3nn, and the laws of a representation."""

import numpy as np
import pytest
import torch
from ketmap_core.o3 import wigner_d
from scipy.spatial.transform import Rotation
from scipy.special import sph_harm_y

ORDERS = [0, 1, 2, 3, 5, 8, 12, 16, 20]


def rotations(improper):
    matrices = Rotation.random(3, random_state=11).as_matrix()
    return [-matrix if improper else matrix for matrix in matrices]


def real_harmonics(l, points):
    """From SciPy's complex ones, whose Condon-Shortley phase (−1)^m is taken out."""
    x, y, z = points.T / np.linalg.norm(points, axis=1)
    polar, azimuth = np.arccos(z), np.arctan2(y, x)
    values = [sph_harm_y(l, m, polar, azimuth) for m in range(l + 1)]
    sine = [np.sqrt(2) * (-1) ** m * values[m].imag for m in range(l, 0, -1)]
    cosine = [np.sqrt(2) * (-1) ** m * values[m].real for m in range(1, l + 1)]
    return np.stack([*sine, values[0].real, *cosine], axis=1)  # -> [point, m]


@pytest.mark.parametrize("improper", [False, True])
@pytest.mark.parametrize("l", ORDERS)
def test_acts_on_harmonics(l, improper):
    points = np.random.default_rng(l).normal(size=(50, 3))
    for matrix in rotations(improper):
        expected = real_harmonics(l, points @ matrix.T)
        np.testing.assert_allclose(real_harmonics(l, points) @ wigner_d(l, matrix).T, expected, atol=1e-12)


@pytest.mark.parametrize("l", ORDERS)
def test_is_an_orthogonal_representation(l):
    one, two, three = (*rotations(False)[:2], rotations(True)[2])
    identity = np.eye(2 * l + 1)
    for first, second in ((one, two), (one, three), (three, two)):
        product = wigner_d(l, first) @ wigner_d(l, second)
        np.testing.assert_allclose(wigner_d(l, first @ second), product, atol=1e-12)
    np.testing.assert_allclose(wigner_d(l, three) @ wigner_d(l, three).T, identity, atol=1e-12)
    np.testing.assert_allclose(wigner_d(l, -np.eye(3)), (-1) ** l * identity, atol=1e-12)


@pytest.mark.parametrize("l", ORDERS)
def test_character(l):
    """The trace depends on the angle alone: sin((2l+1)θ/2) / sin(θ/2)."""
    for matrix in rotations(False):
        angle = Rotation.from_matrix(matrix).magnitude()
        expected = np.sin((2 * l + 1) * angle / 2) / np.sin(angle / 2)
        np.testing.assert_allclose(np.trace(wigner_d(l, matrix)), expected, atol=1e-11)


@pytest.mark.parametrize("l", [1, 2, 4, 8])
def test_same_as_e3nn(l):
    """e3nn's axes are ours moved on by one: its (y, z, x) are our (x, y, z)."""
    o3 = pytest.importorskip("e3nn.o3")
    move = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])  # our vector -> e3nn's
    with torch.random.fork_rng():
        torch.manual_seed(0)
        matrix = o3.rand_matrix().double().numpy()
    default = torch.get_default_dtype()
    try:
        torch.set_default_dtype(torch.float64)
        expected = o3.Irrep(l, 1).D_from_matrix(torch.from_numpy(move @ matrix @ move.T)).numpy()
    finally:
        torch.set_default_dtype(default)
    np.testing.assert_allclose(wigner_d(l, matrix), expected, atol=3e-6)  # e3nn goes through angles


def test_vector():
    matrix = rotations(True)[0]
    order = [1, 2, 0]  # (y, z, x)
    np.testing.assert_allclose(wigner_d(1, matrix), matrix[np.ix_(order, order)], atol=1e-14)


def test_torch_in_torch_out_and_derivative():
    angle = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)

    def turn(angle):
        c, s, o, i = torch.cos(angle), torch.sin(angle), torch.zeros_like(angle), torch.ones_like(angle)
        return wigner_d(2, torch.stack([c, -s, o, s, c, o, o, o, i]).reshape(3, 3))

    assert torch.autograd.gradcheck(turn, angle)


@pytest.mark.parametrize("matrix", [np.eye(2), 2 * np.eye(3), np.diag([1.0, 1.0, 0.0])])
def test_only_orthogonal_matrices(matrix):
    with pytest.raises(ValueError, match="expected an orthogonal 3×3 matrix"):
        wigner_d(1, matrix)


def test_only_orders_from_zero():
    with pytest.raises(ValueError, match="order l of harmonics must be 0 or more, got -1"):
        wigner_d(-1, np.eye(3))
