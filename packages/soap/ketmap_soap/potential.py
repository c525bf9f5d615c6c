"""A linear model of the power spectrum as a potential: one quadratic form of the density for each type of centre."""

import dataclasses

import torch
from ketmap_core import Batch
from ketmap_density import Environments, Expansion
from ketmap_ops import soap_energy

from .design import check_types
from .weights import Columns, quadratic_form


@dataclasses.dataclass(frozen=True)
class Energies:
    """What a potential says about a batch. eV and Å where its weights are."""

    energies: torch.Tensor  # [atom]
    forces: torch.Tensor  # [atom, xyz]: −dE/dr
    virial: torch.Tensor  # [system, xyz_1, xyz_2]: dE/dε, r → r (1 + ε)
    features: torch.Tensor | None  # [atom, feature]: the diagonal invariants Σ_m c²_alnm/√(2l+1)


class Potential:
    """E = Σ_i w·p_i: energies, forces and virial in one pass, without features."""

    def __init__(self, expansion: Expansion, w: torch.Tensor, types: tuple[int, ...]):
        self.expansion, self.types = expansion, tuple(types)
        self.quadratic = quadratic_form(w, Columns.of(expansion, self.types))

    @property
    def cutoff(self) -> float:
        """Å."""
        return self.expansion.cutoff.radius

    def environments(self, batch: Batch, skin: float = 0.0) -> Environments:
        """The pairs to evaluate with; with a ``skin`` (Å) they stay valid until an atom has moved by half of it.

        :raises UnknownTypesError: for atoms of types that the weights do not know.
        """
        check_types(batch, self.types)
        return self.expansion.environments(batch, types=self.types, skin=skin, reverse=True)

    def __call__(self, batch: Batch, environments: Environments, diagonal: bool = False) -> Energies:
        """Energies and their derivatives at the positions and cells of ``batch``, which may have moved since
        ``environments`` were made; ``diagonal``: also the diagonal invariants of each atom."""
        expansion, positions = self.expansion, batch.positions.detach()
        energies, forces, virial, features = soap_energy(
            positions,
            batch.cells.detach(),
            batch.system,
            environments.rank,
            environments.centers,
            environments.starts,
            environments.neighbors,
            environments.shifts,
            environments.reverse,
            environments.own,
            *expansion.radial(environments, expansion.table_like(positions, self.types)),
            expansion.density.center_atom_weight,
            environments.kind,
            self.quadratic.to(positions),
            diagonal,
            None if expansion.species is None else expansion.mixing(environments).detach().to(positions).contiguous(),
        )
        rank = environments.rank.long()
        features = self._existing(features)[rank] if diagonal else None
        return Energies(energies[rank], forces, virial, features)

    def _existing(self, features: torch.Tensor) -> torch.Tensor:  # [centre, channel, l, n] -> [centre, feature]
        """The invariants of the n that each l has."""
        sizes = torch.tensor(self.expansion.sizes, device=features.device)
        if sizes.min() == sizes.max():
            return features.flatten(1)
        return features[:, :, torch.arange(features.shape[3], device=sizes.device) < sizes[:, None]].flatten(1)

    def differentiable(self, batch: Batch, environments: Environments | None = None) -> torch.Tensor:  # -> [atom]
        """The same energies through torch's autograd: derivatives of any order in positions and cells."""
        environments = self.environments(batch) if environments is None else environments
        c = self.expansion.coefficients(environments, batch)  # -> [centre, channel, lm, n]
        quadratic = self.quadratic.to(c)
        energies = c.new_zeros(len(c))
        for l in range(self.expansion.l_max + 1):
            c_l = c[:, :, l * l : (l + 1) ** 2].transpose(1, 2).flatten(2)  # -> [centre, m, channel n]
            form = quadratic[environments.kind.long(), l]
            energies = energies + ((c_l @ form) * c_l).sum(dim=(1, 2))
        return energies[environments.rank.long()]
