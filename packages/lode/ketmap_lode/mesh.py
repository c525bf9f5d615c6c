"""The sum over wave vectors on a mesh (P3M): O(N log N) for large crystals.

Atoms are spread over a periodic mesh by B-splines M of some order, fields are made in Fourier space and seen by the
centres through the same splines:
c_i = Σ_x M(x_i − x) Σ_k e^{ik·x} W(k) g(k) Σ_y e^{−ik·y} Σ_j M(x_j − y), W the weights of the direct sum and
g = M̂²(k) / [Σ_G M̂²(k + G)]², which makes the mean square error of c least for atoms anywhere
(Hockney, Eastwood, Computer Simulation Using Particles (1988), 8-22). It is then, relative to |W(k)|²,
1 − M̂⁴(k) / [Σ_G M̂²(k + G)]², which says how fine a mesh has to be for an accuracy.
"""

import dataclasses
import math

import ketmap_ops as ops
import numpy as np
import scipy.fft
import torch

from .radial import nodes
from .reciprocal import ReciprocalTerm
from .sites import Sites
from .vectors import WaveVectors

BLOCK = 1 << 21  # values of meshes held at once
ROOM = 0.06  # for a cell to grow along each axis before a mesh is too coarse
FEWEST = 8  # meshes at once, so that their values at a knot fill vectors


@dataclasses.dataclass(frozen=True)
class MeshRule:
    """How fine a mesh is, whatever the cell: the largest distance of knots along its axes, and the splines' order."""

    spacing: float  #: Å
    order: int

    def shape(self, cell: torch.Tensor, cutoff: float, choices: dict | None = None) -> tuple[int, int, int]:
        """Knots along the axes of a ``cell``: numbers whose transforms are fast, and that hold all |k| < ``cutoff``.

        With ``choices``, a shape that has been chosen before serves until it is too coarse; there is room for a cell
        that grows. Where the shape changes energies jump, within the accuracy.
        """
        if choices is None:
            return _fast(self._least(cell, cutoff))
        kept = choices.get((self, cutoff))
        if kept is None or any(n < least for n, least in zip(kept, self._least(cell, cutoff))):
            kept = choices[self, cutoff] = _fast(self._least((1 + ROOM) * cell, cutoff))
        return kept

    def _least(self, cell: torch.Tensor, cutoff: float) -> list[int]:
        lengths = torch.linalg.vector_norm(cell.detach().double(), dim=1).tolist()
        return [max(math.ceil(length / self.spacing), 2 * _reach(length, cutoff) + 1, self.order) for length in lengths]


def _fast(needed: list[int]) -> tuple[int, ...]:
    """Numbers whose transforms are fast."""
    return tuple(scipy.fft.next_fast_len(n, real=True) for n in needed)


def _reach(length: float, cutoff: float) -> int:
    """The largest index of waves along an axis of the cell."""
    return math.floor(cutoff * length / (2 * math.pi))


class MeshTerm:
    """Fields of one system, as :class:`ReciprocalTerm`, on a mesh; derivatives are those of what the mesh gives."""

    def __init__(self, sites: Sites, rule: MeshRule, table, spacing: float, exponents, smearings, fade):
        self.sites, self.order = sites, rule.order
        self.shape = rule.shape(sites.cell, fade[0], sites.choices)
        index, self.rows = _half_sphere(sites.cell, self.shape, fade[0])
        influence = table.new_tensor(np.prod(_influence(index / np.array(self.shape), rule.order), axis=1))
        self.inverse = torch.linalg.inv(sites.cell)
        k = 2 * math.pi * torch.from_numpy(index).to(sites.cell) @ self.inverse.T
        waves = WaveVectors(k, influence / sites.volume)
        self.term = ReciprocalTerm(sites, waves, table, spacing, exponents, smearings, fade)

    def values(self) -> torch.Tensor:  # -> [centre, channel, lm, (exponent, n)]
        """Coefficients, differentiable in positions and cell."""
        sites, k = self.sites, self.term.waves.k
        places = sites.positions @ self.inverse * sites.cell.new_tensor(self.shape)  # -> [atom, 3], in knots
        atoms = ops.mesh_spread(sites.members.T, places, self.shape, self.order)
        atoms = torch.fft.rfftn(atoms.permute(3, 0, 1, 2), dim=(1, 2, 3)).flatten(1)[:, self.rows]  # [channel, k]
        scales = self.term.scales(torch.linalg.vector_norm(k, dim=1)).T  # -> [exponent, k]
        fields = (atoms[:, None] * scales).flatten(0, 1)  # -> [(channel, exponent), k]
        basis = self.term.basis().flatten(1)  # -> [k, (lm, n)]
        # columns: the rows of fields times the columns of the basis
        columns = torch.arange(fields.shape[0] * basis.shape[1], device=k.device)
        at_once = max(FEWEST, BLOCK // math.prod(self.shape) // FEWEST * FEWEST)
        around = places[sites.centers]
        found = [_Seen.apply(self, part, around, fields, basis) for part in columns.split(at_once)]
        found = torch.cat([places.new_zeros(len(around), 0), *found], dim=1)
        n_fields, n_lm = scales.shape[0], self.term.n_lm
        found = found.unflatten(1, (sites.n_channels, n_fields, n_lm, -1)).transpose(2, 3)
        return found.flatten(3)

    def meshes(self, columns: torch.Tensor, fields: torch.Tensor, basis: torch.Tensor) -> torch.Tensor:
        """Some columns ((channel, exponent), lm, n) of the field on the basis, around every knot.

        # -> [n1, n2, n3, column]
        """
        field, column = columns // basis.shape[1], columns % basis.shape[1]
        n = basis.shape[1] // self.term.n_lm
        odd = torch.tensor([math.isqrt(lm) % 2 == 1 for lm in range(self.term.n_lm)], device=columns.device)
        turn = torch.where(odd, 1j, 1.0).to(fields.dtype)[column // n]  # of i^l, whose sign the basis has
        waves = fields[field] * basis.T[column] * turn[:, None]  # -> [column, k]
        n1, n2, n3 = self.shape
        half = (n1, n2, n3 // 2 + 1)
        spectrum = waves.new_zeros(len(columns), math.prod(half)).index_copy(1, self.rows, waves).unflatten(1, half)
        meshes = torch.fft.irfftn(spectrum, s=self.shape, dim=(1, 2, 3), norm="forward")
        return meshes.flatten(1).T.contiguous().unflatten(0, self.shape)


class _Seen(torch.autograd.Function):
    """What centres see of some meshes, which are made again on the way back rather than kept."""

    @staticmethod
    def forward(ctx, term, columns, places, fields, basis):
        ctx.term, ctx.columns = term, columns
        ctx.save_for_backward(places, fields, basis)
        return ops.mesh_gather(term.meshes(columns, fields, basis), places, term.order)

    @staticmethod
    def backward(ctx, grad):
        term, (places, *given) = ctx.term, ctx.saved_tensors
        third = torch.is_grad_enabled()  # only then the result is part of a graph
        with torch.enable_grad():
            # new nodes: partial derivatives are asked for here
            own = [x.view_as(x) for x in given]
            meshes = term.meshes(ctx.columns, *own)
        to_places = ops.mesh_slopes(grad, meshes, places, term.order)
        to_meshes = ops.mesh_spread(grad, places, term.shape, term.order)
        wanted = [x for x in own if x.requires_grad]
        found = iter(torch.autograd.grad(meshes, wanted, to_meshes, create_graph=third) if wanted else ())
        return None, None, to_places, *(next(found) if x.requires_grad else None for x in own)


def _half_sphere(cell: torch.Tensor, shape, cutoff: float) -> tuple[np.ndarray, torch.Tensor]:
    """Indices m, 0 < |2π m h⁻ᵀ| < ``cutoff``, m_3 ≥ 0, and their places in a real transform of a mesh."""
    plain = cell.detach().to("cpu", torch.float64).numpy()
    reach = [_reach(length, cutoff) for length in np.linalg.norm(plain, axis=1)]
    axes = [np.arange(0 if axis == 2 else -n, n + 1) for axis, n in enumerate(reach)]
    index = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    k = 2 * math.pi * index @ np.linalg.inv(plain).T
    square = np.einsum("kx,kx->k", k, k)
    index = index[(square < cutoff**2) & index.any(axis=1)]
    a, b, c = index.T
    rows = (a % shape[0] * shape[1] + b % shape[1]) * (shape[2] // 2 + 1) + c
    return index, torch.from_numpy(rows).to(cell.device)


def mean_defect(y: np.ndarray, order: int) -> np.ndarray:
    """1 − M̂⁴/[Σ_G M̂²]² in the mean over directions, ``y`` = |k| h / 2π, to first order in each axis' part."""
    cosine, weights = nodes(0.0, 1.0, 12)
    x = np.clip(y[:, None] * cosine, 0, 0.5)
    return 3 * ((1 - _aliases(x, order) ** -2.0) @ weights)


def _aliases(x: np.ndarray, order: int) -> np.ndarray:
    """Σ_G M̂²(k + G) / M̂²(k) along one axis, ``x`` = k h / 2π."""
    total = np.ones_like(x)
    for m in range(1, 1 + math.ceil(10 ** (8 / order))):  # M̂ goes with 1/k to the order
        for shifted in (x + m, x - m):
            total += (x / shifted) ** (2 * order)
    return total


def _influence(x: np.ndarray, order: int) -> np.ndarray:
    """M̂²(k) / [Σ_G M̂²(k + G)]² along one axis."""
    return np.sinc(x) ** (-2 * order) / _aliases(x, order) ** 2
