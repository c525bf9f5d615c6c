"""N-body iterative contraction of equivariants."""

from .calculator import Nice
from .hypers import Contraction

__all__ = ["Contraction", "Nice"]
