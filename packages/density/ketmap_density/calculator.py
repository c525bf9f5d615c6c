"""The calculator: structures to a TensorMap of spherical expansion coefficients."""

from ketmap_core import as_batch

from .assembly import Assembly
from .base import DensityCalculator
from .environments import checked_environments
from .mixed import MixedAssembly
from .selection import Selection


class SphericalExpansion(DensityCalculator):
    """Expansion of the neighbour density around every atom, ⟨a n l m|ρ_i⟩, with featomic's names and values.

    Keys ``o3_lambda, o3_sigma, center_type, neighbor_type``; samples ``system, atom``: the centres of that
    type that have such a neighbour or are it; component ``o3_mu``; property ``n``.

    :param cutoff: :class:`Cutoff`, or featomic's dictionary; likewise ``density`` and ``basis``.
    :param species: :class:`AlchemicalChannels` mix the neighbour types: then the last key is ``neighbor_channel``, and
        every centre has every channel.

    >>> import ase.build
    >>> from ketmap_density import Cutoff, Gaussian, Gto, ShiftedCosine, SphericalExpansion, TensorProduct
    >>> rho = SphericalExpansion(
    ...     cutoff=Cutoff(5.0, smoothing=ShiftedCosine(0.5)),
    ...     density=Gaussian(0.3),
    ...     basis=TensorProduct(max_angular=2, radial=Gto(max_radial=3)),
    ... )
    >>> tensor = rho.compute(ase.build.molecule("CH4"))
    >>> tensor.block(dict(o3_lambda=1, center_type=6, neighbor_type=1)).shape
    (1, 3, 4)
    """

    mixes_species = True

    def _prepare(self, systems, selected_keys, selected_samples, selected_properties) -> tuple[Assembly, list]:
        kind = Assembly if self.species is None else MixedAssembly
        selection = Selection(selected_keys, selected_samples, selected_properties, kind.names, ("n",))
        batch = as_batch(systems)
        types = selection.wanted("neighbor_type") if self.species is None else None  # mixed: all there are
        environments = checked_environments(batch, self.cutoff.radius, types, selection.atoms(batch))
        assembly = kind(self.expansion, batch, environments, selection)
        return assembly, assembly.choose_keys()
