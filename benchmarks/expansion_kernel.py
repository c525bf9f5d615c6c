"""Spherical expansion, kernel alone (pairs given, dense output), against the whole call of featomic."""

import harness

import peers  # isort: skip
import structures as data
from ketmap_core import as_batch
from ketmap_density import Expansion


def main():
    given = harness.options(__doc__)
    report = harness.Report("expansion_kernel", given)
    small = given.tiny
    cases = {
        "20 molecular crystals": (data.crystals(80 if small else 2640), 15),
        "silicon": ([data.silicon(8 if small else 1000)], None),
    }
    for name, (systems, aim) in cases.items():
        batch = as_batch(systems)
        engine = Expansion(**peers.ketmap_hypers())
        environments = engine.environments(batch)
        _, theirs = peers.expansions()
        times = harness.alternate(
            0 if small else given.seconds,
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
    report.save()


if __name__ == "__main__":
    main()
