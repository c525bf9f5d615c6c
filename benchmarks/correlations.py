"""Density correlations of third order on silicon, all equivariants, against featomic."""

import harness
import numpy as np
import peers
import structures as data
from featomic.clebsch_gordan import DensityCorrelations as Theirs
from ketmap import DensityCorrelations, SoapBispectrum, SphericalExpansion
from metatensor import Labels


def difference(ours, theirs) -> float:
    """Largest difference, relative to the largest value; products that vanish by symmetry are rounding."""
    scale = max(np.abs(block.values).max(initial=0) for block in theirs.blocks())
    return (
        max(float(np.abs(ours.block(key).values - block.values).max(initial=0)) for key, block in theirs.items())
        / scale
    )


def invariants(report, max_radial, max_angular, given):
    """True scalars only, structures to TensorMap; featomic has them as the λ = 0 part of its correlations."""
    systems = [data.silicon(8 if given.tiny else 216)]
    ours = SoapBispectrum(**peers.ketmap_hypers(max_radial, max_angular))
    rho = peers.featomic.SphericalExpansion(**peers.featomic_hypers(max_radial, max_angular))
    theirs = Theirs(n_correlations=2, max_angular=2 * max_angular)
    scalars = Labels(["o3_lambda", "o3_sigma"], np.array([[0, 1]]))

    def featomic():
        return theirs.compute(rho.compute(systems).keys_to_properties("neighbor_type"), selected_keys=scalars)

    times = harness.alternate(given.seconds, ketmap=lambda: ours.compute(systems), featomic=featomic)
    n_atoms = sum(map(len, systems))
    report.row(
        f"bispectrum, {max_radial + 1} radial functions, l ≤ {max_angular}, {n_atoms} atoms of silicon",
        times["ketmap"] / n_atoms * 1e6,
        {"featomic": times["featomic"] / n_atoms * 1e6},
        features=ours.compute(systems).block(0).shape[-1],
    )


def main():
    given = harness.options(__doc__)
    report = harness.Report("correlations", given)
    for max_radial, max_angular, aim in ((1, 1, None),) if given.tiny else ((3, 3, 20), (7, 2, None)):
        systems = [data.silicon(8 if given.tiny else 512)]
        rho = SphericalExpansion(**peers.ketmap_hypers(max_radial, max_angular)).compute(systems)
        rho = rho.keys_to_properties("neighbor_type")
        ours, theirs = DensityCorrelations(n_correlations=2), Theirs(n_correlations=2, max_angular=3 * max_angular)
        result = ours.compute(rho)
        n_atoms = sum(map(len, systems))
        megabytes = sum(block.values.nbytes for block in result.blocks()) / 1e6
        source = np.ones(int(megabytes * 1e6 / 8))
        times = harness.alternate(
            given.seconds,
            ketmap=lambda ours=ours, rho=rho: ours.compute(rho),
            featomic=lambda theirs=theirs, rho=rho: theirs.compute(rho),
            memcpy=lambda source=source: source.copy(),
        )
        report.row(
            f"ν = 3, {max_radial + 1} radial functions, l ≤ {max_angular}, {n_atoms} atoms of silicon",
            times["ketmap"] / n_atoms * 1e6,
            {"featomic": times["featomic"] / n_atoms * 1e6},
            aim=aim,
            blocks=len(result.keys),
            megabytes=megabytes,
            gigabytes_per_second={which: megabytes / 1e3 / times[which] for which in ("ketmap", "memcpy")},
            difference=difference(result, theirs.compute(rho)),
        )
    for max_radial, max_angular in ((1, 1),) if given.tiny else ((3, 3), (5, 4)):
        invariants(report, max_radial, max_angular, given)
    report.save()


if __name__ == "__main__":
    main()
