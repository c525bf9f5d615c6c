"""The equivariant power spectrum of pairs: the density around the first atom times the pair itself."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from ketmap_core.tensors import as_numpy, library
from ketmap_density.blocks import Maker

from .densities import factor_names, named, needed, neighbors_in_properties
from .equivariant import EquivariantProduct
from .merged import merged_keys, merged_product


class EquivariantPowerSpectrumByPair(EquivariantProduct):
    """λ-SOAP by pair: Σ_m1m2 C^{λM}_{l1m1,l2m2} ⟨a n1 l1 m1|ρ_i⟩ ⟨n2 l2 m2|r_ij⟩ for all pairs (i, j), all (l1, l2).

    Keys ``o3_lambda, o3_sigma, first_atom_type, neighbor_1_type, second_atom_type``; samples ``system, first_atom,
    second_atom, cell_shift_a/b/c``; component ``o3_mu``; properties ``l_1, l_2, n_1, n_2``. With
    ``neighbors_to_properties`` they are ``l_1, l_2, neighbor_1_type, n_1, n_2``.

    :param calculator_1: a calculator of a density by centre, such as :class:`~ketmap_density.SphericalExpansion`.
    :param calculator_2: one of a density by pair, such as ``SphericalExpansionByPair``.
    :param neighbor_types: with ``neighbors_to_properties``, the types that there are to be properties of.

    >>> import ase.build
    >>> from ketmap_cg import EquivariantPowerSpectrumByPair
    >>> from ketmap_density import Cutoff, Gaussian, Gto, Step, TensorProduct
    >>> from ketmap_density import SphericalExpansion, SphericalExpansionByPair
    >>> basis = TensorProduct(max_angular=1, radial=Gto(max_radial=1))
    >>> hypers = {"cutoff": Cutoff(4.0, smoothing=Step()), "density": Gaussian(0.4), "basis": basis}
    >>> calculator = EquivariantPowerSpectrumByPair(SphericalExpansion(**hypers), SphericalExpansionByPair(**hypers))
    >>> tensor = calculator.compute(ase.build.molecule("H2O"))
    >>> tensor.block(dict(o3_lambda=1, o3_sigma=-1, first_atom_type=8, neighbor_1_type=1, second_atom_type=1)).shape
    (2, 3, 4)
    """

    def __init__(
        self,
        calculator_1: Any,
        calculator_2: Any,
        neighbor_types: Sequence[int] | None = None,
        *,
        dtype: Any = None,
        device: Any = None,
    ):
        super().__init__(calculator_1, calculator_2, neighbor_types)

    def _tensor(self, systems, gradients: list[str], samples, properties, keys, in_properties: bool) -> Any:
        first = self.calculator_1.compute(
            systems,
            gradients=gradients,
            selected_samples=samples,
            selected_keys=needed(keys, {"first_atom_type": "center_type", **factor_names(1)}),
        )
        make = Maker.like(first)
        of_pairs = {name: name for name in ("first_atom_type", "second_atom_type")}
        second = self.calculator_2.compute(
            systems,
            gradients=gradients,
            selected_samples=_of_first_atoms(samples, make),
            selected_keys=needed(keys, of_pairs | {"l_2": "o3_lambda"}),
        )
        rename = library(first).rename_dimension
        first = named(rename(first, "keys", "center_type", "first_atom_type"), 1)
        if len(first.keys):
            first = rename(first, "samples", "atom", "first_atom")
        if in_properties:
            first = neighbors_in_properties(first, 1, self.neighbor_types)
        second = named(second, 2)
        merged = merged_keys(first.keys, second.keys, keys)
        return merged_product(first, second, merged, make, properties, self._metadata)


def _of_first_atoms(selected: Any, make: Maker) -> Any:
    if selected is None or "atom" not in selected.names:
        return selected
    names = ["first_atom" if name == "atom" else name for name in selected.names]
    return make.labels(names, np.array(as_numpy(selected.values)))
