"""Symmetry functions and Coulomb matrices against dscribe; neighbour lists and sorted distances against featomic."""

import ase.build
import featomic
import harness
import numpy as np
import peers
import structures
from ase.collections import g2
from dscribe.descriptors import ACSF
from dscribe.descriptors import CoulombMatrix as DscribesCoulombMatrix
from ketmap import (
    G2,
    G4,
    AngularSymmetryFunctions,
    CoulombMatrix,
    Cutoff,
    NeighborList,
    RadialSymmetryFunctions,
    ShiftedCosine,
    SortedDistances,
)

RADIUS = 5.0
G2S = [(eta, shift) for eta in (0.5, 4.0) for shift in (0.0, 1.5, 3.0)]
G4S = [(eta, zeta, sign) for eta in (0.005, 0.05) for zeta in (1, 4) for sign in (1, -1)]


def inside(systems):
    """With all atoms in the cell: dscribe misses neighbours of those that are outside."""
    for atoms in systems:
        atoms.wrap()
    return systems


def symmetry_functions(report, given, name, systems):
    """All functions of all atoms: six G² for each type and eight G⁴ for each pair of types."""
    cutoff = Cutoff(RADIUS, smoothing=ShiftedCosine(RADIUS))
    radial = RadialSymmetryFunctions(cutoff=cutoff, functions=[G2(*p) for p in G2S])
    angular = AngularSymmetryFunctions(cutoff=cutoff, functions=[G4(*p) for p in G4S])
    species = sorted({int(number) for atoms in systems for number in atoms.numbers})
    acsf = ACSF(r_cut=RADIUS, g2_params=G2S, g4_params=G4S, species=species, periodic=True)
    times = harness.alternate(
        given.seconds,
        ketmap=lambda: (radial.compute(systems), angular.compute(systems)),
        dscribe=lambda: [acsf.create(atoms) for atoms in systems],
    )
    theirs = np.concatenate([acsf.create(atoms) for atoms in systems])
    starts = np.cumsum([0, *map(len, systems)])
    n_radial, pairs = 1 + len(G2S), [(a, b) for a in species for b in species if b <= a]
    worst = 0.0
    for tensor in (radial.compute(systems), angular.compute(systems)):
        for key, block in tensor.items():
            if "neighbor_type" in key.names:
                first = species.index(key["neighbor_type"]) * n_radial + 1  # dscribe writes G¹, too
            else:
                place = pairs.index((key["neighbor_2_type"], key["neighbor_1_type"]))
                first = len(species) * n_radial + place * len(G4S)
            rows = starts[block.samples.column("system")] + block.samples.column("atom")
            columns = theirs[rows, first : first + block.values.shape[1]]
            worst = max(worst, np.abs(columns - block.values).max() / np.abs(theirs).max())
    n_atoms = starts[-1]
    report.row(
        f"symmetry functions, 6 G2 and 8 G4, {name}",
        times["ketmap"] / n_atoms * 1e6,
        {"dscribe": times["dscribe"] / n_atoms * 1e6},
        difference=worst,
    )


def coulomb_matrices(report, given):
    molecules = [ase.build.molecule(name) for name in g2.names][:: 20 if given.tiny else 1]
    ours = CoulombMatrix(n_atoms_max=14)
    theirs = DscribesCoulombMatrix(n_atoms_max=14, permutation="sorted_l2")
    times = harness.alternate(
        given.seconds, ketmap=lambda: ours.compute(molecules), dscribe=lambda: theirs.create(molecules)
    )
    values, expected = ours.compute(molecules).block().values, theirs.create(molecules)
    # symmetric molecules have rows of equal norm, whose order is free
    difference = np.abs(np.sort(values, axis=1) - np.sort(expected, axis=1)) / np.abs(expected).max()
    report.row(
        f"Coulomb matrices of {len(molecules)} small molecules",
        times["ketmap"] / len(molecules) * 1e6,
        {"dscribe": times["dscribe"] / len(molecules) * 1e6},
        unit="µs/molecule",
        difference=float(difference.max()),
    )


def lists(report, given, name, systems):
    hypers = {"cutoff": RADIUS, "full_neighbor_list": True}
    ours, theirs = NeighborList(**hypers), featomic.NeighborList(**hypers)
    a, b = ours.compute(systems), theirs.compute(systems)  # the order of pairs differs
    difference = max(np.abs(lengths(x) - lengths(y)).max() for x, y in zip(a.blocks(), b.blocks()))
    against_featomic(report, given, f"neighbour list, full, {name}", systems, ours, theirs, float(difference))
    hypers = {"cutoff": RADIUS, "max_neighbors": 20, "separate_neighbor_types": True}
    ours, theirs = SortedDistances(**hypers), featomic.SortedDistances(**hypers)
    difference = peers.largest_difference(ours.compute(systems), theirs.compute(systems))
    against_featomic(report, given, f"sorted distances, 20 of each type, {name}", systems, ours, theirs, difference)


def against_featomic(report, given, case, systems, ours, theirs, difference):
    n_atoms = sum(map(len, systems))
    times = harness.alternate(
        given.seconds, ketmap=lambda: ours.compute(systems), featomic=lambda: theirs.compute(systems)
    )
    report.row(
        case,
        times["ketmap"] / n_atoms * 1e6,
        {"featomic": times["featomic"] / n_atoms * 1e6},
        difference=difference,
    )


def lengths(block) -> np.ndarray:
    """Of the vectors of all pairs, ascending."""
    return np.sort(np.linalg.norm(block.values[..., 0], axis=1))


def main():
    given = harness.options(__doc__)
    report = harness.Report("descriptors", given)
    sets = {
        "molecular crystals": inside(structures.crystals(80 if given.tiny else 640)),
        "silicon": [structures.silicon(8 if given.tiny else 512)],
    }
    for name, systems in sets.items():
        symmetry_functions(report, given, name, systems)
        lists(report, given, name, systems)
    coulomb_matrices(report, given)
    report.note("dscribe runs on one thread; it has no other road within a structure.")
    report.save()


if __name__ == "__main__":
    main()
