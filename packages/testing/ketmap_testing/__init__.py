"""The laws that representations and models keep, as functions anyone can import.

Every law is a function ``law(calculator, systems, rtol=...)`` that returns the largest deviation it has seen
and raises :class:`LawBroken` where that is too large; :func:`check_calculator` tries them all.
"""

from .check import LAWS, Report, check_calculator, survey
from .contract import coincident, contract
from .cutoffs import smooth_at_cutoff, zero_beyond
from .derivatives import cell_gradient, positions_gradient, strain_gradient
from .independence import batch, empty, extensive, isolated, threads
from .models import MODEL_LAWS, Predicted, check_model
from .periodicity import cell_choice, left_handed, supercell, wrapped
from .rows import LawBroken, NotApplicable
from .symmetry import inversion, permutation, rotation, translation
from .systems import default_systems
from .torch_laws import autograd, float32, second_order

__version__ = "0.1.0"

__all__ = [
    "LAWS",
    "MODEL_LAWS",
    "LawBroken",
    "NotApplicable",
    "Predicted",
    "Report",
    "autograd",
    "batch",
    "cell_choice",
    "cell_gradient",
    "check_calculator",
    "check_model",
    "coincident",
    "contract",
    "default_systems",
    "empty",
    "extensive",
    "float32",
    "inversion",
    "isolated",
    "left_handed",
    "permutation",
    "positions_gradient",
    "rotation",
    "second_order",
    "smooth_at_cutoff",
    "strain_gradient",
    "supercell",
    "survey",
    "threads",
    "translation",
    "wrapped",
    "zero_beyond",
]
