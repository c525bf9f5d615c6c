"""Correlations of a density with itself, of any order."""

import dataclasses
import re
from collections.abc import Callable, Sequence
from typing import Any

import metatensor
import metatensor.torch
import numpy as np
from ketmap_core import derive, unknown_name
from ketmap_core.names import O3
from ketmap_core.tensors import as_numpy, is_torch
from ketmap_density.blocks import Maker

from .keys import ProductKeys
from .product import ClebschGordanProduct, check_factors, multiply


class DensityCorrelations:
    """ρ^ν = ρ ⊗ ρ ⊗ … ⊗ ρ: ν − 1 Clebsch-Gordan products of a density with itself, with featomic's names.

    Property names get a number for each factor, ``n_1``, ``n_2`` … (``neighbor_type`` becomes ``neighbor_1_type`` …);
    keys say how the factors couple: ``l_1, l_2`` to ``k_2``, that and ``l_3`` to ``k_3`` …, at last to ``o3_lambda``.

    :param n_correlations: number of products, ν − 1.
    :param max_angular: an upper limit for the λ that products may reach, beyond which it is an error; ``None``: no
        limit.
    :param skip_redundant: compute only couplings with l_1 ≤ l_2 ≤ …: the others are linear combinations of these (with
        exchanged properties) as long as no ``angular_cutoff`` is set. The norm is no longer |ρ|^ν.
    :param match_keys: names of those keys that factors must have in common; ``None``: all but λ and σ. The values of
        others are combined in full, with numbered names in the keys.

    ``cg_backend``, ``arrays_backend``, ``dtype`` and ``device`` are accepted as in :class:`ClebschGordanProduct`.

    >>> import ase.build
    >>> from ketmap_cg import DensityCorrelations
    >>> from ketmap_density import Cutoff, Gaussian, Gto, SphericalExpansion, Step, TensorProduct
    >>> basis = TensorProduct(max_angular=2, radial=Gto(max_radial=1))
    >>> rho = SphericalExpansion(cutoff=Cutoff(4.0, smoothing=Step()), density=Gaussian(0.4), basis=basis)
    >>> density = rho.compute(ase.build.molecule("CH4")).keys_to_properties("neighbor_type")
    >>> cubic = DensityCorrelations(n_correlations=2).compute(density, angular_cutoff=2)
    >>> cubic.keys.names
    ['o3_lambda', 'o3_sigma', 'center_type', 'l_1', 'l_2', 'k_2', 'l_3']
    >>> cubic.block(0).properties.names
    ['neighbor_1_type', 'n_1', 'neighbor_2_type', 'n_2', 'neighbor_3_type', 'n_3']
    """

    def __init__(
        self,
        *,
        n_correlations: int,
        max_angular: int | None = None,
        skip_redundant: bool = True,
        match_keys: Sequence[str] | None = None,
        cg_backend: str | None = None,
        arrays_backend: str | None = None,
        dtype: Any = None,
        device: Any = None,
    ):
        if n_correlations < 1:
            raise ValueError(f"n_correlations must be 1 or more, got {n_correlations}")
        self.n_correlations, self.skip_redundant = int(n_correlations), bool(skip_redundant)
        self.match_keys = None if match_keys is None else tuple(match_keys)
        self._options = {
            "max_angular": max_angular,
            "cg_backend": cg_backend,
            "arrays_backend": arrays_backend,
            "dtype": dtype,
            "device": device,
        }
        ClebschGordanProduct(**self._options)  # raises for what it does not know

    def compute(self, density: Any, angular_cutoff: int | None = None, selected_keys: Any = None) -> Any:
        """The correlations of a density, with its gradients; differentiable where it is torch's.

        :param density: equivariant TensorMap of metatensor or metatensor.torch.
        :param angular_cutoff: largest λ of every product; with ``selected_keys``, of all but the last.
        :param selected_keys: Labels of some of the keys of the result: only what matches is computed, and of lower
            orders what it is made of.
        :raises ValueError: for tensors that are not equivariant, unknown names, and λ beyond ``max_angular``.
        """
        return self._correlations(density, angular_cutoff, selected_keys, metadata=False)

    def compute_metadata(self, density: Any, angular_cutoff: int | None = None, selected_keys: Any = None) -> Any:
        """What :meth:`compute` gives for the same arguments, without any product: keys, labels and gradients are the
        same, and all numbers are one zero, so that no memory is taken for them."""
        return self._correlations(density, angular_cutoff, selected_keys, metadata=True)

    def _correlations(self, density: Any, angular_cutoff: int | None, selected_keys: Any, metadata: bool) -> Any:
        if angular_cutoff is not None and angular_cutoff < 0:
            raise ValueError(f"angular_cutoff must be 0 or more, got {angular_cutoff}")
        library = metatensor.torch if is_torch(density) else metatensor
        free = self._free_keys(density)
        factors = [_numbered(library, density, free, i) for i in range(1, self.n_correlations + 2)]
        check_factors(*factors[:2])
        product = factors[0]
        for factor, keys in zip(factors[1:], self._keys(factors, free, angular_cutoff, selected_keys)):
            product = multiply(product, factor, keys, metadata=metadata)
        hypers = {"n_correlations": self.n_correlations, "skip_redundant": self.skip_redundant}
        hypers |= {"angular_cutoff": angular_cutoff, "match_keys": self.match_keys}
        return derive(product, "DensityCorrelations", density, hypers)

    def _keys(self, factors: list, free: list[str], angular_cutoff: int | None, selected: Any) -> list[ProductKeys]:
        """The keys of every product: of those before the last what the last is made of."""
        below = None
        if angular_cutoff is not None:
            below = metatensor.Labels(["o3_lambda"], np.arange(angular_cutoff + 1, dtype=np.int32)[:, None])
        found, keys = [], factors[0].keys
        for step, factor in enumerate(factors[1:], start=1):
            names = ("l_1" if step == 1 else f"k_{step}", f"l_{step + 1}")
            rule = self._rule(step + 1, free) if self.skip_redundant else None
            chosen = selected if step == self.n_correlations and selected is not None else below
            product = ClebschGordanProduct(**self._options, keys_filter=rule)
            keys = product.keys(keys, factor.keys, names, Maker.like(factor), chosen)
            found.append(keys)
        for step in range(self.n_correlations - 1, 0, -1):
            needed, first = np.unique(found[step].first, return_inverse=True)
            found[step] = dataclasses.replace(found[step], first=first.reshape(-1))
            found[step - 1] = found[step - 1].keep(needed)
        return found

    def _free_keys(self, density: Any) -> list[str]:
        names = [name for name in density.keys.names if name not in O3]
        if self.match_keys is None:
            return []
        for name in self.match_keys:
            if name not in names:
                raise ValueError(unknown_name(name, names, "key in match_keys"))
        return [name for name in names if name not in self.match_keys]

    @staticmethod
    def _rule(order: int, free: list[str]) -> Callable[[Any], np.ndarray]:
        """Which keys are kept: l (and then the free keys) ascending from factor to factor."""

        def ascending(keys: Any) -> np.ndarray:
            values, names = as_numpy(keys.values), list(keys.names)
            wanted = [[f"l_{i}", *(numbered(name, i) for name in free)] for i in range(1, order + 1)]
            factors = values[:, [[names.index(name) for name in each] for each in wanted]]  # -> [key, factor, name]
            keep, undecided = np.ones(len(values), dtype=bool), np.ones((len(values), order - 1), dtype=bool)
            for column in range(factors.shape[2]):
                step = np.diff(factors[:, :, column], axis=1)
                keep &= ~(undecided & (step < 0)).any(axis=1)
                undecided &= step == 0
            return np.flatnonzero(keep)

        return ascending


def numbered(name: str, i: int) -> str:
    """The name of a dimension of the ``i``-th factor.

    >>> numbered("n", 2), numbered("neighbor_type", 3), numbered("n_1", 2), numbered("neighbor_1_type", 2)
    ('n_2', 'neighbor_3_type', 'n_3', 'neighbor_3_type')
    """
    stem, kind = re.fullmatch(r"(.*?)(_type|_channel)?", name).groups()
    base, number = re.fullmatch(r"(.*?)(?:_(\d+))?", stem).groups()
    return f"{base}_{int(number or 0) + i}{kind or ''}"


def _numbered(library: Any, tensor: Any, free: list[str], i: int) -> Any:
    """The density as the ``i``-th factor: names of properties and of ``free`` keys with its number."""
    keys = library.Labels([numbered(n, i) if n in free else n for n in tensor.keys.names], tensor.keys.values)
    names = [numbered(name, i) for name in tensor.property_names]
    labels: dict = {}
    blocks = []
    for block in tensor.blocks():
        properties = _renamed(library, block.properties, names, labels)
        made = library.TensorBlock(block.values, block.samples, block.components, properties)
        for which, gradient in block.gradients():
            renamed = library.TensorBlock(gradient.values, gradient.samples, gradient.components, properties)
            made.add_gradient(which, renamed)
        blocks.append(made)
    result = library.TensorMap(keys, blocks)
    for key, value in tensor.info().items():
        result.set_info(key, value)
    return result


def _renamed(library: Any, labels: Any, names: list[str], known: dict) -> Any:
    key = as_numpy(labels.values).tobytes()
    if key not in known:
        known[key] = library.Labels(names, labels.values)
    return known[key]
