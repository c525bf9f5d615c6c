"""Where the time of a call goes: structures in, pairs, kernels, blocks."""

import harness
import peers
from ketmap_core import as_batch
from ketmap_density import Expansion
from ketmap_ops.power_spectrum import power_spectrum


def parts(systems, whole: float, seconds: float, spectrum: bool = False) -> dict[str, float]:
    """µs per atom of each part; blocks (arrays cut, labels made) is what is left of the whole call."""
    engine = Expansion(**peers.ketmap_hypers())
    batch = as_batch(systems)
    pairs = engine.pairs(batch)
    environments = engine.environments(batch, pairs=pairs)
    coefficients = engine.coefficients(environments, batch)
    steps = {
        "structures": lambda: as_batch(systems),
        "pairs": lambda: engine.pairs(batch),
        "grouping": lambda: engine.environments(batch, pairs=pairs),
        "kernel": lambda: engine.coefficients(environments, batch),
    }
    if spectrum:
        steps["spectrum"] = lambda: power_spectrum(coefficients)
    times = harness.alternate(seconds, **steps)
    times["blocks"] = whole - sum(times.values())
    return {name: time / batch.n_atoms * 1e6 for name, time in times.items()}
