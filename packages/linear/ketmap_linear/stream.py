"""What a regressor sees: rows of a design matrix, some structures at a time."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np


@dataclass(frozen=True)
class Rows:
    """Some rows of the design matrix, all rows of some structures."""

    values: np.ndarray  # -> [row, feature + offset], C order
    targets: np.ndarray  # -> [row]
    structures: np.ndarray  # -> [row] int, the structure of each row


class Stream(Protocol):
    """Rows that can be gone through more than once, in the same order."""

    n_features: int  # columns of the representation
    n_offsets: int  # columns after these that each have a scale of their own
    counts: np.ndarray  # -> [structure] int, rows of each structure

    def __iter__(self) -> Iterator[Rows]:
        """All rows."""
