"""The ``ketmap`` namespace of torch operators: native on CPU where it was built, the torch reference elsewhere."""

import os
import warnings
from collections.abc import Callable

import torch

from .schemas import SCHEMAS


def _load_native() -> str:
    """Load the native library; what stands in the way, or an empty string."""
    if os.environ.get("KETMAP_NATIVE") == "0":
        return "KETMAP_NATIVE=0"
    try:
        from ketmap_native import library
    except ImportError:
        return "the package ketmap-native is not installed (it needs a C++20 compiler)"
    try:
        torch.ops.load_library(library)
    except OSError as error:
        return f"{library} does not load: {error}"
    return ""


_obstacle = _load_native()
_definitions = torch.library.Library("ketmap", "FRAGMENT")
if _obstacle:
    for name, schema in SCHEMAS.items():
        _definitions.define(name + schema)
    if "KETMAP_NATIVE" not in _obstacle:
        warnings.warn(
            f"ketmap runs on its torch reference, 10 to 100 times slower than its native kernels: {_obstacle}. "
            "Install a C++ compiler (for instance g++) and run the install script again.",
            stacklevel=2,
        )


def backend() -> str:
    """What runs the operators on CPU: ``native (<instruction set>)`` or ``reference: <why>``."""
    return f"reference: {_obstacle}" if _obstacle else f"native ({torch.ops.ketmap.instruction_set()})"


def register(name: str, reference: Callable, shapes: Callable) -> None:
    """Let ``reference`` serve every device that has no kernel of its own; ``shapes`` makes empty results for tracing."""
    devices = ("CPU", "CUDA") if _obstacle else ("CUDA",)
    for device in devices:
        _definitions.impl(name, reference, device)
    torch.library.register_fake(f"ketmap::{name}", shapes, lib=_definitions)
