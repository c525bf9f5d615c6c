"""The invariant power spectrum of two densities: what λ = 0 of their product holds, without components."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from ketmap_core import stamp
from ketmap_core.tensors import as_numpy
from ketmap_density.blocks import Maker
from ketmap_density.selection import check_gradients

from .densities import check_samples, named, neighbors_in_properties
from .equivariant import DensityProduct
from .keys import ProductKeys
from .merged import merged_keys, merged_product


class PowerSpectrum(DensityProduct):
    """Invariants of second order of two densities: (−1)^l/√(2l+1) Σ_m ⟨a n1 l m|ρ_i⟩ ⟨b n2 l m|ρ'_i⟩.

    Of one density it is :class:`~ketmap_soap.SoapPowerSpectrum` with all ordered pairs of types, without √2, and
    slower.

    Keys ``center_type``; samples ``system, atom``: those of either density; properties ``l, neighbor_1_type, n_1,
    neighbor_2_type, n_2``. Only l that both have.

    :param calculator_1: a calculator of a density, such as :class:`~ketmap_density.SphericalExpansion`.
    :param calculator_2: another one, such as a long-range field; ``None``: the first density with itself.
    :param neighbor_types: the types that there are to be properties of; by default those that occur.

    >>> import ase.build
    >>> from ketmap_cg import PowerSpectrum
    >>> from ketmap_density import Cutoff, Gaussian, Gto, SphericalExpansion, Step, TensorProduct
    >>> basis = TensorProduct(max_angular=1, radial=Gto(max_radial=1))
    >>> wide, narrow = (
    ...     SphericalExpansion(cutoff=Cutoff(radius, smoothing=Step()), density=Gaussian(0.4), basis=basis)
    ...     for radius in (4.0, 2.0)
    ... )
    >>> tensor = PowerSpectrum(wide, narrow).compute(ase.build.molecule("H2O"))
    >>> tensor.block(dict(center_type=8)).shape
    (1, 32)
    """

    def compute(
        self,
        systems: Any,
        *,
        gradients: Sequence[str] | None = None,
        use_native_system: bool = True,
        selected_samples: Any = None,
        selected_properties: Any = None,
        selected_keys: Any = None,
    ) -> Any:
        """Power spectra of all atoms of one structure or a list of them.

        :param systems: ASE or chemfiles structures (a NumPy TensorMap comes back), or metatomic ``System`` (torch, with
            autograd through positions and cells, twice).
        :param gradients: explicit gradients, any of ``"positions"``, ``"strain"``, ``"cell"``.
        :param use_native_system: accepted for featomic's sake, without effect.
        :param selected_samples: Labels of (some of) ``system, atom``.
        :param selected_properties: Labels of some of the properties.
        :param selected_keys: Labels of ``center_type``.
        :raises ValueError: for selections and gradients with unknown names.
        """
        check_samples(selected_samples)
        first, second = self._densities(systems, list(check_gradients(gradients)), selected_samples, selected_keys)
        first, second = (
            neighbors_in_properties(named(density, index), index, self.neighbor_types)
            for index, density in ((1, first), (2, second))
        )
        make = Maker.like(first)
        merged = merged_keys(first.keys, second.keys, selected_keys, _scalar)
        properties = _with_l_1(selected_properties, make)
        tensor = merged_product(first, second, merged, make, properties, self._metadata)
        return stamp(_invariant(tensor, make), calculator="PowerSpectrum", hypers=self.to_dict())


def _scalar(keys: ProductKeys) -> np.ndarray:  # -> bool [key]
    return (keys.column("o3_lambda") == 0) & (keys.column("o3_sigma") == 1)


def _with_l_1(selected: Any, make: Maker) -> Any:
    if selected is None or "l" not in selected.names:
        return selected
    return make.labels(["l_1" if name == "l" else name for name in selected.names], as_numpy(selected.values))


def _invariant(tensor: Any, make: Maker) -> Any:
    """Blocks without the component of λ = 0, and one ``l`` in place of two equal ones."""
    names = [name for name in tensor.keys.names if name not in ("o3_lambda", "o3_sigma")]
    columns = [tensor.keys.names.index(name) for name in names]
    blocks = []
    for block in tensor.blocks():
        old = list(block.properties.names)
        keep = [index for index, name in enumerate(old) if name != "l_2"]
        new = ["l" if old[index] == "l_1" else old[index] for index in keep]
        properties = make.labels(new, as_numpy(block.properties.values)[:, keep])
        made = make.block(block.values[:, 0], block.samples, [], properties)
        for name, gradient in block.gradients():
            values, components = gradient.values[..., 0, :], gradient.components[:-1]
            made.add_gradient(name, make.block(values, gradient.samples, components, properties))
        blocks.append(made)
    return make.tensor(names, as_numpy(tensor.keys.values)[:, columns], blocks)
