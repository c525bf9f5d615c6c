"""Whose density is kept apart from whose: neighbour types as they are, or mixed into pseudo-elements."""

from collections.abc import Sequence

import numpy as np
import torch
from ketmap_core import UnknownTypesError

from .hypers import Hypers, hypers, integer
from .periodic_table import Elements, table_kernel


class Species(Hypers):
    """How the types of the neighbours become channels of the density. Without one, every type is a channel."""


@hypers
class AlchemicalChannels(Species):
    """Neighbour types mixed into a few pseudo-elements: c[channel] = Σ_type u[type, channel] c[type], u = ``mixing``.

    Mixed inside the kernel: time and memory follow the number of channels. A centre's own density is mixed like that
    of its neighbours, so every centre has every channel. ``mixing`` may be a torch tensor: where it requires
    gradients, these flow to it from torch TensorMaps. Willatt, Musil, Ceriotti, Phys. Chem. Chem. Phys. 20, 29661
    (2018).

    :param types: atomic numbers, each once: the rows of ``mixing``.
    :param mixing: u ``[type, channel]``, finite numbers.

    >>> channels = AlchemicalChannels(types=(1, 6, 8), mixing=[[1.0, 0.0], [0.0, 1.0], [0.1, 0.9]])
    >>> channels.n_channels
    2
    """

    types: tuple[int, ...]
    mixing: torch.Tensor

    def __post_init__(self):
        types = tuple(integer(t, "type in AlchemicalChannels", minimum=0) for t in self.types)
        if len(set(types)) != len(types) or not types:
            raise ValueError(f"types of AlchemicalChannels must be atomic numbers, each once; got {types}")
        mixing = self.mixing
        if not isinstance(mixing, torch.Tensor):
            mixing = torch.as_tensor(np.asarray(mixing, dtype=np.float64))
        if mixing.ndim != 2 or len(mixing) != len(types) or mixing.shape[1] == 0 or not mixing.is_floating_point():
            raise ValueError(
                f"mixing must be numbers of shape [type, channel] with a row for each of the {len(types)} types and "
                f"at least one channel; got shape {list(mixing.shape)} of {mixing.dtype}"
            )
        if not bool(torch.isfinite(mixing.detach()).all()):
            raise ValueError("mixing must be finite")
        self._set(types=types, mixing=mixing)

    def __eq__(self, other) -> bool:
        if not isinstance(other, AlchemicalChannels):
            return NotImplemented
        return self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash((self.types, self.n_channels))

    @classmethod
    def from_periodic_table(
        cls,
        types: Sequence[int],
        n_channels: int,
        *,
        period: float = 2.0,
        group: float = 4.0,
        electronegativity: float = 1.0,
    ) -> "AlchemicalChannels":
        """Channels in which elements resemble each other as their places in the periodic table do.

        The kernel κ_ab = exp(−Σ_x (x_a − x_b)²/2σ_x²) over x = period, group and electronegativity (Pauling) is
        replaced by its ``n_channels`` leading eigenvectors, u = V √Λ: κ ≈ u uᵀ, as well as is possible with so many.
        With all of them, scalar products of power spectra are those of the alchemical SOAP kernel.

        :param period: σ of the period; likewise ``group`` (1 … 18) and ``electronegativity``.
        :raises ValueError: for types without a place in the table, and for more channels than types.

        >>> channels = AlchemicalChannels.from_periodic_table((9, 17, 35, 11, 19), n_channels=2)
        >>> np.round(np.abs(channels.mixing.numpy()), 2)  # halogens, and alkali metals
        array([[0.74, 0.  ],
               [0.97, 0.  ],
               [0.88, 0.  ],
               [0.  , 0.97],
               [0.  , 0.97]])
        """
        n_channels = integer(n_channels, "n_channels", minimum=1)
        types = tuple(types)
        if n_channels > len(types):
            raise ValueError(f"n_channels={n_channels}, but there are {len(types)} types: lower n_channels")
        kernel = table_kernel(Elements.of(types), period=period, group=group, electronegativity=electronegativity)
        values, vectors = np.linalg.eigh(kernel)
        values, vectors = values[::-1][:n_channels], vectors[:, ::-1][:, :n_channels]
        vectors = vectors * np.where(np.sum(vectors, axis=0) < 0, -1.0, 1.0)  # signs that do not depend on libraries
        return cls(types, vectors * np.sqrt(np.maximum(values, 0.0)))

    @property
    def n_channels(self) -> int:
        return self.mixing.shape[1]

    @property
    def requires_grad(self) -> bool:
        """Whether gradients flow to ``mixing``."""
        return self.mixing.requires_grad

    def weights(self, types: Sequence[int], like: torch.Tensor) -> torch.Tensor:  # -> [type, channel]
        """The rows of these ``types``, in the dtype and on the device of ``like``, differentiable in ``mixing``.

        :raises UnknownTypesError: for types that are not mixed.
        """
        places = {t: place for place, t in enumerate(self.types)}
        if unknown := [t for t in types if t not in places]:
            raise UnknownTypesError(
                f"atoms of types {', '.join(map(str, unknown))}, which AlchemicalChannels does not mix; it knows "
                f"{', '.join(map(str, self.types))}"
            )
        rows = torch.tensor([places[t] for t in types], dtype=torch.int64, device=self.mixing.device)
        return self.mixing[rows].to(like)

    def to_dict(self) -> dict:
        return {
            "type": type(self).__name__,
            "types": list(self.types),
            "mixing": self.mixing.detach().cpu().double().tolist(),
        }
