"""NICE on random methane: what each order of correlations adds, and how many components it takes.

Structures and energies of Pozdnyakov et al., PRL 125, 166001 (2020); curves like those of Nigam, Pozdnyakov, Ceriotti,
JCP 153, 121101 (2020), figure 3.
"""

import ase.io
import numpy as np
import pytest
from ketmap_cg import Contraction, Nice
from ketmap_density import Cutoff, Gaussian, Gto, ShiftedCosine, SphericalExpansion, TensorProduct
from metatensor import Labels

SIZES = (200, 600, 1800)
HELD_OUT = 400


def density(radius):
    return SphericalExpansion(
        cutoff=Cutoff(radius, smoothing=ShiftedCosine(1.0)),
        density=Gaussian(0.3),
        basis=TensorProduct(max_angular=4, radial=Gto(max_radial=5)),
    )


@pytest.fixture(scope="module")
def methanes(data):
    systems = ase.io.read(data("methane_random/methane_train.xyz.gz"), f":{SIZES[-1] + HELD_OUT}")
    energies = np.array([atoms.get_potential_energy() for atoms in systems]) * 27.211386
    return systems, energies


def by_order(tensor, n_systems):
    """Invariants of each order, summed over the centres of each type, types side by side."""
    found = []
    for order in sorted(set(tensor.keys.column("order_nu"))):
        columns = []
        for block in tensor.blocks(Labels(["order_nu"], np.array([[order]]))):
            total = np.zeros((n_systems, block.shape[-1]))
            np.add.at(total, block.samples.values[:, 0], block.values[:, 0])
            columns.append(total)
        found.append(np.hstack(columns))
    return found


def error(features, energies, n_train):
    """Root mean squared error of ridge regression on the structures held out; strength by 5-fold cross-validation."""
    scale = np.sqrt((features**2).sum(axis=1).mean())
    x, y = features / scale, energies
    strengths = 10.0 ** np.arange(-12, -1)

    def fitted(rows, test):
        mean, center = x[rows].mean(axis=0), y[rows].mean()
        values, vectors = np.linalg.eigh((x[rows] - mean).T @ (x[rows] - mean))
        projected = vectors.T @ ((x[rows] - mean).T @ (y[rows] - center))
        weights = vectors @ (projected[:, None] / (values[:, None] + strengths))
        return np.mean(((x[test] - mean) @ weights + center - y[test][:, None]) ** 2, axis=0)

    folds = np.arange(n_train) % 5
    scores = sum(fitted(np.flatnonzero(folds != k), np.flatnonzero(folds == k)) for k in range(5))
    test = np.arange(len(x) - HELD_OUT, len(x))
    return float(np.sqrt(fitted(np.arange(n_train), test)[np.argmin(scores)]))


@pytest.mark.slow
def test_learning_curves_of_carbon(methanes):
    """With carbon as the only centre: every order lowers the error where there are data enough; ν = 1 saturates."""
    systems, energies = methanes
    contraction = Contraction(max_order=4, n_candidates=300, n_components=80)
    nice = Nice(density(4.5), contraction=contraction).fit(systems[:800], center_types=[6])
    features = by_order(nice.compute(systems), len(systems))
    curves = np.array(
        [[error(np.hstack(features[:order]), energies, n) for n in SIZES] for order in (1, 2, 3, 4)]
    )  # -> [order, size]
    last = curves[:, -1]
    assert last[0] > 1.5 * last[1] > 1.5 * 1.2 * last[2] and last[2] > last[3]
    assert curves[0, 1] < 1.1 * last[0]  # distances alone: no better with three times the data
    assert (curves[1:, 0] > curves[1:, -1]).all()
    assert last[3] < 0.2 * energies.std()


@pytest.mark.slow
def test_learning_curves_of_all_atoms(methanes):
    """With hydrogens as centres too, already ν = 2 sees what carbon alone needs higher orders for."""
    systems, energies = methanes
    n = 1000
    systems, energies = [*systems[:n], *systems[-HELD_OUT:]], np.concatenate([energies[:n], energies[-HELD_OUT:]])
    contraction = Contraction(max_order=4, n_candidates=150, n_components=40, max_angular=3)
    nice = Nice(density(6.5), contraction=contraction).fit(systems[:120])
    tensor = nice.compute(systems)
    features = by_order(tensor, len(systems))
    errors = [error(np.hstack(features[:order]), energies, n) for order in (1, 2, 3, 4)]
    carbon = by_order(nice.compute(systems, selected_keys=Labels(["center_type"], np.array([[6]]))), len(systems))
    alone = [error(np.hstack(carbon[:order]), energies, n) for order in (1, 2)]
    assert errors[0] > 1.5 * errors[1] and errors[1] > errors[2] > 0.98 * errors[3]
    assert errors[0] < alone[0] and errors[1] < alone[1]


@pytest.mark.slow
def test_error_against_components(methanes):
    """The more components of each (λ, σ) are kept, the less is unexplained and the lower the error."""
    systems, energies = methanes
    errors, unexplained = [], []
    for n_components in (4, 12, 36):
        contraction = Contraction(max_order=3, n_candidates=200, n_components=n_components)
        nice = Nice(density(4.5), contraction=contraction).fit(systems[:400], center_types=[6])
        features = by_order(nice.compute(systems), len(systems))
        errors.append(error(np.hstack(features), energies, SIZES[-1]))
        unexplained.append(next(r["unexplained"] for r in nice.report if (r["order_nu"], r["o3_lambda"]) == (2, 0)))
    assert errors[0] > 1.2 * errors[1] > 1.2 * errors[2]
    assert unexplained[0] > unexplained[1] > unexplained[2]
