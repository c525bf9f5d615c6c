"""Spherical expansion, structures to TensorMap, against featomic, with the time split into its parts."""

import harness
import peers
import structures as data
from split import parts


def measure(report, name, systems, aim, seconds):
    ours, theirs = peers.expansions()
    times = harness.alternate(seconds, ketmap=lambda: ours.compute(systems), featomic=lambda: theirs.compute(systems))
    n_atoms = sum(map(len, systems))
    report.row(
        f"{name}, {n_atoms} atoms",
        times["ketmap"] / n_atoms * 1e6,
        {"featomic": times["featomic"] / n_atoms * 1e6},
        aim=aim,
        split=parts(systems, ours, times["ketmap"], seconds / 4),
        difference=peers.largest_difference(ours.compute(systems[:3]), theirs.compute(systems[:3])),
    )


def cases(tiny: bool) -> dict[str, tuple]:
    """Structures and aim by name."""
    return {
        "molecular crystals, small batch": (data.crystals(80 if tiny else 2640), 6),
        "molecular crystals, large batch": (data.crystals(160 if tiny else 20000), 10),
        "silicon, one structure": ([data.silicon(8 if tiny else 1000)], None),
    }


def main():
    given = harness.options(__doc__)
    report = harness.Report("expansion", given)
    for name, (systems, aim) in cases(given.tiny).items():
        measure(report, name, systems, aim, given.seconds)
    report.note(
        "What limits the batches besides the kernel is memory: 12.5 kB of results per atom, touched for the first "
        "time. That is in `blocks`, which is what is left of the whole call, and varies several-fold between runs on "
        "virtual machines; huge pages are asked for."
    )
    report.save()


if __name__ == "__main__":
    main()
