"""The functions that the density is expanded on: B_nlm(r) = φ_nl(r) Y_lm(r̂); the number of n may depend on l."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence

import numpy as np

from .hypers import FrozenDict, Hypers, hypers, integer, number
from .radial import RadialBasis, SphericalBessel, bessel_zeros


class Basis(Hypers):
    """A set of radial functions times spherical harmonics, with radial functions of their own for every l.

    Subclasses give :meth:`angular_channels`, :meth:`radial_basis` and :meth:`bound`; everything else asks
    :attr:`sizes` for the number of functions of each l.

    ``spline_accuracy`` is the largest error of the splined radial integrals, relative to the largest value
    of each (first derivatives: 10 times that, second: 10⁴ times). ``None``, featomic's word for "no
    splines", means the default 1e-10, below which nothing shows in the sums over neighbours.
    """

    spline_accuracy: float | None

    def __post_init__(self):
        accuracy = self.spline_accuracy
        self._set(spline_accuracy=None if accuracy is None else number(accuracy, "spline_accuracy", above=0))

    def angular_channels(self) -> list[int]:
        """The angular degrees l that there are, ascending."""
        raise NotImplementedError

    def radial_basis(self, angular: int) -> RadialBasis:
        """The radial functions of one of them."""
        raise NotImplementedError

    def bound(self, radius: float) -> "Basis":
        """The basis whose radial functions without a radius have this one (Å), the cutoff's."""
        raise NotImplementedError

    @property
    def types(self) -> tuple[int, ...] | None:
        """The neighbour types, ascending, whose functions differ; None: those of all types are alike."""
        return None

    def of(self, neighbor_type: int) -> "Basis":
        """The basis for the neighbours of one of these types."""
        return self

    @functools.cached_property
    def sizes(self) -> tuple[int, ...]:
        """The number of radial functions of each l = 0 … largest; 0 where there are none.

        >>> LaplacianEigenstate(max_radial=3).sizes
        (4, 3, 3, 2, 2, 1, 1, 1)
        >>> from ketmap_density import Gto
        >>> Explicit(by_angular={0: Gto(3), 2: Gto(1)}).sizes
        (4, 0, 2)
        """
        channels = self.angular_channels()
        return tuple(self.radial_basis(l).size if l in channels else 0 for l in range(max(channels) + 1))

    def functions(self, r: np.ndarray, degrees: Sequence[int] | None = None) -> np.ndarray:  # -> [r, degree, n]
        """φ_nl(r) of all l, or of some ``degrees``; zeros where l has fewer functions. Of a basis that is bound."""
        degrees = range(len(self.sizes)) if degrees is None else degrees
        values = np.zeros((len(r), len(degrees), max(self.sizes)))
        known: dict[RadialBasis, np.ndarray] = {}
        for place, l in enumerate(degrees):
            if self.sizes[l]:
                radial = self.radial_basis(l)
                if radial not in known:
                    known[radial] = radial.functions(r)
                values[:, place, : self.sizes[l]] = known[radial]
        return values


@hypers
class TensorProduct(Basis):
    """All products of the ``radial`` functions with Y_lm, l = 0 … ``max_angular`` inclusive."""

    max_angular: int
    radial: RadialBasis
    spline_accuracy: float | None = None

    def __post_init__(self):
        super().__post_init__()
        self._set(
            max_angular=integer(self.max_angular, "max_angular", minimum=0),
            radial=RadialBasis.from_dict(self.radial),
        )

    def angular_channels(self) -> list[int]:
        return list(range(self.max_angular + 1))

    def radial_basis(self, angular: int) -> RadialBasis:
        return self.radial

    def bound(self, radius: float) -> "TensorProduct":
        return dataclasses.replace(self, radial=self.radial.bound(radius))


@hypers
class Explicit(Basis):
    """The radial functions of each l as given: ``by_angular[l]``; other l are not there."""

    by_angular: dict[int, RadialBasis]
    spline_accuracy: float | None = None

    def __post_init__(self):
        super().__post_init__()
        given = self.by_angular
        if not isinstance(given, Mapping) or not given:
            raise ValueError(f"by_angular must be a dictionary {{l: radial basis}}, got {given!r}")
        found = {}
        for l, radial in given.items():
            if isinstance(l, str) and l.isdigit():  # JSON has no other keys
                l = int(l)
            found[integer(l, "angular degree in by_angular", minimum=0)] = RadialBasis.from_dict(radial)
        self._set(by_angular=FrozenDict(sorted(found.items())))

    def angular_channels(self) -> list[int]:
        return list(self.by_angular)

    def radial_basis(self, angular: int) -> RadialBasis:
        return self.by_angular[angular]

    def bound(self, radius: float) -> "Explicit":
        bound = {l: radial.bound(radius) for l, radial in self.by_angular.items()}
        return dataclasses.replace(self, by_angular=bound)


@hypers
class LaplacianEigenstate(Basis):
    """The eigenstates of the Laplacian in a sphere of ``radius`` up to the eigenvalue of l = 0, n = ``max_radial``.

    The higher l, the fewer n. ``max_angular`` leaves out higher l; without it there are as many as lie below the
    eigenvalue. ``radius`` is the cutoff's when not given. Of all bases of a size the smoothest (Bigi,
    Huguenin-Dumittan, Ceriotti, Manolopoulos, JCP 157, 234101 (2022)).
    """

    max_radial: int
    radius: float | None = None
    max_angular: int | None = None
    spline_accuracy: float | None = None

    def __post_init__(self):
        super().__post_init__()
        radius, max_angular = self.radius, self.max_angular
        self._set(
            max_radial=integer(self.max_radial, "max_radial", minimum=0),
            radius=None if radius is None else number(radius, "LaplacianEigenstate radius", above=0),
            max_angular=None if max_angular is None else integer(max_angular, "max_angular", minimum=0),
        )
        if max_angular is not None and max_angular >= len(self._below):
            raise ValueError(
                f"max_angular={max_angular}, but with max_radial={self.max_radial} no eigenstate with l > "
                f"{len(self._below) - 1} is below the eigenvalue of l = 0, n = {self.max_radial}"
            )

    @functools.cached_property
    def _below(self) -> tuple[int, ...]:
        """How many zeros of j_l are not beyond zero ``max_radial`` of j_0, for every l that has any."""
        last, found = np.pi * (self.max_radial + 1) * (1 + 1e-12), []
        while count := int(np.sum(bessel_zeros(len(found), self.max_radial + 1) <= last)):
            found.append(count)
        return tuple(found)

    def angular_channels(self) -> list[int]:
        return list(range(len(self._below) if self.max_angular is None else self.max_angular + 1))

    def radial_basis(self, angular: int) -> RadialBasis:
        return SphericalBessel(angular, self._below[angular] - 1, self.radius)

    def bound(self, radius: float) -> "LaplacianEigenstate":
        return self if self.radius is not None else dataclasses.replace(self, radius=radius)


@hypers
class ByNeighborType(Basis):
    """A basis for every neighbour type, all of the same sizes: ``by_type[atomic number]``.

    >>> from ketmap_density import Gto
    >>> narrow, wide = (TensorProduct(max_angular=1, radial=Gto(max_radial=2, radius=r)) for r in (3.0, 5.0))
    >>> ByNeighborType(by_type={8: wide, 1: narrow}).types
    (1, 8)
    """

    by_type: dict[int, Basis]
    spline_accuracy: float | None = None

    def __post_init__(self):
        super().__post_init__()
        given = self.by_type
        if not isinstance(given, Mapping) or not given:
            raise ValueError(f"by_type must be a dictionary {{atomic number: basis}}, got {given!r}")
        found = {}
        for t, basis in given.items():
            t = int(t) if isinstance(t, str) and t.isdigit() else t  # JSON has no other keys
            found[integer(t, "type in by_type", minimum=0)] = Basis.from_dict(basis)
        sizes = {basis.sizes for basis in found.values()}
        if len(sizes) > 1 or any(basis.types is not None for basis in found.values()):
            raise ValueError(
                f"the bases of all neighbour types must have the same numbers of functions, got {sorted(sizes)}"
            )
        self._set(by_type=FrozenDict(sorted(found.items())))

    @property
    def types(self) -> tuple[int, ...]:
        return tuple(self.by_type)

    def of(self, neighbor_type: int) -> Basis:
        return self.by_type[neighbor_type]

    @functools.cached_property
    def sizes(self) -> tuple[int, ...]:
        return self.by_type[self.types[0]].sizes

    def angular_channels(self) -> list[int]:
        return self.by_type[self.types[0]].angular_channels()

    def radial_basis(self, angular: int) -> RadialBasis:
        raise ValueError(
            "the radial functions differ between neighbour types: a basis by neighbour type is no use here"
        )

    def bound(self, radius: float) -> "ByNeighborType":
        return dataclasses.replace(self, by_type={t: basis.bound(radius) for t, basis in self.by_type.items()})
