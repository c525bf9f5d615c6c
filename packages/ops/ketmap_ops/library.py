"""Which road an operator takes: the native kernel on CPU where it was built, the torch reference everywhere else."""

import os
import warnings

import torch


def _load_native() -> str:
    """Load the native library; what stands in the way, or an empty string."""
    if os.environ.get("KETMAP_NATIVE") == "0":
        return "KETMAP_NATIVE=0"
    try:
        from ketmap_native import library
    except ImportError:
        return "the package ketmap-native is not installed (building it needs a C++20 compiler)"
    try:
        torch.ops.load_library(library)
    except OSError as error:
        return f"{library} does not load: {error}"
    return ""


_obstacle = _load_native()
if _obstacle and "KETMAP_NATIVE" not in _obstacle:
    warnings.warn(
        f"ketmap runs on its torch reference, 10 to 100 times slower than its native kernels: {_obstacle}. "
        "Install a C++ compiler (for instance g++) and run the install script again.",
        stacklevel=2,
    )


def backend() -> str:
    """What runs the operators on CPU: ``native (<instruction set>)`` or ``reference: <why>``."""
    return f"reference: {_obstacle}" if _obstacle else f"native ({torch.ops.ketmap.instruction_set()})"


def built() -> bool:
    """Whether there are native kernels."""
    return not _obstacle


def native(tensor: torch.Tensor) -> bool:
    """Whether the native kernels serve this tensor."""
    return built() and tensor.device.type == "cpu"
