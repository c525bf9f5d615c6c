"""The operators written with torch: any device, float32 and float64, differentiable any number of times."""

from .energy import soap_energy
from .expansion import expand, expand_jacobian, expand_vjp
from .group import group

__all__ = ["expand", "expand_jacobian", "expand_vjp", "group", "soap_energy"]
