"""Structures of every kind become the same batch, or an error that says which and where."""

import ase
import ase.build
import chemfiles
import numpy as np
import pytest
import torch
from ketmap_core import Batch, as_batch, find_pairs
from metatomic.torch import System, systems_to_torch


def triclinic(pbc=True):
    cell = [[4.0, 0.0, 0.0], [1.0, 3.5, 0.0], [0.3, -0.7, 5.0]]
    return ase.Atoms("OHSi", positions=[[0, 0, 0], [1, 0, 0.2], [9, -7, 2]], cell=cell, pbc=pbc)


def as_frame(atoms):
    frame = chemfiles.Frame()
    for symbol, position in zip(atoms.get_chemical_symbols(), atoms.positions):
        frame.add_atom(chemfiles.Atom(symbol), position)
    if atoms.pbc.all():
        frame.cell = chemfiles.UnitCell(np.asarray(atoms.cell).T)
    return frame


def same(one, other, atol=0.0):
    for name in ("positions", "cells", "pbc", "types", "system", "starts"):
        torch.testing.assert_close(getattr(one, name), getattr(other, name), rtol=0, atol=atol, check_dtype=False)


def test_one_and_many():
    single, many = as_batch(triclinic()), as_batch([triclinic(), ase.build.molecule("H2O")])
    assert (len(single), single.n_atoms, len(many), many.n_atoms) == (1, 3, 2, 6)
    assert many.system.tolist() == [0, 0, 0, 1, 1, 1] and many.starts.tolist() == [0, 3, 6]
    assert many.types.tolist() == [8, 1, 14, 8, 1, 1] and many.types.dtype == torch.int32
    assert many.pbc.tolist() == [[True] * 3, [False] * 3] and not many.is_torch
    np.testing.assert_array_equal(many.positions[:3].numpy(), triclinic().positions)
    assert as_batch(many) is many and isinstance(many, Batch)


def test_numpy_structures_share_memory():
    atoms = triclinic()
    assert as_batch(atoms).positions.data_ptr() == atoms.positions.ctypes.data


@pytest.mark.parametrize("pbc", [True, False])
def test_chemfiles_and_metatomic_agree_with_ase(pbc):
    atoms = triclinic(pbc)
    if not pbc:
        atoms.cell[:] = 0.0
    # chemfiles turns a cell to its own axes; this one has them already
    same(as_batch(as_frame(atoms)), as_batch(atoms), atol=1e-12)
    system = systems_to_torch(atoms, dtype=torch.float64)
    batch = as_batch([system, system])
    assert batch.is_torch
    same(batch, as_batch([atoms, atoms]))


def test_torch_structures_keep_dtype_and_autograd():
    system = systems_to_torch(triclinic(), dtype=torch.float32)
    positions = system.positions.requires_grad_()
    batch = as_batch(System(system.types, positions, system.cell, system.pbc))
    assert batch.positions.dtype == torch.float32
    batch.positions.sum().backward()
    assert torch.equal(positions.grad, torch.ones_like(positions))


def test_mixed_kinds_of_numpy_structures():
    assert len(as_batch([triclinic(), as_frame(triclinic())])) == 2


def test_empty_lists_and_empty_structures():
    nothing, empty = as_batch([]), as_batch([ase.Atoms(), triclinic(), ase.Atoms()])
    assert (len(nothing), nothing.n_atoms, nothing.cells.shape) == (0, 0, (0, 3, 3))
    assert empty.starts.tolist() == [0, 0, 3, 3] and empty.system.tolist() == [1, 1, 1]
    system = systems_to_torch(ase.Atoms(), dtype=torch.float64)
    assert as_batch(system).n_atoms == 0 and len(find_pairs(as_batch(system), 3.0)) == 0


@pytest.mark.parametrize("pbc", [(True, False, False), (False, True, True), (False, False, False)])
def test_rows_without_periodicity_may_be_anything(pbc):
    atoms = ase.Atoms("H", cell=np.diag([3.0, 4.0, 5.0]), pbc=pbc)
    atoms.cell[~atoms.pbc] = 0.0
    assert as_batch(atoms).pbc[0].tolist() == list(pbc)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_positions_that_are_not_finite(value):
    atoms = triclinic()
    atoms.positions[2, 1] = value
    with pytest.raises(ValueError, match="system 1: position of atom 2 is not finite"):
        as_batch([triclinic(), atoms])


def test_cell_that_is_not_finite():
    atoms = triclinic()
    atoms.cell[0, 1] = np.nan
    with pytest.raises(ValueError, match="system 0: cell is not finite"):
        as_batch(atoms)


@pytest.mark.parametrize("cell", [np.zeros((3, 3)), [[1, 0, 0], [2, 0, 0], [0, 0, 1]], np.diag([3.0, 3.0, 0.0])])
def test_periodic_without_volume(cell):
    with pytest.raises(ValueError, match=r"system 1: periodic along.*has no volume there"):
        as_batch([triclinic(), ase.Atoms("H", cell=cell, pbc=True)])


def test_plane_without_area():
    atoms = ase.Atoms("H", cell=[[1, 1, 0], [2, 2, 0], [0, 0, 1]], pbc=(True, True, False))
    with pytest.raises(ValueError, match="no volume"):
        as_batch(atoms)


@pytest.mark.parametrize("what", [3, "water.xyz", [3], np.zeros((2, 3))])
def test_no_structure(what):
    with pytest.raises(TypeError, match=r"expected ase\.Atoms"):
        as_batch(what)


def test_torch_and_numpy_in_one_list():
    system = systems_to_torch(triclinic(), dtype=torch.float64)
    for mixture in ([system, triclinic()], [triclinic(), system]):
        with pytest.raises(TypeError, match=r"system 1: torch .*convert them to one kind"):
            as_batch(mixture)


def test_torch_structures_of_different_dtype():
    one, other = (systems_to_torch(triclinic(), dtype=dtype) for dtype in (torch.float64, torch.float32))
    with pytest.raises(ValueError, match=r"system 1: positions are torch.float32.*use .to\(dtype"):
        as_batch([one, other])


def test_chemfiles_atoms_without_element():
    frame = as_frame(triclinic())
    frame.add_atom(chemfiles.Atom("bead", "Xx9"), [0, 0, 0])
    with pytest.raises(ValueError, match="system 0: atom 3 has type 'Xx9', which is no element"):
        as_batch(frame)


def test_wrong_shapes():
    atoms = triclinic()
    atoms.arrays["positions"] = atoms.positions[:2]
    with pytest.raises(ValueError, match=r"system 0: expected positions of shape \[3, 3\], got \[2, 3\]"):
        as_batch(atoms)
