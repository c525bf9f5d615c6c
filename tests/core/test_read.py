"""Files in: formats, spellings, units, and files that are cut, empty or foreign."""

import gzip

import ase
import ase.build
import ase.io
import chemfiles
import numpy as np
import pytest
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ketmap_core import FileFormatError, as_batch, iread, read

CRYSTAL = ase.build.bulk("NaCl", "rocksalt", 5.6, cubic=True)


def computed(name="Cu", stress=True):
    atoms = ase.build.bulk(name, cubic=True)
    atoms.rattle(0.05, seed=1)
    atoms.calc = EMT()
    results = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces()}
    if stress:
        results["stress"] = atoms.get_stress()
    atoms.calc = SinglePointCalculator(atoms, **results)
    return atoms


def write_xyz(path, header, rows, n_frames=1):
    text = f"{len(rows)}\n{header}\n" + "\n".join(rows) + "\n"
    path.write_text(text * n_frames)
    return path


WATER = ["O 0 0 0 1 2 3", "H 0 0 1 4 5 6", "H 1 0 0 7 8 9"]


@pytest.mark.parametrize("name", ["a.extxyz", "a.xyz", "a.xyz.gz", "a.traj", "a.json"])
def test_energies_forces_and_stresses_are_kept(tmp_path, name):
    atoms = computed()
    ase.io.write(tmp_path / name, [atoms, atoms])
    for frame in read(tmp_path / name):
        assert frame.info["energy"] == pytest.approx(atoms.get_potential_energy(), abs=1e-7)
        np.testing.assert_allclose(frame.arrays["forces"], atoms.get_forces(), atol=1e-7)
        np.testing.assert_allclose(frame.info["stress"], atoms.get_stress(voigt=False), atol=1e-7)
        assert frame.calc is None
        units = frame.info["units"]
        assert (units["energy"], units["forces"], units["stress"]) == ("eV", "eV/Å", "eV/Å^3")
        assert "source_units" not in frame.info


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("POSCAR", {}),
        ("CONTCAR", {}),
        ("a.cif", {}),
        ("a.pdb", {}),
        ("a.vasp", {}),
        ("a.xyz.gz", {}),
        ("a.lmp", {"format": "lammps-data", "masses": True}),
        ("data.salt", {"format": "lammps-data", "masses": True}),
        ("a.gro", {}),
    ],
)
def test_formats(tmp_path, name, options):
    ase.io.write(tmp_path / name, CRYSTAL, **options)
    (atoms,) = read(tmp_path / name)
    assert atoms.get_chemical_symbols() == CRYSTAL.get_chemical_symbols()
    np.testing.assert_allclose(atoms.get_all_distances(mic=True), CRYSTAL.get_all_distances(mic=True), atol=2e-3)
    assert as_batch(atoms).pbc.all() and atoms.get_volume() == pytest.approx(CRYSTAL.get_volume(), rel=1e-4)


@pytest.fixture
def trajectory(tmp_path):
    """A trajectory without elements, of a triclinic cell, and the file that holds them."""
    ase.io.write(tmp_path / "salt.pdb", CRYSTAL)
    frame = chemfiles.Trajectory(str(tmp_path / "salt.pdb")).read()
    frame.cell = chemfiles.UnitCell([5.6, 6.0, 7.0], [80.0, 95.0, 100.0])

    def make(name):
        with chemfiles.Trajectory(str(tmp_path / name), "w") as file:
            for _ in range(5):
                file.write(frame)
        return tmp_path / name

    return make


@pytest.mark.parametrize("name", ["a.xtc", "a.trr", "a.dcd"])
def test_trajectories_without_elements(trajectory, name):
    path = trajectory(name)
    frames = read(path, topology=path.parent / "salt.pdb")
    assert len(frames) == 5 and frames[0].get_chemical_symbols() == CRYSTAL.get_chemical_symbols()
    np.testing.assert_allclose(frames[4].positions, CRYSTAL.positions, atol=2e-2)
    np.testing.assert_allclose(frames[4].cell.cellpar(), [5.6, 6, 7, 80, 95, 100], rtol=1e-3)
    assert len(read(path, "1::2", topology=path.parent / "salt.pdb")) == 2
    with pytest.raises(FileFormatError, match=r"is no element.*topology='file.pdb'"):
        read(path)
    with pytest.raises(IndexError, match="has no frame 7"):
        read(path, 7, topology=path.parent / "salt.pdb")


@pytest.mark.parametrize("structure", [CRYSTAL, CRYSTAL * 2])  # few atoms are not packed in xtc
@pytest.mark.parametrize("kind", ["xtc", "trr", "dcd"])
def test_trajectory_cut(tmp_path, kind, structure):
    ase.io.write(tmp_path / "a.pdb", structure)
    frame = chemfiles.Trajectory(str(tmp_path / "a.pdb")).read()
    path = tmp_path / f"a.{kind}"
    with chemfiles.Trajectory(str(path), "w") as file:
        for _ in range(3):
            file.write(frame)
    content = path.read_bytes()
    assert len(read(path, topology=tmp_path / "a.pdb")) == 3
    for end, found in ((len(content) - 6, 2), (int(0.55 * len(content)), 1)):
        path.write_bytes(content[:end])
        with pytest.raises(FileFormatError, match=rf"a.{kind}' is cut.* at frame {found}"):
            read(path, topology=tmp_path / "a.pdb")


def test_velocities_of_trajectories(tmp_path):
    """chemfiles has Å/ps: a hydrogen at 10 Å/ps moves 0.01 Å in a femtosecond."""
    frame = chemfiles.Frame()
    frame.add_atom(chemfiles.Atom("H"), [0, 0, 0])
    frame.add_velocities()
    frame.velocities[0] = [10.0, 0.0, 0.0]
    with chemfiles.Trajectory(str(tmp_path / "a.trr"), "w") as file:
        file.write(frame)
    ase.io.write(tmp_path / "h.pdb", ase.Atoms("H"))
    (atoms,) = read(tmp_path / "a.trr", topology=tmp_path / "h.pdb")
    np.testing.assert_allclose(atoms.get_velocities() * ase.units.fs, [[0.01, 0, 0]], rtol=1e-6)


@pytest.mark.parametrize(("index", "energies"), [(":", [0, 1, 2]), ("::2", [0, 2]), (1, [1]), ("-1", [2])])
def test_index(tmp_path, index, energies):
    frames = [ase.Atoms("H", info={"energy": float(i)}) for i in range(3)]
    ase.io.write(tmp_path / "a.xyz", frames)
    assert [atoms.info["energy"] for atoms in read(tmp_path / "a.xyz", index)] == energies
    with pytest.raises(IndexError, match="has no frame 3"):
        read(tmp_path / "a.xyz", 3)


def test_other_spellings_are_guessed(tmp_path):
    header = 'Properties=species:S:1:pos:R:3:force:R:3 dft_energy=-1.5 stress="1 0 0 0 2 0 0 0 3" pbc="F F F"'
    (atoms,) = read(write_xyz(tmp_path / "a.xyz", header, WATER))
    assert atoms.info["energy"] == -1.5 and "dft_energy" not in atoms.info
    np.testing.assert_array_equal(atoms.arrays["forces"], np.arange(1, 10).reshape(3, 3))
    np.testing.assert_array_equal(atoms.info["stress"], np.diag([1.0, 2.0, 3.0]))
    assert "force" not in atoms.arrays


def test_names_said(tmp_path):
    header = "Properties=species:S:1:pos:R:3:grad:R:3 energy=1 gap_energy=2"
    path = write_xyz(tmp_path / "a.xyz", header, WATER)
    (atoms,) = read(path, names={"force": "grad", "energy": "gap_energy"})
    assert atoms.info["energy"] == 2.0 and atoms.arrays["forces"][2, 2] == 9.0


def test_units_are_converted(tmp_path):
    header = 'Properties=species:S:1:pos:R:3:forces:R:3 energy=2 stress="1 0 0 0 1 0 0 0 1" alpha="1 0 0"'
    path = write_xyz(tmp_path / "a.xyz", header + ' Lattice="3 0 0 0 3 0 0 0 3"', WATER)
    units = {"energy": "Ha", "force": "Ha/bohr", "stress": "GPa", "length": "bohr", "alpha": "bohr^3"}
    (atoms,) = read(path, units=units)
    u = ase.units
    assert atoms.info["energy"] == pytest.approx(2 * u.Hartree)
    assert atoms.arrays["forces"][0, 2] == pytest.approx(3 * u.Hartree / u.Bohr)
    assert atoms.info["stress"][1, 1] == pytest.approx(u.GPa)
    assert atoms.positions[1, 2] == pytest.approx(u.Bohr) and atoms.cell[0, 0] == pytest.approx(3 * u.Bohr)
    assert atoms.info["alpha"][0] == pytest.approx(u.Bohr**3)
    assert atoms.info["units"]["energy"] == "eV" and atoms.info["units"]["alpha"] == "Å^3"
    assert atoms.info["source_units"] == {name.replace("force", "forces"): unit for name, unit in units.items()}


def test_frames_that_lack_a_quantity_stay_without(tmp_path):
    frames = [computed(), ase.build.bulk("Cu", cubic=True), computed(stress=False)]
    ase.io.write(tmp_path / "a.xyz", frames)
    first, second, third = read(tmp_path / "a.xyz", units={"energy": "eV"})
    assert "stress" in first.info and "stress" not in third.info and "forces" in third.arrays
    assert "energy" not in second.info and "forces" not in second.arrays
    assert second.info["units"] == {"length": "Å"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"units": {"energy": "Hartre"}}, "unknown unit in 'Hartre'.*did you mean 'Ha'"),
        ({"units": {"energy": "Ha/bohr"}}, "'Ha/bohr' is no unit of energy; expected one like 'eV'"),
        ({"units": {"enrgy": "Ha"}}, "unknown quantity in units 'enrgy'; did you mean 'energy'"),
        ({"names": {"forces": "forcs"}}, "become 'forces': unknown name 'forcs'; did you mean 'force'"),
        ({"names": {"focres": "force"}}, "unknown quantity 'focres'; did you mean 'forces'"),
        ({"names": {"forces": "tag"}}, r"frame 0: forces is .*, expected numbers"),
        ({"names": {"forces": "energy"}}, r"frame 0: forces has shape \[\], expected \[3, 3\]"),
    ],
)
def test_names_and_units_that_do_not_fit(tmp_path, options, message):
    path = write_xyz(tmp_path / "a.xyz", "Properties=species:S:1:pos:R:3:force:R:3 energy=1 tag=abc", WATER)
    with pytest.raises(ValueError, match=f"a.xyz.*{message}"):
        read(path, **options)


def test_xyz_cut_within_a_frame(tmp_path):
    path = write_xyz(tmp_path / "a.xyz", "energy=1", WATER, n_frames=4)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:13]))
    with pytest.raises(FileFormatError, match=r"a.xyz' is cut or damaged at frame 2, after 1 of 3 atoms"):
        read(path)


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_compressed_file_cut(tmp_path, part):
    path = write_xyz(tmp_path / "a.xyz", "energy=1", WATER, n_frames=500)
    noise = "".join(f"3\nenergy={i * 0.37 % 1}\nO 0 0 {i}\nH 0 0 {i * 0.11}\nH 1 1 1\n" for i in range(300))
    content = gzip.compress(noise.encode())
    path = tmp_path / "a.xyz.gz"
    path.write_bytes(content[: int(part * len(content))])
    with pytest.raises(FileFormatError, match=r"a.xyz.gz' is cut or damaged at frame \d+"):
        read(path)


def test_whole_file_with_a_word_among_the_numbers(tmp_path):
    path = write_xyz(tmp_path / "a.xyz", "energy=1", WATER, n_frames=4)
    lines = path.read_text().splitlines(keepends=True)
    lines[12] = "H 0 zero 1\n"
    path.write_text("".join(lines))
    with pytest.raises(FileFormatError, match="damaged at frame 2:"):
        read(path)
    with pytest.raises(FileFormatError, match="damaged at frame 1 of those asked for, 1::"):
        read(path, "1::")


def test_what_was_converted_once_is_not_converted_again(tmp_path):
    ase.io.write(tmp_path / "a.xyz", ase.Atoms("H", info={"energy": 1.0}))
    converted = read(tmp_path / "a.xyz", units={"energy": "Ha"})
    ase.io.write(tmp_path / "b.xyz", converted)
    (again,) = read(tmp_path / "b.xyz")
    assert again.info["energy"] == pytest.approx(ase.units.Hartree) and "source_units" not in again.info


def test_bad_header(tmp_path):
    path = write_xyz(tmp_path / "a.xyz", "energy=1", WATER, n_frames=2)
    path.write_text(path.read_text() + "three\n")
    with pytest.raises(FileFormatError, match="at frame 2, where the number of atoms was expected"):
        read(path)


@pytest.mark.parametrize("name", ["a.xyz", "a.traj", "a.cif", "a.pdb", "POSCAR", "a.xtc"])
def test_files_of_noise(tmp_path, name):
    (tmp_path / name).write_bytes(np.random.default_rng(0).bytes(400))
    with pytest.raises(FileFormatError, match=f"{name}'"):
        read(tmp_path / name)


def test_empty_missing_folder_and_unknown(tmp_path):
    (tmp_path / "a.xyz").touch()
    with pytest.raises(FileFormatError, match=r"a.xyz' is empty"):
        read(tmp_path / "a.xyz")
    with pytest.raises(FileNotFoundError, match=r"there is no file .*b.xyz'"):
        read(tmp_path / "b.xyz")
    with pytest.raises(FileFormatError):
        read(tmp_path)
    (tmp_path / "a.nonsense").write_bytes(b"abc")
    with pytest.raises(FileFormatError, match="in no format that ASE or chemfiles know"):
        read(tmp_path / "a.nonsense")


def test_lammps_dump(tmp_path):
    text = "ITEM: TIMESTEP\n0\nITEM: NUMBER OF ATOMS\n1\nITEM: BOX BOUNDS pp pp pp\n0 5\n0 5\n0 5\nITEM: ATOMS "
    (tmp_path / "a.lammpstrj").write_text(text + "id element x y z\n1 Si 0 1 2\n")
    (atoms,) = read(tmp_path / "a.lammpstrj")
    assert atoms.get_chemical_symbols() == ["Si"] and atoms.positions.tolist() == [[0, 1, 2]]
    (tmp_path / "b.lammpstrj").write_text(text + "id type x y z\n1 1 0 1 2\n")
    with pytest.raises(FileFormatError, match="no column element or mass, so its elements are unknown"):
        read(tmp_path / "b.lammpstrj")


def test_names_that_look_like_lammps(tmp_path):
    assert len(read(write_xyz(tmp_path / "data.xyz", "energy=1", WATER))) == 1


def test_virial_becomes_stress(tmp_path):
    """QUIP's virial is −V times the stress; checked on a crystal whose stress is known."""
    atoms = computed()
    virial = -atoms.get_volume() * atoms.get_stress(voigt=False)
    plain = ase.Atoms(
        atoms.numbers, atoms.positions, cell=atoms.cell, pbc=True, info={"virial": virial / ase.units.kcal}
    )
    ase.io.write(tmp_path / "a.xyz", plain)
    (found,) = read(tmp_path / "a.xyz", units={"virial": "kcal"})
    np.testing.assert_allclose(found.info["stress"], atoms.get_stress(voigt=False), atol=1e-8)
    assert found.info["units"]["stress"] == "eV/Å^3"


def test_lammps_data_without_masses(tmp_path):
    ase.io.write(tmp_path / "a.lmp", CRYSTAL, format="lammps-data")
    with pytest.raises(FileFormatError, match="no section Masses, so its elements are unknown"):
        read(tmp_path / "a.lmp")


def test_real_data(data):
    """Forces are the derivative of the energy once both are converted: dE = -F·dr along the scan of water."""
    frames = read(
        data("water_scan/water_energy-dipole.xyz"),
        units={"energy": "Ha", "forces": "Ha/bohr", "dipole": "e*Å"},
    )
    assert len(frames) == 121
    first, second = frames[60:62]
    work = -((first.arrays["forces"] + second.arrays["forces"]) / 2 * (second.positions - first.positions)).sum()
    assert second.info["energy"] - first.info["energy"] == pytest.approx(work, rel=0.1)


def test_real_data_with_other_spellings(data):
    frames = read(data("zuo2020/Si_train.xyz.gz"))
    assert len(frames) == 214 and all("forces" in atoms.arrays and "energy" in atoms.info for atoms in frames)
    frames = read(data("silicon_gap18/silicon_train.xyz.gz"))
    assert len(frames) == 240 and sum("energy" in atoms.info for atoms in frames) == 229


# ---------------------------------------------------------------------------- one at a time


@pytest.mark.parametrize("name", ["a.extxyz", "a.xyz.gz", "a.traj"])
@pytest.mark.parametrize("index", [":", "1::2", -1])
def test_one_at_a_time_is_what_read_gives(tmp_path, name, index):
    ase.io.write(tmp_path / name, [computed(element) for element in ("Cu", "Al", "Ni", "Ag", "Au")])
    units = {"energy": "Ha", "length": "bohr"}
    one, other = list(iread(tmp_path / name, index, units)), read(tmp_path / name, index, units)
    assert len(one) == len(other) > 0
    for a, b in zip(one, other):
        np.testing.assert_array_equal(a.positions, b.positions)
        assert a.info["energy"] == b.info["energy"] and a.info["units"] == b.info["units"]


def test_one_at_a_time_with_chemfiles(trajectory, tmp_path):
    path, topology = trajectory("a.xtc"), tmp_path / "salt.pdb"
    one, other = list(iread(path, topology=topology)), read(path, topology=topology)
    assert len(one) == len(other) > 0
    for a, b in zip(one, other):
        np.testing.assert_array_equal(a.positions, b.positions)


def test_one_at_a_time_gives_what_comes_before_the_damage(tmp_path):
    path = write_xyz(tmp_path / "a.xyz", "energy=1.0", ["O 0 0 0", "H 0 0 1"], n_frames=4)
    path.write_text(path.read_text()[:-6])
    frames = iread(path)
    with pytest.raises(FileFormatError, match=r"a.xyz' is cut or damaged at frame 3"):
        for count, _ in enumerate(frames):
            last = count
    assert last <= 2
    with pytest.raises(FileNotFoundError, match="there is no file"):
        next(iread(tmp_path / "b.xyz"))


def test_one_at_a_time_counts_frames_in_errors(tmp_path):
    first = "2\nenergy=1.0\nO 0 0 0\nH 0 0 1\n"
    (tmp_path / "a.xyz").write_text(first * 2 + first.replace("1.0", "much"))
    with pytest.raises(ValueError, match=r"a.xyz': frame 2: energy is 'much', expected numbers"):
        list(iread(tmp_path / "a.xyz"))
