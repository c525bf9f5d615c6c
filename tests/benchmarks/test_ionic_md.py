"""The slope of a conserved quantity, and the error it is told with, on energies of which both are known."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
pytest.importorskip("torchpme")
from ionic_md import slope


def test_a_straight_line():
    time = np.linspace(0, 20, 1000)
    rate, error = slope(time, 3.0 * time - 1.0)
    assert rate == pytest.approx(3.0) and error < 1e-12


@pytest.mark.parametrize("diffuses", [True, False])
def test_the_error_covers(diffuses):
    """Of many runs without drift, 68 % of the slopes lie within one error where energy diffuses, more where it does
    not."""
    rng = np.random.default_rng(0)
    time = np.linspace(0, 20, 1000)
    covered = []
    for _ in range(400):
        noise = rng.normal(size=len(time))
        rate, error = slope(time, np.cumsum(noise) if diffuses else noise)
        covered.append(abs(rate) < error)
    # Student's t of nine differences is within ±1 with 66 %
    assert 0.58 < np.mean(covered) < 0.74 if diffuses else np.mean(covered) > 0.9
