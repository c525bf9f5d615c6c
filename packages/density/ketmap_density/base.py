"""What the calculators on an expanded density share: their hyper-parameters, and what they may be asked for."""

from typing import Self

from ketmap_core import BlockShape, stamp

from .basis import Basis
from .cutoff import Cutoff
from .density import Density
from .expansion import Expansion
from .hypers import complete
from .rascaline import understood
from .selection import check_gradients
from .species import Species


class AssembledCalculator:
    """A calculator whose TensorMap is cut from dense arrays by an assembly that it prepares."""

    def compute(
        self,
        systems,
        *,
        gradients=None,
        use_native_system=True,
        selected_samples=None,
        selected_properties=None,
        selected_keys=None,
    ):
        """The representation of one structure or a list of them, as a TensorMap.

        :param systems: ASE or chemfiles structures (a NumPy TensorMap comes back), or metatomic ``System`` (a torch
            TensorMap on their device, with autograd through positions and cells, twice differentiable).
        :param gradients: explicit gradients, any of ``"positions"`` (samples ``sample, system, atom``, ascending: the
            centre and its neighbours of the block's types, or both atoms of a pair; component ``xyz``), ``"strain"``
            (components ``xyz_1, xyz_2``: row, column of ε in r → r (1 + ε)) and ``"cell"`` (components ``abc, xyz``, at
            fixed Cartesian positions).
        :param use_native_system: accepted for featomic's sake, without effect.
        :param selected_samples: Labels of (some of) the sample dimensions, or a TensorMap with the samples of each key.
        :param selected_properties: Labels of (some of) the property dimensions, or a TensorMap with the properties of
            each key.
        :param selected_keys: Labels with some of the key dimensions, which keep the keys that match; or with all of
            them: then these are the keys, and types that do not occur give empty blocks.
        :raises ValueError: for structures with non-finite numbers or flat periodic cells, and for selections or
            gradients with unknown names.
        """
        gradients = check_gradients(gradients)
        assembly, keys = self._prepare(systems, selected_keys, selected_samples, selected_properties)
        return stamp(assembly.tensor(keys, gradients), calculator=type(self).__name__, hypers=self.to_dict())

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
        raise NotImplementedError


class DensityCalculator(AssembledCalculator):
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
