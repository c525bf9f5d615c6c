"""Hyper-parameters: small frozen objects that validate themselves where they are built.

Every object goes to and from featomic's nested dictionaries: ``to_dict`` and ``from_dict``.
Classes with alternatives (densities, bases, smoothings …) form a family, told apart by ``"type"``.
"""

import dataclasses
import functools
import math
import numbers
from collections.abc import Mapping

from ketmap_core.errors import unknown_name


def hypers(cls):
    """Make ``cls`` a frozen dataclass whose misspelt keywords are errors naming the nearest right one."""
    cls = dataclasses.dataclass(frozen=True)(cls)
    names = [field.name for field in dataclasses.fields(cls)]
    initialise = cls.__init__

    @functools.wraps(initialise)
    def checked(self, *args, **given):
        check_names(given, names, cls.__name__)
        try:
            initialise(self, *args, **given)
        except TypeError as error:  # too many, missing or repeated arguments
            raise ValueError(f"{cls.__name__}({', '.join(names)}): {error}") from None

    cls.__init__ = checked
    return cls


class Hypers:
    """Base of all hyper-parameter objects; a direct subclass with subclasses of its own is a family."""

    def to_dict(self) -> dict:
        """The object in featomic's nested-dictionary spelling."""
        written = {} if type(self).__base__ is Hypers else {"type": type(self).__name__}
        for field in dataclasses.fields(self):
            written[field.name] = _written(getattr(self, field.name))
        return written

    @classmethod
    def kinds(cls) -> dict[str, type]:
        """The members of this family by name, those from other packages included: all frozen classes below it."""
        found = {}
        for kind in cls.__subclasses__():
            if "__dataclass_fields__" in vars(kind) and kind.in_files:
                found[kind.__name__] = kind
            found |= kind.kinds()
        return found

    @classmethod
    def from_dict(cls, given):
        """Build from a dictionary (an object of this family is returned as it is).

        :raises ValueError: for unknown names (the nearest right one is named), wrong types and wrong values.
        """
        if isinstance(given, cls):
            return given
        if not isinstance(given, Mapping):
            raise ValueError(f"expected {cls.__name__} (an object or a dict), got {given!r}")
        given = dict(given)
        chosen = cls
        kinds = cls.kinds()
        family = bool(kinds)
        kinds = kinds or {cls.__name__: cls}
        if "type" in given and (family or cls.__base__ is not Hypers):
            kind = given.pop("type")
            if kind not in kinds:
                raise ValueError(unknown_name(str(kind), list(kinds), f"{cls.__name__} type"))
            chosen = kinds[kind]
        elif family:
            raise ValueError(f"{cls.__name__} needs a 'type', one of {', '.join(kinds)}; got {given!r}")
        given = {name: v for name, v in given.items() if v is not None or name not in chosen._absent}
        check_names(given, [field.name for field in dataclasses.fields(chosen)], chosen.__name__)
        return chosen(**given)

    #: whether objects of this class can be written, and made again from what is written
    in_files = True

    #: names of featomic that may come as None but have no counterpart here
    _absent = ()

    def _set(self, **values):
        """Store validated values while the frozen object is being built."""
        for name, value in values.items():
            object.__setattr__(self, name, value)


class FrozenDict(dict):
    """A dictionary as a hyper-parameter: it can be hashed, and is not to be changed."""

    def __hash__(self):
        return hash(frozenset(self.items()))

    def _frozen(self, *args, **given):
        raise TypeError("hyper-parameters are frozen")

    __setitem__ = __delitem__ = update = pop = popitem = clear = setdefault = __ior__ = _frozen


def _written(value):
    """A hyper-parameter as JSON has it."""
    if isinstance(value, Hypers):
        return value.to_dict()
    if isinstance(value, Mapping):
        return {name: _written(entry) for name, entry in value.items()}
    return [_written(entry) for entry in value] if isinstance(value, tuple) else value


def check_names(given, allowed, owner):
    for name in given:
        if name not in allowed:
            raise ValueError(unknown_name(str(name), list(allowed), f"hyper-parameter of {owner}"))


def complete(owner: str, misspelt: dict, optional: tuple[str, ...] = (), **needed):
    """Check that ``owner`` got all it needs and nothing it does not know; ``optional``: what else it knows.

    :raises ValueError: naming what is misspelt and the nearest right name, or what is missing.
    """
    check_names(misspelt, [*needed, *optional], owner)
    if missing := [name for name, value in needed.items() if value is None]:
        raise ValueError(f"{owner} needs {', '.join(needed)}; missing: {', '.join(missing)}")


def number(value, name: str, *, minimum: float | None = None, above: float | None = None) -> float:
    """``value`` as a finite float; ``minimum`` is inclusive, ``above`` exclusive."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise ValueError(f"{name} must be a number, got {value!r} of type {type(value).__name__}")
    value = float(value)
    if not math.isfinite(value):
        raise ValueError(f"{name} must be finite, got {value}")
    if minimum is not None and value < minimum:
        raise ValueError(f"{name} must be at least {minimum:g}, got {value:g}")
    if above is not None and value <= above:
        raise ValueError(f"{name} must be greater than {above:g}, got {value:g}")
    return value


def integer(value, name: str, *, minimum: int) -> int:
    """``value`` as an int of at least ``minimum``."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise ValueError(f"{name} must be an integer, got {value!r} of type {type(value).__name__}")
    if value < minimum:
        raise ValueError(f"{name} must be at least {minimum}, got {value}")
    return int(value)
