"""The numerical kernels as torch operators, with their torch reference."""

from .energy import soap_energy
from .expansion import expand, expand_jacobian, expand_vjp
from .group import group
from .library import backend
from .power_spectrum import power_spectrum

__all__ = ["backend", "expand", "expand_jacobian", "expand_vjp", "group", "power_spectrum", "soap_energy"]
