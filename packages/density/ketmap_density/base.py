"""What the calculators on an expanded density share: their hyper-parameters."""

from typing import Self

from ketmap_core import BlockShape

from .basis import Basis
from .cutoff import Cutoff
from .density import Density
from .expansion import Expansion
from .hypers import complete
from .rascaline import understood
from .selection import check_gradients
from .species import Species


class DensityCalculator:
    """A calculator with hyper-parameters ``cutoff``, ``density``, ``basis``: objects, or featomic's dictionaries.

    rascaline's flat dictionaries (``cutoff``, ``max_radial``, ``max_angular``, ``atomic_gaussian_width`` …) load too.

    :raises ValueError: for hyper-parameters that are missing or misspelt, naming the nearest right one.
    """

    #: whether ``species`` may mix neighbour types into channels
    mixes_species = False

    def __init__(
        self,
        *,
        cutoff: Cutoff = None,
        density: Density = None,
        basis: Basis = None,
        species: Species | None = None,
        **misspelt,
    ):
        name = type(self).__name__
        cutoff, density, basis, misspelt = understood(name, cutoff, density, basis, misspelt)
        optional = ("species",) if self.mixes_species else ()
        complete(name, misspelt, optional, cutoff=cutoff, density=density, basis=basis)
        if species is not None and not self.mixes_species:
            raise ValueError(f"{name} keeps neighbour types apart: it takes no species")
        self.expansion = Expansion(cutoff, density, basis, species)

    @property
    def cutoff(self) -> Cutoff:
        return self.expansion.cutoff

    @property
    def density(self) -> Density:
        return self.expansion.density

    @property
    def basis(self) -> Basis:
        return self.expansion.basis

    @property
    def species(self) -> Species | None:
        """What mixes neighbour types into channels; None: nothing, every type is a channel."""
        return self.expansion.species

    def to_dict(self) -> dict:
        """Hyper-parameters in featomic's nested spelling."""
        return self.expansion.to_dict()

    @classmethod
    def from_dict(cls, given: dict) -> Self:
        return cls(**given)

    def shapes(
        self,
        systems,
        *,
        gradients=None,
        selected_samples=None,
        selected_properties=None,
        selected_keys=None,
    ) -> list[BlockShape]:
        """The sizes of the blocks that ``compute`` gives for the same arguments, for :func:`ketmap_core.plan`."""
        assembly, keys = self._prepare(systems, selected_keys, selected_samples, selected_properties)
        return assembly.shapes(keys, check_gradients(gradients))

    def _prepare(self, systems, selected_keys, selected_samples, selected_properties):  # -> assembly, its keys
        raise TypeError(f"{type(self).__name__} cannot be planned: it does not declare the sizes of its blocks")
