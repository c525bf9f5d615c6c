"""Optimal contractions of a radial basis: few functions, combined of many, that hold most of what matters.

Two measures of what matters. *Data*: the principal components of density coefficients, of all bases of a size those
that hold most of the densities seen (Goscinski, Musil, Pozdnyakov, Nigam, Ceriotti, JCP 155, 104106 (2021)).
*Smoothness*: functions of least ∫|∇u|²/∫|u|² that vanish at the cutoff; in a complete basis these are the eigenstates
of the Laplacian (Bigi, Huguenin-Dumittan, Ceriotti, Manolopoulos, JCP 157, 234101 (2022)).

A contraction is a TensorMap, one block for each l (key ``l``), or each l and neighbour type. Column q holds the
coefficients of the contracted function q on the primitive functions n, best first; its ``info`` has the primitive
basis. :func:`contracted_basis` makes a basis of it, for any calculator: its functions are splined like any others,
and cost what their number says.
"""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
import scipy.linalg
import scipy.special
import torch
from ketmap_core import Batch, as_batch, info, stamp, unknown_name
from metatensor import Labels, TensorBlock, TensorMap

from .base import DensityCalculator
from .basis import Basis, ByNeighborType, Explicit
from .expansion import Expansion
from .hypers import hypers, integer, number
from .quadrature import NODES, panels
from .radial import RadialBasis

ATOMS = 2000  # atoms expanded at once
KINDS = ("together", "apart", "mixed")


@hypers
class Contracted(RadialBasis):
    """Combinations of other radial functions: φ_q(r) = Σ_n ``coefficients``[n][q] χ_n(r), zero beyond ``radius``.

    Orthonormal where the coefficients make it so; they are used as they are.

    :param radial: the primitive functions χ_n.
    :param coefficients: a row for every primitive function.
    :param radius: Å; None: the functions end where the primitive ones do.

    >>> from ketmap_density import Gto
    >>> pair = Contracted(Gto(max_radial=2, radius=4.0), coefficients=[[0.6, 0.8], [0.8, -0.6], [0.0, 0.0]])
    >>> pair.size
    2
    """

    radial: RadialBasis
    coefficients: tuple[tuple[float, ...], ...]
    radius: float | None = None

    def __post_init__(self):
        radial = RadialBasis.from_dict(self.radial)
        matrix = np.asarray(self.coefficients, dtype=float)
        if matrix.ndim != 2 or len(matrix) != radial.size or matrix.shape[1] == 0 or not np.isfinite(matrix).all():
            raise ValueError(
                f"coefficients must be finite numbers [primitive, function] with a row for each of the {radial.size} "
                f"primitive functions; got shape {list(matrix.shape)}"
            )
        radius = self.radius
        self._set(
            radial=radial,
            coefficients=tuple(map(tuple, matrix.tolist())),
            radius=None if radius is None else number(radius, "Contracted radius", above=0),
        )

    @property
    def max_radial(self) -> int:
        return len(self.coefficients[0]) - 1

    def bound(self, radius: float) -> "Contracted":
        return dataclasses.replace(self, radial=self.radial.bound(radius))

    @property
    def integration_radius(self) -> float:
        return self.radial.reach if self.radius is None else min(self.radius, self.radial.reach)

    @property
    def scale(self) -> float:
        return self.radial.scale

    def primitives(self, r: np.ndarray) -> np.ndarray:  # -> [..., n]
        return self.functions(r)

    def functions(self, r: np.ndarray) -> np.ndarray:  # -> [..., n]
        r = np.asarray(r, dtype=float)
        values = self.radial.functions(r) @ np.array(self.coefficients)
        return values if self.radius is None else np.where((r <= self.radius)[..., None], values, 0.0)


def pca_contraction(calculator: DensityCalculator, systems, neighbor_types: str = "together") -> TensorMap:
    """Principal components of the density coefficients of each l, of all centres.

    Eigenvectors of the rotationally invariant covariance, largest eigenvalue first; not centred, so that it contracts
    every density equivariantly. With ``neighbor_types``

    * ``"together"``: of Σ_i Σ_a Σ_m c_anlm c_an'lm, the same functions for all neighbour types a;
    * ``"apart"``: of Σ_i Σ_m c_anlm c_an'lm, functions for every type (keys ``l, neighbor_type``);
    * ``"mixed"``: of Σ_i Σ_m c_anlm c_a'n'lm over pairs (a, n), so that types are contracted too (keys as before):
      for a calculator with ``species=AlchemicalChannels(types, ones)``, a single channel, in which all types add up.

    :param calculator: has the primitive basis, orthonormal, best larger than what is wanted: ``SphericalExpansion``.
    :param systems: structures that show which densities there are.
    :return: the contraction; ``info(contraction)["hypers"]["spectrum"]`` are the eigenvalues of each l (``"1"``, or
        with the type, ``"1 8"``), the shares of the squared norm of the densities.
    :raises ValueError: for structures without atoms.
    """
    if neighbor_types not in KINDS:
        raise ValueError(unknown_name(neighbor_types, KINDS, "way to contract neighbour_types"))
    expansion, batch = calculator.expansion, as_batch(systems)
    if batch.n_atoms == 0:
        raise ValueError("there are no densities to contract: the structures have no atoms")
    types = tuple(torch.unique(batch.types).tolist())
    covariances = [torch.zeros(len(types), size, len(types), size).double() for size in expansion.sizes]
    for c in _coefficients(expansion, batch, types):  # -> [centre, type, lm, n]
        for l, size in enumerate(expansion.sizes):
            part = c[:, :, l * l : (l + 1) ** 2, :size]
            covariances[l] += torch.einsum("iamn,ibmk->anbk", part, part)
    found = {}
    for l, size in enumerate(expansion.sizes):
        covariance = covariances[l].numpy()
        if not size:
            continue
        if neighbor_types == "mixed":
            values, vectors = _components(covariance.reshape(len(types) * size, -1))
            for t, rows in zip(types, vectors.reshape(len(types), size, -1)):
                found[l, t] = values, rows
        elif neighbor_types == "apart":
            for place, t in enumerate(types):
                found[l, t] = _components(covariance[place, :, place])
        else:
            found[l,] = _components(np.einsum("anak->nk", covariance))
    return _contraction("pca", expansion.basis.bound(expansion.cutoff.radius), None, found)


def _components(covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues and eigenvectors, largest first."""
    values, vectors = scipy.linalg.eigh(covariance)
    return np.maximum(values[::-1], 0.0), _signed(vectors[:, ::-1])


def _signed(vectors: np.ndarray) -> np.ndarray:
    """Columns whose largest element is positive: signs do not depend on libraries."""
    largest = np.argmax(np.abs(vectors), axis=0)
    return vectors * np.sign(vectors[largest, np.arange(vectors.shape[1])])


def smooth_contraction(basis: Basis, radius: float) -> TensorMap:
    """The smoothest functions in the span of a basis that vanish at ``radius`` (Å), where they end.

    For every l the stationary points of ∫|∇u|²/∫|u|² over the sphere, u = φ(r) Y_lm, smallest value first: a
    generalised eigenproblem in the space of the combinations with φ(``radius``) = 0, so there is one function fewer
    than in ``basis``.

    :return: the contraction; ``info(contraction)["hypers"]["spectrum"]`` are the stationary values of each l, Å⁻².
    :raises ValueError: for a basis with a single function for some l.
    """
    radius = number(radius, "radius", above=0)
    basis = basis.bound(radius)
    found = {}
    for l in basis.angular_channels():
        radial = basis.radial_basis(l)
        if radial.size < 2:
            raise ValueError(f"l={l} has one function, which cannot vanish at {radius:g} Å: raise max_radial")
        found[l,] = _smoothest(radial, l, radius)
    return _contraction("smooth", basis, radius, found)


def _smoothest(radial: RadialBasis, l: int, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """Stationary values [q] and functions [n, q], orthonormal on [0, radius]."""
    r, weights = panels(radius, radial.scale)
    values = radial.functions(r)  # -> [node, n]
    slopes = _differentiate(values, radius)
    overlap = values.T @ (values * (weights * r**2)[:, None])
    gradient = slopes.T @ (slopes * (weights * r**2)[:, None]) + l * (l + 1) * values.T @ (values * weights[:, None])
    edge = radial.functions(np.array([radius]))
    inside = scipy.linalg.null_space(edge)  # -> [n, n − 1] combinations that vanish at the radius
    stationary, vectors = scipy.linalg.eigh(inside.T @ gradient @ inside, inside.T @ overlap @ inside)
    return stationary, _signed(inside @ vectors)


def _differentiate(values: np.ndarray, radius: float) -> np.ndarray:  # [node, n] -> [node, n]
    """Derivatives at the nodes of panels, of the polynomials through each panel's nodes."""
    x, _ = scipy.special.roots_legendre(NODES)
    differences = x[:, None] - x + np.eye(NODES)
    products = differences.prod(axis=1)
    matrix = products[:, None] / products / differences  # ∂ of Lagrange's polynomials
    np.fill_diagonal(matrix, 0.0)
    np.fill_diagonal(matrix, -matrix.sum(axis=1))  # constants have no slope
    count = len(values) // NODES
    slopes = matrix @ values.reshape(count, NODES, -1) * (2 * count / radius)
    return slopes.reshape(values.shape)


def contracted_basis(
    contraction: TensorMap,
    max_radial: int | Sequence[int] | None = None,
    *,
    max_angular: int | None = None,
    spline_accuracy: float | None = None,
) -> Basis:
    """A basis of the first functions of each l of a contraction, also one that was read from a file.

    :param max_radial: largest q, inclusive, as for other bases; one for each l, or one for all; None: all there are.
    :param max_angular: largest l, inclusive; None: all there are.
    :raises ValueError: for a TensorMap that is no contraction, and for more functions than there are.
    """
    made_of = info(contraction)
    if made_of.get("calculator") != "RadialContraction":
        raise ValueError(
            f"expected a contraction (of pca_contraction or smooth_contraction), got a TensorMap of "
            f"{made_of.get('calculator', 'unknown origin')}"
        )
    primitive, radius = Basis.from_dict(made_of["hypers"]["basis"]), made_of["hypers"]["radius"]
    degrees = np.unique(contraction.keys.column("l")).tolist()
    largest = max(degrees) if max_angular is None else integer(max_angular, "max_angular", minimum=0)
    sizes = {}
    for place, l in enumerate(l for l in degrees if l <= largest):
        size = contraction.block(int(np.flatnonzero(contraction.keys.column("l") == l)[0])).values.shape[1]
        if max_radial is not None:
            wanted = max_radial if np.ndim(max_radial) == 0 else list(max_radial)[place]
            wanted = integer(wanted, "max_radial", minimum=0)
            if wanted >= size:
                raise ValueError(f"max_radial={wanted}, but l={l} has {size} functions: 0 … {size - 1}")
            size = wanted + 1
        sizes[l] = size

    def made_for(**where) -> Explicit:
        matrices = {l: np.asarray(contraction.block(dict(l=l, **where)).values)[:, :size] for l, size in sizes.items()}
        by_angular = {l: Contracted(primitive.radial_basis(l), matrix, radius) for l, matrix in matrices.items()}
        return Explicit(by_angular=by_angular, spline_accuracy=spline_accuracy)

    if "neighbor_type" not in contraction.keys.names:
        return made_for()
    types = np.unique(contraction.keys.column("neighbor_type")).tolist()
    return ByNeighborType({t: made_for(neighbor_type=t) for t in types}, spline_accuracy=spline_accuracy)


def density_norms(calculator: DensityCalculator, systems) -> np.ndarray:  # -> [l]
    """Σ c² over all centres, channels, m and n: the squared norm of the densities that an orthonormal basis holds.

    What a basis loses is the difference to a nearly complete one, for instance to many spherical Bessel functions.
    """
    expansion = calculator.expansion
    norms = np.zeros(expansion.l_max + 1)
    for c in _coefficients(expansion, as_batch(systems)):
        squares = (c**2).sum(dim=(0, 1, 3)).numpy()
        norms += [squares[l * l : (l + 1) ** 2].sum() for l in range(len(norms))]
    return norms


def _coefficients(expansion: Expansion, batch: Batch, types: tuple[int, ...] | None = None) -> Iterator[torch.Tensor]:
    """Of some systems at a time.  # -> [centre, channel, lm, n]"""
    plain = dataclasses.replace(batch, positions=batch.positions.detach().double(), cells=batch.cells.detach().double())
    for part in plain.parts(ATOMS):
        yield expansion.coefficients(expansion.environments(part, types), part).detach().cpu()


def _contraction(kind: str, basis: Basis, radius: float | None, found: dict) -> TensorMap:
    """The TensorMap of what was ``found`` for each l, or l and type: values [q], and functions [n, q]."""
    blocks = []
    for _, vectors in found.values():
        values = np.ascontiguousarray(vectors)
        blocks.append(TensorBlock(values, Labels.range("n", len(values)), [], Labels.range("q", values.shape[1])))
    keys = np.array(list(found), dtype=np.int32)
    tensor = TensorMap(Labels(["l", "neighbor_type"][: keys.shape[1]], keys), blocks)
    hypers = {
        "kind": kind,
        "basis": basis.to_dict(),
        "radius": radius,
        "spectrum": {" ".join(map(str, key)): values.tolist() for key, (values, _) in found.items()},
    }
    return stamp(tensor, calculator="RadialContraction", hypers=hypers)
