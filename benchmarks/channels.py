"""Alloys of 25 elements in four alchemical channels, against the same structures with four ordinary types."""

import os
from pathlib import Path

import ase.build
import ase.io
import harness
import numpy as np
import torch
from ase import Atoms
from ketmap_core import as_batch
from ketmap_density import AlchemicalChannels, Cutoff, Gaussian, Gto, ShiftedCosine, SphericalExpansion, TensorProduct
from ketmap_soap import SoapPowerSpectrum

#: the d-block but for technetium, cadmium, lanthanum and mercury, as in Lopanitsyna et al., PRMat 7, 045802 (2023)
ELEMENTS = (*range(21, 31), *(39, 40, 41, 42, 44, 45, 46, 47), *(71, 72, 73, 74, 77, 78, 79))
N_CHANNELS = 4
HYPERS = {
    "cutoff": Cutoff(5.0, smoothing=ShiftedCosine(0.5)),
    "density": Gaussian(0.3),
    "basis": TensorProduct(max_angular=6, radial=Gto(max_radial=7)),
}


def real(count: int) -> list[Atoms]:
    """Of the data set of 25 elements, three of which occur in each structure; none without the data folder."""
    folder = os.environ.get("KETMAP_DATA")
    if not folder:
        return []
    structures = ase.io.read(Path(folder) / "hea25/hea_train.xyz.gz", f":{count}")
    return [Atoms(a.numbers, a.positions, cell=a.cell, pbc=True) for a in structures]


def random_alloys(count: int) -> list[Atoms]:
    """The hardest case: all 25 elements at random in every rattled fcc cell of 48 atoms."""
    rng = np.random.default_rng(0)
    made = []
    for seed in range(count):
        atoms = ase.build.bulk("Cu", "fcc", a=3.9, cubic=True).repeat((2, 2, 3))
        atoms.numbers = rng.choice(ELEMENTS, len(atoms))
        atoms.rattle(0.1, seed=seed)
        made.append(atoms)
    return made


def four_types(structures: list[Atoms]) -> list[Atoms]:
    """The same atoms with four types, as many of each."""
    renamed = [atoms.copy() for atoms in structures]
    for atoms in renamed:
        atoms.numbers = 26 + np.arange(len(atoms)) % N_CHANNELS
    return renamed


def potential_of(soap: SoapPowerSpectrum, structures: list[Atoms]):
    """Energies, forces and virial of a model with random weights, pairs included."""
    batch = as_batch(structures)
    types = tuple(torch.unique(batch.types).tolist())
    generator = torch.Generator().manual_seed(0)
    w = torch.randn(soap.n_features(types), generator=generator, dtype=torch.float64)
    potential = soap.potential(w, types)
    return lambda: potential(batch, potential.environments(batch))


def measure(report: harness.Report, name: str, structures: list[Atoms], seconds: float):
    plain = four_types(structures)
    n_atoms = sum(map(len, structures))
    types = tuple(np.unique(np.concatenate([atoms.numbers for atoms in structures])).tolist())
    species = AlchemicalChannels.from_periodic_table(types, N_CHANNELS)

    def compare(what: str, ours, ordinary):
        times = harness.alternate(seconds, ketmap=ours, ordinary=ordinary)
        report.row(
            f"{name}, {what}: {len(types)} types in {N_CHANNELS} channels, {n_atoms} atoms",
            times["ketmap"] / n_atoms * 1e6,
            {f"{N_CHANNELS} types": times["ordinary"] / n_atoms * 1e6},
            aim=1,
        )

    for what, kind in (("spherical expansion", SphericalExpansion), ("power spectrum", SoapPowerSpectrum)):
        mixed, ordinary = kind(**HYPERS, species=species), kind(**HYPERS)
        compare(what, lambda mixed=mixed: mixed.compute(structures), lambda ordinary=ordinary: ordinary.compute(plain))
    mixed, ordinary = SoapPowerSpectrum(**HYPERS, species=species), SoapPowerSpectrum(**HYPERS)
    compare("energy, forces and virial", potential_of(mixed, structures), potential_of(ordinary, plain))
    environments = mixed.expansion.environments(as_batch(structures))
    present = float((environments.counts() > 0).double().sum(dim=1).mean())
    neighbors = len(environments.neighbors) / n_atoms
    report.note(f"{name}: an atom has {neighbors:.0f} neighbours of {present:.0f} types.")


def main():
    given = harness.options(__doc__)
    report = harness.Report("channels", given)
    for name, structures in (
        ("alloys of three elements", real(2 if given.tiny else 80)),
        ("alloys of all elements", random_alloys(2 if given.tiny else 66)),
    ):
        if structures:
            measure(report, name, structures, given.seconds)
    report.note("Blocks of a TensorMap cost some 40 µs each whatever is in them; 25 types of centres have many.")
    report.save()


if __name__ == "__main__":
    main()
