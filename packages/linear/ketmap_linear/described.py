"""Representations and calculators as what JSON can hold, and back: nothing is executed but constructors of ketmap."""

from typing import Any

from ketmap_core.files import ketmap_class


def describe(subject: Any) -> dict:
    """Where the class of a representation or calculator is, and the hyper-parameters that build it again."""
    kind = type(subject)
    parts = {name: getattr(subject, name) for name in ("calculator_1", "calculator_2") if hasattr(subject, name)}
    hypers = subject.to_dict()
    hypers |= {name: None if part is None else describe(part) for name, part in parts.items()}
    return {"module": kind.__module__, "class": kind.__name__, "hypers": hypers}


def build(description: dict, path: str = "a model file") -> Any:
    """What :func:`describe` has described; only classes of ketmap.

    :raises FileFormatError: for classes of other packages.
    """
    kind = ketmap_class(path, description["module"], description["class"], "representation")
    hypers = description["hypers"]
    if hasattr(kind, "from_dict"):
        return kind.from_dict(hypers)
    # products of calculators
    return kind(**{name: build(value, path) if isinstance(value, dict) else value for name, value in hypers.items()})
