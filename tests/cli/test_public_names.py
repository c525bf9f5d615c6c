"""The front door: every public name is there, and none of them costs anything before it is used."""

import subprocess
import sys

import ketmap
import pytest


@pytest.mark.parametrize("name", ketmap.__all__)
def test_public_names(name):
    assert getattr(ketmap, name) is not None
    assert name in dir(ketmap)


def test_modules_with_featomics_names():
    import ketmap.basis
    import ketmap.clebsch_gordan
    import ketmap.cutoff
    import ketmap.density

    assert ketmap.cutoff.ShiftedCosine is ketmap.ShiftedCosine
    assert ketmap.density.Gaussian is ketmap.Gaussian
    assert ketmap.basis.Gto is ketmap.Gto
    assert ketmap.clebsch_gordan.PowerSpectrum is ketmap.PowerSpectrum


def test_unknown_names():
    with pytest.raises(AttributeError, match="'SoapPower'"):
        ketmap.SoapPower  # noqa: B018


def test_import_is_light():
    code = "import sys, ketmap; sys.exit(any(name in sys.modules for name in ('torch', 'numpy', 'ase')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
