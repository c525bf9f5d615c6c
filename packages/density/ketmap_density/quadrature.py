"""Gauss-Legendre quadrature over panels that resolve a given length, and what that length is for any function."""

from collections.abc import Callable

import numpy as np
import scipy.special

#: nodes of each panel
NODES = 16

#: panels for the functions of a radial basis beyond which these count as not smooth
MOST_PANELS = 4096


def panels(reach: float, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Nodes in [0, ``reach``] and weights, in panels of at most twice ``scale``.

    16 nodes integrate what varies on the length ``scale``, as exp(−r²/2 scale²) or sin(r/scale) do, to double
    precision.
    """
    count = max(int(np.ceil(reach / (2 * scale))), 1)
    x, weights = scipy.special.roots_legendre(NODES)
    width = reach / count
    nodes = width * (np.arange(count)[:, None] + 0.5 * (x + 1))  # -> [panel, node]
    return nodes.reshape(-1), np.tile(0.5 * width * weights, count)


def scale_of(functions: Callable[[np.ndarray], np.ndarray], reach: float, name: str) -> float:
    """The length that panels have to resolve for ``functions(r)`` -> [r, n]: halved until the integrals of their
    products are those of the halved one, to 10⁻¹³ of the largest.

    :raises ValueError: for functions that are not finite, or not smooth.
    """
    before, scale = None, reach / 2
    while scale > reach / MOST_PANELS:
        r, weights = panels(reach, scale)
        values = functions(r)
        if not np.all(np.isfinite(values)):
            where = float(r[~np.isfinite(values).all(axis=-1)][0])
            raise ValueError(f"the functions of {name} are not finite at r = {where:.4g} Å")
        overlap = values.T @ (values * (weights * r**2)[:, None])
        norm = np.sqrt(np.diag(overlap))
        if before is not None and np.all(np.abs(overlap - before) <= 1e-13 * norm * norm[:, None]):
            return 2 * scale
        before, scale = overlap, scale / 2
    raise ValueError(
        f"the functions of {name} are not smooth: integrals over them do not converge to 1e-13 with "
        f"{MOST_PANELS} panels over {reach:g} Å; make them smooth, or Tabulated"
    )
