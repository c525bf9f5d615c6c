"""The plane-wave branch: structure factors, averaged over directions."""

import functools
import math

import numpy as np
import torch
from ketmap_core import Batch, as_batch
from ketmap_density.hypers import integer, number
from ketmap_ops.reference.expansion import directions

from .calculator import NO_CUTOFF
from .whole import System, WholeDescriptor

#: phases G·r_j computed at once
PHASES = 1 << 20


class StructureFactor(WholeDescriptor):
    """The structure factor S(q) = ⟨|Σ_j exp(i q·r_j)|²⟩/N averaged over directions of q: a diffraction fingerprint.

    Of crystals it is the sum over the reciprocal lattice, S(q) = 2π²/(V N) Σ_{G≠0} |F(G)|²/|G|² w(|G| − q) with
    F(G) = Σ_j exp(i G·r_j) and w a normalised Gaussian; of molecules Debye's sum 1/N Σ_ij sin(q r_ij)/(q r_ij). Both go
    to 1 for large q, and neither depends on the orientation or on which cell describes the crystal. After Ziletti,
    Kumar, Scheffler, Ghiringhelli, Nat. Commun. 9, 2775 (2018), who take images of |F|² instead.

    Key ``_``; sample ``system``; property ``q``: the place of q = ``q_max`` · (``q`` + 1)/``bins``.

    :param q_max: largest q, Å⁻¹, or in units of the cube root of the number density if ``scaled``.
    :param bins: number of values of q.
    :param width: standard deviation of the Gaussian window, in the unit of ``q_max``; by default the distance of two q.
    :param scaled: whether q is measured in units of (N/V)^(1/3), so that crystals that differ in size only are equal.
    :raises ValueError: (from ``compute``) for systems that are periodic in one or two directions, and for ``scaled``
        ones without a volume.

    >>> import ase.build
    >>> fingerprint = StructureFactor(q_max=16.0, bins=32, scaled=True)
    >>> tensor = fingerprint.compute([ase.build.bulk("Cu", "fcc", 3.6), ase.build.bulk("Al", "fcc", 4.05, cubic=True)])
    >>> bool(abs(tensor.block().values[0] - tensor.block().values[1]).max() < 1e-12)
    True
    """

    property_names = ("q",)

    def __init__(self, *, q_max: float, bins: int, width: float | None = None, scaled: bool = False):
        self.q_max = number(q_max, "q_max", above=0)
        self.bins = integer(bins, "bins", minimum=1)
        self.width = number(self.q_max / self.bins if width is None else width, "width", above=0)
        self.scaled = bool(scaled)

    @property
    def exempt_laws(self) -> dict[str, str]:
        exempt = NO_CUTOFF | {law: "an average over atoms, no sum" for law in ("extensive", "supercell")}
        unscaled = {law: "a molecule has no volume to measure q by" for law in ("isolated", "coincident")}
        return exempt | (unscaled if self.scaled else {})

    def to_dict(self) -> dict:
        return {"q_max": self.q_max, "bins": self.bins, "width": self.width, "scaled": self.scaled}

    def all_properties(self) -> np.ndarray:
        return np.arange(self.bins)[:, None]

    def prepare(self, system: System):
        if any(system.pbc) and not all(system.pbc):
            raise ValueError(f"system {system.index} is periodic along {list(system.pbc)}; give all directions or none")
        if not all(system.pbc):
            if self.scaled:
                raise ValueError(f"system {system.index} has no volume, by which scaled=True would measure q")
            return self._debye
        largest = self.q_max + 6 * self.width
        if self.scaled:
            largest *= float(len(system.types) / torch.linalg.det(system.cell.detach()).abs()) ** (1 / 3)
        return functools.partial(self._crystal, _half_space(system.cell, largest))

    def _q(self, like: torch.Tensor) -> torch.Tensor:  # -> [bin]
        return torch.arange(1, self.bins + 1, dtype=like.dtype, device=like.device) * (self.q_max / self.bins)

    def _crystal(self, hkl: torch.Tensor, positions: torch.Tensor, cell: torch.Tensor) -> torch.Tensor:  # -> [bin]
        vectors, amplitudes = _amplitudes(hkl, positions, cell)
        intensity = (amplitudes**2).sum(0)  # -> [reflection]
        volume, n_atoms = torch.linalg.det(cell).abs(), len(positions)
        square = (vectors**2).sum(1)
        unit = (n_atoms / volume) ** (1 / 3) if self.scaled else 1.0
        x = (square.sqrt()[:, None] / unit - self._q(positions)) / self.width
        window = torch.exp(-0.5 * x**2) / (math.sqrt(2 * math.pi) * self.width * unit)  # -> [reflection, bin]
        return 4 * math.pi**2 / (volume * n_atoms) * (intensity / square) @ window  # G and −G

    def _debye(self, positions: torch.Tensor, cell: torch.Tensor) -> torch.Tensor:  # -> [bin]
        r = directions((positions[None] - positions[:, None]).reshape(-1, 3))[0]
        return torch.sinc(self._q(positions)[:, None] * r / math.pi).sum(1) / len(positions)


def reflections(system, q_max: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The reflections of one crystal: indices h, k, l, length |G|, and intensity |F(G)|²/N².

    1 where all atoms scatter in phase. Of G and −G, which are alike, one is given; ordered by |G|.

    :param system: one structure, periodic in three directions; indices refer to its own cell.
    :param q_max: largest |G| in Å⁻¹.
    :returns: int [reflection, 3], [reflection], [reflection]

    >>> import ase.build
    >>> hkl, q, intensity = reflections(ase.build.bulk("Fe", "bcc", 2.87, cubic=True), 4.5)
    >>> [(index.tolist(), round(float(i), 9)) for index, i in zip(hkl[:4], intensity)]
    [([0, 0, 1], 0.0), ([0, 1, 0], 0.0), ([1, 0, 0], 0.0), ([0, 1, -1], 1.0)]
    """
    batch: Batch = as_batch(system)
    if len(batch) != 1 or not bool(batch.pbc.all()) or batch.n_atoms == 0:
        raise ValueError(f"expected one crystal, periodic in three directions; got {len(batch)} systems")
    cell, positions = batch.cells[0].detach(), batch.positions.detach()
    hkl = _half_space(cell, number(q_max, "q_max", above=0))
    vectors, amplitudes = _amplitudes(hkl, positions, cell)
    length, intensity = vectors.norm(dim=1), (amplitudes**2).sum(0) / batch.n_atoms**2
    order = torch.argsort((length * 1e9).round(), stable=True)  # equal lengths keep the order of their indices
    return tuple(part[order].cpu().numpy() for part in (hkl, length, intensity))


def _half_space(cell: torch.Tensor, largest: float) -> torch.Tensor:  # -> int64 [reflection, 3]
    """Indices of the reciprocal lattice vectors 0 < |G| ≤ ``largest``, of G and −G one."""
    cell = cell.detach()
    reach = [int(largest * float(length) / (2 * math.pi)) for length in cell.norm(dim=1)]
    ranges = [torch.arange(-n if axis else 0, n + 1, device=cell.device) for axis, n in enumerate(reach)]
    hkl = torch.cartesian_prod(*ranges)
    h, k, l = hkl.T
    hkl = hkl[(h > 0) | ((h == 0) & ((k > 0) | ((k == 0) & (l > 0))))]
    vectors = 2 * math.pi * hkl.to(cell.dtype) @ torch.linalg.inv(cell).T
    return hkl[vectors.norm(dim=1) <= largest]


def _amplitudes(hkl: torch.Tensor, positions: torch.Tensor, cell: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Reciprocal lattice vectors [reflection, xyz], and Σ_j cos G·r_j and Σ_j sin G·r_j. -> [2, reflection]"""
    inverse = torch.linalg.inv(cell)
    indices, fractions = hkl.to(positions.dtype), positions @ inverse
    sums = [positions.new_zeros(2, 0)]
    for some in indices.split(max(PHASES // max(len(positions), 1), 1)):
        phases = 2 * math.pi * fractions @ some.T  # -> [atom, reflection]
        sums.append(torch.stack([torch.cos(phases).sum(0), torch.sin(phases).sum(0)]))
    return 2 * math.pi * indices @ inverse.T, torch.cat(sums, dim=1)
