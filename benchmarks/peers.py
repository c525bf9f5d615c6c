"""The same calculators and hyper-parameters in ketmap and in its peers."""

import warnings

import featomic
import numpy as np
from ketmap import Cutoff, Gaussian, Gto, ShiftedCosine, SoapPowerSpectrum, SphericalExpansion, TensorProduct

RADIUS, WIDTH, SIGMA, MAX_RADIAL, MAX_ANGULAR = 5.0, 0.5, 0.3, 7, 6

# featomic tells on every run that cell gradients changed meaning and that torch is older than it knows
warnings.filterwarnings("ignore", module="featomic|metatensor|dscribe|sparse")


def ketmap_hypers(max_radial: int = MAX_RADIAL, max_angular: int = MAX_ANGULAR) -> dict:
    return {
        "cutoff": Cutoff(RADIUS, smoothing=ShiftedCosine(WIDTH)),
        "density": Gaussian(SIGMA),
        "basis": TensorProduct(max_angular=max_angular, radial=Gto(max_radial=max_radial)),
    }


def featomic_hypers(max_radial: int = MAX_RADIAL, max_angular: int = MAX_ANGULAR) -> dict:
    """featomic as it comes: its default splines (accuracy 1e-8)."""
    return {
        "cutoff": featomic.cutoff.Cutoff(RADIUS, smoothing=featomic.cutoff.ShiftedCosine(width=WIDTH)),
        "density": featomic.density.Gaussian(width=SIGMA),
        "basis": featomic.basis.TensorProduct(
            max_angular=max_angular, radial=featomic.basis.Gto(max_radial=max_radial)
        ),
    }


def expansions():
    """Spherical expansion: ketmap, featomic."""
    return SphericalExpansion(**ketmap_hypers()), featomic.SphericalExpansion(**featomic_hypers())


def power_spectra(*size: int):
    """Power spectrum: ketmap, featomic; size: max_radial, max_angular."""
    return SoapPowerSpectrum(**ketmap_hypers(*size)), featomic.SoapPowerSpectrum(**featomic_hypers(*size))


def dscribe_soap(structures):
    """SOAP of dscribe with as many functions; its cutoff has no smoothing."""
    from dscribe.descriptors import SOAP

    species = sorted({int(number) for atoms in structures for number in np.unique(atoms.numbers)})
    return SOAP(species=species, r_cut=RADIUS, n_max=MAX_RADIAL + 1, l_max=MAX_ANGULAR, sigma=SIGMA, periodic=True)


def largest_difference(ours, theirs) -> float:
    """Largest deviation of any block, relative to the largest value of that block."""
    worst = 0.0
    for key, block in theirs.items():
        mine = ours.block(key)
        if len(block.samples):
            scale = np.abs(block.values).max() or 1.0
            worst = max(worst, np.abs(mine.values - block.values).max() / scale)
    return float(worst)
