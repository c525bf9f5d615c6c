"""The Clebsch-Gordan product of two TensorMaps."""

from collections.abc import Callable
from typing import Any

import numpy as np
from ketmap_core import derive
from ketmap_core.tensors import as_numpy, is_torch
from ketmap_density.blocks import Maker

from .assembly import Assembly
from .keys import ProductKeys, matching, product_keys
from .operands import O3, operands, places_of_blocks
from .samples import check_systems

BACKENDS = (None, "python-sparse", "python-dense")


class ClebschGordanProduct:
    """A ⊗ B → (λ, σ): couples every block of one TensorMap with every block of another.

    Blocks (λ, σ) hold Σ_m1m2 C^{λM}_{l1m1,l2m2} A_m1 B_m2 for all pairs of properties; σ = σ1 σ2 (−1)^(l1+l2+λ).
    Samples, blocks and neighbour types that one tensor lacks count as zeros.

    featomic's arguments are accepted. Only ``max_angular`` and ``keys_filter`` have an effect: arrays out follow
    arrays in, in type, dtype and device, and the operator chooses between sparse and dense coefficients itself.

    :param max_angular: an upper limit for the λ that a product may need, beyond which it is an error; ``None``: no
        limit.
    :param keys_filter: takes the keys (Labels) of the product, gives the places of those to be computed.

    >>> import ase.build
    >>> import metatensor
    >>> from ketmap_cg import ClebschGordanProduct
    >>> from ketmap_density import Cutoff, Gaussian, Gto, SphericalExpansion, Step, TensorProduct
    >>> basis = TensorProduct(max_angular=1, radial=Gto(max_radial=1))
    >>> rho = SphericalExpansion(cutoff=Cutoff(4.0, smoothing=Step()), density=Gaussian(0.4), basis=basis)
    >>> first = rho.compute(ase.build.molecule("CO"))
    >>> second = metatensor.rename_dimension(first, "keys", "neighbor_type", "neighbor_2_type")
    >>> second = metatensor.rename_dimension(second, "properties", "n", "n_2")
    >>> product = ClebschGordanProduct().compute(first, second, "l_1", "l_2")
    >>> product.keys.names
    ['o3_lambda', 'o3_sigma', 'center_type', 'neighbor_type', 'l_1', 'neighbor_2_type', 'l_2']
    >>> product.block(dict(o3_lambda=2, center_type=6, neighbor_type=6, neighbor_2_type=8)).shape
    (1, 5, 4)
    """

    def __init__(
        self,
        *,
        max_angular: int | None = None,
        cg_backend: str | None = None,
        keys_filter: Callable[[Any], Any] | None = None,
        arrays_backend: str | None = None,
        dtype: Any = None,
        device: Any = None,
    ):
        if max_angular is not None and max_angular < 0:
            raise ValueError(f"max_angular must be 0 or more, got {max_angular}")
        if cg_backend not in BACKENDS:
            raise ValueError(f"cg_backend must be one of {', '.join(map(repr, BACKENDS))}; got {cg_backend!r}")
        if arrays_backend not in (None, "numpy", "torch"):
            raise ValueError(f"arrays_backend must be None, 'numpy' or 'torch'; got {arrays_backend!r}")
        self.max_angular, self.keys_filter = max_angular, keys_filter

    def compute(
        self,
        tensor_1: Any,
        tensor_2: Any,
        o3_lambda_1_new_name: str,
        o3_lambda_2_new_name: str,
        selected_keys: Any = None,
        selected_properties: Any = None,
    ) -> Any:
        """The product, with the gradients that both tensors have, and differentiable where they are torch's.

        Keys with the same name must agree, others are combined in full. Samples of the same names: their union, sorted.
        If one tensor has more sample names (pairs) than the other (atoms): those of its samples that the other has.

        :param tensor_1: equivariant TensorMap of metatensor or metatensor.torch; ``tensor_2`` of the same kind, with
            other names of properties.
        :param o3_lambda_1_new_name: name of the key that holds the ``o3_lambda`` of the first tensor; likewise for
            the second.
        :param selected_keys: Labels of some of the keys of the product; only what matches is computed.
        :param selected_properties: Labels of some of the properties of the product: only pairs that match are computed.
        :raises ValueError: for tensors that do not fit together: names, systems, gradients, arrays; and for unknown
            names in selections.
        """
        names = o3_lambda_1_new_name, o3_lambda_2_new_name
        return self._compute(tensor_1, tensor_2, names, selected_keys, selected_properties, metadata=False)

    def compute_metadata(
        self,
        tensor_1: Any,
        tensor_2: Any,
        o3_lambda_1_new_name: str,
        o3_lambda_2_new_name: str,
        selected_keys: Any = None,
        selected_properties: Any = None,
    ) -> Any:
        """What :meth:`compute` gives for the same arguments, without the product: keys, labels and gradients are the
        same, and all numbers are one zero, so that no memory is taken for them."""
        names = o3_lambda_1_new_name, o3_lambda_2_new_name
        return self._compute(tensor_1, tensor_2, names, selected_keys, selected_properties, metadata=True)

    def _compute(self, tensor_1, tensor_2, l_names, selected_keys, selected_properties, metadata: bool) -> Any:
        check_factors(tensor_1, tensor_2)
        keys = self.keys(tensor_1.keys, tensor_2.keys, l_names, Maker.like(tensor_1), selected_keys)
        return multiply(tensor_1, tensor_2, keys, selected_properties, metadata)

    def keys(
        self, keys_1: Any, keys_2: Any, l_names: tuple[str, str], make: Maker, selected: Any = None
    ) -> ProductKeys:
        """The keys of a product of tensors with these keys, those that are wanted."""
        keys = product_keys(keys_1, keys_2, l_names)
        if selected is not None:
            keys = keys.keep(np.flatnonzero(matching(keys.names, keys.values, selected, "keys")))
        if self.keys_filter is not None:
            kept = self.keys_filter(make.labels(keys.names, keys.values))
            keys = keys.keep(np.asarray(kept, dtype=np.int64).reshape(-1))
        largest = keys.column("o3_lambda").max(initial=0)
        if self.max_angular is not None and largest > self.max_angular:
            raise ValueError(
                f"the product reaches o3_lambda={largest}, more than max_angular={self.max_angular}: select keys, "
                "raise max_angular or leave it out"
            )
        return keys


def multiply(
    tensor_1: Any, tensor_2: Any, keys: ProductKeys, selected_properties: Any = None, metadata: bool = False
) -> Any:
    """The product, with a block for each of the ``keys``; those that share samples by one call of the operator.

    :param metadata: labels alone, see :func:`~ketmap_cg.operands.operands`.
    """
    make = Maker.like(tensor_1)
    sides = [operands(tensor, merged=False, metadata=metadata) for tensor in (tensor_1, tensor_2)]
    home = [places_of_blocks(side) for side in sides]
    groups: dict[tuple[int, int], list[int]] = {}
    for index, (first, second) in enumerate(zip(keys.first.tolist(), keys.second.tolist())):
        groups.setdefault((home[0][first][0], home[1][second][0]), []).append(index)
    names = [*tensor_1.property_names, *tensor_2.property_names]
    assembly = Assembly(make, names, tensor_1.sample_names, tensor_2.sample_names, selected_properties)
    blocks: list[Any] = [None] * len(keys.values)
    l = keys.column("o3_lambda")
    for (i, j), members in groups.items():
        wanted = [(home[0][keys.first[k]][1], home[1][keys.second[k]][1], int(l[k])) for k in members]
        for k, block in zip(members, assembly.blocks(sides[0][i], sides[1][j], [[each] for each in wanted])):
            blocks[k] = block
    product = make.tensor(keys.names, keys.values.reshape(-1, len(keys.names)), blocks)
    return derive(product, "ClebschGordanProduct", [tensor_1, tensor_2])


def check_factors(tensor_1: Any, tensor_2: Any) -> None:
    """Whether two tensors can be multiplied.

    :raises ValueError: saying what does not fit together.
    """
    for which, tensor in (("tensor_1", tensor_1), ("tensor_2", tensor_2)):
        is_torch(tensor)  # raises for what is no TensorMap
        if missing := [name for name in O3 if name not in tensor.keys.names]:
            raise ValueError(f"{which} has no key {missing[0]}: expected an equivariant TensorMap")
        if len(tensor.keys) and list(tensor.component_names) != ["o3_mu"]:
            raise ValueError(f"{which} has components {', '.join(tensor.component_names) or 'none'}; expected o3_mu")
    if is_torch(tensor_1) != is_torch(tensor_2):
        raise ValueError("one tensor is of metatensor, the other of metatensor.torch: expected the same kind")
    if not (len(tensor_1.keys) and len(tensor_2.keys)):
        return
    for name in tensor_1.property_names:
        if name in tensor_2.property_names:
            raise ValueError(f"both tensors have properties named {name}: rename one (metatensor.rename_dimension)")
    _check_gradients(tensor_1, tensor_2)
    systems = [_systems(tensor) for tensor in (tensor_1, tensor_2)]
    if all(each is not None for each in systems):
        more = len(tensor_1.sample_names) - len(tensor_2.sample_names)
        if more <= 0:
            check_systems(("tensor_1", "tensor_2"), *systems, both=more == 0)
        else:
            check_systems(("tensor_2", "tensor_1"), *systems[::-1], both=False)


def _check_gradients(tensor_1: Any, tensor_2: Any):
    found = [set(tensor.block(0).gradients_list()) for tensor in (tensor_1, tensor_2)]
    if alone := sorted(found[0] ^ found[1]):
        which = "tensor_1" if alone[0] in found[0] else "tensor_2"
        raise ValueError(
            f"only {which} has gradients by {alone[0]}: compute both with the same gradients, or remove them "
            "(metatensor.remove_gradients)"
        )


def _systems(tensor: Any) -> np.ndarray | None:
    if "system" not in tensor.sample_names:
        return None
    column = list(tensor.sample_names).index("system")
    return np.unique(np.concatenate([as_numpy(block.samples.values)[:, column] for block in tensor.blocks()]))
