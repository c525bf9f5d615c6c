"""Parts of TensorMaps, as selections by TensorMap ask for them: some samples and properties of each block."""

import numpy as np
from metatensor import Labels, TensorBlock, TensorMap


def part_of(tensor, keys, rng) -> TensorMap:
    """Some samples and properties of each block, in any order; the first block has none, the others also a sample that
    there is not."""
    blocks = []
    for place, key in enumerate(keys):
        block = tensor.block(key)
        rows = rng.permutation(len(block.samples))[: rng.integers(1, 5) if place else 0]
        columns = rng.permutation(len(block.properties))[: rng.integers(1, 5)]
        samples = block.samples.values[rows]
        if place:
            samples = np.insert(samples, rng.integers(len(samples) + 1), [97] * samples.shape[1], axis=0)
        samples = Labels(block.samples.names, samples.astype(np.int32))
        properties = Labels(block.properties.names, block.properties.values[columns])
        values = np.zeros((len(samples), *block.shape[1:-1], len(properties)))
        blocks.append(TensorBlock(values, samples, block.components, properties))
    return TensorMap(keys, blocks)


def assert_is_part(found, parts, whole, tolerance=1e-12):
    """Whether ``found`` has the keys and labels of ``parts`` and the numbers, and gradients, of ``whole``."""
    assert found.keys == parts.keys
    for key, block in found.items():
        chosen, full = parts.block(key), whole.block(key)
        assert block.samples == chosen.samples and block.properties == chosen.properties
        columns = [full.properties.position(entry) for entry in block.properties]
        rows = [full.samples.position(entry) for entry in block.samples]
        expected = np.array(
            [full.values[row][..., columns] if row is not None else 0 * block.values[0] for row in rows]
        )
        np.testing.assert_allclose(block.values, expected.reshape(block.shape), atol=tolerance)
        for name, gradient in block.gradients():
            source = full.gradient(name)
            # by label, with the row in the whole block in place of the row in this one
            place = {tuple(label): i for i, label in enumerate(source.samples.values.tolist())}
            labels = gradient.samples.values.tolist()
            mine = [place[rows[label[0]], *label[1:]] for label in labels]
            assert labels == sorted(labels)
            assert sorted(mine) == [i for i, label in enumerate(source.samples.values) if label[0] in rows]
            np.testing.assert_allclose(gradient.values, source.values[mine][..., columns], atol=10 * tolerance)
