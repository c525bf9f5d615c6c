"""How many atoms of each type there are."""

from typing import ClassVar

import numpy as np
import torch
from ketmap_core import Batch
from ketmap_density.selection import Selection

from .calculator import NO_CUTOFF, Descriptor, Key, Part, Parts, chosen_properties
from .slopes import Slopes


class AtomicComposition(Descriptor):
    """The stoichiometry, with featomic's names: key ``center_type``, property ``count``.

    :param per_system: whether atoms are counted, samples ``system``: all systems in every block; otherwise each atom
        counts as 1, samples ``system, atom``.

    >>> import ase.build
    >>> tensor = AtomicComposition(per_system=True).compute([ase.build.molecule("H2O"), ase.build.molecule("CO")])
    >>> tensor.block(dict(center_type=8)).values.tolist(), tensor.block(dict(center_type=1)).values.tolist()
    ([[1.0], [1.0]], [[2.0], [0.0]])
    """

    key_names = ("center_type",)
    property_names = ("count",)
    exempt_laws: ClassVar = NO_CUTOFF

    def __init__(self, *, per_system: bool):
        self.per_system = bool(per_system)

    @property
    def sample_names(self) -> tuple[str, ...]:
        return ("system",) if self.per_system else ("system", "atom")

    def to_dict(self) -> dict:
        return {"per_system": self.per_system}

    def parts(self, batch: Batch, selection: Selection) -> Parts:
        properties = chosen_properties(selection, np.array([[0]]))
        available = [(kind,) for kind in torch.unique(batch.types).tolist()]

        def part(key: Key) -> Part:
            atoms = torch.nonzero(batch.types == key[0])[:, 0]
            if self.per_system:
                samples = np.arange(len(batch))[:, None]
                counts = torch.bincount(batch.system[atoms].long(), minlength=len(batch))
            else:
                samples = batch.places(atoms).cpu().numpy()
                counts = torch.ones_like(atoms)
            values = counts.to(batch.positions.dtype)[:, None].repeat(1, len(properties))
            return Part(samples, values, lambda: _nothing(atoms, values))

        return Parts(available, properties, part)


def _nothing(atoms: torch.Tensor, values: torch.Tensor) -> Slopes:
    """No pair changes a number of atoms."""
    none, vectors = atoms[:0], values.new_zeros(0, 3)
    return Slopes(none, none, none, vectors, vectors, values.new_zeros(0, 3, *values.shape[1:]))
