"""The numerical kernels as torch operators, with their torch reference."""

from .energy import soap_energy
from .expansion import expand, expand_jacobian, expand_vjp
from .group import group
from .library import backend

__all__ = ["backend", "expand", "expand_jacobian", "expand_vjp", "group", "soap_energy"]
