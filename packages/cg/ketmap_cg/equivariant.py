"""The equivariant power spectrum (λ-SOAP) of one density with itself, or of two."""

import copy
import functools
from collections.abc import Sequence
from typing import Any

from ketmap_core import BlockShape, stamp
from ketmap_density import SphericalExpansion
from ketmap_density.blocks import Maker
from ketmap_density.selection import check_gradients

from .densities import check_samples, factor_names, named, needed, neighbors_in_properties
from .fused import FusedSpectrum
from .merged import ascending, merged_keys, merged_product


class DensityProduct:
    """What calculators of products of two densities share.

    :param calculator_1: calculator of a density; ``calculator_2`` likewise, or ``None`` for the first again.
    :param neighbor_types: types that properties are to have when neighbours stand there; by default those that occur.
    """

    _metadata = False  #: whether ``compute`` makes labels alone

    def __init__(
        self,
        calculator_1: Any,
        calculator_2: Any = None,
        neighbor_types: Sequence[int] | None = None,
        *,
        dtype: Any = None,
        device: Any = None,
    ):
        for calculator in (calculator_1, *(() if calculator_2 is None else (calculator_2,))):
            if not hasattr(calculator, "compute"):
                raise ValueError(f"{type(self).__name__} multiplies calculators of densities, got {calculator!r}")
        self.calculator_1, self.calculator_2 = calculator_1, calculator_2
        self.neighbor_types = None if neighbor_types is None else [int(t) for t in neighbor_types]

    @property
    def cutoff(self) -> Any:
        """The larger cutoff of both calculators."""
        found = [calculator.cutoff for calculator in (self.calculator_1, self.calculator_2) if calculator is not None]
        return max(found, key=lambda cutoff: cutoff.radius)

    def to_dict(self) -> dict:
        """Both calculators with their hyper-parameters."""
        return {
            name: None if calculator is None else {"type": type(calculator).__name__, **calculator.to_dict()}
            for name, calculator in (("calculator_1", self.calculator_1), ("calculator_2", self.calculator_2))
        } | {"neighbor_types": self.neighbor_types}

    def compute_metadata(self, systems: Any, **options: Any) -> Any:
        """What ``compute`` gives for the same arguments, without the product: keys, labels and gradients are the same,
        and all numbers are one zero, so that no memory is taken for them.

        The densities are computed where their labels are not known before.
        """
        bare = copy.copy(self)
        bare._metadata = True
        return bare.compute(systems, **options)

    def shapes(self, systems: Any, **options: Any) -> list[BlockShape]:
        """The sizes of the blocks that ``compute`` gives for the same arguments, for :func:`ketmap_core.plan`."""
        tensor = self.compute_metadata(systems, **options)
        # a block of two neighbour types has the samples of either, so it is longer where both occur in any system;
        # and types that occur may be properties
        in_keys, in_properties = (
            any(name.startswith("neighbor_") for name in names) for names in (tensor.keys.names, tensor.property_names)
        )
        additive = not in_keys and (self.neighbor_types is not None or not in_properties)
        return [BlockShape.of(key, block, additive) for key, block in tensor.items()]

    def _densities(self, systems: Any, gradients: list[str], samples: Any, keys: Any) -> tuple[Any, Any]:
        """Both densities, as much of them as the selected ``samples`` and ``keys`` of the product need."""
        options = {"gradients": gradients, "selected_samples": samples}
        sides = [{"center_type": "center_type", **factor_names(index)} for index in (1, 2)]
        if self.calculator_2 is None:
            both = self.calculator_1.compute(systems, selected_keys=needed(keys, *sides), **options)
            return both, both
        first, second = (
            calculator.compute(systems, selected_keys=needed(keys, side), **options)
            for calculator, side in zip((self.calculator_1, self.calculator_2), sides)
        )
        return first, second


class EquivariantProduct(DensityProduct):
    """What equivariant power spectra of atoms and of pairs share: how they are asked for."""

    def compute(
        self,
        systems: Any,
        *,
        gradients: Sequence[str] | None = None,
        use_native_system: bool = True,
        selected_samples: Any = None,
        selected_properties: Any = None,
        selected_keys: Any = None,
        neighbors_to_properties: bool = False,
    ) -> Any:
        """λ-SOAP of all atoms, or all pairs, of one structure or a list of them.

        :param systems: ASE or chemfiles structures (a NumPy TensorMap comes back), or metatomic ``System`` (torch, with
            autograd through positions and cells, twice).
        :param gradients: explicit gradients, any of ``"positions"``, ``"strain"``, ``"cell"``.
        :param use_native_system: accepted for featomic's sake, without effect.
        :param selected_samples: Labels of (some of) ``system, atom``; of pairs those whose first atom is among them.
        :param selected_properties: Labels of some of the properties.
        :param selected_keys: Labels of some of the keys, ``l_1`` and ``l_2`` among them: only what matches is computed.
        :param neighbors_to_properties: neighbour types of densities in the properties instead of the keys.
        :raises ValueError: for selections and gradients with unknown names.
        """
        check_samples(selected_samples)
        selections = selected_samples, selected_properties, selected_keys
        tensor = self._tensor(systems, list(check_gradients(gradients)), *selections, neighbors_to_properties)
        return stamp(tensor, calculator=type(self).__name__, hypers=self.to_dict())

    def _tensor(self, systems, gradients: list[str], samples, properties, keys, in_properties: bool) -> Any:
        raise NotImplementedError


class EquivariantPowerSpectrum(EquivariantProduct):
    """λ-SOAP: all covariants of second order of the neighbour density, proper and pseudotensors.

    Σ_m1m2 C^{λM}_{l1m1,l2m2} ⟨a n1 l1 m1|ρ_i⟩ ⟨b n2 l2 m2|ρ_i⟩ (Grisafi, Wilkins, Csányi, Ceriotti, PRL 120, 036002
    (2018)), unweighted, for all ordered pairs (a, b) of types; l1 ≤ l2 for one calculator, all (l1, l2) for two.

    Keys ``o3_lambda, o3_sigma, center_type, neighbor_1_type, neighbor_2_type``; samples ``system, atom``: those of
    either density; component ``o3_mu``; properties ``l_1, l_2, n_1, n_2``. With ``neighbors_to_properties`` the types
    are properties: ``l_1, l_2, neighbor_1_type, n_1, neighbor_2_type, n_2``.

    :param calculator_1: a calculator of a density, such as :class:`~ketmap_density.SphericalExpansion`.
    :param calculator_2: another one; ``None``: the first density with itself.
    :param neighbor_types: with ``neighbors_to_properties``, the types that there are to be properties of.
    :param dtype: accepted for featomic's sake, without effect; likewise ``device``: arrays out follow structures in.

    >>> import ase.build
    >>> from ketmap_cg import EquivariantPowerSpectrum
    >>> from ketmap_density import Cutoff, Gaussian, Gto, SphericalExpansion, Step, TensorProduct
    >>> basis = TensorProduct(max_angular=1, radial=Gto(max_radial=1))
    >>> rho = SphericalExpansion(cutoff=Cutoff(4.0, smoothing=Step()), density=Gaussian(0.4), basis=basis)
    >>> tensor = EquivariantPowerSpectrum(rho).compute(ase.build.molecule("H2O"), neighbors_to_properties=True)
    >>> tensor.keys.values.tolist()
    [[0, 1, 1], [1, -1, 1], [1, 1, 1], [2, 1, 1], [0, 1, 8], [1, -1, 8], [1, 1, 8], [2, 1, 8]]
    >>> tensor.block(dict(o3_lambda=1, o3_sigma=1, center_type=1)).properties.names
    ['l_1', 'l_2', 'neighbor_1_type', 'n_1', 'neighbor_2_type', 'n_2']
    """

    @functools.cached_property
    def _fused(self) -> FusedSpectrum | None:
        """The road without TensorMaps on the way, for one expansion whose channels are types."""
        one = self.calculator_1
        plain = self.calculator_2 is None and type(one) is SphericalExpansion and one.expansion.species is None
        return FusedSpectrum(one.expansion, self.neighbor_types) if plain else None

    def _tensor(self, systems, gradients: list[str], samples, properties, keys, in_properties: bool) -> Any:
        if self._fused is not None and not gradients:
            return self._fused.compute(systems, keys, samples, properties, in_properties, self._metadata)
        first, second = self._densities(systems, gradients, samples, keys)
        first, second = named(first, 1), named(second, 2)
        if in_properties:
            first = neighbors_in_properties(first, 1, self.neighbor_types)
            second = neighbors_in_properties(second, 2, self.neighbor_types)
        wanted = ascending if self.calculator_2 is None else None
        merged = merged_keys(first.keys, second.keys, keys, wanted)
        return merged_product(first, second, merged, Maker.like(first), properties, self._metadata)
