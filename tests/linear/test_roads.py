"""Gram, QR and dual against scikit-learn, NumPy and explicit refits."""

import tracemalloc
from dataclasses import dataclass

import numpy as np
import pytest
from ketmap_linear import MemoryLimitError, Ridge
from ketmap_linear import ridge as ridge_module
from ketmap_linear.lanczos import largest_eigenvalue
from ketmap_linear.ridge import condense
from ketmap_linear.stream import Rows
from sklearn.linear_model import Ridge as Reference

GROUP = 5  # rows per structure


@dataclass
class Arrays:
    """A stream of rows that are already there."""

    values: np.ndarray
    targets: np.ndarray
    n_offsets: int = 0
    chunk: int = 20  # structures at once
    passes: int = 0

    n_features = property(lambda self: self.values.shape[1] - self.n_offsets)
    counts = property(lambda self: np.full(len(self.values) // GROUP, GROUP))

    def __iter__(self):
        self.passes += 1
        owners = np.repeat(np.arange(len(self.counts)), GROUP)
        for start in range(0, len(self.values), self.chunk * GROUP):
            here = slice(start, start + self.chunk * GROUP)
            yield Rows(self.values[here], self.targets[here], owners[here])


def problem(n_rows, n_features, decay=3.0, noise=0.1, seed=0):
    """Columns whose sizes span some decades, as those of a power spectrum."""
    rng = np.random.default_rng(seed)
    mix = rng.normal(size=(n_features, n_features)) * np.logspace(0, -decay, n_features)
    values = rng.normal(size=(n_rows, n_features)) @ mix.T
    targets = values @ rng.normal(size=n_features) + noise * rng.normal(size=n_rows)
    return Arrays(np.ascontiguousarray(values), targets)


def norm(stream):
    return np.sqrt(np.mean(np.sum(stream.values**2, axis=0)))


def condensed(stream, road):
    """The problem of a road with all structures left out in turn, and the scale of its columns."""
    groups = [np.array([i]) for i in range(len(stream.counts))]
    return condense(stream, groups, road)


SHAPES = {"gram": (400, 30), "qr": (400, 30), "dual": (40, 60)}


@pytest.mark.parametrize("alpha", [1e-1, 1e-5])
@pytest.mark.parametrize("road", SHAPES)
def test_weights_are_those_of_scikit_learn(road, alpha):
    stream = problem(*SHAPES[road])
    found, scale = condensed(stream, road)
    weights, _ = found.solve(alpha)
    reference = Reference(alpha=alpha * norm(stream) ** 2, fit_intercept=False, solver="svd")
    expected = reference.fit(stream.values, stream.targets).coef_
    np.testing.assert_allclose(weights * scale, expected, rtol=1e-6, atol=1e-8 * np.abs(expected).max())


@pytest.mark.parametrize("alpha", [1e-1, 1e-5])
@pytest.mark.parametrize("road", SHAPES)
def test_condition_number_is_that_of_numpy(road, alpha):
    stream = problem(*SHAPES[road])
    _, condition = condensed(stream, road)[0].solve(alpha)
    augmented = np.vstack([stream.values / norm(stream), np.sqrt(alpha) * np.eye(stream.n_features)])
    assert condition == pytest.approx(np.linalg.cond(augmented), rel=1e-5)


@pytest.mark.parametrize("road", ["gram", "qr"])
def test_condition_number_by_lanczos_iterations(road):
    """Above 64 columns, singular values are no longer computed one and all."""
    stream = problem(300, 90)
    _, condition = condensed(stream, road)[0].solve(1e-6)
    augmented = np.vstack([stream.values / norm(stream), 1e-3 * np.eye(90)])
    assert condition == pytest.approx(np.linalg.cond(augmented), rel=1e-4)


@pytest.mark.parametrize("cluster", [1e-9, 0.0])
def test_clustered_eigenvalues(cluster):
    """Most singular values of a regularised problem equal √α: the value is found all the same."""
    rng = np.random.default_rng(0)
    vectors = np.linalg.qr(rng.normal(size=(300, 300)))[0]
    values = np.concatenate([1.0 + cluster * rng.normal(size=250), rng.uniform(size=50)])
    matrix = (vectors * values) @ vectors.T
    assert largest_eigenvalue(lambda v: matrix @ v, 300) == pytest.approx(values.max(), rel=1e-6)


@pytest.mark.parametrize("road", SHAPES)
def test_left_out_residuals_are_those_of_refits(road):
    stream, alpha = problem(*SHAPES[road]), 1e-3
    found, _ = condensed(stream, road)
    residuals = []
    for i in range(len(stream.counts)):
        out = slice(i * GROUP, (i + 1) * GROUP)
        reference = Reference(alpha=alpha * norm(stream) ** 2, fit_intercept=False, solver="svd")
        reference.fit(np.delete(stream.values, out, axis=0), np.delete(stream.targets, out))
        residuals.append(stream.targets[out] - reference.predict(stream.values[out]))
    assert found.left_out(alpha) == pytest.approx(np.mean(np.square(residuals)), rel=1e-8)


@pytest.mark.parametrize("shape", [(400, 30), (60, 150)])
def test_folds_of_neighbours_are_left_out_together(shape):
    stream, alpha = problem(*shape), 1e-3
    ridge = Ridge(cv=4)
    road = "gram" if shape[0] > shape[1] else "dual"
    found, _ = condense(stream, ridge._groups(stream, road), road)
    residuals = []
    for fold in np.array_split(np.arange(len(stream.counts)), 4):
        out = np.isin(np.repeat(np.arange(len(stream.counts)), GROUP), fold)
        reference = Reference(alpha=alpha * norm(stream) ** 2, fit_intercept=False, solver="svd")
        reference.fit(stream.values[~out], stream.targets[~out])
        residuals.append(stream.targets[out] - reference.predict(stream.values[out]))
    assert found.left_out(alpha) == pytest.approx(np.mean(np.concatenate(residuals) ** 2), rel=1e-8)


def test_qr_solves_what_a_gram_matrix_cannot():
    """Columns over ten decades: squared, twenty, beyond double precision."""
    stream = problem(400, 30, decay=10, noise=0.0)
    expected = np.linalg.lstsq(stream.values, stream.targets, rcond=1e-15)[0]
    found = Ridge(alpha=1e-24).solve(stream)
    assert found.road == "qr"
    error = np.linalg.norm(stream.values @ (found.weights - expected))
    assert error < 1e-12 * np.linalg.norm(stream.targets)
    with pytest.raises(np.linalg.LinAlgError, match="not positive definite"):
        condensed(stream, "gram")[0].solve(1e-24)


def test_alpha_zero():
    stream = problem(400, 30)
    expected = np.linalg.lstsq(stream.values, stream.targets, rcond=None)[0]
    np.testing.assert_allclose(Ridge(alpha=0).solve(stream).weights, expected, rtol=1e-8)
    wide = problem(60, 150)
    expected = np.linalg.lstsq(wide.values, wide.targets, rcond=None)[0]  # least norm
    found = Ridge(alpha=0.0).solve(wide)
    np.testing.assert_allclose(found.weights, expected, rtol=1e-6, atol=1e-9 * np.abs(expected).max())
    assert found.condition_number == np.inf
    stream.values[:, 3] = stream.values[:, 4]
    with pytest.raises(np.linalg.LinAlgError, match="linearly dependent and alpha=0: give a larger alpha"):
        Ridge(alpha=0.0).solve(stream)


@pytest.mark.parametrize(("shape", "road"), [((400, 30), "gram"), ((60, 150), "dual")])
def test_chosen_alpha_is_best_of_a_fine_grid(shape, road):
    stream = problem(*shape, noise=1.0)
    found = Ridge().solve(stream)
    assert found.road == road
    exact, _ = condensed(stream, road)
    grid = 10.0 ** np.arange(-9, 1.1, 0.5)
    assert found.cross_validation[found.alpha] <= 1.02 * min(exact.left_out(alpha) for alpha in grid)
    assert found.cross_validation[found.alpha] <= 1.01 * min(found.cross_validation.values())


def test_cross_validation_goes_on_by_qr_where_gram_ends():
    """Without noise and with columns over many decades, the smaller alpha the better."""
    stream = problem(400, 30, decay=9, noise=0.0)
    found = Ridge().solve(stream)
    assert found.road == "qr" and found.alpha < 1e-15
    assert stream.passes == 2


def test_size_of_the_data_set_and_units_do_not_change_alpha():
    stream = problem(400, 30, noise=1.0)
    alpha = Ridge().solve(stream).alpha
    again = Arrays(1e3 * stream.values, stream.targets)
    assert Ridge().solve(again).alpha == alpha


def test_too_many_features_for_the_memory():
    stream = problem(400, 300)
    with pytest.raises(MemoryLimitError, match=r"300 features and 400 rows need 0\.0014 GB .*lower max_radial"):
        Ridge(alpha=1e-6, memory_limit=1e-3).solve(stream)
    assert Ridge(alpha=1e-6, memory_limit=2e-3).solve(stream).road == "gram"


def test_a_few_rows_kept_are_enough():
    """With less memory for kept rows, fewer structures are left out, of which there is one at least."""
    stream = problem(400, 30)
    assert len(Ridge()._groups(stream, "gram")) == 80
    one = Ridge(cv=2)._groups(problem(400, 30), "gram")
    assert len(one) == 2 and all(len(group) == 40 for group in one)


def test_bad_arguments():
    with pytest.raises(ValueError, match="alpha must be None or a number >= 0, got -1"):
        Ridge(alpha=-1)
    with pytest.raises(ValueError, match="memory_limit must be a positive number of GB"):
        Ridge(memory_limit=0)
    with pytest.raises(ValueError, match="cv must be None or a number of folds >= 2, got 1"):
        Ridge(cv=1)
    with pytest.raises(ValueError, match="two structures or more"):
        Ridge().solve(problem(5, 3))


def test_progress_is_told():
    seen = []
    Ridge().solve(problem(400, 30), progress=lambda *said: seen.append(said))
    assert ("features", 80, 80) in seen and any(stage == "cross-validation" for stage, *_ in seen)


@dataclass
class Endless:
    """Rows that are made when they are asked for."""

    structures: int
    n_features: int = 50
    n_offsets: int = 0

    counts = property(lambda self: np.full(self.structures, 100))

    def __iter__(self):
        rng = np.random.default_rng(0)
        for i in range(self.structures):
            yield Rows(rng.normal(size=(100, self.n_features)), rng.normal(size=100), np.full(100, i))


@pytest.mark.parametrize("alpha", [1e-3, 1e-20])  # gram, qr
def test_memory_does_not_grow_with_the_number_of_structures(alpha):
    peaks = []
    for count in (20, 200):
        tracemalloc.start()
        Ridge(alpha=alpha).solve(Endless(count))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.05 * peaks[0] < 0.2 * (200 * 100 * 50 * 8)


def test_memory_of_cross_validation_is_bounded(monkeypatch):
    monkeypatch.setattr(ridge_module, "KEPT", 1000 * 50)
    peaks = []
    for count in (20, 200):
        tracemalloc.start()
        Ridge().solve(Endless(count))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.05 * peaks[0]
