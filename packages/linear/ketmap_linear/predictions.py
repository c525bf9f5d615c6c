"""Predictions as TensorMaps: what the numbers are, said by labels."""

import numpy as np
from ketmap_core import Batch
from metatensor import Labels, TensorBlock, TensorMap

TARGETS = ("energy", "energies", "forces", "stress")


def as_tensors(names: list[str], batch: Batch, values: dict[str, np.ndarray]) -> dict[str, TensorMap]:
    """One TensorMap of one block per name.

    ``energy``: samples system. ``energies``: samples system, atom. ``forces``: samples system, atom;
    component xyz. ``stress``: samples system; components xyz_1, xyz_2. One property, called as the target.
    """
    systems = Labels(["system"], np.arange(len(batch), dtype=np.int32).reshape(-1, 1))
    first = batch.starts[batch.system.long()].cpu().numpy()
    system = batch.system.cpu().numpy()
    places = np.stack([system, np.arange(batch.n_atoms) - first], axis=1).astype(np.int32)
    atoms = Labels(["system", "atom"], places)
    samples = {"energy": systems, "energies": atoms, "forces": atoms, "stress": systems}
    components = {"energy": [], "energies": [], "forces": ["xyz"], "stress": ["xyz_1", "xyz_2"]}
    return {
        name: TensorMap(
            Labels(["_"], np.zeros((1, 1), dtype=np.int32)),
            [
                TensorBlock(
                    np.ascontiguousarray(values[name][..., None]),
                    samples[name],
                    [Labels.range(axis, 3) for axis in components[name]],
                    Labels.range("energy" if name == "energies" else name, 1),
                )
            ],
        )
        for name in names
    }
