"""Cartesian tensors in spherical form against featomic, rotations, and back."""

import featomic.clebsch_gordan as theirs
import metatensor
import metatensor.torch
import numpy as np
import pytest
import torch
from ketmap_core import info
from ketmap_core.o3 import cartesian_to_spherical, spherical_to_cartesian, wigner_d
from ketmap_core.o3.cartesian import coupled_paths
from metatensor import Labels, TensorBlock, TensorMap
from scipy.spatial.transform import Rotation


def names(rank):
    return ["xyz"] if rank == 1 else [f"xyz_{i + 1}" for i in range(rank)]


def cartesian(rank, n=4, gradients=(), values=None, leading=()):
    """Two blocks of random Cartesian tensors, with some other component before."""
    rng = np.random.default_rng(rank)
    blocks = []
    for _ in range(2):
        extra = [Labels.range(name, 3) for name in leading]
        components = [*extra, *(Labels.range(name, 3) for name in names(rank))]
        array = rng.normal(size=(n, *[3] * len(components), 2)) if values is None else values
        block = TensorBlock(array, Labels.range("system", n), components, Labels.range("property", 2))
        for name in gradients:
            samples = Labels(["sample", "system", "atom"], np.array([[i, i, a] for i in range(n) for a in (0, 1)]))
            gradient = rng.normal(size=(2 * n, 3, *array.shape[1:]))
            block.add_gradient(
                name, TensorBlock(gradient, samples, [Labels.range("xyz_0", 3), *components], block.properties)
            )
        blocks.append(block)
    return TensorMap(Labels(["center_type"], np.array([[1], [8]])), blocks)


@pytest.mark.parametrize("rank", [1, 2, 3, 4])
@pytest.mark.parametrize("keep", [None, True])
def test_featomic(rank, keep):
    tensor = cartesian(rank, leading=("abc",))
    ours = cartesian_to_spherical(tensor, names(rank), keep_l_in_keys=keep)
    expected = theirs.cartesian_to_spherical(tensor, names(rank), keep_l_in_keys=keep)
    assert ours.keys == expected.keys
    metatensor.allclose_raise(ours, expected, rtol=0, atol=1e-13)
    if rank > 2 or keep:  # without l_1 in the keys featomic's inverse raises, though it says it needs none
        new = [f"xyz_{i + 1}" for i in range(rank)]
        back, reference = spherical_to_cartesian(ours), theirs.spherical_to_cartesian(expected)
        assert back.keys == reference.keys and back.component_names == reference.component_names == ["abc", *new]
        metatensor.allclose_raise(back, reference, rtol=0, atol=1e-13)


@pytest.mark.parametrize("rank", [1, 2, 3, 5])
def test_back_and_norm(rank):
    tensor = cartesian(rank, gradients=["positions"])
    spherical = cartesian_to_spherical(tensor, names(rank), remove_blocks_threshold=None)
    back = spherical_to_cartesian(spherical, names(rank))
    metatensor.allclose_raise(back, tensor, rtol=0, atol=1e-13)
    for get in (lambda block: block.values, lambda block: block.gradient("positions").values):
        total = [sum((get(block) ** 2).sum() for block in x.blocks()) for x in (tensor, spherical)]
        assert total[0] == pytest.approx(total[1], rel=1e-13)
    assert info(back)["history"][-1]["operation"] == "spherical_to_cartesian"


@pytest.mark.parametrize("rank", [1, 2, 3, 4])
@pytest.mark.parametrize("improper", [False, True])
def test_turns_like_harmonics(rank, improper):
    matrix = Rotation.random(random_state=3).as_matrix() * (-1 if improper else 1)
    tensor, turned = cartesian(rank), []
    for block in tensor.blocks():
        values = block.values
        for axis in range(1, rank + 1):
            values = np.moveaxis(np.tensordot(matrix, values, axes=(1, axis)), 0, axis)
        turned.append(TensorBlock(values, block.samples, block.components, block.properties))
    before = cartesian_to_spherical(tensor, names(rank))
    after = cartesian_to_spherical(TensorMap(tensor.keys, turned), names(rank))
    for key, block in before.items():
        sign = key["o3_sigma"] if improper else 1
        expected = sign * np.einsum("mn,snq->smq", wigner_d(key["o3_lambda"], matrix), block.values)
        np.testing.assert_allclose(after.block(key).values, expected, atol=1e-12)


def test_paths_are_an_orthogonal_matrix():
    for rank in range(1, 6):
        matrix = np.concatenate([path.matrix for path in coupled_paths(rank)])
        np.testing.assert_allclose(matrix @ matrix.T, np.eye(3**rank), atol=1e-13)


def test_symmetric_tensors_have_no_pseudovector():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(4, 3, 3, 2))
    tensor = cartesian(2, values=values + values.transpose(0, 2, 1, 3))
    spherical = cartesian_to_spherical(tensor, names(2))
    assert set(map(tuple, spherical.keys.values[:, :2].tolist())) == {(0, 1), (2, 1)}
    metatensor.allclose_raise(spherical_to_cartesian(spherical), tensor, rtol=0, atol=1e-13)
    skew = cartesian(2, values=values - values.transpose(0, 2, 1, 3))
    spherical = cartesian_to_spherical(skew, names(2))
    assert set(map(tuple, spherical.keys.values[:, :2].tolist())) == {(1, -1)}
    metatensor.allclose_raise(spherical_to_cartesian(spherical), skew, rtol=0, atol=1e-13)
    with pytest.raises(ValueError, match="expected a l_1 dimension in the keys"):  # featomic's inverse needs it
        theirs.spherical_to_cartesian(spherical)


def test_values_without_size_but_with_slope_are_kept():
    tensor = cartesian(1, gradients=["positions"], values=np.zeros((4, 3, 2)))
    assert len(cartesian_to_spherical(tensor, ["xyz"]).keys) == 2
    assert len(cartesian_to_spherical(cartesian(1, values=np.zeros((4, 3, 2))), ["xyz"]).keys) == 0


def test_torch():
    tensor = cartesian(2, gradients=["positions"])
    other = metatensor.torch.TensorMap(
        metatensor.torch.Labels(["center_type"], torch.tensor([[1], [8]])),
        [_to_torch(block) for block in tensor.blocks()],
    )
    ours, expected = (cartesian_to_spherical(x, names(2)) for x in (other, tensor))
    for mine, block in zip(ours.blocks(), expected.blocks(), strict=True):
        np.testing.assert_allclose(mine.values.detach().numpy(), block.values, atol=1e-15)
    back = spherical_to_cartesian(ours)
    (slope,) = torch.autograd.grad((back.block(0).values ** 2).sum(), other.block(0).values)
    torch.testing.assert_close(slope, 2 * other.block(0).values.detach())
    torch.testing.assert_close(back.block(1).gradient("positions").values, other.block(1).gradient("positions").values)


def _to_torch(block, gradient=False):
    def labels(x):
        return metatensor.torch.Labels(x.names, torch.tensor(np.asarray(x.values)))

    values = torch.tensor(block.values, requires_grad=not gradient)
    made = metatensor.torch.TensorBlock(
        values, labels(block.samples), [labels(c) for c in block.components], labels(block.properties)
    )
    for name, each in () if gradient else block.gradients():
        made.add_gradient(name, _to_torch(each, gradient=True))
    return made


def test_nothing_to_do():
    empty = TensorMap(Labels(["center_type"], np.zeros((0, 1), dtype=np.int32)), [])
    assert cartesian_to_spherical(empty, ["xyz"]) is empty and spherical_to_cartesian(empty) is empty
    tensor = cartesian(1)
    assert cartesian_to_spherical(tensor, []) is tensor


def test_errors():
    tensor, spherical = cartesian(2), cartesian_to_spherical(cartesian(2), names(2))
    with pytest.raises(TypeError, match="components must be a list"):
        cartesian_to_spherical(tensor, "xyz_1")
    with pytest.raises(ValueError, match="has no component xyz; it has xyz_1, xyz_2"):
        cartesian_to_spherical(tensor, ["xyz"])
    with pytest.raises(ValueError, match="one after the other"):
        cartesian_to_spherical(tensor, ["xyz_2", "xyz_1"])
    with pytest.raises(ValueError, match="expected \\[0, 1, 2\\]"):
        cartesian_to_spherical(spherical, ["o3_mu"])
    with pytest.raises(ValueError, match="key o3_lambda already"):
        cartesian_to_spherical(metatensor.rename_dimension(tensor, "keys", "center_type", "o3_lambda"), names(2))
    with pytest.raises(ValueError, match="keep_l_in_keys must be True"):
        cartesian_to_spherical(cartesian(3), names(3), keep_l_in_keys=False)
    with pytest.raises(ValueError, match="no key o3_lambda"):
        spherical_to_cartesian(tensor)
    with pytest.raises(ValueError, match="no component o3_mu"):
        spherical_to_cartesian(metatensor.rename_dimension(spherical, "components", "o3_mu", "xyz"))
    with pytest.raises(ValueError, match="needs the key k_1"):
        spherical_to_cartesian(spherical, names(3))
    with pytest.raises(ValueError, match="rank 1 has no block with \\(0, 1\\)"):
        spherical_to_cartesian(spherical, ["xyz"])
    three = cartesian_to_spherical(cartesian(3), names(3))
    with pytest.raises(ValueError, match="rank 3; got 2 new_component_names"):
        spherical_to_cartesian(three, names(2))
    with pytest.raises(ValueError, match="at least one component"):
        spherical_to_cartesian(spherical, [])
    blocks = [block.copy() for block in spherical.blocks()]
    blocks[0] = metatensor.slice_block(blocks[0], "samples", Labels(["system"], np.array([[0]])))
    with pytest.raises(ValueError, match="differ in their samples"):
        spherical_to_cartesian(TensorMap(spherical.keys, blocks))
