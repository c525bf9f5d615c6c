"""Radial spectrum, structures to TensorMap, against featomic."""

import featomic
import harness
import peers
import structures as data
from ketmap import Gto, SoapRadialSpectrum


def measure(report, name, systems, seconds, gradients=None):
    ours = SoapRadialSpectrum(**peers.ketmap_hypers() | {"basis": Gto(max_radial=peers.MAX_RADIAL)})
    basis = {"radial": {"type": "Gto", "max_radial": peers.MAX_RADIAL}}
    theirs = featomic.SoapRadialSpectrum(**peers.featomic_hypers() | {"basis": basis})
    times = harness.alternate(
        seconds,
        ketmap=lambda: ours.compute(systems, gradients=gradients),
        featomic=lambda: theirs.compute(systems, gradients=gradients),
    )
    n_atoms = sum(map(len, systems))
    report.row(
        f"{name}, {n_atoms} atoms",
        times["ketmap"] / n_atoms * 1e6,
        {"featomic": times["featomic"] / n_atoms * 1e6},
        aim=8,
        difference=peers.largest_difference(ours.compute(systems[:3]), theirs.compute(systems[:3])),
    )


def main():
    given = harness.options(__doc__)
    report = harness.Report("radial_spectrum", given)
    crystals = data.crystals(80 if given.tiny else 2640)
    measure(report, "molecular crystals", crystals, given.seconds)
    measure(report, "silicon", [data.silicon(8 if given.tiny else 1000)], given.seconds)
    measure(report, "molecular crystals, position gradients", crystals[:5], given.seconds, ["positions"])
    report.save()


if __name__ == "__main__":
    main()
