"""Optimal contractions of a radial basis: few functions, combined of many, that hold most of what matters.

Two measures of what matters. *Data*: the principal components of density coefficients, of all bases of a size those
that hold most of the densities seen (Goscinski, Musil, Pozdnyakov, Nigam, Ceriotti, JCP 155, 104106 (2021)).
*Smoothness*: functions of least ∫|∇u|²/∫|u|² that vanish at the cutoff; in a complete basis these are the eigenstates
of the Laplacian (Bigi, Huguenin-Dumittan, Ceriotti, Manolopoulos, JCP 157, 234101 (2022)).

A contraction is a TensorMap, one block for each l (key ``l``): column q holds the coefficients of the contracted
function q on the primitive functions n, best first. Its ``info`` has the primitive basis.
:func:`contracted_basis` makes a basis of it, for any calculator: its functions are splined like any others, and cost
what their number says.
"""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
import scipy.linalg
import scipy.special
import torch
from ketmap_core import as_batch, info, stamp
from metatensor import Labels, TensorBlock, TensorMap

from .base import DensityCalculator
from .basis import Basis, Explicit
from .expansion import Expansion
from .hypers import hypers, integer, number
from .quadrature import NODES, panels
from .radial import RadialBasis

ATOMS = 2000  # atoms expanded at once


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


def pca_contraction(calculator: DensityCalculator, systems) -> TensorMap:
    """Principal components of the density coefficients of each l, of all centres and neighbour types together.

    Eigenvectors of Σ_i Σ_a Σ_m c_anlm c_an'lm, largest eigenvalue first: the rotationally invariant covariance, not
    centred, so that it contracts every density equivariantly.

    :param calculator: has the primitive basis, orthonormal, best larger than what is wanted: ``SphericalExpansion``.
    :param systems: structures that show which densities there are.
    :return: the contraction; ``info(contraction)["hypers"]["spectrum"]`` are the eigenvalues of each l, whose sums
        are the shares of the squared norm of the densities.
    :raises ValueError: for structures without atoms.
    """
    expansion = calculator.expansion
    covariances = [np.zeros((size, size)) for size in expansion.sizes]
    for c in _coefficients(expansion, systems):  # -> [centre, channel, lm, n]
        for l, size in enumerate(expansion.sizes):
            part = c[:, :, l * l : (l + 1) ** 2, :size].reshape(-1, size).numpy()
            covariances[l] += part.T @ part
    if not any(covariance.any() for covariance in covariances):
        raise ValueError("there are no densities to contract: the structures have no atoms")
    found = {}
    for l, covariance in enumerate(covariances):
        if len(covariance):
            values, vectors = scipy.linalg.eigh(covariance)
            found[l] = np.maximum(values[::-1], 0.0), vectors[:, ::-1]
    return _contraction("pca", expansion.basis.bound(expansion.cutoff.radius), None, found)


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
        found[l] = _smoothest(radial, l, radius)
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
    return stationary, inside @ vectors


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
) -> Explicit:
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
    degrees = [int(l) for l in contraction.keys.column("l")]
    largest = max(degrees) if max_angular is None else integer(max_angular, "max_angular", minimum=0)
    by_angular = {}
    for place, l in enumerate(l for l in degrees if l <= largest):
        matrix = np.asarray(contraction.block(dict(l=l)).values)
        size = matrix.shape[1]
        if max_radial is not None:
            wanted = max_radial if np.ndim(max_radial) == 0 else list(max_radial)[place]
            wanted = integer(wanted, "max_radial", minimum=0)
            if wanted >= size:
                raise ValueError(f"max_radial={wanted}, but l={l} has {size} functions: 0 … {size - 1}")
            size = wanted + 1
        by_angular[l] = Contracted(primitive.radial_basis(l), matrix[:, :size], radius)
    return Explicit(by_angular=by_angular, spline_accuracy=spline_accuracy)


def density_norms(calculator: DensityCalculator, systems) -> np.ndarray:  # -> [l]
    """Σ c² over all centres, channels, m and n: the squared norm of the densities that an orthonormal basis holds.

    What a basis loses is the difference to a nearly complete one, for instance to many spherical Bessel functions.
    """
    expansion = calculator.expansion
    norms = np.zeros(expansion.l_max + 1)
    for c in _coefficients(expansion, systems):
        squares = (c**2).sum(dim=(0, 1, 3)).numpy()
        norms += [squares[l * l : (l + 1) ** 2].sum() for l in range(len(norms))]
    return norms


def _coefficients(expansion: Expansion, systems) -> Iterator[torch.Tensor]:  # -> [centre, channel, lm, n] each
    batch = as_batch(systems)
    plain = dataclasses.replace(batch, positions=batch.positions.detach().double(), cells=batch.cells.detach().double())
    for part in plain.parts(ATOMS):
        yield expansion.coefficients(expansion.environments(part), part).detach().cpu()


def _contraction(kind: str, basis: Basis, radius: float | None, found: dict) -> TensorMap:
    """The TensorMap of what was ``found`` for each l: values [q], and functions [n, q]."""
    blocks = []
    for _, vectors in found.values():
        largest = np.argmax(np.abs(vectors), axis=0)
        signs = np.sign(vectors[largest, np.arange(vectors.shape[1])])  # so that they do not depend on libraries
        values = np.ascontiguousarray(vectors * signs)
        blocks.append(TensorBlock(values, Labels.range("n", len(values)), [], Labels.range("q", values.shape[1])))
    tensor = TensorMap(Labels(["l"], np.array(list(found), dtype=np.int32).reshape(-1, 1)), blocks)
    hypers = {
        "kind": kind,
        "basis": basis.to_dict(),
        "radius": radius,
        "spectrum": {str(l): values.tolist() for l, (values, _) in found.items()},
    }
    return stamp(tensor, calculator="RadialContraction", hypers=hypers)
