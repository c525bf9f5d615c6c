"""The shape of a mesh along a run: kept, so that energies do not jump."""

import torch
from ketmap_lode.mesh import MeshRule


def test_a_shape_is_kept_while_it_serves():
    rule, choices = MeshRule(spacing=0.5, order=6), {}
    cell = 10.0 * torch.eye(3, dtype=torch.float64)
    first = rule.shape(cell, 3.0, choices)
    assert all(kept >= least for kept, least in zip(first, rule.shape(cell, 3.0)))
    for scale in (1.05, 0.9, 1.0):
        assert rule.shape(scale * cell, 3.0, choices) == first
    # too large for it: another one, which then is kept as well
    second = rule.shape(1.3 * cell, 3.0, choices)
    assert min(second) > max(first) and rule.shape(cell, 3.0, choices) == second
    assert rule.shape(cell, 4.0, choices) != second  # of other waves
