"""What is summed in real space: fields of atoms one by one, the mean field of planes, and constants."""

import dataclasses

import ketmap_ops as ops
import torch
from ketmap_core import Batch, Pairs
from ketmap_density import Environments
from ketmap_density.environments import environments, remembered_environments
from ketmap_ops.outer import expand_outer
from ketmap_ops.reference.expansion import radial
from sphericart.torch import SphericalHarmonics

from .sites import Sites
from .vectors import plane_normal


@dataclasses.dataclass(frozen=True)
class PairTerm:
    """Σ_j R_nl(r_ij) Y_lm(r̂_ij), the centre's own field included, over the pairs of a batch."""

    batch: Batch
    environments: Environments
    table: torch.Tensor  # [row, l, (exponent, n)]
    spacing: float
    cutoff: float
    width: float  # over which the field of an atom fades out before the cutoff; 0: a step

    @classmethod
    def of(cls, batch: Batch, pairs: Pairs, types, centers, table, spacing, cutoff, width) -> "PairTerm":
        """Pairs around the ``centers`` (bool [atom])."""
        return cls(batch, environments(batch, pairs, cutoff, types, centers), table, spacing, cutoff, width)

    @classmethod
    def within(cls, batch: Batch, types, centers, table, spacing, cutoff, width) -> "PairTerm":
        """Of all pairs nearer than ``cutoff``; where the batch remembers those with a skin, what is farther is zero."""
        return cls(batch, remembered_environments(batch, cutoff, types, centers), table, spacing, cutoff, width)

    @property
    def numbers(self) -> tuple[float, float, float]:
        """Spacing, cutoff and width."""
        return self.spacing, self.cutoff, self.width

    def values(self) -> torch.Tensor:  # -> [centre, channel, lm, (exponent, n)], centres by (type, system, atom)
        """Coefficients, differentiable in positions and cells."""
        found, batch = self.environments, self.batch
        vectors = found.vectors
        if batch.positions.requires_grad or batch.cells.requires_grad:
            vectors = found.differentiable_vectors(batch)
        if len(found) == 0:
            return self.table.new_zeros(0, len(found.types), self.table.shape[1] ** 2, self.table.shape[2])
        return ops.expand(vectors, found.starts, found.own, self.table, *self.numbers, 1.0)

    def jacobian(self, rows: torch.Tensor) -> torch.Tensor:  # -> [row, atom, 3, lm, (exponent, n)]
        """Derivatives of c_i by the place of atom j of all images, as if i stood still, for some rows of ``values``."""
        found = self.environments
        n_channels = max(len(found.types), 1)
        out = self.table.new_zeros(len(rows), self.batch.n_atoms, 3, self.table.shape[1] ** 2, self.table.shape[2])
        for place, row in enumerate(rows.tolist()):
            first, last = found.starts[row * n_channels].item(), found.starts[(row + 1) * n_channels].item()
            vectors = found.vectors[first:last].detach()
            each = torch.arange(len(vectors) + 1, device=vectors.device)
            segments = torch.full((len(vectors),), -1, dtype=torch.int32, device=vectors.device)
            slopes = ops.expand_jacobian(vectors, each, segments, self.table, *self.numbers)
            out[place].index_add_(0, found.neighbors[first:last].long(), slopes)
        return out

    def strain(self) -> torch.Tensor:  # -> [centre, channel, 3, 3, lm, (exponent, n)]
        """Derivatives by ε, detached."""
        found, vectors = self.environments, self.environments.vectors.detach()
        return expand_outer(vectors, vectors, found.starts, found.own, self.table, *self.numbers)


@dataclasses.dataclass(frozen=True)
class PairParts:
    """As :class:`PairTerm` of one system, whose pairs are found around some centres at a time: they need not all be in
    memory, also on the way back."""

    batch: Batch
    types: tuple[int, ...]
    centers: torch.Tensor  # bool [atom]
    table: torch.Tensor  # [row, l, (exponent, n)]
    spacing: float
    cutoff: float
    width: float
    at_once: int  # centres

    @property
    def numbers(self) -> tuple[float, float, float]:
        """Spacing, cutoff and width."""
        return self.spacing, self.cutoff, self.width

    def values(self) -> torch.Tensor:  # -> [centre, channel, lm, (exponent, n)], centres by (type, system, atom)
        """Coefficients, differentiable in positions and cells."""
        atoms = torch.nonzero(self.centers)[:, 0]
        atoms = atoms[torch.argsort(self.batch.types[atoms], stable=True)]
        given = self.batch.positions, self.batch.cells
        return torch.cat([_Around.apply(self, part, *given) for part in atoms.split(self.at_once)])

    def around(self, atoms: torch.Tensor) -> Environments:
        """The pairs of some centres."""
        centers = torch.zeros_like(self.centers).index_fill(0, atoms, True)
        return environments(self.batch, None, self.cutoff, self.types, centers)


class _Around(torch.autograd.Function):
    """Sums over the pairs of some centres, which are found again on the way back rather than kept."""

    @staticmethod
    def forward(ctx, term, atoms, positions, cells):
        ctx.term, ctx.atoms = term, atoms
        ctx.save_for_backward(positions, cells)
        found = term.around(atoms)
        return ops.expand(found.vectors, found.starts, found.own, term.table, *term.numbers, 1.0)

    @staticmethod
    def backward(ctx, grad):
        term, found = ctx.term, ctx.term.around(ctx.atoms)
        third = torch.is_grad_enabled()  # only then the result is part of a graph
        with torch.enable_grad():
            # new nodes: partial derivatives are asked for here
            own = [x.view_as(x) for x in ctx.saved_tensors]
            positions, cells = own
            vectors = found.differentiable_vectors(dataclasses.replace(term.batch, positions=positions, cells=cells))
        to_vectors = ops.expand_vjp(grad.contiguous(), vectors, found.starts, term.table, *term.numbers)
        wanted = [x for x in own if x.requires_grad]
        slopes = iter(torch.autograd.grad(vectors, wanted, to_vectors, create_graph=third))
        return None, None, *(next(slopes) if x.requires_grad else None for x in own)


@dataclasses.dataclass(frozen=True)
class PlaneTerm:
    """The mean field of each atom's plane in a slab: (1/area) Σ_j U_nl(z_ij) Y_lm(n̂), z_ij along the normal n̂."""

    sites: Sites
    table: torch.Tensor  # of U_nl, [row, l, (exponent, n)]
    spacing: float

    def values(self) -> torch.Tensor:  # -> [centre, channel, lm, (exponent, n)]
        """Coefficients, differentiable in positions and cell."""
        sites = self.sites
        return self._project(sites.positions, sites.cell)

    def _project(self, positions: torch.Tensor, cell: torch.Tensor) -> torch.Tensor:
        sites = dataclasses.replace(self.sites, positions=positions, cell=cell)
        normal = plane_normal(sites)
        height = positions @ normal
        z = height[sites.centers, None] - height  # -> [centre, atom]
        functions = self._functions(z.flatten()).unflatten(0, z.shape)  # -> [centre, atom, l, q]
        sums = torch.einsum("ca,ialq->iclq", sites.members, functions)
        return self._angular(normal, sums) / sites.volume

    def _functions(self, z: torch.Tensor) -> torch.Tensor:  # -> [.., l, q], U_nl(−z) = (−1)^l U_nl(z)
        functions = radial(z.abs(), self.table, self.spacing)
        odd = torch.arange(self.table.shape[1], device=z.device) % 2 == 1
        return torch.where(odd[:, None] & (z < 0)[:, None, None], -functions, functions)

    def _angular(self, normal: torch.Tensor, functions: torch.Tensor) -> torch.Tensor:  # [..., l, q] -> [..., lm, q]
        l_max = self.table.shape[1] - 1
        harmonics = SphericalHarmonics(l_max).compute(normal[None])[0]  # -> [lm]
        degree = [l for l in range(l_max + 1) for _ in range(2 * l + 1)]
        return harmonics[:, None] * functions[..., degree, :]

    def jacobian(self, rows: torch.Tensor) -> torch.Tensor:  # -> [row, atom, 3, lm, (exponent, n)]
        """Derivatives of c_i, some rows of ``values``, by the place of atom j, as if i stood still; detached."""
        sites = self.sites
        with torch.no_grad():
            normal = plane_normal(sites)
            height = sites.positions @ normal
            z = height[sites.centers[rows], None] - height  # -> [row, atom]
            _, slopes = torch.func.jvp(self._functions, (z.flatten(),), (torch.ones_like(z).flatten(),))
            slopes = -self._angular(normal, slopes.unflatten(0, z.shape)) / sites.volume  # -> [centre, atom, lm, q]
            return slopes[:, :, None] * normal[:, None, None]

    def strain(self) -> torch.Tensor:  # -> [centre, channel, 3, 3, lm, (exponent, n)]
        """Derivatives by ε, detached.

        Heights go with 1 + n̂εn̂ᵀ, the area with 1 + tr ε − n̂εn̂ᵀ, and the normal turns by δn̂_x = −ε_xy n̂_y.
        """
        sites = self.sites
        with torch.no_grad():
            normal = plane_normal(sites)
            height = sites.positions @ normal
            z = height[sites.centers, None] - height  # -> [centre, atom]
            functions, slopes = torch.func.jvp(self._functions, (z.flatten(),), (z.flatten(),))  # U, z U'
            sums = [torch.einsum("ca,ialq->iclq", sites.members, f.unflatten(0, z.shape)) for f in (functions, slopes)]
            _, turned = SphericalHarmonics(self.table.shape[1] - 1).compute_with_gradients(normal[None])  # [1, 3, lm]
            along = torch.outer(normal, normal)[:, :, None, None]
            across = (torch.outer(normal, normal) - torch.eye(3).to(normal))[:, :, None, None]
            values, stretched = (self._angular(normal, f)[:, :, None, None] for f in sums)
            degree = [l for l in range(self.table.shape[1]) for _ in range(2 * l + 1)]
            tilted = (turned[0][:, None] * normal[:, None])[..., None] * sums[0][:, :, None, None, degree]
            return (stretched * along + values * across - tilted) / sites.volume


@dataclasses.dataclass(frozen=True)
class UniformTerm:
    """What a constant field adds: ``strength`` [(exponent, n)] per atom and unit volume, for l = 0."""

    sites: Sites
    strength: torch.Tensor
    n_lm: int

    def values(self) -> torch.Tensor:  # -> [centre, channel, lm, (exponent, n)]
        """Coefficients, differentiable in the cell."""
        sites = self.sites
        field = sites.counts[:, None] * self.strength / sites.volume  # -> [channel, q]
        rest = field.new_zeros(sites.n_channels, self.n_lm - 1, len(self.strength))
        return torch.cat([field[:, None], rest], dim=1).expand(len(sites.centers), -1, -1, -1)

    def jacobian(self, rows: torch.Tensor) -> torch.Tensor:  # -> [row, atom, 3, lm, (exponent, n)]
        """Zero: no atom's place matters."""
        return self.strength.new_zeros(len(rows), len(self.sites.positions), 3, self.n_lm, len(self.strength))

    def strain(self) -> torch.Tensor:  # -> [centre, channel, 3, 3, lm, (exponent, n)]
        """Derivatives by ε: 1/V goes with −tr ε; detached."""
        values = self.values().detach()
        return -torch.eye(3).to(values)[:, :, None, None] * values[:, :, None, None]
