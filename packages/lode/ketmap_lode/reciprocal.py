"""The sum over wave vectors: structure factors of every type, projected on the basis around every centre.

c_ialm,n = Σ_k w(k) 4π v̂(k) f_nl(k) Y_lm(k̂) Σ_{j∈a} Re[i^l exp(−ik·r_ij)], r_ij = r_j − r_i:
cosines for even l, sines for odd.
"""

import functools
import math

import torch
import torch.utils.checkpoint
from ketmap_ops.reference.expansion import cutoff_function, radial
from sphericart.torch import SphericalHarmonics

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
        table: torch.Tensor,  # of f_nl, [row, l, n]
        spacing: float,
        exponents: tuple[int, ...],
        smearing: float,
        fade: tuple[float, float] = (math.inf, 0.0),  # 1/Å: where waves have faded out, and over which range
    ):
        self.sites, self.waves, self.table, self.spacing = sites, waves, table, spacing
        self.exponents, self.smearing, self.fade = exponents, smearing, fade
        self.l_max = table.shape[1] - 1
        self.degree = [l for l in range(self.l_max + 1) for _ in range(2 * l + 1)]
        even = [lm for lm, l in enumerate(self.degree) if l % 2 == 0]
        odd = [lm for lm, l in enumerate(self.degree) if l % 2 == 1]
        self.parts = [torch.tensor(part, dtype=torch.int64, device=table.device) for part in (even, odd)]
        self.back = torch.argsort(torch.cat(self.parts))  # from (even, odd) to the order of lm

    @functools.cached_property
    def weights(self) -> torch.Tensor:  # -> [k, lm, (exponent, n)]
        """What stands before the phases; also the sign of i^l in cos or sin."""
        k = self.waves.k
        length = torch.linalg.vector_norm(k, dim=1)
        harmonics = SphericalHarmonics(self.l_max).compute(k) * self._signs  # -> [k, lm]
        return self._product(harmonics, self._radial(length))

    @property
    def _signs(self) -> torch.Tensor:  # -> [lm]
        return self.table.new_tensor([(-1.0) ** (l // 2) for l in self.degree])

    def _radial(self, length: torch.Tensor) -> torch.Tensor:  # -> [k, l, (exponent, n)]
        f = radial(length, self.table, self.spacing)  # -> [k, l, n]
        return (f[:, :, None] * self._hats(length)[:, None, :, None]).flatten(2)

    def _hats(self, length: torch.Tensor) -> torch.Tensor:  # -> [k, exponent]
        hats = torch.stack([transform(length, p, self.smearing) for p in self.exponents], dim=1)
        end, width = self.fade
        fading = cutoff_function(length, end, width)[:, None] if width > 0 else 1.0
        return 4 * math.pi * hats * fading

    def _product(self, harmonics: torch.Tensor, functions: torch.Tensor) -> torch.Tensor:
        return (harmonics * self.waves.weights[:, None])[:, :, None] * functions[:, self.degree]

    def values(self) -> torch.Tensor:  # -> [centre, channel, lm, (exponent, n)]
        """Coefficients, differentiable in positions and cell."""
        sites, weights = self.sites, self.weights
        size = weights.shape[2]
        matrices = [weights[:, part].flatten(1) for part in self.parts]
        factors = self._structure_factors()
        run = _remembering_nothing if self._differentiable else _plainly
        found = []
        for centers in sites.centers.split(self._rows):
            cosine, sine = run(self._around, sites.positions, self.waves.k, *factors, centers)
            both = [wave.flatten(0, 1) @ matrix for wave, matrix in zip((cosine, sine), matrices)]
            found.append(torch.cat(both, dim=1).unflatten(1, (-1, size)))
        empty = weights.new_zeros(0, len(self.degree), size)
        return torch.cat([empty, *found])[:, self.back].unflatten(0, (len(sites.centers), sites.n_channels))

    @property
    def _rows(self) -> int:
        return max(1, BLOCK // max(len(self.waves.k), 1))

    @property
    def _differentiable(self) -> bool:
        grad = self.sites.positions.requires_grad or self.waves.k.requires_grad
        return torch.is_grad_enabled() and grad

    def _structure_factors(self) -> tuple[torch.Tensor, torch.Tensor]:  # -> cos and sin, [channel, k]
        sites, k = self.sites, self.waves.k
        run = _remembering_nothing if self._differentiable else _plainly
        cosine = sine = k.new_zeros(sites.n_channels, len(k))
        for atoms in torch.arange(len(sites.positions), device=k.device).split(self._rows):
            c, s = run(_sums, sites.positions[atoms], k, sites.members[:, atoms])
            cosine, sine = cosine + c, sine + s
        return cosine, sine

    @staticmethod
    def _around(positions, k, cosine, sine, centers):  # -> [centre, channel, k] Σ_j cos k·r_ij and sin k·r_ij
        c, s = _phases(positions[centers], k)
        c, s = c[:, None], s[:, None]
        return torch.addcmul(c * cosine, s, sine), torch.addcmul(c * sine, s, cosine, value=-1.0)

    def jacobian(self, rows: torch.Tensor) -> torch.Tensor:  # -> [row, atom, 3, lm, (exponent, n)]
        """Derivatives of c_i, some rows of ``values``, by the place of atom j, as if i stood still; detached."""
        positions, k, weights = self.sites.positions.detach(), self.waves.k.detach(), self.weights.detach()
        size = weights.shape[2]
        moved = k[:, :, None, None] * weights[:, None]  # -> [k, 3, lm, q]
        matrices = [sign * moved[:, :, part].flatten(1) for sign, part in zip((-1, 1), self.parts)]
        out = []
        for center in self.sites.centers[rows]:
            blocks = []
            for atoms in (positions - positions[center]).split(self._rows):
                c, s = _phases(atoms, k)
                both = [(wave @ matrix).unflatten(1, (3, -1, size)) for wave, matrix in zip((s, c), matrices)]
                blocks.append(torch.cat(both, dim=2)[:, :, self.back])
            out.append(torch.cat(blocks))
        return torch.stack(out) if out else weights.new_zeros(0, len(positions), 3, *weights.shape[1:])

    def strain(self) -> torch.Tensor:  # -> [centre, channel, 3, 3, lm, (exponent, n)]
        """Derivatives by ε: phases stay, k → (1 + ε)⁻¹ k, and weights go with 1/det(1 + ε); detached."""
        sites, k = self.sites, self.waves.k.detach()
        with torch.no_grad():
            gradient = self._gradient(k)  # -> [k, 3, lm, q]
            strained = -gradient[:, :, None] * k[:, None, :, None, None]  # δk_x = −ε_xy k_y
            strained -= torch.eye(3).to(k)[:, :, None, None] * self.weights.detach()[:, None, None]
            size = strained.shape[-1]
            matrices = [strained[:, :, :, part].flatten(1) for part in self.parts]
            factors = self._structure_factors()
            found = []
            for centers in sites.centers.split(self._rows):
                waves = self._around(sites.positions.detach(), k, *factors, centers)
                both = [
                    (wave.flatten(0, 1) @ matrix).unflatten(1, (3, 3, -1, size))
                    for wave, matrix in zip(waves, matrices)
                ]
                found.append(torch.cat(both, dim=3)[:, :, :, self.back])
            empty = strained.new_zeros(0, *strained.shape[1:])
            return torch.cat([empty, *found]).unflatten(0, (len(sites.centers), sites.n_channels))

    def _gradient(self, k: torch.Tensor) -> torch.Tensor:  # -> ∂ weights/∂k, [k, 3, lm, q]
        length = torch.linalg.vector_norm(k, dim=1)
        harmonics, slopes = SphericalHarmonics(self.l_max).compute_with_gradients(k)  # -> [k, lm], [k, 3, lm]
        f, slope = torch.func.jvp(lambda k: radial(k, self.table, self.spacing), (length,), (torch.ones_like(length),))
        with torch.enable_grad():
            moved = length.detach().requires_grad_()
            hats = self._hats(moved)
            steep = [torch.autograd.grad(hat.sum(), moved, retain_graph=True)[0] for hat in hats.T]
        hats, steep = hats.detach()[:, None, :, None], torch.stack(steep, dim=1)[:, None, :, None]
        f, slope = f[:, :, None], slope[:, :, None]
        functions, derivative = (f * hats).flatten(2), (slope * hats + f * steep).flatten(2)
        unit = k / length[:, None]
        first = self._product((harmonics * self._signs), derivative)[:, None] * unit[:, :, None, None]
        slopes = slopes * self._signs * self.waves.weights.detach()[:, None, None]
        return first + slopes[..., None] * functions[:, None, self.degree]


def _phases(positions: torch.Tensor, k: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:  # -> [atom, k] each
    angles = positions @ k.T
    return torch.cos(angles), torch.sin(angles)


def _sums(positions, k, members):  # -> [channel, k] each
    return tuple(members @ wave for wave in _phases(positions, k))


def _plainly(function, *arguments):
    return function(*arguments)


def _remembering_nothing(function, *arguments):
    """Phases are computed again on the way back, rather than kept."""
    return torch.utils.checkpoint.checkpoint(function, *arguments, use_reentrant=False)
