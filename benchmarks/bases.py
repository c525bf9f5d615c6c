"""Every basis and density against featomic's GTO of the same size: a splined basis costs the same whatever it is."""

import featomic
import harness
import numpy as np
import peers
import structures as data
from featomic.splines import SoapSpliner
from ketmap import (
    Custom,
    DiracDelta,
    Explicit,
    Gaussian,
    Gto,
    LaplacianEigenstate,
    Monomials,
    SphericalBessel,
    SphericalExpansion,
    TensorProduct,
    Willatt2018,
)

SIGMA = peers.SIGMA
N, L, R = peers.MAX_RADIAL, peers.MAX_ANGULAR, peers.RADIUS


def cases() -> dict[str, dict]:
    """Bases with as many functions as the GTO of all benchmarks, and densities; and one whose size depends on l."""
    waves = Custom(lambda r: np.cos(np.pi * np.arange(N + 1) * r[..., None] / (2 * R)), N, R)
    types = sorted({int(number) for atoms in data.crystals(80) for number in atoms.numbers})
    widths = {t: SIGMA + 0.02 * place for place, t in enumerate(types)}
    gto = TensorProduct(L, Gto(N))
    return {
        "GTO": {"basis": gto},
        "spherical Bessel": {"basis": Explicit({l: SphericalBessel(l, N, R) for l in range(L + 1)})},
        "five monomials": {"basis": Explicit({l: Monomials(l, 4, R) for l in range(L + 1)})},  # more are dependent
        "Python functions": {"basis": TensorProduct(L, waves)},
        "Laplacian eigenstates": {"basis": LaplacianEigenstate(N, max_angular=L)},
        "GTO, widths by type": {"basis": gto, "density": Gaussian(widths)},
        "GTO, delta": {"basis": gto, "density": DiracDelta()},
        "GTO, scaled": {"basis": gto, "density": Gaussian(SIGMA, scaling=Willatt2018(2.0, 1.0, 4))},
    }


def theirs_of(name: str, tiny: bool):
    """featomic's calculator with this basis; its splines are made by adaptive quadrature, so two bases must do."""
    hypers = peers.featomic_hypers()
    if name == "Laplacian eigenstates":
        basis = featomic.basis.LaplacianEigenstate(radius=R, max_radial=N, max_angular=L)
        points = 20 if tiny else 200
        hypers = SoapSpliner(**hypers | {"basis": basis}, n_spline_points=points).get_hypers()
    elif name == "GTO, scaled":
        scaling = featomic.density.Willatt2018(exponent=4, rate=1.0, scale=2.0)
        hypers["density"] = featomic.density.Gaussian(width=SIGMA, scaling=scaling)
    return featomic.SphericalExpansion(**hypers)


def main():
    given = harness.options(__doc__)
    report = harness.Report("bases", given)
    systems = data.crystals(80 if given.tiny else 2640)
    n_atoms = sum(map(len, systems))
    for name, hypers in cases().items():
        start = harness.time.perf_counter()
        ours = SphericalExpansion(**peers.ketmap_hypers() | hypers)
        table = harness.time.perf_counter() - start
        theirs = theirs_of(name, given.tiny)
        times = harness.alternate(
            given.seconds, ketmap=lambda ours=ours: ours.compute(systems), featomic=lambda t=theirs: t.compute(systems)
        )
        report.row(
            f"{name}, {n_atoms} atoms",
            times["ketmap"] / n_atoms * 1e6,
            {"featomic": times["featomic"] / n_atoms * 1e6},
            aim=6,
            functions=sum(ours.expansion.sizes),
            knots=len(ours.expansion.spline.table),
            table=table,
        )
    report.note(
        "The peer is featomic with the same basis for GTO, scaled GTO and Laplacian eigenstates, else with its GTO of "
        "the same size. `table`: seconds in which the splines are made, once for equal hyper-parameters."
    )
    report.save()


if __name__ == "__main__":
    main()
