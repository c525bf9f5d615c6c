"""NICE up to ν = 4 on random methane: time of the fit and of features, memory against the contracted size."""

import time

import ase.io
import harness
import numpy as np
import structures as data
from ketmap import Contraction, Cutoff, Gaussian, Gto, Nice, ShiftedCosine, SphericalExpansion, TensorProduct


def contracted_megabytes(nice, n_rows: int) -> float:
    """What the features of all orders that are multiplied on take, for the type of centre with the most rows."""
    largest = 0
    for network in nice.fitted.networks.values():
        numbers = sum((2 * l + 1) * p.n for order in network.pieces[:-1] for (l, _), p in order.items())
        largest = max(largest, numbers)
    return 8e-6 * n_rows * largest


def main():
    given = harness.options(__doc__)
    report = harness.Report("nice", given)
    n, components, candidates = (20, 10, 40) if given.tiny else (1000, 100, 400)
    systems = ase.io.read(data.data("methane_random/methane_train.xyz.gz"), f":{n}")
    for centers in ((6,), (1, 6)):
        rho = SphericalExpansion(
            cutoff=Cutoff(6.5, smoothing=ShiftedCosine(1.0)),
            density=Gaussian(0.3),
            basis=TensorProduct(max_angular=4, radial=Gto(max_radial=5)),
        )
        nice = Nice(rho, contraction=Contraction(max_order=4, n_candidates=candidates, n_components=components))
        density = rho.compute(systems)
        harness.forget_peak()
        before, start = harness.memory()["now"], time.perf_counter()
        nice.fit(density, center_types=centers)
        seconds, peak = time.perf_counter() - start, harness.memory()["peak"] - before
        name = "C" if centers == (6,) else "C and H"
        rows = n * (4 if 1 in centers else 1)
        unexplained = {
            f"ν = {row['order_nu']}": row["unexplained"]
            for row in nice.report
            if (row["center_type"], row["o3_lambda"], row["o3_sigma"]) == (6, 0, 1)
        }
        report.row(
            f"fit, ν = 4, {components} components, {n} methanes, centres {name}",
            seconds,
            {},
            unit="s",
            aim="minutes" if not given.tiny else None,
            peak_megabytes=peak,
            contracted_megabytes=contracted_megabytes(nice, rows),
            unexplained=unexplained,
        )
        times = harness.alternate(min(given.seconds, 5.0), features=lambda nice=nice: nice.compute(systems))
        n_centers = n * (5 if 1 in centers else 1)
        report.row(f"features, centres {name}", times["features"] / n_centers * 1e6, {}, unit="µs/centre")
        assert all(np.isfinite(block.values).all() for block in nice.compute(systems[:10]).blocks())
    report.save()


if __name__ == "__main__":
    main()
