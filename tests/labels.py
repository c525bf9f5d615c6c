"""Labels of integers that are written row by row."""

import numpy as np
from metatensor import Labels


def labels(names, *rows):  # rows: int [row, name]
    return Labels(names, np.array(rows, dtype=np.int32).reshape(len(rows), len(names)))
