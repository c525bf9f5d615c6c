"""Rows of design matrices: power spectra summed over the atoms of each structure, and their derivatives."""

import dataclasses

import torch
from ketmap_core import Batch, UnknownTypesError
from ketmap_density import Environments, Expansion
from ketmap_density.mixed import mixed_outer
from ketmap_ops.outer import expand_outer
from ketmap_ops.power_spectrum import power_spectrum_design, power_spectrum_sums

from .mixed import moved_sums
from .weights import Columns


@dataclasses.dataclass(frozen=True)
class Design:
    """What multiplies the weights w: energies are ``values`` @ w, their derivatives likewise."""

    values: torch.Tensor  # [system, feature]
    positions: torch.Tensor | None  # [atom, xyz, feature]: ∂/∂r
    strain: torch.Tensor | None  # [system, xyz_1, xyz_2, feature]: ∂/∂ε, r → r (1 + ε)


def check_types(batch: Batch, types: tuple[int, ...]) -> None:
    """:raises UnknownTypesError: for atoms of other types, naming these and the first of their systems."""
    known = torch.tensor(types, dtype=batch.types.dtype, device=batch.types.device)
    foreign = ~torch.isin(batch.types, known)
    if foreign.any():
        found = ", ".join(str(t) for t in torch.unique(batch.types[foreign]).tolist())
        system = int(batch.system[torch.nonzero(foreign)[0, 0]])
        raise UnknownTypesError(
            f"system {system} has atoms of types that the model was not fitted to: {found}; it knows "
            f"{', '.join(map(str, types))}"
        )


def design(
    expansion: Expansion, batch: Batch, types: tuple[int, ...], positions: bool = True, strain: bool = True
) -> Design:
    """Design rows of the systems of ``batch``; their derivatives where asked for."""
    check_types(batch, types)
    environments = expansion.environments(batch, types=types)
    spline = expansion.radial(environments)
    c = expansion.coefficients(environments, batch).detach()
    directions = [c[:, :, None] / 2]  # p is quadratic: its derivative along c/2 is p itself
    if strain:
        directions.append(_outer(expansion, environments, spline).flatten(2, 3))
    sums = power_spectrum_sums(torch.cat(directions, dim=2), c, _segments(environments, batch, len(types)))
    kept = Columns.of(expansion, types).kept  # the others are zeros
    sums = sums.unflatten(0, (len(types), len(batch))).permute(1, 2, 0, 3)  # -> [system, x, kind, feature]
    sums_size = sums.shape[3]
    sums = (sums if kept is None else sums[..., kept]).flatten(2)
    forces = None
    if positions and expansion.species is not None:
        forces = moved_sums(expansion, environments, batch, c, sums_size)
        forces = (forces if kept is None else forces[..., kept]).flatten(2)
    elif positions:
        forces = power_spectrum_design(
            c,
            environments.vectors,
            environments.starts,
            environments.neighbors,
            environments.centers,
            environments.own,
            *spline,
        )
        if kept is not None:
            forces = forces.unflatten(2, (len(types), -1))[..., kept].flatten(2)
    return Design(sums[:, 0], forces, sums[:, 1:].unflatten(1, (3, 3)) if strain else None)


def _outer(expansion: Expansion, environments: Environments, spline: tuple) -> torch.Tensor:
    """Derivatives of the coefficients by the strain.  # -> [centre, channel, xyz_1, xyz_2, lm, n]"""
    vectors = environments.vectors
    if expansion.species is not None:
        return mixed_outer(expansion, environments, expansion.mixing(environments).detach(), vectors, spline[0])
    return expand_outer(vectors, vectors, environments.starts, environments.own, *spline)


def _segments(environments: Environments, batch: Batch, n_types: int) -> torch.Tensor:
    """Where the centres of each (type, system) start, and the end.  # -> int64 [type · system + 1]"""
    place = environments.own.long() * len(batch) + batch.system[environments.centers.long()].long()
    every = torch.arange(n_types * len(batch) + 1, device=place.device)
    return torch.searchsorted(place, every)
