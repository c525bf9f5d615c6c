"""What the calculators on an expanded density share: their hyper-parameters."""

from typing import Self

from .basis import Basis
from .cutoff import Cutoff
from .density import Density
from .expansion import Expansion
from .hypers import complete


class DensityCalculator:
    """A calculator with hyper-parameters ``cutoff``, ``density``, ``basis``: objects, or featomic's dictionaries.

    :raises ValueError: for hyper-parameters that are missing or misspelt, naming the nearest right one.
    """

    def __init__(self, *, cutoff: Cutoff = None, density: Density = None, basis: Basis = None, **misspelt):
        complete(type(self).__name__, misspelt, cutoff=cutoff, density=density, basis=basis)
        self.expansion = Expansion(cutoff, density, basis)

    @property
    def cutoff(self) -> Cutoff:
        return self.expansion.cutoff

    @property
    def density(self) -> Density:
        return self.expansion.density

    @property
    def basis(self) -> Basis:
        return self.expansion.basis

    def to_dict(self) -> dict:
        """Hyper-parameters in featomic's nested spelling."""
        return self.expansion.to_dict()

    @classmethod
    def from_dict(cls, given: dict) -> Self:
        return cls(**given)
