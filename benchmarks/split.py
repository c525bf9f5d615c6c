"""Where the time of a call goes: structures in, neighbours, kernels, blocks."""

import functools

import harness
import numpy as np
import peers
import torch
from ketmap_core import as_batch
from ketmap_density import Expansion
from ketmap_density.blocks import neighbors_of_centers
from ketmap_ops.power_spectrum import power_spectrum_of_pairs
from ketmap_soap.assembly import Rows


def parts(systems, calculator, whole: float, seconds: float) -> dict[str, float]:
    """µs per atom of each part; blocks (arrays cut, labels made) is what is left of the whole call."""
    engine = Expansion(**peers.ketmap_hypers())
    batch = as_batch(systems)
    environments = engine.environments(batch)
    keys = calculator.compute(systems).keys
    if "neighbor_2_type" in keys.names:
        kernel = spectrum_kernel(engine, environments, keys)
    else:
        kernel = functools.partial(engine.coefficients, environments, batch)
    times = harness.alternate(
        seconds,
        structures=lambda: as_batch(systems),
        neighbours=lambda: engine.environments(batch),
        kernel=kernel,
    )
    times["blocks"] = whole - sum(times.values())
    return {name: time / batch.n_atoms * 1e6 for name, time in times.items()}


def spectrum_kernel(engine, environments, keys):
    """Pairs to invariants, in the rows that the blocks need."""
    keys = [tuple(key) for key in np.asarray(keys.values).tolist()]
    rows = Rows.of(environments, neighbors_of_centers(environments), environments.types, keys)
    place, n_rows = torch.from_numpy(rows.place), len(rows.centers)
    vectors, starts, own = environments.vectors, environments.starts, environments.own
    numbers = (*engine.radial(environments), engine.density.center_atom_weight)
    return lambda: power_spectrum_of_pairs(vectors, starts, own, *numbers, place, n_rows)
