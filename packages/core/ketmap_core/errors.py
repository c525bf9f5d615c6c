"""What can go wrong, as types; and how a misspelt name is answered."""

import difflib
from collections.abc import Iterable


class KetmapError(Exception):
    """Base of the errors that only ketmap raises."""


class CoincidentAtomsError(KetmapError, ValueError):
    """Two atoms at one point, where that makes no sense (fits, dynamics)."""


class CoincidentAtomsWarning(UserWarning):
    """Two atoms at one point, where the result is still finite (calculators)."""


class UnknownTypesError(KetmapError, ValueError):
    """Atomic types that a model has never seen."""


class NotFittedError(KetmapError, RuntimeError):
    """Something is asked for that is only known after ``fit``."""


class FileFormatError(KetmapError, ValueError):
    """A file that is cut, foreign, or made by a newer version."""


def unknown_name(given: str, allowed: Iterable[str], what: str = "name") -> str:
    """Text of the error for a misspelt name, with the nearest right one.

    >>> unknown_name("max_angulr", ["max_angular", "radial"], "hyper-parameter")
    "unknown hyper-parameter 'max_angulr'; did you mean 'max_angular'? allowed: max_angular, radial"
    """
    allowed = [str(name) for name in allowed]
    nearest = difflib.get_close_matches(str(given), allowed, n=1, cutoff=0.5)
    hint = f"; did you mean '{nearest[0]}'?" if nearest else ";"
    return f"unknown {what} '{given}'{hint} allowed: {', '.join(allowed) or 'none'}"


def coincident_message(found: list[tuple[int, int, int]]) -> str:
    """Text about atoms at one point, from what :func:`ketmap_core.coincident` found.

    >>> coincident_message([(0, 1, 2)])
    'atoms 1 and 2 of system 0 are at one point; move or remove one of them'
    """
    system, first, second = found[0]
    more = f" (and {len(found) - 1} more such pairs)" if len(found) > 1 else ""
    return f"atoms {first} and {second} of system {system} are at one point{more}; move or remove one of them"
