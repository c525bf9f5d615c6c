"""What all descriptors share: from the parts of a subclass to a TensorMap with what was selected."""

import dataclasses
from collections.abc import Callable

import numpy as np
import torch
from ketmap_core import Batch, as_batch, stamp
from ketmap_density.blocks import Maker, take
from ketmap_density.selection import Selection, check_gradients

from .slopes import Slopes

GRADIENT_NAMES = {
    "positions": (["sample", "system", "atom"], ["xyz"]),
    "strain": (["sample"], ["xyz_1", "xyz_2"]),
    "cell": (["sample"], ["abc", "xyz"]),
}

#: laws that say nothing about descriptors without a cutoff
NO_CUTOFF = {law: "there is no cutoff" for law in ("zero_beyond", "smooth_at_cutoff")}

Key = tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Part:
    """One block before selection: its samples, values, and (made when they are asked for) its slopes."""

    samples: np.ndarray  # int [sample, dimension]
    values: torch.Tensor  # [sample, ..., property]
    slopes: Callable[[], Slopes]


@dataclasses.dataclass(frozen=True)
class Parts:
    """All blocks of one call, made one by one."""

    available: list[Key]  # keys of what occurs, ascending
    properties: np.ndarray  # int [property, dimension]: those that are computed
    part: Callable[[Key], Part]  # also for keys that do not occur: no samples


class Descriptor:
    """A calculator whose blocks come from :meth:`parts`; selections and gradients are the same for all."""

    key_names: tuple[str, ...]
    property_names: tuple[str, ...]
    sample_names: tuple[str, ...] = ("system", "atom")
    component_names: tuple[str, ...] = ()

    def parts(self, batch: Batch, selection: Selection) -> Parts:
        """The blocks of this calculator; what ``selection`` leaves out may be left out here, to save work."""
        raise NotImplementedError

    def to_dict(self) -> dict:
        """Hyper-parameters, as the constructor takes them."""
        raise NotImplementedError

    @classmethod
    def from_dict(cls, given: dict):
        return cls(**given)

    def compute(
        self,
        systems,
        *,
        gradients=None,
        use_native_system=True,
        selected_samples=None,
        selected_properties=None,
        selected_keys=None,
    ):
        """The descriptor of one structure or a list of them, as a TensorMap.

        :param systems: ASE or chemfiles structures (a NumPy TensorMap comes back), or metatomic ``System`` (a torch
            TensorMap on their device, with autograd through positions and cells, twice differentiable).
        :param gradients: explicit gradients, any of ``"positions"`` (samples ``sample, system, atom``, component
            ``xyz``), ``"strain"`` (components ``xyz_1, xyz_2``: row, column of ε in r → r (1 + ε)) and ``"cell"``
            (components ``abc, xyz``, at fixed Cartesian positions).
        :param use_native_system: accepted for featomic's sake, without effect.
        :param selected_samples: Labels of some of the samples' names, or a TensorMap with the samples of each key.
        :param selected_properties: Labels of properties, or a TensorMap with the properties of each key.
        :param selected_keys: Labels with some of the key dimensions, which keep the keys that match; or with all of
            them: then these are the keys, and types that do not occur give empty blocks.
        :raises ValueError: for structures with non-finite numbers or flat periodic cells, and for selections or
            gradients with unknown names.
        """
        gradients = check_gradients(gradients)
        batch = as_batch(systems)
        names = (self.key_names, self.property_names, self.sample_names)
        selection = Selection(selected_keys, selected_samples, selected_properties, *names)
        parts = self.parts(batch, selection)
        maker = Maker.of(batch)
        components = [maker.range(name, 0, 3) for name in self.component_names]
        keys = selection.choose_keys(parts.available)
        shared = maker.labels(self.property_names, parts.properties)
        blocks = []
        for key in keys:
            part = parts.part(key)
            rows, samples = _samples(selection, key, part.samples)
            columns, properties = _properties(selection, key, parts.properties, maker, shared)
            values = _columns(_rows(part.values, rows), columns)
            samples = maker.labels(self.sample_names, samples)
            block = maker.block(maker.array(values), samples, components, properties)
            for name in gradients:
                labels, data = _chosen(part.slopes().gradient(name, batch, len(part.samples)), rows)
                own = [maker.range(axis, 0, 3) for axis in GRADIENT_NAMES[name][1]]
                labels = maker.labels(GRADIENT_NAMES[name][0], labels)
                data = maker.array(_columns(data, columns))
                block.add_gradient(name, maker.block(data, labels, [*own, *components], properties))
            blocks.append(block)
        tensor = maker.tensor(self.key_names, keys, blocks)
        return stamp(tensor, calculator=type(self).__name__, hypers=self.to_dict())


def chosen_properties(selection: Selection, available: np.ndarray) -> np.ndarray:  # -> [property, dimension]
    """The properties to compute, of all that there are."""
    chosen = selection.choose_properties(available)
    return available if chosen is None else available[chosen]


def _samples(selection: Selection, key: Key, available: np.ndarray) -> tuple[np.ndarray | None, np.ndarray]:
    """Rows of one block that are wanted (None: all; −1: not there, give zeros), and their labels."""
    places = selection.samples_of(key, available)
    if places is not None:
        return places, selection.labels_of(key, "samples")
    needed = selection.needed_samples(available)
    if needed is None:
        return None, available
    places = np.flatnonzero(needed)
    return places, available[places]


def _properties(selection: Selection, key: Key, available: np.ndarray, maker: Maker, shared):
    places = selection.properties_of(key, available)
    if places is None:
        return None, shared
    return places, maker.labels(selection.property_names, selection.labels_of(key, "properties"))


def _rows(values: torch.Tensor, rows: np.ndarray | None) -> torch.Tensor:
    return values if rows is None else take(values, rows)


def _columns(values: torch.Tensor, columns: np.ndarray | None) -> torch.Tensor:
    return values if columns is None else take(values.movedim(-1, 0), columns).movedim(0, -1)


def _chosen(gradient: tuple[np.ndarray, torch.Tensor], rows: np.ndarray | None) -> tuple[np.ndarray, torch.Tensor]:
    """Of a gradient, the rows whose sample was chosen; those of samples that are not there stay away, or are zeros."""
    labels, data = gradient
    if rows is None:
        return labels, data
    if labels.shape[1] == 1:  # one row for each sample
        return np.arange(len(rows))[:, None], take(data, rows)
    places = [np.flatnonzero(labels[:, 0] == row) if row >= 0 else np.zeros(0, int) for row in rows]
    order = np.concatenate([np.zeros(0, int), *places])
    labels = labels[order].copy()
    labels[:, 0] = np.repeat(np.arange(len(rows)), [len(place) for place in places])
    return labels, data[order]
