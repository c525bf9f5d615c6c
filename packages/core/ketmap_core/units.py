"""Units by name, converted to those of ASE: eV, Å, e (constants of :mod:`ase.units`)."""

import re

from ase import units as _ase

from .errors import unknown_name

# value in ASE's units; powers of energy, length, charge
_UNITS: dict[str, tuple[float, tuple[int, int, int]]] = {
    "eV": (1.0, (1, 0, 0)),
    "meV": (1e-3, (1, 0, 0)),
    "Ha": (_ase.Hartree, (1, 0, 0)),
    "mHa": (1e-3 * _ase.Hartree, (1, 0, 0)),
    "Ry": (_ase.Rydberg, (1, 0, 0)),
    "kcal": (_ase.kcal, (1, 0, 0)),
    "kJ": (_ase.kJ, (1, 0, 0)),
    "mol": (_ase.mol, (0, 0, 0)),
    "Å": (1.0, (0, 1, 0)),
    "nm": (_ase.nm, (0, 1, 0)),
    "bohr": (_ase.Bohr, (0, 1, 0)),
    "Pa": (_ase.Pascal, (1, -3, 0)),
    "GPa": (_ase.GPa, (1, -3, 0)),
    "bar": (_ase.bar, (1, -3, 0)),
    "kbar": (1e3 * _ase.bar, (1, -3, 0)),
    "e": (1.0, (0, 0, 1)),
    "D": (_ase.Debye, (0, 1, 1)),
}
_SYNONYMS = {
    "Hartree": "Ha",
    "hartree": "Ha",
    "Eh": "Ha",
    "A": "Å",
    "Ang": "Å",
    "angstrom": "Å",
    "Angstrom": "Å",
    "\N{ANGSTROM SIGN}": "Å",
    "Bohr": "bohr",
    "a0": "bohr",
    "Debye": "D",
    "debye": "D",
}
_FACTOR = re.compile(r"([^\W\d]+)(?:(?:\^|\*\*)?([+-]?\d+))?")
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")


def parse_unit(text: str) -> tuple[float, tuple[int, int, int]]:
    """Value of a unit in eV, Å and e, and its powers of energy, length and charge.

    Factors are joined by ``*``, ``·`` or ``/`` and may have integer powers.

    :raises ValueError: for names that are unknown, with the nearest known one.

    >>> parse_unit("Ha/bohr")[1]
    (1, -1, 0)
    >>> parse_unit("eV/Å^3")
    (1.0, (1, -3, 0))
    """
    value, powers = 1.0, (0, 0, 0)
    plain = text.translate(_SUPERSCRIPTS).replace("**", "^").replace("·", "*").replace(" ", "")
    for operator, factor in re.findall(r"(^|[*/])([^*/]*)", plain):
        match = _FACTOR.fullmatch(factor)
        name = _SYNONYMS.get(match[1], match[1]) if match else factor
        if name not in _UNITS:
            raise ValueError(unknown_name(name, _UNITS, f"unit in '{text}',"))
        power = int(match[2] or 1) * (-1 if operator == "/" else 1)
        factor_value, factor_powers = _UNITS[name]
        value *= factor_value**power
        powers = tuple(total + power * own for total, own in zip(powers, factor_powers))
    return value, powers


def unit_name(powers: tuple[int, int, int]) -> str:
    """ASE's unit with these powers of energy, length and charge.

    >>> unit_name((1, -1, 0))
    'eV/Å'
    """
    named = [(name, power) for name, power in zip(("eV", "e", "Å"), (powers[0], powers[2], powers[1])) if power]
    over = "*".join(name + (f"^{power}" if power > 1 else "") for name, power in named if power > 0)
    under = "".join(f"/{name}" + (f"^{-power}" if power < -1 else "") for name, power in named if power < 0)
    return (over or "1") + under
