"""Spherical expansion, structures to TensorMap, against featomic, with the time split into its parts."""

import harness

import peers  # isort: skip
import structures as data
from split import parts


def main():
    given = harness.options(__doc__)
    report = harness.Report("expansion", given)
    cases = {
        "molecular crystals, small batch": (data.crystals(80 if given.tiny else 2640), 6),
        "molecular crystals, large batch": (data.crystals(160 if given.tiny else 20000), 10),
        "silicon, one structure": ([data.silicon(8 if given.tiny else 1000)], None),
    }
    for name, (systems, aim) in cases.items():
        ours, theirs = peers.expansions()
        seconds = 0 if given.tiny else given.seconds
        times = harness.alternate(
            seconds, ketmap=lambda: ours.compute(systems), featomic=lambda: theirs.compute(systems)
        )
        n_atoms = sum(map(len, systems))
        report.row(
            f"{name}, {n_atoms} atoms",
            times["ketmap"] / n_atoms * 1e6,
            {"featomic": times["featomic"] / n_atoms * 1e6},
            aim=aim,
            split=parts(systems, times["ketmap"], seconds / 4),
            difference=peers.largest_difference(ours.compute(systems[:3]), theirs.compute(systems[:3])),
        )
    report.save()


if __name__ == "__main__":
    main()
