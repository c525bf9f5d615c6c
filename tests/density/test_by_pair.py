"""SphericalExpansionByPair against featomic, and its sums over pairs against the expansion by centre."""

import ase
import ase.build
import featomic
import metatensor
import numpy as np
import pytest
import torch
from ketmap_core import CoincidentAtomsWarning, info
from ketmap_density import SphericalExpansion, SphericalExpansionByPair
from metatensor import TensorBlock, TensorMap

from ..labels import labels
from ..structures import torch_system

GRADIENTS = ["positions", "strain", "cell"]
KEYS = ["o3_lambda", "o3_sigma", "first_atom_type", "second_atom_type"]
PAIR = ["system", "first_atom", "second_atom", "cell_shift_a", "cell_shift_b", "cell_shift_c"]


def ordered(samples: np.ndarray) -> np.ndarray:
    return np.lexsort(samples.T[::-1])


def same_by_label(ours, theirs, gradients=()) -> tuple[float, float]:
    """Largest deviations; featomic lists pairs as its search finds them, so rows are put in order by their labels."""
    assert ours.keys == theirs.keys
    values, slopes = [0.0], [0.0]

    def deviation(a, b):
        scale = np.abs(b).max() if b.size else 0.0
        return np.abs(a - b).max(initial=0.0) / (scale if scale > 1e-12 else 1.0)

    for a, b in zip(ours.blocks(), theirs.blocks()):
        assert a.components == b.components and a.properties == b.properties
        assert a.samples.names == b.samples.names
        x, y = ordered(a.samples.values), ordered(b.samples.values)
        assert np.array_equal(a.samples.values[x], b.samples.values[y])
        values.append(deviation(a.values[x], b.values[y]))
        for name in gradients:
            rows = []
            for block, place in ((a, x), (b, y)):
                gradient = block.gradient(name)
                labels = np.array(gradient.samples.values)
                labels[:, 0] = np.argsort(place)[labels[:, 0]]
                order = ordered(labels)
                rows.append((labels[order], gradient.values[order]))
            assert np.array_equal(rows[0][0], rows[1][0])
            slopes.append(deviation(rows[0][1], rows[1][1]))
    return max(values), max(slopes)


@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0])
def test_featomic(systems, hypers, weight):
    given = hypers(weight=weight)
    gradients = GRADIENTS if all(atoms.pbc.all() for atoms in systems) else GRADIENTS[:2]
    ours = SphericalExpansionByPair(**given).compute(systems, gradients=gradients)
    theirs = featomic.SphericalExpansionByPair(**given).compute(systems, gradients=gradients)
    values, slopes = same_by_label(ours, theirs, gradients)
    assert values < 1e-8 and slopes < 1e-7


@pytest.mark.parametrize("given", [{"width": 0.0}, {"radius": 5.0, "max_radial": 7, "max_angular": 6}])
def test_featomic_hypers(hypers, nacl, given):
    systems = [ase.build.molecule("CH3CONH2"), nacl]
    ours = SphericalExpansionByPair(**hypers(**given)).compute(systems)
    theirs = featomic.SphericalExpansionByPair(**hypers(**given)).compute(systems)
    assert same_by_label(ours, theirs)[0] < 1e-8


SYSTEMS = [ase.build.molecule("CH3OH"), ase.Atoms("N"), ase.build.molecule("H2O"), ase.build.bulk("Si", "diamond", 5.4)]


@pytest.mark.parametrize(
    "selection",
    [
        {"selected_keys": labels(["o3_lambda"], [0], [3])},
        {"selected_keys": labels(["second_atom_type"], [1])},
        {"selected_keys": labels(KEYS, [2, 1, 8, 1], [0, 1, 6, 99], [1, 1, 1, 6])},
        {"selected_samples": labels(["first_atom"], [1], [0])},
        {"selected_samples": labels(["second_atom"], [1])},
        {"selected_samples": labels(["cell_shift_a", "cell_shift_c"], [0, 1])},
        {"selected_samples": labels(PAIR, [0, 0, 1, 0, 0, 0], [0, 2, 2, 0, 0, 0], [3, 0, 0, 0, 0, 1])},
        {"selected_samples": labels(["system"], [7])},
        {"selected_properties": labels(["n"], [3], [0])},
        {"selected_properties": labels(["n"], [17])},
    ],
)
def test_selections(hypers, selection):
    ours = SphericalExpansionByPair(**hypers()).compute(SYSTEMS, gradients=GRADIENTS[:2], **selection)
    theirs = featomic.SphericalExpansionByPair(**hypers()).compute(SYSTEMS, gradients=GRADIENTS[:2], **selection)
    values, slopes = same_by_label(ours, theirs, GRADIENTS[:2])
    assert values < 1e-8 and slopes < 1e-7


def test_selection_by_tensor_map(hypers):
    """Samples and properties of each key in their own order; what does not exist is zero."""
    wanted = {
        (0, 1, 1, 1): ([[0, 2, 2, 0, 0, 0], [0, 2, 3, 0, 0, 0], [2, 1, 1, 0, 0, 0]], [[3], [1]]),
        (2, 1, 1, 8): ([[2, 2, 0, 0, 0, 0], [0, 9, 0, 0, 0, 0]], [[0]]),
    }
    blocks = []
    for (l, *_), (samples, properties) in wanted.items():
        mu = labels(["o3_mu"], *([m] for m in range(-l, l + 1)))
        empty = np.zeros((len(samples), 2 * l + 1, len(properties)))
        blocks.append(TensorBlock(empty, labels(PAIR, *samples), [mu], labels(["n"], *properties)))
    chosen = TensorMap(labels(KEYS, *wanted), blocks)
    calculator = SphericalExpansionByPair(**hypers())
    selection = {"selected_keys": chosen.keys, "selected_samples": chosen, "selected_properties": chosen}
    part = calculator.compute(SYSTEMS, gradients=["positions", "strain"], **selection)
    whole = calculator.compute(SYSTEMS, gradients=["positions", "strain"])
    for key, block in part.items():
        full, n = whole.block(key), block.properties.column("n")
        assert block.samples == chosen.block(key).samples and block.properties == chosen.block(key).properties
        rows = [full.samples.position(sample) for sample in block.samples]
        for mine, row in enumerate(rows):
            expected = full.values[row][..., n] if row is not None else 0.0
            assert np.array_equal(block.values[mine], np.broadcast_to(expected, block.values[mine].shape))
            for name in ("positions", "strain"):
                a, b = block.gradient(name), full.gradient(name)
                here, there = a.samples.column("sample") == mine, b.samples.column("sample") == row
                if row is not None:
                    assert np.array_equal(a.samples.values[here, 1:], b.samples.values[there, 1:])
                    assert np.array_equal(a.values[here], b.values[there][..., n])
                else:
                    assert not a.values[here].any()


def summed(tensor, gradient=None) -> dict:
    """Σ over the pairs of each first atom, by key; gradients by (system, atom, moving atom)."""
    found = {}
    for key, block in tensor.items():
        sums = found[tuple(key.values)] = {}
        centers = block.samples.values[:, :2].tolist()
        source = block if gradient is None else block.gradient(gradient)
        for sample, values in zip(source.samples.values.tolist(), source.values):
            place = sample[:2] if gradient is None else [*centers[sample[0]], *sample[1:]]
            sums[tuple(place)] = sums.get(tuple(place), 0.0) + values
    return found


@pytest.mark.parametrize("gradient", [None, *GRADIENTS])
def test_sums_over_pairs_are_the_expansion(systems, hypers, gradient):
    given = {"gradients": [gradient]} if gradient else {}
    by_pair = summed(SphericalExpansionByPair(**hypers(weight=0.7)).compute(systems, **given), gradient)
    by_center = SphericalExpansion(**hypers(weight=0.7)).compute(systems, **given)
    for key, block in by_center.items():
        sums, centers = by_pair[tuple(key.values)], block.samples.values.tolist()
        source = block.gradient(gradient) if gradient else block
        for sample, values in zip(source.samples.values.tolist(), source.values):
            place = tuple([*centers[sample[0]], *sample[1:]] if gradient else sample[:2])
            assert np.allclose(sums.get(place, 0.0), values, atol=1e-11)


def test_torch_systems(hypers):
    """The same numbers, gradients included, and autograd that contracts the explicit gradients."""
    calculator = SphericalExpansionByPair(**hypers())
    silicon = ase.build.bulk("Si", "diamond", 5.4)
    silicon.rattle(0.1, seed=1)
    numpy = calculator.compute(silicon, gradients=GRADIENTS)
    system = torch_system(silicon, grad=True)
    tensor = calculator.compute(system, gradients=GRADIENTS)
    total, positions, cell = 0.0, torch.zeros(2, 3, dtype=torch.float64), torch.zeros(3, 3, dtype=torch.float64)
    for theirs, block in zip(numpy.blocks(), tensor.blocks()):
        assert np.array_equal(theirs.samples.values, block.samples.values.numpy())
        assert np.allclose(theirs.values, block.values.detach().numpy(), atol=1e-14)
        weights = torch.rand_like(block.values)
        total = total + (weights * block.values).sum()
        for name in GRADIENTS:
            assert np.allclose(theirs.gradient(name).values, block.gradient(name).values.numpy(), atol=1e-13)
        slopes = block.gradient("positions")
        sample, atom = slopes.samples.column("sample"), slopes.samples.column("atom")
        positions.index_add_(0, atom, torch.einsum("smn,sxmn->sx", weights[sample], slopes.values))
        cell += torch.einsum("smn,saxmn->ax", weights, block.gradient("cell").values)
    found = torch.autograd.grad(total, [system.positions, system.cell])
    assert torch.allclose(found[0], positions, atol=1e-11)
    assert torch.allclose(found[1], cell, atol=1e-11)


def test_samples_ascend_and_blocks_are_views(hypers):
    tensor = SphericalExpansionByPair(**hypers()).compute(ase.build.molecule("CH4"))
    for key, block in tensor.items():
        samples = block.samples.values
        assert np.array_equal(ordered(samples), np.arange(len(samples)))
        if key["o3_lambda"] > 0 and len(samples):
            assert np.may_share_memory(
                block.values, tensor.block({**dict(zip(KEYS, key.values)), "o3_lambda": 3}).values
            )


def test_empty_and_coincident(hypers):
    calculator = SphericalExpansionByPair(**hypers())
    for nothing in ([], ase.Atoms(), [ase.Atoms(), ase.Atoms()]):
        tensor = calculator.compute(nothing, gradients=GRADIENTS)
        assert len(tensor) == 0 and tensor.keys.names == KEYS
    tensor = calculator.compute([ase.Atoms(), ase.Atoms("He")], gradients=["positions", "strain"])
    assert tensor.block(0).samples.values.tolist() == [[1, 0, 0, 0, 0, 0]]
    assert len(tensor.block(0).gradient("positions").samples) == 0
    assert len(tensor.block(1).samples) == 0
    with pytest.warns(CoincidentAtomsWarning, match="atoms 0 and 1"):
        tensor = calculator.compute(ase.Atoms("H2"), gradients=["positions", "strain"])
    for block in tensor.blocks():
        assert np.isfinite(block.values).all()
        assert all(np.isfinite(gradient.values).all() for _, gradient in block.gradients())


def test_provenance_and_errors(hypers, nacl):
    calculator = SphericalExpansionByPair(**hypers())
    found = info(calculator.compute(nacl))
    assert found["calculator"] == "SphericalExpansionByPair"
    assert SphericalExpansionByPair.from_dict(found["hypers"]).to_dict() == calculator.to_dict()
    with pytest.raises(ValueError, match="selection of samples 'atom'; did you mean 'first_atom'"):
        calculator.compute(nacl, selected_samples=labels(["atom"], [0]))
    with pytest.raises(ValueError, match="o3_lambda=4, o3_sigma=1 is not in this expansion"):
        calculator.compute(nacl, selected_keys=labels(KEYS, [4, 1, 11, 11]))


def test_any_number_of_threads_gives_the_same_bits(hypers):
    systems = [ase.build.bulk("NaCl", "rocksalt", 5.6, cubic=True)]
    systems[0].rattle(0.1)
    calculator, threads, found = SphericalExpansionByPair(**hypers()), torch.get_num_threads(), []
    try:
        for n in (1, 2, 3):
            torch.set_num_threads(n)
            found.append(calculator.compute(systems, gradients=["positions", "strain"]))
    finally:
        torch.set_num_threads(threads)
    assert metatensor.equal(found[0], found[1]) and metatensor.equal(found[0], found[2])
