"""The calculator: a density, contracted order by order."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import metatensor
import numpy as np
from ketmap_core import BlockShape, NotFittedError, UnknownTypesError, load_archive, save_archive, stamp
from ketmap_core.files import ketmap_class
from ketmap_density.blocks import Maker
from ketmap_density.selection import Selection

from ..layout import Layout, check_density, dense, found_center_types
from .blocks import blocks_of, shape_of
from .hypers import Contraction
from .network import fit
from .storage import Fitted, build, describe, pack, unpack

KEYS = ("o3_lambda", "o3_sigma", "center_type", "order_nu")
KIND, VERSION = "ketmap NICE contraction", 1


class Nice:
    """N-body iterative contraction of equivariants: density correlations of any order ν with few components.

    Order by order, the features of order ν − 1 are multiplied with the density, ρ^ν = ρ^(ν−1) ⊗ ρ; the products with
    the largest expected variance are made, what lower orders know of them (linearly) is taken off, and the principal
    components of the rest are kept, for each (λ, σ) (Nigam, Pozdnyakov, Ceriotti, J. Chem. Phys. 153, 121101 (2020)).
    :meth:`fit` finds the contraction on a sample once; it then is a fixed, smooth, equivariant map.

    Keys ``o3_lambda, o3_sigma, center_type, order_nu``; samples ``system, atom``; component ``o3_mu``; property ``q``:
    components by falling variance.

    :param density: the calculator of the density: :class:`~ketmap_density.SphericalExpansion`, LODE …
    :param contraction: :class:`Contraction`, or a dictionary.

    >>> import ase.build
    >>> from ketmap_cg import Contraction, Nice
    >>> from ketmap_density import Cutoff, Gaussian, Gto, ShiftedCosine, SphericalExpansion, TensorProduct
    >>> rho = SphericalExpansion(
    ...     cutoff=Cutoff(3.0, smoothing=ShiftedCosine(0.5)),
    ...     density=Gaussian(0.3),
    ...     basis=TensorProduct(max_angular=2, radial=Gto(max_radial=2)),
    ... )
    >>> molecules = [ase.build.molecule("CH4") for _ in range(20)]
    >>> for i, atoms in enumerate(molecules):
    ...     atoms.rattle(0.1, seed=i)
    >>> nice = Nice(rho, contraction=Contraction(max_order=3, n_components=10)).fit(molecules)
    >>> nice.compute(molecules[:2]).block(dict(center_type=1, order_nu=3)).shape
    (8, 1, 10)
    """

    def __init__(self, density: Any, *, contraction: Contraction | dict | None = None):
        if not (hasattr(density, "compute") and hasattr(density, "to_dict")):
            raise ValueError(
                f"expected a calculator of a density, with compute(systems) and to_dict(), got {type(density).__name__}"
            )
        self.density = density
        self.contraction = Contraction() if contraction is None else Contraction.from_dict(contraction)
        self._fitted: Fitted | None = None

    @property
    def cutoff(self):
        return self.density.cutoff

    @property
    def fitted(self) -> Fitted:
        """What :meth:`fit` found.

        :raises NotFittedError: before that.
        """
        if self._fitted is None:
            raise NotFittedError("the contraction is not fitted yet; call fit(systems) first")
        return self._fitted

    @property
    def report(self) -> list[dict]:
        """A row per contraction: type of centre, order ν, λ, σ, numbers of candidates and components, and the shares of
        variance that were ``screened_out`` (expected), ``purified`` away and left ``unexplained``."""
        return [
            {
                "center_type": center,
                "order_nu": order,
                "o3_lambda": piece.symmetry[0],
                "o3_sigma": piece.symmetry[1],
                "components": piece.n,
                **piece.report,
            }
            for center, network in self.fitted.networks.items()
            for order, pieces in enumerate(network.pieces, start=1)
            for piece in pieces.values()
        ]

    def summary(self) -> str:
        """:attr:`report` as a table."""
        columns = {
            "centre": "center_type",
            "ν": "order_nu",
            "λ": "o3_lambda",
            "σ": "o3_sigma",
            "candidates": "candidates",
            "kept": "components",
        }
        shares = ("screened_out", "purified", "unexplained")
        head = " ".join([*(f"{name:>10}" for name in columns), *(f"{name:>13}" for name in shares)])
        lines = [
            " ".join([*(f"{row[name]:>10}" for name in columns.values()), *(f"{row[name]:>13.1e}" for name in shares)])
            for row in self.report
        ]
        return "\n".join([head, *lines])

    def fit(self, systems: Any, *, center_types: Sequence[int] | None = None) -> "Nice":
        """Find the contraction on a sample.

        Memory is that of the contracted features of the sample, one type of centre at a time, and 64 MB for products.

        :param systems: structures, or the TensorMap of their density.
        :param center_types: atomic numbers of the atoms that are centres; by default all that there are.
        :raises ValueError: for a sample without atoms of these types.
        """
        tensor = self._density(systems, None if center_types is None else tuple(center_types))
        found = found_center_types(tensor)
        wanted = found if center_types is None else sorted(set(map(int, center_types)))
        if not wanted or set(wanted) - set(found):
            raise ValueError(f"expected a sample with centres of types {wanted or 'any'}, it has {found or 'none'}")
        layouts = {center: Layout.of(tensor, center) for center in wanted}
        networks = {}
        for center, layout in layouts.items():
            networks[center] = fit(dense(tensor, center, layout).values, self.contraction)
        self._fitted = Fitted(layouts, networks, chosen=center_types is not None)
        return self

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
        """Contracted features of all centres of one structure or a list of them, as a TensorMap.

        :param systems: structures; metatomic ``System`` give a torch TensorMap with autograd.
        :param gradients: explicit gradients, those that the density has.
        :param use_native_system: accepted for featomic's sake, without effect.
        :param selected_samples: Labels of (some of) ``system, atom``, or a TensorMap with the samples of each key.
        :param selected_properties: Labels of ``q``, or a TensorMap with those of each key.
        :param selected_keys: Labels of (some of) ``o3_lambda, o3_sigma, center_type, order_nu``: only what these
            need is computed.
        :raises NotFittedError: before :meth:`fit`.
        :raises UnknownTypesError: for types that the sample of :meth:`fit` did not have.
        """
        selection = Selection(selected_keys, selected_samples, selected_properties, KEYS, ("q",))
        return self._transform(self._needed_density(systems, gradients, selection), selection)

    def shapes(
        self, systems, *, gradients=None, selected_samples=None, selected_properties=None, selected_keys=None
    ) -> list[BlockShape]:
        """The sizes of the blocks that :meth:`compute` gives for the same arguments, for :func:`ketmap_core.plan`; the
        density is computed."""
        selection = Selection(selected_keys, selected_samples, selected_properties, KEYS, ("q",))
        tensor = self._needed_density(systems, gradients, selection)
        keys, sizes = self._keys(tensor, selection), self._sizes()
        around = {center: dense(tensor, center, self.fitted.layouts[center]) for center in {key[2] for key in keys}}
        return [shape_of(selection, around[key[2]], KEYS, key, sizes[key]) for key in keys]

    def _needed_density(self, systems: Any, gradients: Any, selection: Selection) -> Any:
        """The density around the centres that are wanted."""
        fitted, wanted = self.fitted, selection.wanted("center_type")
        types = tuple(fitted.networks) if fitted.chosen else None
        if wanted is not None:
            types = tuple(center for center in wanted if types is None or center in types)
        return self._density(systems, types, gradients=gradients, selected_samples=selection.centers())

    def transform(self, tensor: Any, *, selected_keys=None, selected_properties=None):
        """The same from the TensorMap of a density, its explicit gradients included."""
        check_density(tensor)
        return self._transform(tensor, Selection(selected_keys, None, selected_properties, KEYS, ("q",)))

    def _transform(self, tensor: Any, selection: Selection) -> Any:
        fitted, make = self.fitted, Maker.like(tensor)
        keys, blocks = self._keys(tensor, selection), {}
        for center in sorted({key[2] for key in keys}):
            around = dense(tensor, center, fitted.layouts[center])
            mine = [key for key in keys if key[2] == center]
            blocks |= blocks_of(make, selection, around, fitted.networks[center], mine)
        result = make.tensor(KEYS, keys, [blocks[key] for key in keys])
        return stamp(result, "Nice", self.to_dict() | {"fit": self.fingerprint})

    def _keys(self, tensor: Any, selection: Selection) -> list[tuple[int, ...]]:
        """The keys that are wanted, of those that this density gives."""
        fitted = self.fitted
        present = [c for c in found_center_types(tensor) if c in fitted.networks or not fitted.chosen]
        if unknown := [center for center in present if center not in fitted.networks]:
            raise UnknownTypesError(
                f"the contraction was not fitted for centres of type {unknown[0]}; it knows {sorted(fitted.networks)}"
            )
        available = {key: n for key, n in self._sizes().items() if key[2] in present}
        keys = selection.choose_keys(list(available))
        if missing := [key for key in keys if key not in available]:
            named = ", ".join(f"{name}={value}" for name, value in zip(KEYS, missing[0]))
            raise ValueError(f"selected key {named} is not among the contracted features of these systems")
        return keys

    def empty(self, types: Sequence[int]) -> Any:
        """The TensorMap of no atom at all: the keys and properties that atoms of these types have, whichever of them
        meet.

        :raises NotFittedError: before :meth:`fit`.
        """
        make = Maker(metatensor, None)
        sizes = {key: n for key, n in self._sizes().items() if key[2] in types}
        samples = make.labels(("system", "atom"), np.zeros((0, 2)))
        blocks = []
        for (l, *_), n in sizes.items():
            mu, q = make.range("o3_mu", -l, l + 1), make.range("q", 0, n)
            blocks.append(make.block(np.zeros((0, 2 * l + 1, n)), samples, [mu], q))
        return make.tensor(KEYS, list(sizes), blocks)

    def _sizes(self) -> dict[tuple[int, ...], int]:
        """All keys, and the number of properties of each."""
        return {
            (*piece.symmetry, center, order): piece.n
            for center, network in self.fitted.networks.items()
            for order, pieces in enumerate(network.pieces, start=1)
            for piece in pieces.values()
            if piece.symmetry in self.contraction.symmetries
        }

    def _density(self, systems: Any, center_types: tuple[int, ...] | None, **arguments) -> Any:
        if hasattr(systems, "keys_to_samples"):  # a TensorMap
            tensor = systems
        else:
            if center_types is not None:
                types = np.array(sorted(set(center_types)), dtype=np.int32)[:, None]
                arguments["selected_keys"] = metatensor.Labels(["center_type"], types)
            tensor = self.density.compute(systems, **arguments)
        check_density(tensor)
        return tensor

    def to_dict(self) -> dict:
        """Hyper-parameters: of the density, with its class, and of the contraction."""
        kind = type(self.density)
        density = {"module": kind.__module__, "class": kind.__name__, "hypers": self.density.to_dict()}
        return {"density": density, "contraction": self.contraction.to_dict()}

    @classmethod
    def from_dict(cls, given: dict) -> Self:
        """From what :meth:`to_dict` gives; the fit is in :attr:`state`.

        :raises FileFormatError: for densities that are none of ketmap's.
        """
        density = given["density"]
        kind = ketmap_class("the dictionary", density["module"], density["class"], "density")
        return cls(kind.from_dict(density["hypers"]), contraction=given["contraction"])

    @property
    def state(self) -> dict:
        """What :meth:`fit` found, as values that JSON can hold and TensorMaps: model files keep it beside
        :meth:`to_dict`.

        :raises NotFittedError: before :meth:`fit`.
        """
        return describe(self.fitted)

    def restored(self, state: dict) -> Self:
        """This calculator, fitted as the one whose :attr:`state` is given."""
        self._fitted = build(state)
        return self

    @property
    def fingerprint(self) -> str:
        """A hash of the fit: features with equal fingerprints can be compared."""
        return self.fitted.fingerprint

    def save(self, path: str | Path) -> None:
        """Write hyper-parameters and the fitted contraction, whole or not at all.

        :raises NotFittedError: before :meth:`fit`.
        """
        save_archive(path, pack(self.to_dict(), self.fitted), kind=KIND, version=VERSION)

    @classmethod
    def load(cls, path: str | Path, density: type | None = None) -> Self:
        """Read what :meth:`save` wrote; features are the same bit for bit.

        :param density: class of the density's calculator, if it is none of ketmap's.
        :raises FileFormatError: for files that are cut, foreign or made by a newer version.
        :raises FileNotFoundError: if there is no such file.
        """
        hypers, fitted = unpack(load_archive(path, kind=KIND, version=VERSION))
        given = hypers["density"]
        kind = density or ketmap_class(path, given["module"], given["class"], "density")
        nice = cls(kind.from_dict(given["hypers"]), contraction=hypers["contraction"])
        nice._fitted = fitted
        return nice
