"""What a model can stand on: representations with a road of their own, any calculator of invariants, several at once.

A representation offers ``n_features(types)``, ``design(batch, types, gradients=…)``, ``weights_to_tensor``,
``tensor_to_weights`` and ``potential(w, types)``; :class:`~ketmap_soap.SoapPowerSpectrum` does so by fused kernels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from ketmap_core import Batch

from .described import build, describe
from .invariants import Invariants
from .results import Design, Found


def representation_of(given: Any) -> Any:
    """``given`` as a representation: itself, calculators in :class:`Invariants`, lists in :class:`Together`.

    :raises ValueError: for what computes nothing.
    """
    if isinstance(given, list | tuple):
        return Together(given)
    if hasattr(given, "design"):
        return given
    if hasattr(given, "compute"):
        return Invariants(given)
    raise ValueError(f"a model needs a representation, a calculator, or a list of these; got {given!r}")


class Together:
    """Several representations side by side: their columns one after the other, their energies added.

    >>> import ase.build
    >>> from ketmap_density import Cutoff, Gaussian, Gto, ShiftedCosine, TensorProduct
    >>> from ketmap_linear import Together
    >>> from ketmap_lode import LodeSphericalExpansion, SmearedPowerLaw
    >>> from ketmap_soap import SoapPowerSpectrum
    >>> basis = TensorProduct(max_angular=1, radial=Gto(max_radial=1, radius=3.0))
    >>> soap = SoapPowerSpectrum(cutoff=Cutoff(3.0, ShiftedCosine(0.5)), density=Gaussian(0.4), basis=basis)
    >>> field = LodeSphericalExpansion(density=SmearedPowerLaw(1.0, exponent=1), basis=basis)
    >>> both = Together([soap, field])
    >>> both.n_features((1, 8)) - soap.n_features((1, 8))
    8
    """

    def __init__(self, representations: Sequence[Any]):
        if len(representations) == 0:
            raise ValueError("no representations were given: a list needs at least one")
        self.representations = tuple(representation_of(given) for given in representations)

    def to_dict(self) -> dict:
        """What :meth:`from_dict` builds it from."""
        return {"representations": [describe(part) for part in self.representations]}

    @classmethod
    def from_dict(cls, given: dict) -> "Together":
        return cls([build(part) for part in given["representations"]])

    def n_features(self, types: tuple[int, ...]) -> int:
        """Number of columns."""
        return sum(part.n_features(types) for part in self.representations)

    def design(
        self, systems: Any, types: tuple[int, ...], gradients: Sequence[str] = ("positions", "strain")
    ) -> Design:
        """Features summed over the atoms of each system, and their derivatives."""
        found = [part.design(systems, types, gradients=gradients) for part in self.representations]
        columns = {}
        for name in ("values", "positions", "strain"):
            parts = [getattr(part, name) for part in found]
            columns[name] = None if parts[0] is None else torch.cat(parts, dim=-1)
        return Design(**columns)

    def weights_to_tensor(self, w: torch.Tensor, types: tuple[int, ...]) -> list:
        """Weights ``[feature]`` as one TensorMap for each representation."""
        return [part.weights_to_tensor(here, types) for part, here in self._shared(w, types)]

    def tensor_to_weights(self, tensors: list, types: tuple[int, ...]) -> torch.Tensor:
        """The inverse of :meth:`weights_to_tensor`."""
        found = [
            part.tensor_to_weights(tensor, types) for part, tensor in zip(self.representations, tensors, strict=True)
        ]
        return torch.cat(found)

    def potential(self, w: torch.Tensor, types: tuple[int, ...]) -> "SummedPotential":
        """The potential with these weights ``[feature]``."""
        return SummedPotential([part.potential(here, types) for part, here in self._shared(w, types)])

    def _shared(self, w: Any, types: tuple[int, ...]):
        w = torch.as_tensor(w)
        return zip(self.representations, torch.split(w, [part.n_features(types) for part in self.representations]))


@dataclass(frozen=True)
class Neighborhoods:
    """What each potential evaluates with; what is asked of them all, the widest list says."""

    parts: list[Any]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(max(self.parts, key=lambda part: part.cutoff), name)


class SummedPotential:
    """The sum of potentials: energies, forces and virial."""

    def __init__(self, potentials: Sequence[Any]):
        self.potentials = list(potentials)

    def environments(self, batch: Batch, skin: float = 0.0) -> Neighborhoods:
        """What to evaluate with.

        :raises UnknownTypesError: for atoms of types that the weights do not know.
        """
        return Neighborhoods([potential.environments(batch, skin=skin) for potential in self.potentials])

    def __call__(self, batch: Batch, environments: Neighborhoods, diagonal: bool = False) -> Any:
        """As the parts do; invariants stand side by side."""
        found = [
            potential(batch, here, diagonal=diagonal) for potential, here in zip(self.potentials, environments.parts)
        ]
        features = torch.cat([part.features for part in found], dim=1) if diagonal else None
        energies, forces, virial = (sum(getattr(part, n) for part in found) for n in ("energies", "forces", "virial"))
        return Found(energies, forces, virial, features)
