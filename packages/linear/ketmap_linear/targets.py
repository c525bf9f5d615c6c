"""Targets in: names of what structures carry, arrays or TensorMaps become checked arrays."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ketmap_core import Batch

Target = str | np.ndarray | Sequence | Any  # a name, an array (or a list of them) or a TensorMap
VOIGT = ((0, 5, 4), (5, 1, 3), (4, 3, 2))  # xx, yy, zz, yz, xz, xy


@dataclass(frozen=True)
class Targets:
    """What is to be learnt; None: not asked for. Energies in eV, lengths in Å (or the model's units)."""

    energy: np.ndarray | None  # -> [structure]
    forces: np.ndarray | None  # -> [atom, 3]
    stress: np.ndarray | None  # -> [structure, 3, 3], NaN where the structure is not periodic along three directions

    @property
    def names(self) -> list[str]:
        """Names of the targets that there are."""
        return [name for name in ("energy", "forces", "stress") if getattr(self, name) is not None]


def read_targets(
    structures: Sequence[Any],
    batch: Batch,
    energy: Target = None,
    forces: Target = None,
    stress: Target = None,
) -> Targets:
    """Look up and check the targets of structures.

    A name is looked up in ``atoms.calc.results``, ``atoms.info`` and ``atoms.arrays`` of ASE structures and
    in ``get_data`` of metatomic systems. Arrays: energy [structure], forces [atom of all structures, 3] or a
    list of one array per structure, stress [structure, 3, 3] or Voigt [structure, 6] (xx, yy, zz, yz, xz,
    xy). TensorMaps: one block, samples as predicted.

    :raises ValueError: if nothing is given, a structure lacks a target, a shape is wrong or a number is not
        finite; the structure is named.
    """
    if energy is None and forces is None and stress is None:
        raise ValueError('nothing to learn: give energy="energy", forces="forces" or stress="stress"')
    sizes = np.diff(batch.starts.numpy())
    solid = batch.pbc.all(dim=1).numpy()
    found = {}
    if energy is not None:
        values = _per_structure(structures, energy, "energy", [()] * len(batch), range(len(batch)))
        found["energy"] = np.array(values, dtype=float).reshape(len(batch))
    if forces is not None:
        values = _per_structure(structures, forces, "forces", [(n, 3) for n in sizes.tolist()], range(len(batch)))
        found["forces"] = np.concatenate(values)
    if stress is not None:
        if not solid.any():
            raise ValueError("stress is asked for, but no structure is periodic along three directions")
        values = _per_structure(structures, stress, "stress", [(3, 3)] * len(batch), np.nonzero(solid)[0])
        found["stress"] = np.full((len(batch), 3, 3), np.nan)
        found["stress"][solid] = values
    return Targets(found.get("energy"), found.get("forces"), found.get("stress"))


def _per_structure(structures, target: Target, kind: str, shapes: list, wanted: Sequence[int]) -> list[np.ndarray]:
    """One checked array per wanted structure."""
    if isinstance(target, str):
        given = {i: _named(structures[i], target, kind, i) for i in wanted}
    elif hasattr(target, "blocks"):
        given = _from_tensor(target, kind, [int(np.prod(s[:-1])) if kind == "forces" else 1 for s in shapes])
    else:
        given = _from_arrays(target, kind, shapes)
    return [_checked(given[i], kind, i, shapes[i]) for i in wanted]


def _named(structure: Any, name: str, kind: str, index: int) -> Any:
    calculator = getattr(structure, "calc", None)
    places = (
        getattr(calculator, "results", {}),
        getattr(structure, "info", {}),
        getattr(structure, "arrays", {}),
    )
    for place in places:
        if place.get(name) is not None:
            return place[name]
    if hasattr(structure, "known_data") and name in structure.known_data():
        return structure.get_data(name).block(0).values
    carried = sorted({str(key) for place in places for key in place} - {"numbers", "positions"})
    raise ValueError(
        f"structure {index} has no '{name}' ({kind}); it carries: {', '.join(carried) or 'nothing'}. "
        f"Give the right name, leave the structure out, or fit without {kind}"
    )


def _from_arrays(target: Any, kind: str, shapes: list) -> Sequence:
    if kind == "forces" and isinstance(target, np.ndarray) and target.ndim == 2:
        ends = np.cumsum([n for n, _ in shapes])
        if len(target) != (ends[-1] if len(ends) else 0):
            raise ValueError(f"forces of {len(target)} atoms given, structures have {ends[-1]}")
        return np.split(target, ends[:-1])
    if len(target) != len(shapes):
        raise ValueError(f"{kind} of {len(target)} structures given, there are {len(shapes)}")
    return target


def _from_tensor(tensor: Any, kind: str, sizes: list[int]) -> list[np.ndarray]:
    """Rows of each structure, from samples (system) or (system, atom) in any order."""
    if len(tensor.keys) != 1:
        raise ValueError(f"{kind}: expected a TensorMap of one block, got {len(tensor.keys)}")
    block = tensor.block(0)
    names = ["system", "atom"] if kind == "forces" else ["system"]
    if list(block.samples.names) != names or block.values.shape[-1] != 1:
        raise ValueError(
            f"{kind}: expected samples {names} and one property, got samples {list(block.samples.names)} and "
            f"{block.values.shape[-1]} properties"
        )
    labels = np.asarray(block.samples.values)
    values = np.asarray(_plain(block.values))[..., 0][np.lexsort(labels.T[::-1])]
    expected = [(i, a) for i, n in enumerate(sizes) for a in range(n)]
    if not np.array_equal(labels[np.lexsort(labels.T[::-1])], np.array(expected)[:, : len(names)]):
        raise ValueError(f"{kind}: samples of the TensorMap are not the {names} of the structures")
    return np.split(values, np.cumsum(sizes)[:-1])


def _plain(values: Any) -> Any:
    return values.detach().cpu() if hasattr(values, "detach") else values


def _checked(value: Any, kind: str, index: int, shape: tuple) -> np.ndarray:
    try:
        array = np.asarray(_plain(value), dtype=float)
    except (TypeError, ValueError):
        raise ValueError(f"{kind} of structure {index} is no number: {value!r}") from None
    if kind == "stress" and array.shape == (6,):
        array = array[np.array(VOIGT)]
    if array.size != np.prod(shape, dtype=int):
        raise ValueError(f"{kind} of structure {index} has shape {array.shape}, expected {shape or '()'}")
    if not np.isfinite(array).all():
        raise ValueError(f"{kind} of structure {index} is not finite: correct it or leave the structure out")
    return array.reshape(shape)
