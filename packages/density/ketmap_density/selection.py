"""``selected_keys``, ``selected_samples`` and ``selected_properties``, with featomic's meaning.

Labels with all dimensions of keys or properties are taken as they are, in their order; Labels with some
dimensions keep what matches one of their entries; a TensorMap gives the samples or properties of each key.
"""

import dataclasses
from typing import Any

import metatensor
import numpy as np
import torch
from ketmap_core import Batch, unknown_name

GRADIENTS = ("positions", "strain", "cell")


def check_gradients(gradients: Any) -> tuple[str, ...]:
    """The names of the explicit gradients asked for.

    :raises ValueError: if this is no list of known names.
    """
    if gradients is None:
        return ()
    if not isinstance(gradients, list | tuple) or not all(isinstance(name, str) for name in gradients):
        raise ValueError(f"gradients must be a list of names among {', '.join(GRADIENTS)}; got {gradients!r}")
    for name in gradients:
        if name not in GRADIENTS:
            raise ValueError(unknown_name(name, GRADIENTS, "gradient"))
    return tuple(dict.fromkeys(gradients))


@dataclasses.dataclass(frozen=True)
class Selection:
    """What of a calculator's output is wanted; ``…_names`` are the dimensions of its keys, properties and samples."""

    keys: Any
    samples: Any
    properties: Any
    key_names: tuple[str, ...]
    property_names: tuple[str, ...]
    sample_names: tuple[str, ...] = ("system", "atom")  #: the first two are system and centre
    center_type: str = "center_type"  #: key dimension with the type of the centre

    def atoms(self, batch: Batch) -> torch.Tensor | None:  # -> bool [atom]
        """Which atoms are wanted as centres in any block; None: all."""
        mask = self._atoms_by_samples(batch)
        types = self.wanted(self.center_type)
        if types is None:
            return mask
        by_type = torch.isin(batch.types, torch.tensor(types, dtype=torch.int32, device=batch.types.device))
        return by_type if mask is None else mask & by_type

    def _atoms_by_samples(self, batch: Batch) -> torch.Tensor | None:
        if self.samples is None:
            return None
        device = batch.positions.device
        available = batch.places(torch.arange(batch.n_atoms, device=device)).cpu().numpy()
        columns, wanted = self._wanted_samples()
        kept = [i for i, column in enumerate(columns) if column < 2]
        if not kept:  # nothing is said about centres
            return None
        columns, wanted = [columns[i] for i in kept], wanted[:, kept]
        return torch.from_numpy(_matches(available, columns, wanted)).to(device)

    def centers(self) -> Any:
        """The selected samples as Labels, those of all blocks together; None: all."""
        if not self.by_key:
            return self.samples
        values = np.unique(self._wanted_samples()[1], axis=0).astype(np.int32)
        return metatensor.Labels(list(self.sample_names), values)

    def needed_samples(self, available: np.ndarray) -> np.ndarray | None:  # -> bool [row]
        """Which rows of ``available`` [row, dimension] any block wants; None: all."""
        return None if self.samples is None else _matches(available, *self._wanted_samples())

    def _wanted_samples(self) -> tuple[list[int], np.ndarray]:
        """Columns of the samples that are spoken about, and the values there [entry, column]."""
        if not _is_map(self.samples):
            return _entries(self.samples, self.sample_names, "samples")
        n = len(self.sample_names)
        sets = [_values(block.samples) for block in self.samples.blocks()]
        return list(range(n)), np.concatenate([np.zeros((0, n), dtype=np.int64), *sets])

    def wanted(self, name: str) -> tuple[int, ...] | None:
        """Ascending values of one key dimension in the selected keys; None: all there are."""
        if self.keys is None:
            return None
        columns, values = _entries(self.keys, self.key_names, "keys")
        if self.key_names.index(name) not in columns:
            return None
        return tuple(np.unique(values[:, columns.index(self.key_names.index(name))]).tolist())

    def choose_keys(self, available: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
        """The keys to make: all ``available``, those that match, or exactly those named in full."""
        if self.keys is None:
            return available
        columns, wanted = _entries(self.keys, self.key_names, "keys")
        if len(columns) == len(self.key_names):
            return [tuple(entry) for entry in wanted[:, np.argsort(columns)].tolist()]
        rows = np.array(available, dtype=np.int64).reshape(-1, len(self.key_names))
        return [key for key, keep in zip(available, _matches(rows, columns, wanted)) if keep]

    def choose_properties(self, available: np.ndarray) -> np.ndarray | None:  # -> int [property]
        """Rows of ``available`` [property, dimension] to compute: those that any block wants; None: all."""
        if self.properties is None:
            return None
        if _is_map(self.properties):
            sets = [_values(block.properties) for block in self.properties.blocks()]
            wanted = np.concatenate([np.zeros((0, available.shape[1]), dtype=np.int64), *sets])
            return np.flatnonzero(_matches(available, list(range(available.shape[1])), wanted))
        columns, wanted = _entries(self.properties, self.property_names, "properties")
        if len(columns) == len(self.property_names):
            found = _places(available, wanted[:, np.argsort(columns)])
            return found[found >= 0]
        return np.flatnonzero(_matches(available, columns, wanted))

    def properties_of(self, key: tuple[int, ...], available: np.ndarray) -> np.ndarray | None:
        """Rows of ``available`` in the block of one ``key``, when a TensorMap says so; −1: not there, give zeros."""
        return self._of(self.properties, key, available, "properties")

    @property
    def by_key(self) -> bool:
        """Whether the samples differ between keys of the same types."""
        return _is_map(self.samples)

    def samples_of(self, key: tuple[int, ...], available: np.ndarray) -> np.ndarray | None:
        """Rows of ``available`` [centre, (system, atom)] in one block, when a TensorMap says so."""
        return self._of(self.samples, key, available, "samples")

    def labels_of(self, key: tuple[int, ...], what: str) -> np.ndarray:  # -> [entry, dimension]
        """The ``"samples"`` or ``"properties"`` that a selecting TensorMap has for ``key``."""
        tensor = getattr(self, what)
        position = _places(_values(tensor.keys), np.array([key]))[0]
        if position < 0:
            named = ", ".join(f"{name}={value}" for name, value in zip(self.key_names, key))
            raise ValueError(f"the TensorMap of selected {what} has no block for {named}")
        return _values(getattr(tensor.block(int(position)), what))

    def _of(self, selected, key, available, what):
        return _places(available, self.labels_of(key, what)) if _is_map(selected) else None


def _is_map(selected: Any) -> bool:
    return hasattr(selected, "keys") and hasattr(selected, "blocks")


def _values(labels: Any) -> np.ndarray:
    values = labels.values
    return (values if isinstance(values, np.ndarray) else values.cpu().numpy()).astype(np.int64)


def _entries(labels: Any, names: tuple[str, ...], what: str) -> tuple[list[int], np.ndarray]:
    """Columns of ``names`` that ``labels`` speak about, and the values there [entry, column]."""
    if not (hasattr(labels, "names") and hasattr(labels, "values")):
        raise ValueError(f"selected {what} must be Labels, got {type(labels).__name__}")
    for name in labels.names:
        if name not in names:
            raise ValueError(unknown_name(name, names, f"dimension in the selection of {what}"))
    return [names.index(name) for name in labels.names], _values(labels)


def _matches(values: np.ndarray, columns: list[int], wanted: np.ndarray) -> np.ndarray:  # -> bool [row]
    """Which rows of ``values`` [row, dimension] agree in ``columns`` with an entry of ``wanted`` [entry, column]."""
    both = np.concatenate([wanted, values[:, columns]])
    code = np.unique(both, axis=0, return_inverse=True)[1].reshape(-1)
    return np.isin(code[len(wanted) :], code[: len(wanted)])


def _places(values: np.ndarray, wanted: np.ndarray) -> np.ndarray:  # -> int [entry], −1: not there
    """Row of ``values`` [row, dimension] that equals each entry of ``wanted`` [entry, dimension]."""
    row_of = {tuple(row): index for index, row in enumerate(values.tolist())}
    return np.array([row_of.get(tuple(entry), -1) for entry in wanted.tolist()], dtype=np.int64)
