"""Blocks of contracted features, with the explicit gradients that the density has."""

import numpy as np
import torch
from ketmap_core import BlockShape
from ketmap_density.blocks import Maker
from ketmap_density.selection import Selection

from ..layout import Dense
from ..samples import moved, take_rows
from .network import Network

Key = tuple[int, int, int, int]  # λ, σ, type of the centre, ν


def blocks_of(make: Maker, selection: Selection, around: Dense, network: Network, keys: list[Key]) -> dict[Key, object]:
    """The block of each key, all of one type of centre."""
    only = {key[:2] for key in keys}
    network = network.part(frozenset((order, (l, sigma)) for l, sigma, _, order in keys))
    found = network(around.values, only)
    whole = make.labels(("system", "atom"), around.samples)
    rows = {key: selection.samples_of(key, around.samples) for key in keys}  # None: all; −1: zeros
    blocks = {}
    for key in keys:
        l, sigma, _, order = key
        values, samples = take_rows(found[order - 1][l, sigma], rows[key]), whole
        if rows[key] is not None:
            samples = make.labels(("system", "atom"), selection.labels_of(key, "samples"))
        columns, properties = _properties(make, selection, key, values.shape[2])
        mu = make.range("o3_mu", -l, l + 1)
        blocks[key] = make.block(make.array(_taken(values, columns)), samples, [mu], properties)
    for name, gradient in around.gradients.items():
        shape = tuple(len(component) for component in gradient.components)
        n_directions = int(np.prod(shape))
        row = torch.from_numpy(gradient.samples[:, 0].astype(np.int64)).repeat_interleave(n_directions)
        tangents = {symmetry: values.flatten(0, 1) for symmetry, values in gradient.values.items()}
        some = next(iter(tangents.values()))
        slopes = network.tangents(around.values, tangents, row.to(some.device), only)
        for key, block in blocks.items():
            l, sigma, _, order = key
            values = slopes[order - 1][l, sigma]
            columns, properties = _properties(make, selection, key, values.shape[2])
            values = _taken(values, columns).unflatten(0, (len(gradient.samples), *shape))
            labels, kept = moved(gradient.samples, rows[key], len(block.samples))
            values = values if rows[key] is None else take_rows(values, kept)
            mu = make.range("o3_mu", -l, l + 1)
            components = [*gradient.components, mu]
            gradient_samples = make.labels(gradient.names, labels)
            block.add_gradient(name, make.block(make.array(values), gradient_samples, components, properties))
    return blocks


def shape_of(selection: Selection, around: Dense, names: tuple[str, ...], key: Key, count: int) -> BlockShape:
    """The sizes of the block of one key, which has ``count`` features before selection."""
    rows = selection.samples_of(key, around.samples)
    every = np.arange(count)[:, None]
    columns = selection.properties_of(key, every)
    columns = selection.choose_properties(every) if columns is None else columns
    inner = 2 * key[0] + 1, count if columns is None else len(columns)
    slopes = {
        name: (
            len(moved(gradient.samples, rows, 0 if rows is None else len(rows))[0]),
            *(len(component) for component in gradient.components),
            *inner,
        )
        for name, gradient in around.gradients.items()
    }
    n_rows, some = len(around.samples) if rows is None else len(rows), next(iter(around.values.values()))
    return BlockShape(dict(zip(names, key)), (n_rows, *inner), slopes, some.element_size())


def _properties(make: Maker, selection: Selection, key: Key, count: int):  # -> columns or None, labels
    every = np.arange(count)[:, None]
    columns = selection.properties_of(key, every)
    if columns is not None:
        return columns, make.labels(("q",), selection.labels_of(key, "properties"))
    chosen = selection.choose_properties(every)
    return chosen, make.labels(("q",), every if chosen is None else every[chosen])


def _taken(values: torch.Tensor, columns: np.ndarray | None) -> torch.Tensor:
    """The columns of the last axis that are wanted; −1: zeros."""
    if columns is None:
        return values
    index = torch.from_numpy(np.ascontiguousarray(columns, dtype=np.int64)).to(values.device)
    padded = torch.cat([values, torch.zeros_like(values[..., :1])], dim=-1) if (columns < 0).any() else values
    return padded[..., index]
