"""The front door: public names, loaded when they are first used.

>>> import ketmap
>>> ketmap.Cutoff(5.0).radius
5.0
"""

import importlib

_PLACES = {
    "ketmap_core": (
        *("Batch", "CoincidentAtomsError", "CoincidentAtomsWarning", "FileFormatError", "KetmapError"),
        *(
            "TensorFolder",
            "UnknownTypesError",
            "align",
            "as_batch",
            "canonicalize",
            "check",
            "derive",
            "find_pairs",
            "from_dense",
            "info",
            "iread",
            "join",
            "load_tensor",
            "open_tensor",
            "open_tensors",
            "read",
        ),
        *("plan", "save_tensor", "select_systems", "split"),
    ),
    "ketmap_density": (
        *("AlchemicalChannels", "ByNeighborType", "Contracted", "Custom", "Cutoff", "DiracDelta", "Explicit"),
        *("Gaussian", "Gto", "LaplacianEigenstate", "Monomials", "ShiftedCosine", "SphericalBessel"),
        *("SphericalExpansion", "SphericalExpansionByPair", "Step", "Tabulated", "TensorProduct", "Willatt2018"),
        *("contracted_basis", "density_norms", "pca_contraction", "smooth_contraction"),
    ),
    "ketmap_lode": ("LodeSphericalExpansion", "SmearedPowerLaw"),
    "ketmap_cg": (
        *("ClebschGordanProduct", "Contraction", "DensityCorrelations", "EquivariantPowerSpectrum"),
        *("EquivariantPowerSpectrumByPair", "MessagePassing", "Nice", "PairFeatures", "PowerSpectrum"),
    ),
    "ketmap_soap": ("SoapBispectrum", "SoapPowerSpectrum", "SoapRadialSpectrum"),
    "ketmap_analysis": ("ScoreCard", "Twins", "known_twins", "score_card"),
    "ketmap_descriptors": (
        *("G1", "G2", "G3", "G4", "G5"),
        *("AngularSymmetryFunctions", "AtomicComposition", "CoulombMatrix", "NeighborList", "RadialDistribution"),
        *("RadialSymmetryFunctions", "SineMatrix", "SortedDistances", "StructureFactor", "reflections"),
    ),
    "ketmap_linear": ("Invariants", "Model", "Ridge", "Together", "load"),
    "ketmap_ase": ("NPT", "NVE", "Calculator", "ExtrapolationWarning", "Langevin", "run_dynamics"),
}
_MODULES = ("analysis", "basis", "clebsch_gordan", "cutoff", "density", "descriptors", "splines")
_HOME = {name: module for module, names in _PLACES.items() for name in names}

__version__ = "0.1.0"
__all__ = sorted([*_HOME, *_MODULES])


def __getattr__(name: str):
    if name in _MODULES:
        return importlib.import_module(f"ketmap.{name}")
    if name not in _HOME:
        raise AttributeError(f"module 'ketmap' has no attribute '{name}'")
    value = globals()[name] = getattr(importlib.import_module(_HOME[name]), name)
    return value


def __dir__() -> list[str]:
    return [*globals(), *__all__]
