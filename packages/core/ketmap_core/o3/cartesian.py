"""Cartesian tensors of any rank to spherical ones, and back: an orthogonal change of basis, as in featomic.

A vector is λ=1 in the order (y, z, x). Components are coupled from the right: the last with the one before it, the
result with the one before that, and so on; each step is a Clebsch-Gordan product 1 ⊗ λ' → λ, σ = σ' (−1)^(1+λ'+λ).
"""

import dataclasses
import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from ..provenance import derive
from ..tensors import as_numpy, is_torch, library
from .clebsch_gordan import clebsch_gordan

CARTESIAN_TO_MU = np.roll(np.eye(3), -1, axis=0)  # [m, xyz]: (x, y, z) → (y, z, x)


@dataclasses.dataclass(frozen=True)
class CoupledPath:
    """One way to couple all components of a Cartesian tensor."""

    l: int
    sigma: int
    between: tuple[int, ...]  #: λ of the couplings before the last, the first one first: k_1, k_2 …
    matrix: np.ndarray  #: orthonormal rows [M, xyz … xyz]


@cache
def coupled_paths(rank: int) -> tuple[CoupledPath, ...]:
    """All ways to couple ``rank`` vectors; together they are an orthogonal matrix 3^rank × 3^rank.

    >>> [(path.l, path.sigma) for path in coupled_paths(2)]
    [(0, 1), (1, -1), (2, 1)]
    """
    if rank == 1:
        return (CoupledPath(1, 1, (), CARTESIAN_TO_MU),)
    made = []
    for path in coupled_paths(rank - 1):
        for l in range(abs(path.l - 1), path.l + 2):
            pairs = np.tensordot(clebsch_gordan(1, path.l, l), path.matrix, axes=([1], [0]))  # -> [m1, M, rest]
            matrix = np.tensordot(pairs, CARTESIAN_TO_MU, axes=([0], [0]))  # -> [M, rest, xyz]
            matrix = matrix.transpose(0, 2, 1).reshape(2 * l + 1, 3**rank)
            between = (*path.between, path.l) if rank > 2 else ()
            made.append(CoupledPath(l, path.sigma * (-1) ** (1 + path.l + l), between, matrix))
    return tuple(made)


def cartesian_to_spherical(
    tensor: Any,
    components: list[str],
    keep_l_in_keys: bool | None = None,
    remove_blocks_threshold: float | None = 1e-9,
    cg_backend: str | None = None,
    cg_coefficients: Any = None,
) -> Any:
    """A Cartesian tensor of any rank in a basis of spherical harmonics, gradients included.

    Norms are kept: the sum of squares over all blocks is that of the Cartesian tensor.

    :param tensor: TensorMap of metatensor or metatensor.torch with Cartesian ``components``.
    :param components: names of consecutive components to be replaced by one, ``o3_mu``.
    :param keep_l_in_keys: whether keys say how each block was coupled: ``l_1`` … (all 1) and ``k_1`` …, the λ in
        between. By default only from rank 3 on, where it is needed.
    :param remove_blocks_threshold: blocks whose sum of squares (values and gradients) is no more than this are left
        out, as those of σ = −1 of symmetric tensors are; ``None`` keeps all.
    :param cg_backend: accepted for featomic's sake, without effect; likewise ``cg_coefficients``.
    :return: keys ``o3_lambda``, ``o3_sigma``, (``l_…``, ``k_…``,) and those of the tensor.
    :raises ValueError: for components that are not there, not consecutive, or not x, y, z; for tensors that are
        spherical.

    >>> from metatensor import Labels, TensorBlock, TensorMap
    >>> xyz = [Labels.range("xyz_1", 3), Labels.range("xyz_2", 3)]
    >>> unit = TensorBlock(np.eye(3).reshape(1, 3, 3, 1), Labels.range("system", 1), xyz, Labels.range("alpha", 1))
    >>> scalar = cartesian_to_spherical(TensorMap(Labels.single(), [unit]), ["xyz_1", "xyz_2"])
    >>> scalar.keys.values.tolist(), scalar.block(0).values.round(4).tolist()  # λ=0: −trace/√3
    ([[0, 1, 0]], [[[-1.7321]]])
    """
    if not isinstance(components, list | tuple):
        raise TypeError(f"components must be a list of names, got {type(components).__name__}")
    rank = len(components)
    if len(tensor.keys) == 0 or rank == 0:
        return tensor
    keep = rank > 2 if keep_l_in_keys is None else keep_l_in_keys
    first = _check_cartesian(tensor, components, keep)
    make, names = library(tensor), list(tensor.keys.names)
    keys, blocks = [], []
    for key, block in zip(as_numpy(tensor.keys.values).tolist(), tensor.blocks()):
        for path in coupled_paths(rank):
            mu = _labels(tensor, ["o3_mu"], np.arange(-path.l, path.l + 1)[:, None])
            around = [*block.components[:first], mu, *block.components[first + rank :]]
            after = len(block.components) - first - rank + 1  # axes behind the new one
            made = make.TensorBlock(
                _turned(block.values, path.matrix, rank, after), block.samples, around, block.properties
            )
            for name, gradient in block.gradients():
                values = _turned(gradient.values, path.matrix, rank, after)
                extra = list(gradient.components[: len(gradient.components) - len(block.components)])
                made.add_gradient(name, make.TensorBlock(values, gradient.samples, [*extra, *around], block.properties))
            if remove_blocks_threshold is None or _size(made) > remove_blocks_threshold:
                keys.append([path.l, path.sigma, *(_history(path, rank) if keep else ()), *key])
                blocks.append(made)
    names = ["o3_lambda", "o3_sigma", *(_history_names(rank) if keep else ()), *names]
    result = make.TensorMap(_labels(tensor, names, np.array(keys).reshape(-1, len(names))), blocks)
    return derive(result, "cartesian_to_spherical", tensor, {"components": list(components)})


def spherical_to_cartesian(
    tensor: Any,
    new_component_names: list[str] | None = None,
    cg_backend: str | None = None,
    cg_coefficients: Any = None,
) -> Any:
    """The inverse of :func:`cartesian_to_spherical`, gradients included; blocks that are not there count as zeros.

    :param tensor: TensorMap with keys ``o3_lambda``, ``o3_sigma``; from rank 3 on also ``l_…`` and ``k_…``.
    :param new_component_names: names of the Cartesian components, as many as the rank; by default ``xyz_1``,
        ``xyz_2`` … The rank is their number, else that of the keys ``l_…``, else the smallest that has these λ and σ.
    :param cg_backend: accepted for featomic's sake, without effect; likewise ``cg_coefficients``.
    :raises ValueError: for tensors that are not spherical, or have no such rank.
    """
    if len(tensor.keys) == 0:
        return tensor
    names = list(tensor.keys.names)
    if missing := [name for name in ("o3_lambda", "o3_sigma") if name not in names]:
        raise ValueError(f"the tensor has no key {missing[0]}: is it in Cartesian form already?")
    if "o3_mu" not in tensor.component_names:
        raise ValueError("the tensor has no component o3_mu: is it in Cartesian form already?")
    rank = _rank(tensor, names, new_component_names)
    new_names = new_component_names or [f"xyz_{i + 1}" for i in range(rank)]
    between = [f"k_{i + 1}" for i in range(max(rank - 2, 0))]
    paths = {(path.l, path.sigma, *path.between): path for path in coupled_paths(rank)}
    known = {"o3_lambda", "o3_sigma", *_history_names(rank)}
    others = [index for index, name in enumerate(names) if name not in known]
    column = [names.index(name) for name in ("o3_lambda", "o3_sigma", *between)]
    groups: dict[tuple[int, ...], list[tuple[Any, CoupledPath]]] = {}
    for key, block in zip(as_numpy(tensor.keys.values).tolist(), tensor.blocks()):
        kind = tuple(key[index] for index in column)
        if kind not in paths:
            raise ValueError(f"a tensor of rank {rank} has no block with ({', '.join(map(str, kind))}) as λ, σ, k_…")
        groups.setdefault(tuple(key[index] for index in others), []).append((block, paths[kind]))
    place = list(tensor.component_names).index("o3_mu")
    xyz = [_labels(tensor, [name], np.arange(3)[:, None]) for name in new_names]
    blocks = [_summed(tensor, members, rank, place, xyz) for members in groups.values()]
    values = np.array(list(groups), dtype=np.int64).reshape(len(groups), len(others))
    kept = [names[index] for index in others]
    keys = _labels(tensor, kept, values) if kept else _labels(tensor, ["_"], np.zeros((1, 1)))
    return derive(library(tensor).TensorMap(keys, blocks), "spherical_to_cartesian", tensor)


def _summed(tensor: Any, members: list[tuple[Any, CoupledPath]], rank: int, place: int, xyz: list) -> Any:
    """One Cartesian block from its spherical parts."""
    make, (first, _) = library(tensor), members[0]
    for block, _ in members[1:]:
        if block.samples != first.samples or block.properties != first.properties:
            raise ValueError("blocks that are parts of one Cartesian tensor differ in their samples or properties")
    after = len(first.components) - place

    def back(parts):
        total = 0
        for values, path in parts:
            total = total + _turned(values, path.matrix.T, 1, after)
        return total.reshape(*total.shape[: total.ndim - after - 1], *[3] * rank, *total.shape[total.ndim - after :])

    around = [*first.components[:place], *xyz, *first.components[place + 1 :]]
    made = make.TensorBlock(back([(b.values, path) for b, path in members]), first.samples, around, first.properties)
    for name, gradient in first.gradients():
        extra = list(gradient.components[: len(gradient.components) - len(first.components)])
        parts = [(block.gradient(name), path) for block, path in members]
        if any(part.samples != gradient.samples for part, _ in parts):
            raise ValueError(f"gradients by {name} of the parts of one Cartesian tensor differ in their samples")
        values = back([(part.values, path) for part, path in parts])
        made.add_gradient(name, make.TensorBlock(values, gradient.samples, [*extra, *around], first.properties))
    return made


def _turned(values: Any, matrix: np.ndarray, n_axes: int, after: int) -> Any:
    """``matrix`` [new, old] applied to ``n_axes`` axes that are followed by ``after`` more."""
    begin = values.ndim - after - n_axes
    before, behind = tuple(values.shape[:begin]), tuple(values.shape[begin + n_axes :])
    if hasattr(values, "detach"):
        matrix = values.new_tensor(matrix)
    else:
        matrix = matrix.astype(values.dtype)
    flat = values.reshape(math.prod(before), matrix.shape[1], math.prod(behind))
    return (matrix @ flat).reshape(*before, matrix.shape[0], *behind)


def _check_cartesian(tensor: Any, components: Sequence[str], keep: bool) -> int:
    """Where the components begin."""
    found = list(tensor.component_names)
    for name in components:
        if name not in found:
            raise ValueError(f"the tensor has no component {name}; it has {', '.join(found) or 'none'}")
    first = found.index(components[0])
    if found[first : first + len(components)] != list(components):
        raise ValueError(f"components must stand one after the other, in their order: {', '.join(found)}")
    for block in tensor.blocks():
        for labels in block.components[first : first + len(components)]:
            if (values := as_numpy(labels.values)[:, 0].tolist()) != [0, 1, 2]:
                raise ValueError(f"component {labels.names[0]} has values {values}, expected [0, 1, 2] for x, y, z")
    new = ["o3_lambda", "o3_sigma", *(_history_names(len(components)) if keep else ())]
    if clash := [name for name in new if name in tensor.keys.names]:
        raise ValueError(f"the tensor has a key {clash[0]} already: is it in spherical form?")
    if len(components) > 2 and not keep:
        raise ValueError("from rank 3 on keep_l_in_keys must be True: several blocks have the same λ and σ")
    return first


def _history_names(rank: int) -> list[str]:
    """l_3, k_1, l_2, l_1 for rank 3: featomic's order."""
    names = []
    for i in range(rank, 2, -1):
        names += [f"l_{i}", f"k_{i - 2}"]
    return [*names, *(f"l_{i}" for i in range(min(rank, 2), 0, -1))]


def _history(path: CoupledPath, rank: int) -> list[int]:
    return [path.between[int(name[2:]) - 1] if name[0] == "k" else 1 for name in _history_names(rank)]


def _rank(tensor: Any, names: list[str], given: list[str] | None) -> int:
    by_keys = next((i - 1 for i in range(1, len(names) + 2) if f"l_{i}" not in names), 0)
    if given is not None:
        if by_keys and by_keys != len(given):
            raise ValueError(f"the keys are those of a tensor of rank {by_keys}; got {len(given)} new_component_names")
        rank = len(given)
    elif by_keys:
        rank = by_keys
    else:
        values = as_numpy(tensor.keys.values)
        lambdas, sigmas = values[:, names.index("o3_lambda")], values[:, names.index("o3_sigma")]
        rank = max(int(lambdas.max()), 1 if ((lambdas == 1) & (sigmas == 1)).all() else 2)
    if rank == 0:
        raise ValueError("new_component_names must name at least one component")
    if missing := [f"k_{i + 1}" for i in range(rank - 2) if f"k_{i + 1}" not in names]:
        raise ValueError(f"a tensor of rank {rank} needs the key {missing[0]}, which says how its blocks were coupled")
    return rank


def _labels(tensor: Any, names: list[str], values: np.ndarray) -> Any:
    values = np.ascontiguousarray(values, dtype=np.int32)
    if not is_torch(tensor):
        return library(tensor).Labels(names, values)
    import torch

    return library(tensor).Labels(names, torch.from_numpy(values).to(tensor.device))


def _size(block: Any) -> float:
    parts = [block.values, *(gradient.values for _, gradient in block.gradients())]
    return sum(float((as_numpy(part) ** 2).sum()) for part in parts)
