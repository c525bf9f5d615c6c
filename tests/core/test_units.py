"""Units against ase.units and CODATA."""

import ase.units
import pytest
from ketmap_core.units import parse_unit, unit_name


@pytest.mark.parametrize(
    ("text", "value", "powers"),
    [
        ("eV", 1.0, (1, 0, 0)),
        ("Ha/bohr", ase.units.Hartree / ase.units.Bohr, (1, -1, 0)),
        ("Hartree / Bohr", ase.units.Hartree / ase.units.Bohr, (1, -1, 0)),
        ("kcal/mol/Å", ase.units.kcal / ase.units.mol, (1, -1, 0)),
        ("kcal mol".replace(" ", "/"), ase.units.kcal / ase.units.mol, (1, 0, 0)),
        ("eV/angstrom**3", 1.0, (1, -3, 0)),
        ("eV·Å⁻³", 1.0, (1, -3, 0)),
        ("GPa", ase.units.GPa, (1, -3, 0)),
        ("kbar", 0.1 * ase.units.GPa, (1, -3, 0)),
        ("e*bohr", ase.units.Bohr, (0, 1, 1)),
        ("D", ase.units.Debye, (0, 1, 1)),
        ("bohr^3", ase.units.Bohr**3, (0, 3, 0)),
        ("nm", 10.0, (0, 1, 0)),
    ],
)
def test_value_and_dimension(text, value, powers):
    found, dimension = parse_unit(text)
    assert found == pytest.approx(value, rel=1e-14) and dimension == powers


def test_published_constants():
    """CODATA 2018 (Tiesinga et al., Rev. Mod. Phys. 93, 025010); ASE carries those of 2014, 1e-8 away."""
    assert parse_unit("Ha")[0] == pytest.approx(27.211386245988, rel=1e-8)
    assert parse_unit("bohr")[0] == pytest.approx(0.529177210903, rel=1e-8)
    assert parse_unit("Ha/bohr")[0] == pytest.approx(51.4220674763, rel=2e-8)
    assert 1 / parse_unit("GPa")[0] == pytest.approx(160.2176634, rel=2e-8)


@pytest.mark.parametrize(
    ("powers", "name"),
    [((1, 0, 0), "eV"), ((1, -3, 0), "eV/Å^3"), ((0, 1, 1), "e*Å"), ((0, 3, 0), "Å^3"), ((0, 0, 0), "1")],
)
def test_name_of_a_dimension(powers, name):
    assert unit_name(powers) == name
    if any(powers):
        assert parse_unit(name) == (1.0, powers)


@pytest.mark.parametrize(("text", "hint"), [("Hartre", "'Ha'"), ("kcall/mol", "'kcal'"), ("bohrr", "'bohr'")])
def test_unknown_unit_names_the_nearest(text, hint):
    with pytest.raises(ValueError, match=rf"unknown unit in '{text}'.*did you mean {hint}"):
        parse_unit(text)


@pytest.mark.parametrize("text", ["", "2", "*", "eV^x", "eV//Å"])
def test_no_unit(text):
    with pytest.raises(ValueError, match="unit"):
        parse_unit(text)
