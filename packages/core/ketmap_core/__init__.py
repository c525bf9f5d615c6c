"""Structures in, neighbour pairs, the exchange contract, files."""

from .errors import (
    CoincidentAtomsError,
    CoincidentAtomsWarning,
    FileFormatError,
    KetmapError,
    UnknownTypesError,
    unknown_name,
)
from .pairs import Pairs, coincident, find_pairs
from .provenance import info, stamp
from .structures import Batch, as_batch

__version__ = "0.1.0"
__all__ = [
    "Batch",
    "CoincidentAtomsError",
    "CoincidentAtomsWarning",
    "FileFormatError",
    "KetmapError",
    "Pairs",
    "UnknownTypesError",
    "as_batch",
    "coincident",
    "find_pairs",
    "info",
    "stamp",
    "unknown_name",
]
