"""Where elements stand in the periodic table: period, group and electronegativity, and the kernel made of these."""

import dataclasses
from collections.abc import Sequence

import numpy as np

#: atomic numbers of the noble gases, after which a period begins
NOBLE = (0, 2, 10, 18, 36, 54, 86, 118)

# Electronegativities on Pauling's scale (A. L. Allred, J. Inorg. Nucl. Chem. 17, 215 (1961), as in the CRC Handbook),
# by atomic number from 1; None: none was measured.
PAULING = (
    *(2.20, None),
    *(0.98, 1.57, 2.04, 2.55, 3.04, 3.44, 3.98, None),
    *(0.93, 1.31, 1.61, 1.90, 2.19, 2.58, 3.16, None),
    *(0.82, 1.00, 1.36, 1.54, 1.63, 1.66, 1.55, 1.83, 1.88, 1.91, 1.90, 1.65, 1.81, 2.01, 2.18, 2.55, 2.96, 3.00),
    *(0.82, 0.95, 1.22, 1.33, 1.60, 2.16, 1.90, 2.20, 2.28, 2.20, 1.93, 1.69, 1.78, 1.96, 2.05, 2.10, 2.66, 2.60),
    *(0.79, 0.89),
    *(1.10, 1.12, 1.13, 1.14, None, 1.17, None, 1.20, None, 1.22, 1.23, 1.24, 1.25, None, 1.27),  # La … Lu
    *(1.30, 1.50, 2.36, 1.90, 2.20, 2.20, 2.28, 2.54, 2.00, 1.62, 2.33, 2.02, 2.00, 2.20, None),  # Hf … Rn
    *(0.70, 0.90, 1.10, 1.30, 1.50, 1.38, 1.36, 1.28, 1.30),  # Fr … Am
)


@dataclasses.dataclass(frozen=True)
class Elements:
    """Places of some elements."""

    period: np.ndarray  # [element] 1 …
    group: np.ndarray  # [element] 1 … 18; lanthanides and actinides stand in group 3
    electronegativity: np.ndarray  # [element] Pauling's scale

    @classmethod
    def of(cls, types: Sequence[int]) -> "Elements":
        """Of these atomic numbers. Where no electronegativity was measured, noble gases have that of the element
        before them, and lanthanides one between their neighbours'.

        :raises ValueError: for numbers that are no element up to americium.

        >>> Elements.of((8, 26, 58))
        Elements(period=array([2, 4, 6]), group=array([16,  8,  3]), electronegativity=array([3.44, 1.83, 1.12]))
        """
        types = np.asarray(types, dtype=int)
        if len(types) and not (types.min() >= 1 and types.max() <= len(PAULING)):
            raise ValueError(
                f"types {sorted(set(types.tolist()) - set(range(1, len(PAULING) + 1)))} have no place in the table of "
                f"electronegativities, which goes from 1 to {len(PAULING)}: give mixing yourself"
            )
        period = np.searchsorted(NOBLE, types)  # He: 1
        before = np.array(NOBLE)[period - 1]
        length = np.array(NOBLE)[period] - before
        place = types - before  # 1 … length
        from_end = 18 - (length - place)  # group when counted from the noble gas
        light = np.where(length > 18, 3, 2)  # lanthanum still stands in group 3
        group = np.where(place <= light, place, np.maximum(from_end, 3))
        group = np.where(types == 2, 18, group)
        known = np.array([i for i, x in enumerate(PAULING) if x is not None])
        noble = np.isin(types, NOBLE) & ~np.isin(types - 1, known)
        measured = np.array([PAULING[i] for i in known])
        electronegativity = np.interp(types - 1 - noble, known, measured)
        return cls(period, group, electronegativity)


def table_kernel(
    elements: Elements, *, period: float, group: float, electronegativity: float
) -> np.ndarray:  # -> [element, element]
    """exp(−Σ_x (x_a − x_b)²/2σ_x²) over x = period, group, electronegativity, with the σ_x given.

    Electronegativity: De, Bartók, Csányi, Ceriotti, Phys. Chem. Chem. Phys. 18, 13754 (2016); period and group: Faber,
    Christensen, Huang, von Lilienfeld, J. Chem. Phys. 148, 241717 (2018).
    """
    widths = {"period": period, "group": group, "electronegativity": electronegativity}
    exponent = 0.0
    for name, sigma in widths.items():
        if not sigma > 0:
            raise ValueError(f"width of the {name} must be positive, got {sigma}")
        x = getattr(elements, name) / sigma
        exponent = exponent - 0.5 * (x[:, None] - x) ** 2
    return np.exp(exponent)
