"""The sum over wave vectors: structure factors of every type, projected on the basis around every centre.

c_ialm,n = Σ_k w(k) 4π v̂(k) f_nl(k) Y_lm(k̂) Σ_{j∈a} Re[i^l exp(−ik·r_ij)], r_ij = r_j − r_i:
cosines for even l, sines for odd.
"""

import copy
import dataclasses
import itertools
import math

import ketmap_ops as ops
import torch

from .fourier import transform
from .sites import Sites
from .vectors import WaveVectors

BLOCK = 1 << 20  # phases held at once


class ReciprocalTerm:
    """Fields with smeared power laws ``exponents`` of one system."""

    def __init__(
        self,
        sites: Sites,
        waves: WaveVectors,
        table: torch.Tensor,  # of f_nl with the sign that i^l leaves before cos and sin, [row, l, n]
        spacing: float,
        exponents: tuple[int, ...],
        smearings: tuple[float, ...],  # of each exponent's field; infinite: it is zero
        fade: tuple[float, float] = (math.inf, 0.0),  # 1/Å: where waves have faded out, and over which range
    ):
        self.sites, self.waves, self.table, self.spacing = sites, waves, table, spacing
        self.exponents, self.smearings, self.fade = exponents, smearings, fade
        self.n_lm = table.shape[1] ** 2
        self._made = {}

    def around(self, sites: Sites) -> "ReciprocalTerm":
        """The same waves, with the same weights, for other atoms in the same cell."""
        other = copy.copy(self)
        other.sites = sites
        return other

    @property
    def weights(self) -> torch.Tensor:  # -> [k, lm, (exponent, n)]
        """What stands before the phases; made once."""
        if "weights" not in self._made:
            scales = self.scales(torch.linalg.vector_norm(self.waves.k, dim=1))
            self._made["weights"] = self._times(self.basis(), scales)
        return self._made["weights"]

    def basis(self) -> torch.Tensor:  # -> [k, lm, n]
        """f_nl(k) Y_lm(k̂), faded out, with the sign of i^l; the weights are this times the scales."""
        return ops.pair_terms(self.waves.k, self.table, self.spacing, *self.fade)

    def scales(self, length: torch.Tensor) -> torch.Tensor:  # -> [k, exponent]
        """4π v̂(k) times the weights of the waves, whose ``length`` this is."""
        hats = torch.stack([transform(length, *field) for field in zip(self.exponents, self.smearings)], dim=1)
        return hats * (4 * math.pi * self.waves.weights[:, None])

    @staticmethod
    def _times(basis: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:  # [k, …, n] -> [k, …, (exponent, n)]
        scales = scales.reshape(len(scales), *[1] * (basis.dim() - 2), -1, 1)
        return (basis[..., None, :] * scales).flatten(-2)

    @property
    def kind(self) -> tuple:
        """Terms of one kind differ in nothing but their systems."""
        return id(self.table), self.exponents, self.smearings, self.fade

    def values(self) -> torch.Tensor:  # -> [centre, channel, lm, (exponent, n)]
        """Coefficients, differentiable in positions and cell."""
        return values_of([self])[0]

    def jacobian(self, rows: torch.Tensor) -> torch.Tensor:  # -> [row, atom, 3, lm, (exponent, n)]
        """Derivatives of c_i, some rows of ``values``, by the place of atom j, as if i stood still; detached."""
        positions, k, weights = self.sites.positions.detach(), self.waves.k.detach(), self.weights.detach()
        lm = range(self.n_lm)
        parts = [[i for i in lm if math.isqrt(i) % 2 == parity] for parity in (0, 1)]  # even and odd l
        even, odd = parts
        back = torch.argsort(torch.tensor([*even, *odd], device=k.device))
        moved = k[:, :, None, None] * weights[:, None]  # -> [k, 3, lm, q]
        sines, cosines = (sign * moved[:, :, part].flatten(1) for sign, part in zip((-1, 1), parts))
        out = []
        for center in self.sites.centers[rows]:
            blocks = []
            for atoms in (positions - positions[center]).split(max(1, BLOCK // max(len(k), 1))):
                angles = atoms @ k.T
                both = [torch.sin(angles) @ sines, torch.cos(angles) @ cosines]
                both = [part.unflatten(1, (3, -1, weights.shape[2])) for part in both]
                blocks.append(torch.cat(both, dim=2)[:, :, back])
            out.append(torch.cat(blocks))
        return torch.stack(out) if out else weights.new_zeros(0, len(positions), 3, *weights.shape[1:])

    def strain(self) -> torch.Tensor:  # -> [centre, channel, 3, 3, lm, (exponent, n)]
        """Derivatives by ε: phases stay, k → (1 + ε)⁻¹ k, and weights go with 1/det(1 + ε); detached."""
        positions, k, weights = self.sites.positions.detach(), self.waves.k.detach(), self.weights.detach()
        # δk_x = −ε_xy k_y
        strained = -self._gradient(k)[:, :, None] * k[:, None, :, None, None]  # -> [k, 3, 3, lm, q]
        strained -= torch.eye(3).to(k)[:, :, None, None] * weights[:, None, None]
        columns = strained.permute(0, 3, 1, 2, 4).flatten(2)  # -> [k, lm, (3, 3, q)]
        c = _sums([dataclasses.replace(self.sites, positions=positions)], [k], columns).unflatten(-1, (3, 3, -1))
        return c.permute(0, 1, 3, 4, 2, 5)

    def _gradient(self, k: torch.Tensor) -> torch.Tensor:  # -> ∂ weights/∂k, [k, 3, lm, q]
        length, each = torch.linalg.vector_norm(k, dim=1), torch.arange(len(k) + 1, device=k.device)
        slopes = ops.pair_gradients(torch.ones_like(length), k, each, self.table, self.spacing, *self.fade)
        with torch.enable_grad():
            moved = length.requires_grad_()
            scales = self.scales(moved)
            steep = [torch.autograd.grad(scale.sum(), moved, retain_graph=True)[0] for scale in scales.T]
        scales, steep = scales.detach(), torch.stack(steep, dim=1)
        along = self._times(self.basis().detach(), steep)[:, None] * (k / length[:, None].detach())[:, :, None, None]
        return self._times(slopes, scales) + along


def values_of(terms: list) -> list[torch.Tensor]:
    """The ``values`` of each of some terms; waves of one kind are summed together, whatever their systems."""
    kinds = {}
    for place, term in enumerate(terms):
        kinds.setdefault(term.kind if isinstance(term, ReciprocalTerm) else place, []).append(place)
    found = {}
    for places in kinds.values():
        found |= zip(places, _values_of_one_kind([terms[place] for place in places]))
    return [found[place] for place in range(len(terms))]


def _values_of_one_kind(terms: list) -> list[torch.Tensor]:
    first, *others = terms
    if not isinstance(first, ReciprocalTerm):
        return [first.values()]
    if not others:
        return [_sums([first.sites], [first.waves.k], first.weights)]
    waves = WaveVectors(*(torch.cat([getattr(t.waves, name) for t in terms]) for name in ("k", "weights")))
    whole = ReciprocalTerm(first.sites, waves, first.table, first.spacing, *first.kind[1:])
    c = _sums([term.sites for term in terms], [term.waves.k for term in terms], whole.weights)
    return c.split([len(term.sites.centers) for term in terms])


def _sums(sites: list[Sites], k: list[torch.Tensor], weights: torch.Tensor) -> torch.Tensor:
    """Of all systems, ``weights`` [wave of all, lm, column].  # -> [centre of all, channel, lm, column]"""
    sizes = [[len(here.positions) for here in sites], [len(here.centers) for here in sites], list(map(len, k))]
    starts = [[0, *itertools.accumulate(size)] for size in sizes]
    positions, channel = (_cat([getattr(here, name) for here in sites]) for name in ("positions", "channel"))
    centers = _cat([here.centers + first if first else here.centers for here, first in zip(sites, starts[0])])
    starts = torch.tensor(starts, device=weights.device)
    n_channels = sites[0].n_channels
    return ops.wave_field(
        positions, channel.to(torch.int32), centers.to(torch.int32), _cat(k), weights, starts, n_channels
    )


def _cat(parts: list[torch.Tensor]) -> torch.Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts)
