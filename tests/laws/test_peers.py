"""Which laws featomic's calculators keep, and where they do not: each place where a peer breaks a law, by name."""

import warnings

import ketmap_testing as kt
import pytest

featomic = pytest.importorskip("featomic")

CUTOFF = {"radius": 3.0, "smoothing": {"type": "ShiftedCosine", "width": 0.5}}
DENSITY = {"type": "Gaussian", "width": 0.4}
RADIAL = {"type": "Gto", "max_radial": 1}
BASIS = {"type": "TensorProduct", "max_angular": 1, "radial": RADIAL, "spline_accuracy": None}
EXPANSION = {"cutoff": CUTOFF, "density": DENSITY, "basis": BASIS}
LODE = {
    "density": {"type": "SmearedPowerLaw", "smearing": 0.8, "exponent": 1},
    "basis": BASIS | {"radial": RADIAL | {"radius": 3.0}},
    "k_cutoff": 4.0,
}


def density_squared(by_pair=False):
    from featomic.clebsch_gordan import EquivariantPowerSpectrum, EquivariantPowerSpectrumByPair

    by_center = featomic.SphericalExpansion(**EXPANSION)
    if by_pair:
        return EquivariantPowerSpectrumByPair(by_center, featomic.SphericalExpansionByPair(**EXPANSION))
    return EquivariantPowerSpectrum(by_center)


PEERS = {
    "SphericalExpansion": lambda: featomic.SphericalExpansion(**EXPANSION),
    "SphericalExpansionByPair": lambda: featomic.SphericalExpansionByPair(**EXPANSION),
    "SoapRadialSpectrum": lambda: featomic.SoapRadialSpectrum(
        **EXPANSION | {"basis": {"radial": RADIAL, "spline_accuracy": None}}
    ),
    "SoapPowerSpectrum": lambda: featomic.SoapPowerSpectrum(**EXPANSION),
    "LodeSphericalExpansion": lambda: featomic.LodeSphericalExpansion(**LODE),
    "NeighborList, full": lambda: featomic.NeighborList(cutoff=3.0, full_neighbor_list=True),
    "NeighborList, half": lambda: featomic.NeighborList(cutoff=3.0, full_neighbor_list=False),
    "SortedDistances": lambda: featomic.SortedDistances(cutoff=3.0, max_neighbors=12, separate_neighbor_types=True),
    "AtomicComposition": lambda: featomic.AtomicComposition(per_system=False),
    "EquivariantPowerSpectrum": density_squared,
    "EquivariantPowerSpectrumByPair": lambda: density_squared(by_pair=True),
}
EMPTY = {"empty": "pointer is null"}
NOT_FINITE = {"coincident": "is not finite"}
SWAPPED = {
    "cell_gradient": "relative deviation",  # [cell vector, Cartesian], labelled xyz, abc
    "contract": "gradient 'strain': components are xyz_2, xyz_1; expected xyz_1, xyz_2",
}
DOUBLED = {  # an atom and its own image: two rows with one label, + and −
    "positions_gradient": "relative deviation",
    "contract": "more than once",
    "threads": "positions gradient",
}
NOT_SMOOTH = {"smooth_at_cutoff": "d^2 is asked for"}
HALF = {law: "relative deviation" for law in ("permutation", "supercell", "cell_choice", "left_handed")}
BROKEN = {
    "SphericalExpansion": EMPTY | NOT_FINITE | SWAPPED,
    "SphericalExpansionByPair": EMPTY | NOT_FINITE | SWAPPED,
    "SoapRadialSpectrum": EMPTY | NOT_FINITE | SWAPPED,
    "SoapPowerSpectrum": EMPTY | NOT_FINITE | SWAPPED,
    "LodeSphericalExpansion": EMPTY
    | {
        "inversion": "No k-vectors for current combination",  # an inverted cell is left-handed
        "left_handed": "No k-vectors for current combination",
        "isolated": "LODE can only be used with periodic systems",
        "coincident": "LODE can only be used with periodic systems",
    },
    "NeighborList, full": EMPTY | DOUBLED | NOT_SMOOTH,
    "NeighborList, half": EMPTY | DOUBLED | NOT_SMOOTH | HALF,
    "SortedDistances": EMPTY | NOT_SMOOTH,
    "AtomicComposition": EMPTY | {"contract": SWAPPED["contract"]},
    "EquivariantPowerSpectrum": EMPTY,
    "EquivariantPowerSpectrumByPair": EMPTY,
}
TORCH = {law: "takes no metatomic systems" for law in ("autograd", "second_order", "float32")}
NO_GRADIENTS = {f"{name}_gradient": "gradient" for name in ("positions", "strain", "cell")}
NO_CUTOFF = {law: "cutoff is not known" for law in ("zero_beyond", "smooth_at_cutoff")}
NOT_OFFERED = {
    "LodeSphericalExpansion": {law: NO_GRADIENTS[law] for law in ("strain_gradient", "cell_gradient")}
    | NO_CUTOFF
    | {"extensive": "all systems are periodic"},
    "NeighborList, full": {law: NO_GRADIENTS[law] for law in ("strain_gradient", "cell_gradient")},
    "NeighborList, half": {law: NO_GRADIENTS[law] for law in ("strain_gradient", "cell_gradient")},
    "SortedDistances": NO_GRADIENTS,
    "AtomicComposition": NO_CUTOFF,
    "EquivariantPowerSpectrum": NO_GRADIENTS,
    "EquivariantPowerSpectrumByPair": NO_GRADIENTS,
}
WITHOUT_CUTOFF = ("LodeSphericalExpansion", "AtomicComposition")


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


SLOW = ("EquivariantPowerSpectrum", "EquivariantPowerSpectrumByPair")


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in PEERS])
def test_laws_of_featomic(name):
    types = (1, 6)
    systems = [kt.systems.molecule(types), kt.systems.small_cell(types), kt.systems.slab(types)]
    cutoff = None if name in WITHOUT_CUTOFF else 3.0
    report = kt.survey(PEERS[name](), systems=systems, cutoff=cutoff, rtol=1e-8)
    assert set(report.broken) == set(BROKEN[name]), report
    skipped = TORCH | NOT_OFFERED.get(name, {})
    assert set(report.skipped) == set(skipped), report
    for found, expected in ((report.broken, BROKEN[name]), (report.skipped, skipped)):
        for law, reason in found.items():
            assert expected[law] in reason
    assert set(report.deviations) == set(kt.LAWS) - set(report.broken) - set(report.skipped)
    # mixed periodicity is refused; LODE refuses molecules too
    slab = [system for system in report.refused if system.endswith("(pp-)")]
    assert len(slab) == 1 and "different periodic boundary conditions" in report.refused[slab[0]]
    assert len(report.refused) == (2 if name == "LodeSphericalExpansion" else 1)


def test_what_raises_is_told_and_does_not_end_the_survey():
    class Stubborn:
        def compute(self, systems):
            if len(systems) != 1:
                raise RuntimeError("one at a time")
            raise ValueError("never")

    report = kt.survey(Stubborn())
    assert set(report.skipped) == set(kt.LAWS) and len(report.refused) == 4
    assert "C2H6O (---)          refused: ValueError: never" in str(report)
    report = kt.survey(featomic.SphericalExpansion(**EXPANSION), systems=[kt.systems.molecule()], laws=["empty"])
    assert "empty                broken: empty: compute raises AssertionError" in str(report)
    with pytest.raises(kt.LawBroken, match="batch: compute raises RuntimeError: one at a time"):
        kt.check_calculator(Stubborn(), laws=["batch"])


def test_the_pairs_of_ketmap_keep_what_those_of_featomic_break():
    from ketmap_descriptors import NeighborList

    ours = NeighborList(cutoff=3.0, full_neighbor_list=True)
    report = kt.survey(ours, cutoff=3.0, laws=["positions_gradient", "strain_gradient", "threads", "empty", "contract"])
    assert not report.broken and not report.skipped and not report.refused
