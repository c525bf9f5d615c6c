"""What representations and potentials give."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Design:
    """What multiplies the weights: energies are ``values`` @ w, their derivatives likewise."""

    values: torch.Tensor  # -> [system, feature]
    positions: torch.Tensor | None  # -> [atom, xyz, feature]
    strain: torch.Tensor | None  # -> [system, xyz_1, xyz_2, feature]


@dataclass(frozen=True)
class Found:
    """What a potential says about a batch."""

    energies: torch.Tensor  # -> [atom]
    forces: torch.Tensor  # -> [atom, 3]
    virial: torch.Tensor  # -> [system, xyz_1, xyz_2]
    features: torch.Tensor | None  # -> [atom, k]
