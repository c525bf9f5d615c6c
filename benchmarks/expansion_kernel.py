"""Spherical expansion, kernel alone (pairs given, dense output), against the whole call of featomic."""

import harness
import peers
import structures as data
from ketmap_core import as_batch
from ketmap_density import Expansion


def measure(report, name, systems, aim, seconds):
    batch = as_batch(systems)
    engine = Expansion(**peers.ketmap_hypers())
    environments = engine.environments(batch)
    _, theirs = peers.expansions()
    times = harness.alternate(
        seconds,
        kernel=lambda: engine.coefficients(environments, batch),
        featomic=lambda: theirs.compute(systems),
    )
    scale = 1e6 / batch.n_atoms
    report.row(
        f"{name}, {batch.n_atoms} atoms",
        times["kernel"] * scale,
        {"featomic": times["featomic"] * scale},
        aim=aim,
        pairs_per_atom=len(environments.vectors) / batch.n_atoms,
    )


def main():
    given = harness.options(__doc__)
    report = harness.Report("expansion_kernel", given)
    measure(report, "molecular crystals", data.crystals(80 if given.tiny else 2640), 15, given.seconds)
    measure(report, "silicon", [data.silicon(8 if given.tiny else 1000)], None, given.seconds)
    report.save()


if __name__ == "__main__":
    main()
