"""Structures in, neighbour pairs, the exchange contract, files."""

from .align import align
from .chunks import TensorFolder, open_tensors
from .contract import Report, check
from .dense import from_dense
from .dialects import canonicalize
from .errors import (
    CoincidentAtomsError,
    CoincidentAtomsWarning,
    FileFormatError,
    KetmapError,
    NotFittedError,
    UnknownTypesError,
    unknown_name,
)
from .files import load_archive, load_tensor, save_archive, save_tensor, write_atomic
from .join import join, select_systems, split
from .lazy import LazyTensor, open_tensor
from .memory import PairMemory
from .pairs import Pairs, coincident, find_pairs
from .planning import BlockShape, Plan, plan
from .provenance import derive, info, stamp
from .read import iread, read
from .structures import Batch, as_batch

__version__ = "0.1.0"
__all__ = [
    "Batch",
    "BlockShape",
    "CoincidentAtomsError",
    "CoincidentAtomsWarning",
    "FileFormatError",
    "KetmapError",
    "LazyTensor",
    "NotFittedError",
    "PairMemory",
    "Pairs",
    "Plan",
    "Report",
    "TensorFolder",
    "UnknownTypesError",
    "align",
    "as_batch",
    "canonicalize",
    "check",
    "coincident",
    "derive",
    "find_pairs",
    "from_dense",
    "info",
    "iread",
    "join",
    "load_archive",
    "load_tensor",
    "open_tensor",
    "open_tensors",
    "plan",
    "read",
    "save_archive",
    "save_tensor",
    "select_systems",
    "split",
    "stamp",
    "unknown_name",
    "write_atomic",
]
