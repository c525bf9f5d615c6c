"""What a regressor sees: rows of a design matrix, some structures at a time."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np


@dataclass(frozen=True)
class Rows:
    """Some rows of the design matrix, all rows of some structures."""

    values: np.ndarray  # -> [row, feature], C order
    targets: np.ndarray  # -> [row]
    structures: np.ndarray  # -> [row] int, the structure of each row


class Stream(Protocol):
    """Rows that can be gone through more than once, in the same order."""

    n_features: int
    counts: np.ndarray  # -> [structure] int, rows of each structure

    def __iter__(self) -> Iterator[Rows]:
        """All rows."""
