"""Representations and calculators as descriptions, and back: nothing is executed but constructors of ketmap.

A description holds what JSON can hold; that of a calculator which is fitted itself, such as NICE, also TensorMaps. Such
a calculator has a ``state``, and ``restored(state)`` makes it the same again.
"""

from typing import Any

from ketmap_core.files import ketmap_class


def describe(subject: Any) -> dict:
    """Where the class of a representation or calculator is, and the hyper-parameters that build it again."""
    kind = type(subject)
    parts = {name: getattr(subject, name) for name in ("calculator_1", "calculator_2") if hasattr(subject, name)}
    hypers = subject.to_dict()
    hypers |= {name: None if part is None else describe(part) for name, part in parts.items()}
    description = {"module": kind.__module__, "class": kind.__name__, "hypers": hypers}
    return description | {"state": subject.state} if hasattr(kind, "state") else description


def build(description: dict, path: str = "a model file") -> Any:
    """What :func:`describe` has described; only classes of ketmap.

    :raises FileFormatError: for classes of other packages.
    """
    kind = ketmap_class(path, description["module"], description["class"], "representation")
    hypers = description["hypers"]
    if hasattr(kind, "from_dict"):
        made = kind.from_dict(hypers)
        return made.restored(description["state"]) if "state" in description else made
    # products of calculators
    return kind(**{name: build(value, path) if isinstance(value, dict) else value for name, value in hypers.items()})
