"""Errors of one family, and misspelt names answered with the nearest right one."""

import pytest
from ketmap_core import errors


def test_family():
    for kind in (errors.CoincidentAtomsError, errors.UnknownTypesError, errors.FileFormatError):
        assert issubclass(kind, errors.KetmapError) and issubclass(kind, ValueError)
    assert issubclass(errors.CoincidentAtomsWarning, UserWarning)


@pytest.mark.parametrize(
    ("given", "nearest"), [("max_angulr", "max_angular"), ("maxradial", "max_radial"), ("Radial", "radial")]
)
def test_nearest_name(given, nearest):
    text = errors.unknown_name(given, ["max_angular", "max_radial", "radial"], "hyper-parameter")
    assert text.startswith(f"unknown hyper-parameter '{given}'; did you mean '{nearest}'? allowed: max_angular,")


def test_nothing_near():
    assert errors.unknown_name("zzz", ["radial"]) == "unknown name 'zzz'; allowed: radial"
    assert errors.unknown_name("zzz", []) == "unknown name 'zzz'; allowed: none"


def test_coincident_atoms():
    assert errors.coincident_message([(3, 0, 5)]).startswith("atoms 0 and 5 of system 3 are at one point;")
    assert "(and 2 more such pairs)" in errors.coincident_message([(3, 0, 5)] * 3)
