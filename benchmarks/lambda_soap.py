"""λ-SOAP, structures to TensorMap, against featomic; the contracted gradient against the values."""

import warnings

import featomic
import harness
import numpy as np
import structures as data
import torch
from featomic.clebsch_gordan import EquivariantPowerSpectrum as FeatomicSpectrum
from ketmap import Cutoff, EquivariantPowerSpectrum, Gaussian, Gto, ShiftedCosine, SphericalExpansion, TensorProduct
from metatomic.torch import System, systems_to_torch

warnings.filterwarnings("ignore", module="featomic|metatensor")
MAX_RADIAL, MAX_ANGULAR = 3, 3


def calculators():
    """n = 4 radial functions, l up to 3, otherwise the hyper-parameters of the other programs."""
    ours = SphericalExpansion(
        cutoff=Cutoff(5.0, smoothing=ShiftedCosine(0.5)),
        density=Gaussian(0.3),
        basis=TensorProduct(max_angular=MAX_ANGULAR, radial=Gto(max_radial=MAX_RADIAL)),
    )
    theirs = featomic.SphericalExpansion(
        cutoff=featomic.cutoff.Cutoff(5.0, smoothing=featomic.cutoff.ShiftedCosine(width=0.5)),
        density=featomic.density.Gaussian(width=0.3),
        basis=featomic.basis.TensorProduct(max_angular=MAX_ANGULAR, radial=featomic.basis.Gto(max_radial=MAX_RADIAL)),
    )
    return EquivariantPowerSpectrum(ours), FeatomicSpectrum(theirs)


def difference(ours, theirs) -> float:
    """Largest difference, relative to the largest value of each block."""
    worst = 0.0
    for key, block in theirs.items():
        mine = ours.block(key)
        order = [mine.samples.position(sample) for sample in block.samples]
        scale = np.abs(block.values).max(initial=1e-12)
        worst = max(worst, float(np.abs(mine.values[order] - block.values).max(initial=0)) / scale)
    return worst


def values(report, name, systems, seconds):
    ours, theirs = calculators()
    n_atoms = sum(map(len, systems))
    for how, options in (("types in keys", {}), ("types in properties", {"neighbors_to_properties": True})):
        result = ours.compute(systems, **options)
        megabytes = sum(block.values.nbytes for block in result.blocks()) / 1e6
        source = np.ones(int(megabytes * 1e6 / 8))
        times = harness.alternate(
            seconds,
            ketmap=lambda options=options: ours.compute(systems, **options),
            featomic=lambda options=options: theirs.compute(systems, **options),
            memcpy=lambda source=source: source.copy(),
        )
        report.row(
            f"{name}, {n_atoms} atoms, {how}",
            times["ketmap"] / n_atoms * 1e6,
            {"featomic": times["featomic"] / n_atoms * 1e6},
            aim=20,
            blocks=len(result.keys),
            megabytes=megabytes,
            gigabytes_per_second={which: megabytes / 1e3 / times[which] for which in ("ketmap", "memcpy")},
            difference=difference(ours.compute(systems[:1], **options), theirs.compute(systems[:1], **options)),
        )


def gradient(report, name, systems, seconds):
    """Values with autograd's graph, and the gradient of a weighted sum of all of them by positions."""
    ours, _ = calculators()
    n_atoms = sum(map(len, systems))
    plain = systems_to_torch(systems, dtype=torch.float64)
    leaves = [
        System(types=s.types, positions=s.positions.clone().requires_grad_(), cell=s.cell, pbc=s.pbc) for s in plain
    ]
    positions = [system.positions for system in leaves]
    options = {"neighbors_to_properties": True}
    weights = [torch.randn_like(block.values) for block in ours.compute(plain, **options).blocks()]

    def contracted():
        blocks = [block.values for block in ours.compute(leaves, **options).blocks()]
        return torch.autograd.grad(blocks, positions, grad_outputs=weights)

    times = harness.alternate(seconds, values=lambda: ours.compute(plain, **options), contracted=contracted)
    report.row(
        f"{name}, {n_atoms} atoms, values and contracted gradient",
        times["contracted"] / n_atoms * 1e6,
        {},
        aim="4 × values",
        values=times["values"] / n_atoms * 1e6,
        times_values=times["contracted"] / times["values"],
    )


def main():
    given = harness.options(__doc__)
    report = harness.Report("lambda_soap", given)
    systems = data.crystals(80 if given.tiny else 640)
    values(report, "molecular crystals", systems, given.seconds)
    gradient(report, "molecular crystals", systems, given.seconds)
    report.note(
        "A structure's values are far larger than caches: the product writes them once, past the caches, straight into "
        "the blocks."
    )
    report.save()


if __name__ == "__main__":
    main()
