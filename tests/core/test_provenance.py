"""What made a tensor is written into it and goes through files."""

import ketmap_core
import metatensor
import numpy as np
import pytest
from ketmap_core import info, load_tensor, save_tensor, stamp
from ketmap_core.files import pack_tensor, unpack_tensor
from metatensor import Labels, TensorBlock, TensorMap

HYPERS = {"cutoff": {"radius": 5.0, "smoothing": {"type": "ShiftedCosine", "width": 0.5}}, "types": [1, 6]}


def tensor(torch=False):
    block = TensorBlock(np.ones((1, 1)), Labels.range("system", 1), [], Labels.range("energy", 1))
    result = TensorMap(Labels.single(), [block])
    return unpack_tensor(pack_tensor(result), torch=True) if torch else result


@pytest.mark.parametrize("torch", [False, True])
def test_what_is_written(torch):
    stamped = stamp(tensor(torch), calculator="SoapPowerSpectrum", hypers=HYPERS, units={"energy": "meV"})
    found = info(stamped)
    assert found["calculator"] == "SoapPowerSpectrum" and found["hypers"] == HYPERS
    assert found["units"] == {"length": "Å", "energy": "meV"} and found["convention"] == "ketmap-1"
    assert found["versions"]["ketmap-core"] == ketmap_core.__version__
    assert found["versions"]["metatensor-core"] == metatensor.__version__


def test_info_without_a_stamp():
    plain = tensor()
    assert info(plain) == {}
    plain.set_info("note", "from elsewhere")
    assert info(plain) == {"note": "from elsewhere"}


def test_equal_hashes_mean_equal_features():
    def digest(**changes):
        given = {"calculator": "SphericalExpansion", "hypers": HYPERS, **changes}
        return info(stamp(tensor(), **given))["hash"]

    assert digest() == digest(hypers=dict(reversed(HYPERS.items())))  # the order of names means nothing
    others = [
        digest(calculator="SoapPowerSpectrum"),
        digest(hypers={**HYPERS, "types": [1]}),
        digest(units={"energy": "Ha"}),
    ]
    assert len({digest(), *others}) == 4


@pytest.mark.parametrize("torch", [False, True])
def test_files_keep_it(tmp_path, torch):
    stamped = stamp(tensor(torch), calculator="SoapPowerSpectrum", hypers=HYPERS)
    save_tensor(tmp_path / "a.mts", stamped)
    assert info(load_tensor(tmp_path / "a.mts")) == info(stamped)
    assert info(load_tensor(tmp_path / "a.mts", torch=True)) == info(stamped)


def test_hypers_that_no_file_can_hold():
    with pytest.raises(TypeError, match=r"hyper-parameters of X .*JSON"):
        stamp(tensor(), calculator="X", hypers={"radial": object()})
