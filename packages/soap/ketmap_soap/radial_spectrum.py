"""The radial spectrum: structures to the invariants of first order of the density."""

from collections.abc import Mapping

from ketmap_core import as_batch
from ketmap_density import Cutoff, TensorProduct
from ketmap_density.assembly import Assembly
from ketmap_density.base import DensityCalculator
from ketmap_density.basis import Basis
from ketmap_density.density import Density
from ketmap_density.environments import checked_environments, remembered_environments
from ketmap_density.hypers import check_names, complete
from ketmap_density.radial import RadialBasis
from ketmap_density.rascaline import understood
from ketmap_density.selection import Selection

KEYS = ("center_type", "neighbor_type")


class SoapRadialSpectrum(DensityCalculator):
    """SOAP radial spectrum: the rotational invariants of first order of the neighbour density, as in featomic.

    They are the coefficients ⟨a n 0 0|ρ_i⟩ of the spherical expansion, of l = 0 only: a 2-body representation, which
    knows distances but no angles (Willatt, Musil, Ceriotti, JCP 150, 154110 (2019)).

    Keys ``center_type, neighbor_type``; samples ``system, atom``: the centres of that type that have such a neighbour
    or are it; property ``n``.

    :param cutoff: :class:`~ketmap_density.Cutoff`, or featomic's dictionary; likewise ``density``.
    :param basis: radial functions, like ``Gto(max_radial=3)``; or featomic's dictionary ``{"radial": …,
        "spline_accuracy": …}``; or a basis with l = 0 only.

    >>> import ase.build
    >>> from ketmap_density import Cutoff, Gaussian, Gto, ShiftedCosine
    >>> from ketmap_soap import SoapRadialSpectrum
    >>> radial = SoapRadialSpectrum(
    ...     cutoff=Cutoff(5.0, smoothing=ShiftedCosine(0.5)), density=Gaussian(0.3), basis=Gto(max_radial=3)
    ... )
    >>> radial.compute(ase.build.molecule("CH4")).block(dict(center_type=1, neighbor_type=6)).shape
    (4, 4)
    """

    def __init__(self, *, cutoff: Cutoff = None, density: Density = None, basis=None, **misspelt):
        name = type(self).__name__
        cutoff, density, basis, misspelt = understood(name, cutoff, density, basis, misspelt, angular=False)
        complete(name, misspelt, cutoff=cutoff, density=density, basis=basis)
        super().__init__(cutoff=cutoff, density=density, basis=radial_only(basis))

    def to_dict(self) -> dict:
        """Hyper-parameters in featomic's nested spelling."""
        basis = self.basis
        radial = {"radial": basis.radial_basis(0).to_dict(), "spline_accuracy": basis.spline_accuracy}
        return super().to_dict() | {"basis": radial}

    def _prepare(self, systems, selected_keys, selected_samples, selected_properties) -> tuple["RadialAssembly", list]:
        selection = RadialSelection(selected_keys, selected_samples, selected_properties, KEYS, ("n",))
        batch = as_batch(systems)
        types = selection.wanted("neighbor_type")
        environments = checked_environments(batch, self.cutoff.radius, types, selection.atoms(batch))
        assembly = RadialAssembly(self.expansion, batch, environments, selection)
        return assembly, assembly.choose_keys()

    def scalars(self, batch, types):  # -> [centre], [centre, neighbour type, n]
        """Atoms, by (type, system, atom), and their invariants without labels, differentiable.

        :param types: of the neighbours, ascending.
        """
        found = remembered_environments(batch, self.cutoff.radius, tuple(types))
        return found.centers, self.expansion.coefficients(found, batch)[:, :, 0]

    def scalar_column(self, key: dict[str, int]) -> int:
        """Where n = 0 of a block stands in the last axis of :meth:`scalars`."""
        return 0


class RadialSelection(Selection):
    """Keys without λ and σ, for an assembly whose keys have them: 0 and 1."""

    def wanted(self, name: str) -> tuple[int, ...] | None:
        return (0,) if name == "o3_lambda" else super().wanted(name)

    def choose_keys(self, available: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
        return [(0, 1, *key) for key in super().choose_keys([key[2:] for key in available])]

    def labels_of(self, key: tuple[int, ...], what: str):
        return super().labels_of(key[2:], what)


class RadialAssembly(Assembly):
    """Blocks of the spherical expansion with l = 0, without λ, σ and μ."""

    names = KEYS

    def _block(self, data, samples, components: list, mu, n):
        return self.make.block(data[..., 0, :], samples, components, n)


def radial_only(given) -> Basis:
    """The basis of l = 0 that radial functions, featomic's dictionary or a basis stand for.

    :raises ValueError: for a basis with other l, and for unknown names.
    """
    if isinstance(given, RadialBasis):
        return TensorProduct(max_angular=0, radial=given)
    if isinstance(given, Mapping) and "radial" in given and "max_angular" not in given:
        given = {name: value for name, value in given.items() if (name, value) != ("type", "TensorProduct")}
        check_names(given, ["radial", "spline_accuracy"], "the basis of SoapRadialSpectrum")
        return TensorProduct(max_angular=0, **given)
    basis = Basis.from_dict(given)
    if basis.angular_channels() != [0]:
        found = ", ".join(map(str, basis.angular_channels()))
        raise ValueError(f"SoapRadialSpectrum has l = 0 only; the basis has l = {found}: give its radial functions")
    return basis
