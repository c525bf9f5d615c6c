"""NeighborList, SortedDistances and AtomicComposition against featomic, and what featomic lacks."""

import ase
import ase.build
import ase.io
import featomic
import numpy as np
import pytest
from ketmap_core import CoincidentAtomsWarning, check, info
from ketmap_descriptors import AtomicComposition, NeighborList, SortedDistances

LISTS = [{"full_neighbor_list": full, "self_pairs": own} for full in (False, True) for own in (False, True)]


@pytest.mark.parametrize("given", LISTS, ids=str)
@pytest.mark.parametrize("cutoff", [1.9, 4.7])
def test_neighbor_list(systems, same, given, cutoff):
    """Values and samples; their order is that of the search in featomic, ascending here."""
    ours = NeighborList(cutoff=cutoff, **given).compute(systems)
    assert same(ours, featomic.NeighborList(cutoff=cutoff, **given).compute(systems))[0] < 1e-8
    for block in ours.blocks():
        samples = block.samples.values.tolist()
        assert samples == sorted(samples)


def test_real_crystals(same, data):
    systems = ase.io.read(data("azaphenacene/azaphenacene.xyz.gz"), ":2")
    ours = NeighborList(cutoff=4.0, full_neighbor_list=True).compute(systems)
    assert same(ours, featomic.NeighborList(cutoff=4.0, full_neighbor_list=True).compute(systems))[0] < 1e-8
    given = {"cutoff": 4.0, "max_neighbors": 30, "separate_neighbor_types": True}
    ours, theirs = (kind(**given).compute(systems) for kind in (SortedDistances, featomic.SortedDistances))
    assert same(ours, theirs)[0] < 1e-8


def test_neighbor_list_gradients(systems, same):
    """featomic repeats the label of a sample in the gradient for an atom and its image; without these, all agree."""
    given = {"cutoff": 2.2, "full_neighbor_list": True}
    finite = [systems[0], systems[3]]
    ours, theirs = (kind(**given).compute(finite, gradients=["positions"]) for kind in _both("NeighborList"))
    assert same(ours, theirs, ["positions"])[1] < 1e-7
    small = systems[2]
    theirs = featomic.NeighborList(cutoff=2.4, full_neighbor_list=False).compute(small, gradients=["positions"])
    samples = theirs.block(0).gradient("positions").samples.values
    assert len(np.unique(samples, axis=0)) < len(samples)  # the defect
    ours = NeighborList(cutoff=2.4, full_neighbor_list=False).compute(small, gradients=["positions"])
    assert len(ours.block(0).samples) == 2 and len(ours.block(0).gradient("positions").samples) == 0
    assert check(ours)


def _both(name):
    return globals()[name], getattr(featomic, name)


def test_neighbor_list_of_a_slab(slab, boxed, same):
    ours = NeighborList(cutoff=4.0, full_neighbor_list=True).compute(slab)
    assert same(ours, featomic.NeighborList(cutoff=4.0, full_neighbor_list=True).compute(boxed))[0] < 1e-8
    for block in ours.blocks():
        assert (block.samples.column("cell_shift_c") == 0).all()


@pytest.mark.parametrize("separate", [False, True])
@pytest.mark.parametrize("most", [1, 4, 60])
def test_sorted_distances(systems, same, separate, most):
    given = {"cutoff": 3.3, "max_neighbors": most, "separate_neighbor_types": separate}
    ours, theirs = (kind(**given).compute(systems) for kind in _both("SortedDistances"))
    assert same(ours, theirs)[0] < 1e-8


@pytest.mark.parametrize("per_system", [False, True])
def test_composition(systems, same, per_system):
    gradients = ["positions", "strain", "cell"]
    ours = AtomicComposition(per_system=per_system).compute(systems, gradients=gradients)
    theirs = featomic.AtomicComposition(per_system=per_system).compute(systems, gradients=gradients)
    assert same(ours, theirs, gradients) == (0.0, 0.0)


PAIR = ["system", "first_atom", "second_atom", "cell_shift_a", "cell_shift_b", "cell_shift_c"]


@pytest.mark.parametrize(
    "which, names, rows",
    [
        ("keys", ["first_atom_type"], [[8], [1]]),
        ("keys", ["first_atom_type", "second_atom_type"], [[8, 1], [6, 99], [1, 6]]),
        ("samples", ["first_atom"], [[0]]),
        ("samples", ["second_atom", "system"], [[0, 3], [1, 0]]),
        ("samples", PAIR, [[0, 0, 2, 0, 0, 0], [0, 1, 0, 0, 0, 0], [9, 0, 0, 0, 0, 0]]),
        ("samples", ["cell_shift_a"], [[1]]),
        ("properties", ["distance"], [[0]]),
        ("properties", ["distance"], [[7]]),
    ],
)
@pytest.mark.parametrize("full", [False, True])
def test_selected_pairs(systems, same, labels, which, names, rows, full):
    selection = {f"selected_{which}": labels(names, *rows)}
    given = {"cutoff": 2.5, "full_neighbor_list": full}
    ours, theirs = (kind(**given).compute(systems, **selection) for kind in _both("NeighborList"))
    assert same(ours, theirs)[0] < 1e-8


@pytest.mark.parametrize(
    "which, names, rows",
    [
        ("keys", ["center_type"], [[8], [1]]),
        ("keys", ["center_type", "neighbor_type"], [[8, 1], [6, 99], [99, 6]]),
        ("keys", ["neighbor_type"], [[6]]),
        ("samples", ["atom"], [[0]]),
        ("samples", ["system", "atom"], [[3, 2], [0, 1], [0, 77]]),
        ("properties", ["neighbor"], [[3], [1], [99]]),
    ],
)
def test_selected_distances(systems, same, labels, which, names, rows):
    selection = {f"selected_{which}": labels(names, *rows)}
    given = {"cutoff": 2.5, "max_neighbors": 5, "separate_neighbor_types": True}
    ours, theirs = (kind(**given).compute(systems, **selection) for kind in _both("SortedDistances"))
    assert same(ours, theirs)[0] < 1e-8


def test_selected_by_tensor_map(systems, same):
    """Samples and properties of each key as another TensorMap has them."""
    given = {"cutoff": 2.5, "max_neighbors": 3, "separate_neighbor_types": True}
    wanted = SortedDistances(**{**given, "cutoff": 1.3, "max_neighbors": 2}).compute(systems[:4])
    selection = {"selected_keys": wanted.keys, "selected_samples": wanted, "selected_properties": wanted}
    ours, theirs = (kind(**given).compute(systems, **selection) for kind in _both("SortedDistances"))
    assert same(ours, theirs)[0] < 1e-8
    for block, model in zip(ours.blocks(), wanted.blocks()):
        assert block.samples == model.samples and block.properties == model.properties


def test_selected_gradients(systems, labels):
    """Gradients of chosen samples and properties are those of all, less the others."""
    calculator = SortedDistances(cutoff=3.0, max_neighbors=4, separate_neighbor_types=False)
    whole = calculator.compute(systems, gradients=["positions", "cell"]).block(dict(center_type=6))
    selection = {
        "selected_samples": labels(["system"], [1], [3]),
        "selected_properties": labels(["neighbor"], [2], [0]),
    }
    part = calculator.compute(systems, gradients=["positions", "cell"], **selection).block(dict(center_type=6))
    keep = np.flatnonzero(np.isin(whole.samples.column("system"), [1, 3]))
    assert np.array_equal(part.values, whole.values[keep][:, [2, 0]])
    assert np.array_equal(part.gradient("cell").values, whole.gradient("cell").values[keep][..., [2, 0]])
    gradient = whole.gradient("positions")
    rows = np.flatnonzero(np.isin(gradient.samples.column("sample"), keep))
    assert np.array_equal(part.gradient("positions").values, gradient.values[rows][..., [2, 0]])
    assert np.array_equal(part.gradient("positions").samples.values[:, 1:], gradient.samples.values[rows][:, 1:])


@pytest.mark.parametrize(
    "selection, message",
    [
        ({"selected_samples": (["first"], [0])}, "selection of samples 'first'; did you mean 'first_atom'"),
        ({"selected_keys": (["center_type"], [1])}, "selection of keys 'center_type'"),
    ],
)
def test_bad_selection(systems, labels, selection, message):
    selection = {name: labels(*given) for name, given in selection.items()}
    with pytest.raises(ValueError, match=message):
        NeighborList(cutoff=2.0, full_neighbor_list=True).compute(systems, **selection)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: NeighborList(cutoff=0, full_neighbor_list=True), "cutoff must be greater than 0, got 0"),
        (lambda: NeighborList(cutoff="3", full_neighbor_list=True), "cutoff must be a number, got '3'"),
        (
            lambda: SortedDistances(cutoff=3.0, max_neighbors=0, separate_neighbor_types=True),
            "max_neighbors must be at least 1, got 0",
        ),
        (
            lambda: SortedDistances(cutoff=3.0, max_neighbors=2.5, separate_neighbor_types=True),
            "max_neighbors must be an integer, got 2.5",
        ),
    ],
)
def test_bad_hypers(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_coincident_atoms():
    atoms = ase.Atoms("OHH", positions=[[0, 0, 0], [0.9, 0, 0], [0.9, 0, 0]])
    for calculator in (
        NeighborList(cutoff=2.0, full_neighbor_list=True),
        SortedDistances(cutoff=2.0, max_neighbors=2, separate_neighbor_types=True),
    ):
        with pytest.warns(CoincidentAtomsWarning, match="atoms 1 and 2 of system 0"):
            tensor = calculator.compute(atoms, gradients=["positions", "strain"])
        assert check(tensor)


def test_provenance(systems):
    for calculator in (
        NeighborList(cutoff=2.0, full_neighbor_list=True),
        SortedDistances(cutoff=2.0, max_neighbors=2, separate_neighbor_types=True),
        AtomicComposition(per_system=True),
    ):
        found = info(calculator.compute(systems))
        assert found["calculator"] == type(calculator).__name__
        assert type(calculator).from_dict(found["hypers"]).to_dict() == calculator.to_dict()
