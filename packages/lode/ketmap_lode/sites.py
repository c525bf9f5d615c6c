"""The atoms of one system, as the terms of the field see them."""

import dataclasses

import torch
from ketmap_core import Batch


@dataclasses.dataclass(frozen=True)
class Sites:
    """Atoms with the types that are wanted (their channels), and those of them that are centres."""

    positions: torch.Tensor  # [atom, 3]
    cell: torch.Tensor  # [3, 3], rows without periodicity mean nothing
    pbc: tuple[bool, bool, bool]
    channel: torch.Tensor  # int64 [atom], −1: of no wanted type
    centers: torch.Tensor  # int64 [centre], atoms
    n_channels: int
    choices: dict | None = None  # of the batch

    @classmethod
    def of(cls, batch: Batch, system: int, channel: torch.Tensor, centers: torch.Tensor, n_channels: int) -> "Sites":
        """Atoms of one ``system``; ``channel`` [atom] and ``centers`` are those of the batch."""
        first, last = int(batch.starts[system]), int(batch.starts[system + 1])
        return cls(
            batch.positions[first:last],
            batch.cells[system],
            tuple(batch.pbc[system].tolist()),
            channel[first:last],
            centers - first,
            n_channels,
            batch.choices,
        )

    @property
    def members(self) -> torch.Tensor:  # -> [channel, atom]
        """1 where the atom is of the channel's type."""
        every = torch.arange(self.n_channels, device=self.channel.device)
        return (self.channel == every[:, None]).to(self.positions.dtype)

    @property
    def counts(self) -> torch.Tensor:  # -> [channel]
        return self.members.sum(dim=1)

    @property
    def volume(self) -> torch.Tensor:
        """Volume, or area, or length of the periodic cell."""
        if all(self.pbc):
            return torch.linalg.det(self.cell).abs()
        rows = self.cell[list(self.pbc)]
        return torch.linalg.det(rows @ rows.T).sqrt()
