"""Data sets of the command line: parts that do not overlap, and every structure with what is asked of it."""

import ase
import ase.io
import numpy as np
import pytest
from ase.calculators.singlepoint import SinglePointCalculator
from ketmap.config import DataSet, Split
from ketmap.datasets import DataError, demand, load_structures, reference, share_out
from ketmap_core import FileFormatError


def structures(n, forces=True, pbc=False):
    rng = np.random.default_rng(0)
    frames = []
    for i in range(n):
        atoms = ase.Atoms("OH", rng.normal(size=(2, 3)), cell=5 * np.eye(3), pbc=pbc)
        results = {"energy": float(i)} | ({"forces": rng.normal(size=(2, 3))} if forces else {})
        atoms.calc = SinglePointCalculator(atoms, **results)
        frames.append(atoms)
    return frames


def test_fractions():
    parts = share_out(50, Split(train=0.8, validation=0.1, test=0.1))
    assert [len(part) for part in parts.values()] == [40, 5, 5]
    assert sorted(i for part in parts.values() for i in part) == list(range(50))
    assert parts == share_out(50, Split(train=0.8, validation=0.1, test=0.1))
    assert parts != share_out(50, Split(train=0.8, validation=0.1, test=0.1, seed=1))


def test_numbers_and_the_rest():
    parts = share_out(50, Split(train=None, validation=7.0, test=0.2))
    assert [len(part) for part in parts.values()] == [33, 7, 10]
    assert [len(part) for part in share_out(50, Split()).values()] == [40, 5, 5]


def test_places():
    parts = share_out(10, Split(train="0:6", validation=[6, 7], test="8:"))
    assert parts == {"train": [0, 1, 2, 3, 4, 5], "validation": [6, 7], "test": [8, 9]}


def test_parts_from_elsewhere_take_nothing():
    parts = share_out(10, Split(), elsewhere=["validation", "test"])
    assert [len(part) for part in parts.values()] == [10, 0, 0]


@pytest.mark.parametrize(
    ("split", "text"),
    [
        ({"train": 9.0, "test": 5.0}, r"more structures \(train 9.0, validation 0.1, test 5.0\) than .*\(10\)"),
        ({"validation": 20.0}, "more structures"),
        ({"train": 0.0, "test": 0.5}, "nothing to train on"),
        ({"train": "0:6", "validation": "5:7", "test": "8:"}, "structure 5 is in train and in validation"),
        ({"train": "0:6", "validation": [12], "test": "8:"}, "lists structure 12, the data set has 0 to 9"),
        ({"train": "six", "validation": ":0", "test": ":0"}, "train is 'six', expected a slice"),
    ],
)
def test_splits_that_cannot_be(split, text):
    with pytest.raises(DataError, match=text):
        share_out(10, Split(**split))


def test_places_must_be_given_for_all_parts():
    with pytest.raises(ValueError, match="must be given for train, validation and test"):
        Split(train="0:6", test="6:")


def test_files_are_joined(tmp_path):
    for name, n in (("a.xyz", 3), ("b.xyz", 2)):
        ase.io.write(tmp_path / name, structures(n), format="extxyz")
    frames = load_structures(DataSet(file=["a.xyz", "b.xyz"], index=":2").beside(tmp_path))
    assert [float(reference(atoms, "energy")) for atoms in frames] == [0, 1, 0, 1]
    assert reference(frames[0], "forces").shape == (2, 3)
    assert reference(frames[0], "stress") is None


def test_missing_forces_name_the_structure(tmp_path):
    path = tmp_path / "data.xyz"
    ase.io.write(path, structures(3) + structures(1, forces=False), format="extxyz")
    frames = load_structures(DataSet(file=str(path)))
    with pytest.raises(DataError, match=r"data.xyz' \(structure 3 of .*\) has no forces, .* it has energy\. Say"):
        demand(frames, ["energy", "forces"])
    demand(frames, ["energy"])


def test_stress_is_only_asked_of_crystals(tmp_path):
    path = tmp_path / "data.xyz"
    ase.io.write(path, structures(2), format="extxyz")
    demand(load_structures(DataSet(file=str(path))), ["energy", "stress"])
    ase.io.write(path, structures(2, pbc=True), format="extxyz")
    with pytest.raises(DataError, match="has no stress"):
        demand(load_structures(DataSet(file=str(path))), ["energy", "stress"])


def test_cut_file(tmp_path):
    path = tmp_path / "data.xyz"
    ase.io.write(path, structures(3), format="extxyz")
    content = path.read_text()
    path.write_text(content[: int(0.9 * len(content))])
    with pytest.raises(FileFormatError, match=r"data.xyz' is cut or damaged at frame 2"):
        load_structures(DataSet(file=str(path)))


def test_no_structures(tmp_path):
    path = tmp_path / "data.xyz"
    ase.io.write(path, structures(3), format="extxyz")
    with pytest.raises(DataError, match="holds no structure"):
        load_structures(DataSet(file=str(path), index="5:"))
