"""Roads to the field of a crystal with a stated accuracy: how pairs, waves and a mesh share the work."""

import dataclasses
import math

import numpy as np
import torch
from ketmap_density.basis import Basis
from ketmap_ops.reference.expansion import cutoff_function

from .density import SmearedPowerLaw
from .fourier import transform
from .mesh import MeshRule, mean_defect
from .radial import TAIL, basis_transform, nodes

#: smearings, in multiples of the density's, at which the work can be shared between waves and pairs
RATIOS = (1.0, 1.5, 2.0, 2.5, 3.0)
ORDERS = (6, 8, 10)  # of splines on a mesh
SHARE = 0.03  # of the accuracy: how small waves are where they end
NEAR_SHARE = 0.01  # and pairs, whose tails crystals add up
MESH_SHARE = 0.05  # and that of a mesh, which in crystals may be ten times what it is for atoms anywhere
LONGEST = 1.5  # 1/Å: crystals have little below, and their errors are measured by what is above
FADE = 0.1  # the last tenth of the waves fades out

#: What roads are expected to cost, in units of about 10 ns. Between values alone and values with forces.
PAIR = 16  # to find and to expand a pair
WAVE = 0.3  # the phase of a wave at one atom
PROJECTION = 0.005  # a number, from a wave to an atom
KNOT = 3.0  # a number at a knot, through the transform
SPLINE = 0.02  # a number, from a knot to an atom
CALL = 3e5  # a mesh, whatever its size
VOLUME = 20.0  # Å³ of an atom, whatever the cell: a road that changed with it would let energies jump


@dataclasses.dataclass(frozen=True)
class Road:
    """How the field of a crystal is summed."""

    smearings: tuple[float, ...]  #: of each exponent's field over waves; infinite: all of it is in pairs
    end: float  #: 1/Å: where waves have faded out
    pairs: bool  #: whether something is left to pairs
    mesh: MeshRule | None = None  #: None: every wave around every atom

    @property
    def waves(self) -> bool:
        """Whether something is left to waves."""
        return not all(map(math.isinf, self.smearings))

    @property
    def fade(self) -> tuple[float, float]:
        """Where waves have faded out, and over which range, 1/Å."""
        return self.end, FADE * self.end


class Roads:
    """The roads to one field."""

    def __init__(self, density: SmearedPowerLaw, basis: Basis, accuracy: float):
        self.density, self.basis, self.accuracy = density, basis, accuracy
        #: of waves, times the smearing
        self.factor = math.sqrt(-2 * math.log(SHARE * accuracy))
        self._rules: dict[tuple[Road, int], MeshRule] = {}
        self._spectra: dict[Road, tuple[np.ndarray, np.ndarray]] = {}

    def choose(self, n_atoms: int, n_channels: int, meshes: bool = True) -> Road:
        """The cheapest road. The number of atoms chooses, not the cell: waves, pairs and knots are counted in a cell of
        usual density. ``meshes``: whether one may be used."""
        best, least, numbers = None, math.inf, n_channels * self._n_numbers
        for ratio in RATIOS:
            road, around = self._shared(ratio), self._pairs(ratio)
            waves = VOLUME * n_atoms * road.end**3 / (12 * math.pi**2) if road.waves else 0.0
            cost = around + (WAVE + PROJECTION * numbers) * waves
            if cost < least:
                best, least = road, cost
            for order in ORDERS:
                at_least = around + CALL / n_atoms
                if not (meshes and road.waves and at_least < least):  # rules take time to be found
                    continue
                rule = self.rule(road, order)
                cost = at_least + numbers * (KNOT * VOLUME / rule.spacing**3 + SPLINE * order**3)
                if cost < least:
                    best, least = dataclasses.replace(road, mesh=rule), cost
        return best

    def _shared(self, ratio: float) -> Road:
        """Ewald's way, with another smearing for waves; p = 0, a Gaussian, dies out by itself: nothing is left."""
        smearing, exponents = self.density.smearing, self.density.exponents
        if ratio == 1:
            return Road((smearing,) * len(exponents), self.factor / smearing, pairs=False)
        smearings = tuple(math.inf if p == 0 else ratio * smearing for p in exponents)
        return Road(smearings, self.factor / (ratio * smearing) / (1 - FADE), pairs=True)

    def _pairs(self, ratio: float) -> float:
        """What pairs around an atom cost."""
        if ratio == 1:
            return 0.0
        wider = ratio if any(self.density.exponents) else 1.0
        size = max(self.basis.radial_basis(l).radius for l in self.basis.angular_channels())
        # of atom_range, which is dear to find
        factor = math.sqrt(-2 * math.log(NEAR_SHARE * self.accuracy))
        reach = 0.94 * factor * math.hypot(0.6 * size, wider * self.density.smearing)
        return PAIR / VOLUME * 4 / 3 * math.pi * reach**3

    @property
    def _n_numbers(self) -> int:
        """Coefficients of one channel."""
        sizes = self.basis.sizes
        return len(sizes) ** 2 * max(sizes) * len(self.density.exponents)

    def rule(self, road: Road, order: int) -> MeshRule:
        """The coarsest mesh that is good to the accuracy, with splines of this ``order``."""
        if (road, order) not in self._rules:
            finest, coarsest = 0.05 / road.end, math.pi / road.end  # in which all waves have a place
            for _ in range(12):
                spacing = math.sqrt(finest * coarsest)
                good = self.mesh_error(road, MeshRule(spacing, order)) < MESH_SHARE * self.accuracy
                finest, coarsest = (spacing, coarsest) if good else (finest, spacing)
            self._rules[road, order] = MeshRule(finest, order)
        return self._rules[road, order]

    def mesh_error(self, road: Road, rule: MeshRule) -> float:
        """Root mean square error of a mesh for atoms anywhere, relative to the coefficients' root mean square from
        waves above LONGEST: the largest of all l and exponents."""
        k, parts = self._spectrum(road)
        defects = mean_defect(k * rule.spacing / (2 * math.pi), rule.order)
        return float(np.sqrt(np.max(defects @ parts)))

    def _spectrum(self, road: Road) -> tuple[np.ndarray, np.ndarray]:  # -> [k], [k, (exponent, l)]
        """What waves of a road add to the mean squares, as above."""
        if road not in self._spectra:
            smearing = self.density.smearing
            k, weights = nodes(0.0, road.end, 100)
            weights = weights * cutoff_function(torch.from_numpy(k), *road.fade).numpy() ** 2
            above, above_weights = nodes(LONGEST, max(TAIL / smearing, 2 * LONGEST), 100)
            parts = []
            for p, wider in zip(self.density.exponents, road.smearings):
                whole = above_weights @ self._squares(above, p, smearing)  # -> [l]
                part = weights[:, None] * self._squares(k, p, wider)
                parts.append(part / np.where(whole > 0, whole, np.inf))
            self._spectra[road] = k, np.concatenate(parts, axis=1)
        return self._spectra[road]

    def _squares(self, k: np.ndarray, exponent: int, smearing: float) -> np.ndarray:  # -> [k, l]
        """k² Σ_n (v̂ f_nl)²."""
        hats = k * transform(torch.from_numpy(k), exponent, smearing).numpy()
        return ((hats[:, None, None] * basis_transform(k, self.basis)) ** 2).sum(axis=2)
