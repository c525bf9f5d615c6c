"""A fitted contraction as members of an archive: JSON, and TensorMaps whose labels say what each number multiplies.

``density.mts`` holds the components of the first order (samples: columns of the density), ``products.mts`` those of all
others (samples: which component of ρ^(ν−1) meets which of the density), ``purification.mts`` what is taken off
(samples: order and component of the lower feature; order 0 is the constant 1).
"""

import dataclasses
import functools
import hashlib
import json

import metatensor
import numpy as np
import torch
from ketmap_core.files import pack_tensor, unpack_tensor
from ketmap_density.blocks import Maker

from ..layout import Layout, Symmetry
from .network import Network
from .screening import CANDIDATE
from .step import Piece

DESCRIPTION, DENSITY, PRODUCTS, PURIFICATION = "nice.json", "density.mts", "products.mts", "purification.mts"
TENSORS = (DENSITY, PRODUCTS, PURIFICATION)
KEYS = ("center_type", "order_nu", "o3_lambda", "o3_sigma")
LOWER = ("order_nu", "q")
MAKE = Maker(metatensor, None)


@dataclasses.dataclass(frozen=True)
class Fitted:
    """All that a fit leaves behind, for each type of centre."""

    layouts: dict[int, Layout]
    networks: dict[int, Network]
    chosen: bool  #: whether the types were chosen, so that other atoms are no centres

    @functools.cached_property
    def fingerprint(self) -> str:
        """A hash of the contraction."""
        tensors = _tensors(self)
        return hashlib.sha256(b"".join(pack_tensor(tensors[name]) for name in sorted(tensors))).hexdigest()[:16]


def pack(hypers: dict, fitted: Fitted) -> dict[str, bytes]:
    """Members of the archive."""
    state = describe(fitted)
    tensors = {name: pack_tensor(state.pop(name)) for name in TENSORS}
    return {DESCRIPTION: json.dumps({"hypers": hypers, **state}, ensure_ascii=False).encode(), **tensors}


def unpack(members: dict[str, bytes]) -> tuple[dict, Fitted]:
    """Hyper-parameters and the contraction, from the members of an archive."""
    state = json.loads(members[DESCRIPTION])
    hypers = state.pop("hypers")
    return hypers, build(state | {name: unpack_tensor(members[name]) for name in TENSORS})


def describe(fitted: Fitted) -> dict:
    """What :func:`build` needs: values that JSON can hold, and three TensorMaps."""
    return {
        "chosen": fitted.chosen,
        "center_types": [
            {
                "center_type": center,
                "key_names": fitted.layouts[center].key_names,
                "property_names": fitted.layouts[center].property_names,
                "symmetries": [
                    {
                        "o3_lambda": l,
                        "o3_sigma": sigma,
                        "parts": [{"key": others, "properties": p.tolist()} for others, p in parts],
                    }
                    for (l, sigma), parts in fitted.layouts[center].parts.items()
                ],
                "orders": [
                    [
                        {"o3_lambda": s[0], "o3_sigma": s[1], "variances": p.variances.tolist(), "report": p.report}
                        for s, p in pieces.items()
                    ]
                    for pieces in network.pieces
                ],
            }
            for center, network in fitted.networks.items()
        ],
        **_tensors(fitted),
    }


def build(state: dict) -> Fitted:
    """What :func:`describe` has described."""
    layouts, networks = {}, {}
    for given in state["center_types"]:
        center = given["center_type"]
        parts = {
            (part["o3_lambda"], part["o3_sigma"]): [
                (tuple(each["key"]), np.array(each["properties"], dtype=np.int64)) for each in part["parts"]
            ]
            for part in given["symmetries"]
        }
        layouts[center] = Layout(tuple(given["key_names"]), tuple(given["property_names"]), parts)
        pieces = [
            {(row["o3_lambda"], row["o3_sigma"]): _piece(state, center, order, row) for row in rows}
            for order, rows in enumerate(given["orders"], start=1)
        ]
        networks[center] = Network(pieces)
    return Fitted(layouts, networks, state["chosen"])


def _piece(state: dict, center: int, order: int, row: dict) -> Piece:
    symmetry = (row["o3_lambda"], row["o3_sigma"])
    key = dict(zip(KEYS, (center, order, *symmetry)))
    block = state[DENSITY if order == 1 else PRODUCTS].block(key)
    table = np.arange(len(block.samples))[:, None] if order == 1 else block.samples.values.astype(np.int64)
    purifier = state[PURIFICATION].block(key).values
    variances = np.array(row["variances"], dtype=np.float64)
    return Piece(symmetry, table, _tensor(block.values), _tensor(purifier), variances, row["report"])


def _tensor(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(values))


def _tensors(fitted: Fitted) -> dict[str, metatensor.TensorMap]:
    keys: dict[str, list] = {name: [] for name in TENSORS}
    blocks: dict[str, list] = {name: [] for name in TENSORS}

    def add(name, key, values, sample_names, samples):
        properties = MAKE.range("q", 0, values.shape[1])
        keys[name].append(key)
        blocks[name].append(MAKE.block(values.numpy(), MAKE.labels(sample_names, samples), [], properties))

    for center, network in fitted.networks.items():
        layout = fitted.layouts[center]
        for order, pieces in enumerate(network.pieces, start=1):
            for symmetry, piece in pieces.items():
                key = (center, order, *symmetry)
                if order == 1:
                    names = (*layout.key_names, *layout.property_names)
                    add(DENSITY, key, piece.components, names, layout.columns(symmetry))
                else:
                    add(PRODUCTS, key, piece.components, CANDIDATE, piece.table)
                add(PURIFICATION, key, piece.purifier, LOWER, _lower_labels(network, order, symmetry))
    return {name: MAKE.tensor(KEYS, keys[name], blocks[name]) for name in TENSORS}


def _lower_labels(network: Network, order: int, symmetry: Symmetry) -> np.ndarray:  # -> [lower feature, (ν, q)]
    """The features that :func:`~ketmap_cg.nice.step.lower_features` puts side by side."""
    rows = [(0, 0)] if symmetry == (0, 1) else []
    for below, pieces in enumerate(network.pieces[: order - 1], start=1):
        if symmetry in pieces:
            rows += [(below, q) for q in range(pieces[symmetry].n)]
    return np.array(rows, dtype=np.int64).reshape(-1, 2)
