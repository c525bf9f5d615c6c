"""SOAP power spectrum, structures to TensorMap, against featomic and dscribe (one and two processes)."""

import harness
import peers
import structures as data
from split import parts


def measure(report, name, systems, aim, seconds):
    ours, theirs = peers.power_spectra()
    soap = peers.dscribe_soap(systems)
    functions = {
        "ketmap": lambda: ours.compute(systems),
        "featomic": lambda: theirs.compute(systems),
        "dscribe": lambda: soap.create(systems),
    }
    if len(systems) > 1:
        functions["dscribe, 2 processes"] = lambda: soap.create(systems, n_jobs=2)
    times = harness.alternate(seconds, **functions)
    mine = times.pop("ketmap")
    n_atoms = sum(map(len, systems))
    report.row(
        f"{name}, {n_atoms} atoms",
        mine / n_atoms * 1e6,
        {peer: time / n_atoms * 1e6 for peer, time in times.items()},
        aim=aim,
        split=parts(systems, ours, mine, seconds / 4),
        difference=peers.largest_difference(ours.compute(systems[:3]), theirs.compute(systems[:3])),
    )


def cases(tiny: bool) -> dict[str, tuple]:
    """Structures and aim by name."""
    return {
        "molecular crystals, small batch": (data.crystals(80 if tiny else 2640), 8),
        "molecular crystals, large batch": (data.crystals(160 if tiny else 20000), 8),
        "silicon, one structure": ([data.silicon(8 if tiny else 1000)], None),
    }


def main():
    given = harness.options(__doc__)
    report = harness.Report("power_spectrum", given)
    for name, (systems, aim) in cases(given.tiny).items():
        measure(report, name, systems, aim, given.seconds)
    report.save()


if __name__ == "__main__":
    main()
