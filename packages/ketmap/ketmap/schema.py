"""Schemas made from the objects themselves: names, types and defaults are written once, in their classes."""

import dataclasses
import functools
import inspect
import types
import typing
from typing import Annotated, Any, Literal

import pydantic
from ketmap_core.errors import unknown_name
from ketmap_density.hypers import Hypers
from pydantic_core import PydanticCustomError


class Strict(pydantic.BaseModel):
    """Settings: no unknown keys, no conversion of types, no infinities."""

    model_config = pydantic.ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    @pydantic.model_validator(mode="before")
    @classmethod
    def _known_keys(cls, given: Any) -> Any:
        if isinstance(given, dict):
            for key in given:
                if key not in cls.model_fields:
                    text = unknown_name(str(key), list(cls.model_fields), "key")
                    raise PydanticCustomError("unknown_key", "{text}", {"text": text, "key": key})
        return given


class Built(Strict):
    """Settings of one object, which is built, and so validated, as soon as they are read."""

    @pydantic.model_validator(mode="after")
    def _buildable(self):
        self.build()
        return self

    def build(self) -> Any:
        """The object."""
        return self._made(**self.model_dump(exclude={"type"}))


@functools.cache
def settings_of(kind: type, within: frozenset[type] = frozenset()) -> type[Built]:
    """Settings of the objects of one class, told apart by ``type`` from those of its relatives.

    The keys are the arguments of its constructor; arguments that are hyper-parameter objects become nested
    settings. ``within``: the families whose members these settings are inside of. A member that is made of members
    of its family (a contraction of other radial functions) may not be made of such members itself.
    """
    hints = typing.get_type_hints(kind.__init__ if not dataclasses.is_dataclass(kind) else kind)
    fields: dict[str, Any] = {}
    if not (issubclass(kind, Hypers) and kind.__base__ is Hypers):
        fields["type"] = (Literal[kind.__name__], kind.__name__)
    for name, parameter in inspect.signature(kind).parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD:  # taken only to complain about misspelt names
            continue
        default, hint = parameter.default, hints[name]
        # calculators have None there, so that they themselves can say what is missing
        if default is parameter.empty or (default is None and isinstance(hint, type) and issubclass(hint, Hypers)):
            default = ...
        if isinstance(default, Hypers):
            family = next(one for one in (hint, *typing.get_args(hint)) if isinstance(default, one))
            default = settings_of(type(default), within | {family}).model_validate(default.to_dict())
        fields[name] = (_nested(hint, within), default)
    for name in getattr(kind, "_absent", ()):  # featomic's, which may be there but must be null
        fields[name] = (None, pydantic.Field(None, exclude=True))
    made = pydantic.create_model(kind.__name__, __base__=Built, __doc__=kind.__doc__, **fields)
    made._made = staticmethod(functools.partial(_make, kind))
    return made


def one_of(*kinds: type, within: frozenset[type] = frozenset()) -> Any:
    """Settings of any of these classes (or these settings, if they are some), chosen by ``type``."""
    settings = [kind if issubclass(kind, Built) else settings_of(kind, within) for kind in kinds]
    if len(kinds) == 1:
        return settings[0]
    union = functools.reduce(lambda a, b: a | b, settings)
    return Annotated[union, pydantic.Field(discriminator="type")]


def _make(kind: type, **given: Any) -> Any:
    return kind.from_dict(given) if hasattr(kind, "from_dict") else kind(**given)


def _nested(hint: Any, within: frozenset[type]) -> Any:
    """The type of an argument with hyper-parameter classes replaced by their settings, sequences, arrays by lists."""
    if isinstance(hint, type) and issubclass(hint, Hypers):
        kinds = [kind for kind in hint.kinds().values() if not within & _families(kind)]
        return one_of(*(kinds or [hint]), within=within | {hint})
    if isinstance(hint, types.UnionType):
        return functools.reduce(lambda a, b: a | b, [_nested(one, within) for one in typing.get_args(hint)])
    if typing.get_origin(hint) is tuple:
        item, *_ = typing.get_args(hint)
        return list[_nested(item, within)]
    if origin := typing.get_origin(hint):  # dict[int, RadialBasis] and the like
        return origin[tuple(_nested(one, within) for one in typing.get_args(hint))]
    if isinstance(hint, type) and hint.__name__ == "Tensor":  # torch's, a matrix in all our hyper-parameters
        return list[list[float]]
    return hint


def _families(kind: type) -> set[type]:
    """The families of hyper-parameter objects that the arguments of a class are of."""
    found, left = set(), list(typing.get_type_hints(kind).values())
    while left:
        hint = left.pop()
        if isinstance(hint, type) and issubclass(hint, Hypers):
            found.add(hint)
        left += typing.get_args(hint)
    return found
