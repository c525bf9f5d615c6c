"""The calculator: structures to a TensorMap of power spectra."""

from collections.abc import Sequence

import torch
from ketmap_core import as_batch
from ketmap_density.base import DensityCalculator
from ketmap_density.environments import checked_environments
from ketmap_density.selection import Selection, check_gradients

from .assembly import Assembly, choose_keys
from .design import Design, design
from .mixed import MixedAssembly
from .mixed import choose_keys as choose_mixed_keys
from .potential import Potential
from .weights import PROPERTIES, Columns, tensor_to_weights, weights_to_tensor


class SoapPowerSpectrum(DensityCalculator):
    """SOAP power spectrum: the rotational invariants of second order of the neighbour density, as in featomic.

    p[ab, l, n1, n2] = f_ab (−1)^l/√(2l+1) Σ_m ⟨a n1 l m|ρ_i⟩ ⟨b n2 l m|ρ_i⟩ for neighbour types a ≤ b, with
    f = 1 for a = b and √2 for a < b (Bartók, Kondor, Csányi, PRB 87, 184115 (2013)).

    Keys ``center_type, neighbor_1_type, neighbor_2_type``; samples ``system, atom``: the centres of that type that
    have both neighbours or are them; properties ``l, n_1, n_2``.

    :param cutoff: :class:`~ketmap_density.Cutoff`, or featomic's dictionary; likewise ``density`` and ``basis``.
    :param species: :class:`~ketmap_density.AlchemicalChannels` mix the neighbour types: then keys are ``center_type,
        neighbor_1_channel, neighbor_2_channel``, and every centre has every channel.

    >>> import ase.build
    >>> from ketmap_density import Cutoff, Gaussian, Gto, ShiftedCosine, TensorProduct
    >>> from ketmap_soap import SoapPowerSpectrum
    >>> soap = SoapPowerSpectrum(
    ...     cutoff=Cutoff(5.0, smoothing=ShiftedCosine(0.5)),
    ...     density=Gaussian(0.3),
    ...     basis=TensorProduct(max_angular=2, radial=Gto(max_radial=3)),
    ... )
    >>> tensor = soap.compute(ase.build.molecule("CH4"))
    >>> tensor.block(dict(center_type=1, neighbor_1_type=1, neighbor_2_type=6)).shape
    (4, 48)
    """

    mixes_species = True

    def _prepare(self, systems, selected_keys, selected_samples, selected_properties) -> tuple[Assembly, list]:
        mixed = self.species is not None
        kind = MixedAssembly if mixed else Assembly
        selection = Selection(selected_keys, selected_samples, selected_properties, kind.names, PROPERTIES)
        batch = as_batch(systems)
        types = None if mixed else _neighbor_types(selection)
        environments = checked_environments(batch, self.cutoff.radius, types, selection.atoms(batch))
        if mixed:
            keys = choose_mixed_keys(selection, batch, self.expansion)
        else:
            keys = choose_keys(selection, batch, self.expansion, environments)
        return kind(self.expansion, batch, environments, selection, keys), keys

    @property
    def cutoff_radius(self) -> float:
        """Å."""
        return self.cutoff.radius

    def n_features(self, types: tuple[int, ...]) -> int:
        """Number of columns of :meth:`design` for atoms of these ``types``: unique features of each type of centre."""
        return len(Columns.of(self.expansion, types))

    def design(self, systems, types: tuple[int, ...], gradients: Sequence[str] = ("positions", "strain")) -> Design:
        """Features summed over the atoms of each system, and their derivatives: ``values @ w`` are energies.

        Memory is that of the result, and of one array of ``[atom, type, 9, lm, n]`` for the strain.

        :param types: atomic numbers, ascending: the columns that there are.
        :param gradients: any of ``"positions"``, ``"strain"``.
        :raises UnknownTypesError: for atoms of other types.
        """
        names = check_gradients(list(gradients))
        if "cell" in names:
            raise ValueError("design rows have the gradients positions and strain; the cell's follow from these")
        return design(self.expansion, as_batch(systems), tuple(types), "positions" in names, "strain" in names)

    def weights_to_tensor(self, w: torch.Tensor, types: tuple[int, ...]):
        """Weights ``[feature]`` as a TensorMap: E_i = Σ over blocks of ⟨block of :meth:`compute`, its weights⟩."""
        return weights_to_tensor(torch.as_tensor(w), Columns.of(self.expansion, types))

    def tensor_to_weights(self, tensor, types: tuple[int, ...]) -> torch.Tensor:
        """The inverse of :meth:`weights_to_tensor`.

        :raises ValueError: for blocks of other types, or with other properties.
        """
        return tensor_to_weights(tensor, Columns.of(self.expansion, types))

    def potential(self, w: torch.Tensor, types: tuple[int, ...]) -> Potential:
        """The potential with these weights ``[feature]``."""
        w = torch.as_tensor(w, dtype=torch.float64)
        if w.shape != (self.n_features(types),):
            raise ValueError(f"expected {self.n_features(types)} weights for types {types}, got {tuple(w.shape)}")
        return Potential(self.expansion, w, tuple(types))


def _neighbor_types(selection: Selection) -> tuple[int, ...] | None:
    """The channels that the selected keys need; None: all there are."""
    first, second = selection.wanted("neighbor_1_type"), selection.wanted("neighbor_2_type")
    return None if first is None or second is None else tuple(sorted({*first, *second}))
