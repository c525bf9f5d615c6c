"""The expansion c_nlm = Σ_j f_c(r_ij) R_nl(r_ij) Y_lm(r̂_ij) as dense arrays [centre, channel, lm, n]."""

import functools
from collections.abc import Sequence

import ketmap_ops as ops
import numpy as np
import torch
from ketmap_core import Batch, Pairs, UnknownTypesError, find_pairs

from .basis import Basis
from .cutoff import Cutoff
from .density import Density
from .environments import Environments, environments
from .species import AlchemicalChannels, Species
from .splines import Spline, fit_open_spline, fit_spline

DEFAULT_ACCURACY = 1e-10


class Expansion:
    """The engine below calculators and models: structures in, dense coefficients out, no TensorMap.

    ``cutoff``, ``density`` and ``basis`` are objects or featomic's nested dictionaries; ``species`` mixes neighbour
    types into channels, without it every type is a channel.
    """

    def __init__(self, cutoff: Cutoff, density: Density, basis: Basis, species: Species | None = None):
        self.cutoff = Cutoff.from_dict(cutoff)
        self.density: Density = Density.from_dict(density)
        self.basis: Basis = Basis.from_dict(basis)
        self.species: AlchemicalChannels | None = None if species is None else Species.from_dict(species)
        #: one table for all, or, where density or basis differ between types, those of ``types`` side by side in n
        self.spline: Spline = radial_spline(self.cutoff.radius, self.density, self.basis)
        self._tables = {}

    @property
    def types(self) -> tuple[int, ...] | None:
        """The neighbour types, ascending, for which density or basis differ; None: they are alike for all."""
        return types_apart(self.density, self.basis)

    def places(self, types: Sequence[int]) -> list[int]:
        """Where ``types`` stand among :attr:`types`.

        :raises UnknownTypesError: for those that density or basis do not know.
        """
        for one in (self.density, self.basis):
            if one.types is not None and (unknown := [t for t in types if t not in one.types]):
                raise UnknownTypesError(
                    f"the density of neighbours of types {', '.join(map(str, unknown))} is not known: "
                    f"{type(one).__name__} has {', '.join(map(str, one.types))}"
                )
        return [self.types.index(t) for t in types]

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of radial functions of each l = 0 … l_max; dense arrays have zeros from there on."""
        return self.basis.sizes

    @property
    def l_max(self) -> int:
        """Largest angular degree, inclusive."""
        return len(self.sizes) - 1

    @property
    def n_max(self) -> int:
        """Largest radial index of any l, inclusive."""
        return max(self.sizes) - 1

    @property
    def table(self) -> torch.Tensor:  # -> [row, l, n], or [type, row, l, n]
        """Coefficients of the quintic B-splines of R_nl, of all ``types`` where they differ, float64, CPU."""
        return self.table_like(torch.empty(0, dtype=torch.float64), self.types)

    @property
    def spacing(self) -> float:
        """Distance between knots in Å."""
        return self.spline.spacing

    def table_like(
        self, values: torch.Tensor, types: tuple[int, ...] | None = None
    ) -> torch.Tensor:  # -> [row, l, n], or [type, row, l, n]
        """The table in the dtype and on the device of ``values``; each is made once.

        Where the density differs between neighbour types, one for each of ``types``, which are then needed.

        :raises UnknownTypesError: for types whose density is not known.
        """
        known = self.types
        kind = (values.device, values.dtype, None if known is None else tuple(types))
        if kind not in self._tables:
            table = torch.from_numpy(self.spline.table)
            if known is not None:
                table = table.unflatten(2, (len(known), -1)).permute(2, 0, 1, 3)[self.places(types)]
            # a copy, since torch's memory is aligned for vector instructions
            self._tables[kind] = table.to(*kind[:2], copy=True, memory_format=torch.contiguous_format)
        return self._tables[kind]

    def radial(
        self, environments: Environments, table: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, float, float, float]:
        """What operators need to know of radial functions and cutoff: table, spacing of the knots, radius and width.

        ``table`` may be a part of that for these ``environments``: fewer n, or lower l.
        """
        table = self.table_like(environments.vectors, environments.types) if table is None else table
        return table, self.spacing, self.cutoff.radius, self.cutoff.width

    def to_dict(self) -> dict:
        """Hyper-parameters in featomic's spelling: ``{"cutoff": …, "density": …, "basis": …}``, and ``"species"``."""
        names = ("cutoff", "density", "basis") if self.species is None else ("cutoff", "density", "basis", "species")
        return {name: getattr(self, name).to_dict() for name in names}

    @property
    def requires_grad(self) -> bool:
        """Whether coefficients carry gradients by something else than positions and cells: the species' mixing."""
        return self.species is not None and self.species.requires_grad

    def channels(self, types: tuple[int, ...]) -> tuple[int, ...]:
        """What labels the channels of neighbours of these ``types``: the types, or 0 … where they are mixed."""
        return tuple(types) if self.species is None else tuple(range(self.species.n_channels))

    def pairs(self, batch: Batch, skin: float = 0.0) -> Pairs:
        """Half list of the pairs nearer than cutoff + ``skin``."""
        return find_pairs(batch, self.cutoff.radius + skin)

    def environments(
        self,
        batch: Batch,
        types: tuple[int, ...] | None = None,
        centers: torch.Tensor | None = None,
        skin: float = 0.0,
        reverse: bool = False,
    ) -> Environments:
        """Neighbours of ``centers`` (bool [atom], default all) grouped by ``types`` (default: all there are).

        They reach cutoff + ``skin``. ``reverse``: with the places of the pairs as seen from the other side.
        """
        return environments(batch, None, self.cutoff.radius + skin, types, centers, reverse)

    def vectors(self, environments: Environments, batch: Batch) -> torch.Tensor:  # -> [pair, 3]
        """Pair vectors; through positions and cells when these require gradients."""
        if batch.positions.requires_grad or batch.cells.requires_grad:
            return environments.differentiable_vectors(batch)
        return environments.vectors

    def mixing(
        self, environments: Environments, channels: Sequence[int] | None = None
    ) -> torch.Tensor:  # -> [type, channel]
        """Weights of the types of ``environments`` in all channels, or in those that are wanted; of mixed species."""
        weights = self.species.weights(environments.types, environments.vectors)
        return weights if channels is None else weights[:, list(channels)]

    def coefficients(
        self,
        environments: Environments,
        batch: Batch,
        table: torch.Tensor | None = None,
        mixing: torch.Tensor | None = None,
    ) -> torch.Tensor:  # -> [centre, channel, lm, n]
        """c_nlm of every centre and channel, differentiable in positions, cells, and the mixing of species.

        ``table`` may be a part of ``table_like``: fewer n, or lower l; ``mixing`` a part of :meth:`mixing`.
        """
        vectors = self.vectors(environments, batch)
        radial, weight = self.radial(environments, table), self.density.center_atom_weight
        starts, own = environments.starts, environments.own
        if self.species is not None:
            mixing = (self.mixing(environments) if mixing is None else mixing).contiguous()
        n_channels = len(environments.types) if self.species is None else mixing.shape[1]
        n_l, n = radial[0].shape[-2:]
        if 0 in (len(environments), n_channels, n):
            return vectors.new_zeros(len(environments), n_channels, n_l**2, n)
        if self.species is None:
            return ops.expand(vectors, starts, own, *radial, weight)
        return ops.expand_mixed(vectors, starts, own, mixing, *radial, weight)

    def pair_terms(self, vectors: torch.Tensor, table: torch.Tensor) -> torch.Tensor:  # -> [pair, lm, n]
        """What each pair adds to the coefficients of its centre; differentiable."""
        if table.shape[2] == 0 or len(vectors) == 0:
            return table.new_zeros(len(vectors), table.shape[1] ** 2, table.shape[2])
        return ops.pair_terms(vectors, table, self.spacing, self.cutoff.radius, self.cutoff.width)

    def pair_gradients(
        self, left: torch.Tensor, vectors: torch.Tensor, starts: torch.Tensor, table: torch.Tensor
    ) -> torch.Tensor:  # -> [row, xyz, lm, n]
        """Derivatives of :meth:`pair_terms` times ``left`` [row]; ``starts`` [pair + 1]: rows of each pair."""
        if table.shape[2] == 0 or len(left) == 0:
            return table.new_zeros(len(left), 3, table.shape[1] ** 2, table.shape[2])
        numbers = (self.spacing, self.cutoff.radius, self.cutoff.width)
        return ops.pair_gradients(left, vectors, starts, table, *numbers)

    def jacobian(
        self, environments: Environments, centers: slice = slice(None), table: torch.Tensor | None = None
    ) -> tuple[slice, torch.Tensor]:  # -> their pairs, [pair, xyz, lm, n]
        """Derivative of each pair's term with respect to its vector, for a slice of the ``centers``."""
        n_channels = max(len(environments.types), 1)
        first, last, _ = centers.indices(len(environments))
        starts = environments.starts[first * n_channels : last * n_channels + 1]
        pairs, radial = slice(int(starts[0]), int(starts[-1])), self.radial(environments, table)
        return pairs, self._jacobian(environments.vectors[pairs], starts - starts[0], n_channels, radial)

    def pair_jacobian(
        self, vectors: torch.Tensor, starts: torch.Tensor, table: torch.Tensor
    ) -> torch.Tensor:  # -> [pair, xyz, lm, n]
        """Derivative of each pair's term with respect to its vector; work is shared out by segments of ``starts``.

        ``table`` [row, l, n] is that of all neighbours: see :meth:`table_like`.
        """
        return self._jacobian(vectors, starts, 1, (table, self.spacing, self.cutoff.radius, self.cutoff.width))

    def _jacobian(self, vectors, starts, n_channels, radial) -> torch.Tensor:  # -> [pair, xyz, lm, n]
        n_l, n = radial[0].shape[-2:]
        if n == 0:
            return vectors.new_zeros(len(vectors), 3, n_l**2, 0)
        centers = torch.full(((len(starts) - 1) // n_channels,), -1, dtype=torch.int32, device=starts.device)
        return ops.expand_jacobian(vectors, starts.contiguous(), centers, *radial)


def types_apart(density: Density, basis: Basis) -> tuple[int, ...] | None:
    """The neighbour types, ascending, of which a density or a basis that differ between types are known."""
    if density.types is None or basis.types is None:
        return basis.types if density.types is None else density.types
    return tuple(t for t in density.types if t in basis.types)


@functools.lru_cache(maxsize=64)
def radial_spline(radius: float, density: Density, basis: Basis) -> Spline:
    """The table of R_nl for environments of ``radius`` Å; made once for equal hyper-parameters."""
    bound = basis.bound(radius)
    accuracy = DEFAULT_ACCURACY if basis.spline_accuracy is None else basis.spline_accuracy
    types = types_apart(density, basis)
    each = [(density, bound)] if types is None else [(density.of(t), bound.of(t)) for t in types]

    def side_by_side(r: np.ndarray, derivative: int = 0) -> np.ndarray:  # -> [r, l, n of all types]
        return np.concatenate([one.radial_integrals(r, functions, derivative) for one, functions in each], axis=2)

    if density.smooth:
        return fit_spline(side_by_side, radius, accuracy)
    return fit_open_spline(side_by_side, radius, accuracy)
