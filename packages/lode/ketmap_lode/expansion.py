"""The field expanded around every atom as dense arrays [centre, channel, lm, (exponent, n)], whatever is periodic."""

import copy
import dataclasses
import functools
import itertools
import math
from collections.abc import Iterator

import numpy as np
import torch
from ketmap_core import Batch, Pairs
from ketmap_density.basis import Basis
from ketmap_density.hypers import number
from ketmap_ops.reference.expansion import cutoff_function, radial

from .density import FieldDensity, SmearedPowerLaw
from .fourier import at_zero
from .mesh import MeshTerm
from .radial import atom_range, atom_table, basis_spline, basis_transform, nodes, plane_table, reach_of
from .real import PairParts, PairTerm, PlaneTerm, UniformTerm
from .reciprocal import ReciprocalTerm, values_of
from .roads import NEAR_SHARE, Road, Roads
from .sites import Sites
from .vectors import crystal_vectors, slab_vectors

#: what slabs may be wrong by for sums instead of integrals along the normal
INTEGRAL_ACCURACY = 1e-12
#: atoms of systems whose waves are summed in one call
TOGETHER = 1024
#: numbers, of weights that are kept
KEPT = 1 << 22

LONGEST_LIST = 1 << 22  # pairs that are kept in memory
PART = 1 << 21  # of longer lists, what is there at a time


@dataclasses.dataclass(frozen=True)
class Centers:
    """Atoms around which the field is expanded, by (type, system, atom): what blocks need to know of them."""

    types: tuple[int, ...]  #: neighbour types, ascending: the channels
    centers: torch.Tensor  #: int32 [centre]: atom of each centre
    center_types: torch.Tensor  #: int32 [centre]
    own: torch.Tensor  #: int32 [centre]: channel of the centre's own type, −1 if there is none
    channel: torch.Tensor  #: int64 [atom]: of each atom's type, −1 if there is none
    members: torch.Tensor  #: int64 [system, channel]: number of atoms
    system: torch.Tensor  #: int64 [centre]

    def __len__(self) -> int:
        return len(self.centers)

    def counts(self) -> torch.Tensor:  # -> int64 [centre, channel]
        """Number of atoms of each type in the system of each centre."""
        return self.members[self.system]

    @classmethod
    def of(cls, batch: Batch, types: tuple[int, ...] | None, chosen: torch.Tensor | None) -> "Centers":
        """Centres ``chosen`` (bool [atom]; None: all) and channels ``types`` (None: those that occur)."""
        device = batch.types.device
        kinds, system = batch.types.cpu().numpy(), batch.system.cpu().numpy()
        if types is None:
            known, channel = np.unique(kinds, return_inverse=True)
            types = tuple(known.tolist())
        else:
            types = tuple(types)
            channel = np.full(len(kinds), -1)
            for index, kind in enumerate(types):
                channel[kinds == kind] = index
        atoms = np.arange(len(kinds)) if chosen is None else np.flatnonzero(chosen.cpu().numpy())
        atoms = atoms[np.argsort(kinds[atoms], kind="stable")]
        n = len(types) + 1  # the first is for atoms of other types
        members = np.bincount(system * n + channel + 1, minlength=len(batch) * n).reshape(len(batch), n)[:, 1:]

        def give(values: np.ndarray, kind: type) -> torch.Tensor:
            return torch.from_numpy(values.astype(kind)).to(device)

        return cls(
            types,
            give(atoms, np.int32),
            give(kinds[atoms], np.int32),
            give(channel[atoms], np.int32),
            give(channel, np.int64),
            give(members, np.int64),
            give(system[atoms], np.int64),
        )


class FieldExpansion:
    """The engine below calculators and models. ``density`` and ``basis`` are objects or featomic's dictionaries."""

    def __init__(
        self, density: SmearedPowerLaw, basis: Basis, k_cutoff: float | None = None, accuracy: float | None = None
    ):
        self.density: SmearedPowerLaw = FieldDensity.from_dict(density)
        self.basis: Basis = Basis.from_dict(basis)
        for l in self.basis.angular_channels():
            if self.basis.radial_basis(l).radius is None:
                raise ValueError(
                    f"{type(self.basis.radial_basis(l)).__name__} needs a radius (Å): the field has no cutoff to take "
                    "it from"
                )
        self.given_k_cutoff = None if k_cutoff is None else number(k_cutoff, "k_cutoff", above=0)
        self.k_cutoff = 1.2 * math.pi / self.density.smearing if k_cutoff is None else self.given_k_cutoff
        self.accuracy = None if accuracy is None else number(accuracy, "accuracy", above=0)
        if accuracy is not None and k_cutoff is not None:
            raise ValueError(
                "give k_cutoff, for a sum that ends there, or accuracy, for one that is good to it; not both"
            )
        if accuracy is not None and not accuracy < 0.1:
            raise ValueError(f"accuracy must be less than 0.1, got {accuracy:g}")
        if accuracy is not None:
            self.roads = Roads(self.density, self.basis, self.accuracy)
            self.k_cutoff = self.roads.factor / self.density.smearing
        self.l_max = len(self.sizes) - 1  #: largest angular degree, inclusive
        self._tables, self._parts, self._last = {}, {self.l_max: self}, None

    def up_to(self, l_max: int) -> "FieldExpansion":
        """The same field for degrees up to ``l_max`` alone."""
        if l_max not in self._parts:
            self._parts[l_max] = copy.copy(self)
            self._parts[l_max].l_max = l_max
        return self._parts[l_max]

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of radial functions of each l = 0 … l_max; dense arrays have zeros from there on."""
        return self.basis.sizes

    @property
    def n_max(self) -> int:
        """Largest radial index of any l, inclusive."""
        return max(self.sizes) - 1

    @property
    def n_exponents(self) -> int:
        """How many fields stand side by side in the last axis of coefficients."""
        return len(self.density.exponents)

    def to_dict(self) -> dict:
        """Hyper-parameters in featomic's spelling: ``{"density": …, "basis": …, "k_cutoff": …}``."""
        return {
            "density": self.density.to_dict(),
            "basis": self.basis.to_dict(),
            "k_cutoff": self.given_k_cutoff,
        } | ({} if self.accuracy is None else {"accuracy": self.accuracy})

    def coefficients(self, centers: Centers, batch: Batch, meshes: bool = True) -> torch.Tensor:
        """c of every centre and channel, differentiable in positions and cells; ``meshes``: as in :meth:`terms`.

        # -> [centre, channel, lm, (exponent, n)]
        """
        groups = self.groups(batch, centers)
        if not groups:
            n_columns = self.n_exponents * (self.n_max + 1)
            return batch.positions.new_zeros(0, len(centers.types), (self.l_max + 1) ** 2, n_columns)
        found = []
        for run in _runs(groups, batch.starts.diff().tolist()):
            terms = [self.terms(batch, centers, systems, meshes) for systems in run]
            values = iter(values_of([term for group in terms for term in group]))
            found += [functools.reduce(torch.add, itertools.islice(values, len(group))) for group in terms]
        if len(found) == 1:
            return found[0]
        place = torch.empty(len(batch), dtype=torch.int64)
        for index, systems in enumerate(groups):
            place[systems] = index
        order = torch.argsort(place.to(centers.system.device)[centers.system], stable=True)
        return torch.cat(found)[torch.argsort(order)]

    def groups(self, batch: Batch, centers: Centers) -> list[list[int]]:
        """Systems that are summed together: all isolated ones, and each of the others."""
        periodic = batch.pbc.any(dim=1).tolist()
        used = np.unique(centers.system.cpu().numpy()).tolist()
        isolated = [system for system in used if not periodic[system]]
        return [*([isolated] if isolated else []), *([system] for system in used if periodic[system])]

    def terms(self, batch: Batch, centers: Centers, systems: list[int], meshes: bool = True) -> list:
        """What adds up to the field of one group of systems; centres in the order of ``centers``.

        Without ``meshes`` all terms have explicit derivatives.
        """
        if len(systems) > 1 or not batch.pbc[systems[0]].any():
            return [self._isolated(batch, centers, systems)]
        (system,) = systems
        atoms = centers.centers[centers.system == system].long()
        sites = Sites.of(batch, system, centers.channel, atoms, len(centers.types))
        if sum(sites.pbc) == 1:
            raise ValueError(
                f"system {system} is periodic along one direction: the field of wires is not there; make it periodic "
                "along none, two or three"
            )
        if not all(sites.pbc):
            return self._slab(sites)
        if self.accuracy is None:
            return self._crystal(sites)
        road = self.roads.choose(len(sites.positions), sites.n_channels, meshes)
        return self._shared(batch, centers, system, sites, road, meshes)

    def _isolated(self, batch: Batch, centers: Centers, systems: list[int]) -> PairTerm:
        """All pairs of each system, in real space: exact."""
        part, chosen = _select(batch, systems, centers)
        diameter = max(_diameter(positions) for positions in torch.split(part.positions, part.starts.diff().tolist()))
        # steps of half an octave: tables are made for few distances
        distance = 8.0 * 2 ** (math.ceil(2 * math.log2(max(diameter, 8.0) / 8.0) + 1e-9) / 2)
        pairs = _all_pairs(part)
        table, spacing = self._like(batch.positions, "atom", distance)
        return PairTerm.of(part, pairs, centers.types, chosen, table, spacing, distance, 0.0)

    def _crystal(self, sites: Sites) -> list:
        """Over waves below the cutoff."""
        terms = [self._waves(sites, (self.density.smearing,) * self.n_exponents, (self.k_cutoff, 0.0))]
        if any(self._mean_field):
            terms.append(UniformTerm(sites, sites.positions.new_tensor(self._mean_field), (self.l_max + 1) ** 2))
        return terms

    def _shared(self, batch: Batch, centers: Centers, system: int, sites: Sites, road: Road, meshes: bool) -> list:
        """Ewald's way: the field of a wider smearing over few waves, what it lacks over few pairs.

        Both fade out smoothly, so that energies do not jump when atoms move or the cell changes. Without ``meshes`` all
        terms have explicit derivatives.
        """
        exponents, smearing, terms = self.density.exponents, self.density.smearing, []
        if road.waves and road.mesh is None:
            terms.append(self._waves(sites, road.smearings, road.fade))
        elif road.waves:
            table, spacing = self._like(sites.positions, "basis", road.end)
            terms.append(MeshTerm(sites, road.mesh, table, spacing, exponents, road.smearings, road.fade))
        strength = sites.positions.new_tensor(self._mean_field)
        if road.pairs:
            cutoff = atom_range(self.basis, exponents, smearing, road.smearings, NEAR_SHARE * self.accuracy)
            part, chosen = _select(batch, [system], centers)
            near, step = self._like(sites.positions, "atom", cutoff, road.smearings)
            fading = 0.1 * cutoff
            # k = 0: what the pairs bring of it, tails cut off, makes room for the mean that there has to be
            strength = strength - _mean(near, step, cutoff, fading)
            given = part, centers.types, chosen, near, step, cutoff, fading
            around = len(sites.positions) * 4 / 3 * math.pi * cutoff**3 / float(sites.volume.detach())
            many = meshes and around * len(sites.centers) > LONGEST_LIST
            terms.append(PairParts(*given, max(1, int(PART / around))) if many else PairTerm.within(*given))
        if strength.any():
            terms.append(UniformTerm(sites, strength, (self.l_max + 1) ** 2))
        return terms

    def _waves(self, sites: Sites, smearings: tuple[float, ...], fade: tuple[float, float]) -> ReciprocalTerm:
        """Of a crystal. The waves and weights of the last cell are kept, for atoms that move in it."""
        cell = sites.cell
        table, spacing = self._like(sites.positions, "basis", fade[0])

        def make() -> ReciprocalTerm:
            waves = crystal_vectors(sites, fade[0])
            return ReciprocalTerm(sites, waves, table, spacing, self.density.exponents, smearings, fade)

        if cell.requires_grad:
            return make()
        name = cell.cpu().numpy().tobytes(), cell.dtype, cell.device, self.l_max, smearings, fade
        if self._last is None or self._last[0] != name:
            made = make()
            few = len(made.waves.k) * made.n_lm * table.shape[2] < KEPT
            self._last = (name, made) if few and not made.waves.k.is_inference() else None
            return made
        return self._last[1].around(sites)

    def _slab(self, sites: Sites) -> list:
        density = self.density
        largest = max(self.k_cutoff, math.sqrt(-2 * math.log(INTEGRAL_ACCURACY)) / density.smearing)
        table, spacing = self._like(sites.positions, "basis", largest)
        reach = reach_of(self.basis) + 9 * density.smearing
        waves = slab_vectors(sites, self.k_cutoff, largest, reach, INTEGRAL_ACCURACY)
        thickness = _diameter(sites.positions)
        distance = 8.0 * 2 ** math.ceil(math.log2(max(thickness, 8.0) / 8.0) + 1e-9)
        plane, step = self._like(sites.positions, "plane", distance)
        return [
            ReciprocalTerm(sites, waves, table, spacing, density.exponents, (density.smearing,) * self.n_exponents),
            PlaneTerm(sites, plane, step),
        ]

    @functools.cached_property
    def _mean_field(self) -> list[float]:  # -> [(exponent, n)]
        """∫ v d³r on the basis, for exponents where that is finite."""
        return self._constant([at_zero(p, self.density.smearing) for p in self.density.exponents])

    def _constant(self, hats: list[float]) -> list[float]:  # [exponent] -> [(exponent, n)]
        f = basis_transform(np.zeros(1), self.basis)[0, 0]  # -> [n]
        return (math.sqrt(4 * math.pi) * np.array(hats)[:, None] * f).flatten().tolist()

    def _like(
        self, values: torch.Tensor, what: str, length: float, wider: tuple[float, ...] | None = None
    ) -> tuple[torch.Tensor, float]:
        """A table in the dtype and on the device of ``values``, and its spacing; each is made once."""
        kind = (what, length, wider, values.device, values.dtype)
        if kind not in self._tables:
            density = self.density
            if what == "basis":
                spline = basis_spline(self.basis, length)
            elif what == "atom":
                wider = wider or (math.inf,) * self.n_exponents
                spline = atom_table(self.basis, density.exponents, density.smearing, wider, length)
            else:
                spline = plane_table(self.basis, density.exponents, density.smearing, length)
            self._tables[kind] = torch.from_numpy(spline.table).to(values, copy=True), spline.spacing
        table, spacing = self._tables[kind]
        if self.l_max + 1 < table.shape[1]:
            kind = (*kind, self.l_max)
            self._tables.setdefault(kind, (table[:, : self.l_max + 1].contiguous(), spacing))
        return self._tables[kind]


def _runs(groups: list[list[int]], sizes: list[int]) -> Iterator[list[list[int]]]:
    """Groups one after the other, as many as have a bounded number of atoms: they are summed together."""
    run, n_atoms = [], 0
    for systems in groups:
        size = sum(sizes[system] for system in systems)
        if run and n_atoms + size > TOGETHER:
            yield run
            run, n_atoms = [], 0
        run.append(systems)
        n_atoms += size
    yield run


def _mean(table: torch.Tensor, spacing: float, cutoff: float, width: float) -> torch.Tensor:  # -> [(exponent, n)]
    """∫ f_c(r) R_n0(r) Y_00 d³r: what pairs bring to the mean."""
    r, weights = (torch.from_numpy(a).to(table) for a in nodes(0.0, cutoff, 400))
    shell = math.sqrt(4 * math.pi) * weights * r**2 * cutoff_function(r, cutoff, width)
    return shell @ radial(r, table, spacing)[:, 0]


def _diameter(positions: torch.Tensor) -> float:
    """A bound on the largest distance of two atoms."""
    if len(positions) == 0:
        return 0.0
    span = (positions.detach().amax(dim=0) - positions.detach().amin(dim=0)).double()
    return float(torch.linalg.vector_norm(span))


def _select(batch: Batch, systems: list[int], centers: Centers) -> tuple[Batch, torch.Tensor]:
    """A batch of some systems, of all the same one, and which of its atoms are centres, bool [atom]."""
    wanted = torch.zeros(len(batch), dtype=torch.bool, device=batch.system.device)
    wanted[systems] = True
    atoms = wanted[batch.system.long()]
    chosen = torch.zeros(batch.n_atoms, dtype=torch.bool, device=atoms.device)
    chosen[centers.centers.long()] = True
    if len(systems) == len(batch):
        return batch, chosen
    sizes = batch.starts.diff()[wanted]
    place = torch.cumsum(wanted, 0) - 1
    part = Batch(
        positions=batch.positions[atoms],
        cells=batch.cells[wanted],
        pbc=batch.pbc[wanted],
        types=batch.types[atoms],
        system=place[batch.system[atoms].long()].to(torch.int32),
        starts=torch.cat([sizes.new_zeros(1), sizes.cumsum(0)]),
        is_torch=batch.is_torch,
    )
    return part, chosen[atoms]


def _all_pairs(batch: Batch) -> Pairs:
    """Every two atoms of every (isolated) system, once."""
    device = batch.positions.device
    halves = []
    for first, last in zip(batch.starts.tolist(), batch.starts.tolist()[1:]):
        halves.append(torch.triu_indices(last - first, last - first, 1, device=device) + first)
    first, second = torch.cat([torch.zeros(2, 0, dtype=torch.int64, device=device), *halves], dim=1)
    positions = batch.positions.detach()
    shifts = torch.zeros(len(first), 3, dtype=torch.int32, device=device)
    return Pairs(first.to(torch.int32), second.to(torch.int32), shifts, positions[second] - positions[first])
