"""What made a tensor is written into it and goes through files."""

import ketmap_core
import metatensor
import numpy as np
import pytest
from ketmap_core import canonicalize, derive, info, load_tensor, save_tensor, stamp
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


# ---------------------------------------------------------------------------- what was done to it


def soap(torch=False, **changes):
    return stamp(tensor(torch), **{"calculator": "SoapPowerSpectrum", "hypers": HYPERS, **changes})


@pytest.mark.parametrize("torch", [False, True])
def test_what_was_done_is_listed_and_goes_through_files(tmp_path, torch):
    source = soap(torch)
    source.set_info("note", "of mine")
    once = derive(tensor(torch), "standardize", source, {"axis": 0})
    twice = derive(tensor(torch), "contract", [once], {"n": 4})
    save_tensor(tmp_path / "a.mts", twice)
    found = info(load_tensor(tmp_path / "a.mts", torch=torch))
    assert found.pop("history") == [
        {"operation": "standardize", "hypers": {"axis": 0}},
        {"operation": "contract", "hypers": {"n": 4}},
    ]
    before = info(source)
    assert len({found.pop("hash"), info(once)["hash"], before.pop("hash")}) == 3
    assert found == before and found["note"] == "of mine"


def test_sources_that_agree_are_told_once():
    result = derive(tensor(), "join", [soap(), soap(), soap()], same_features=True)
    assert info(result) == {**info(soap()), "history": [{"operation": "join", "hypers": {}}]}


def test_sources_that_differ_are_told_apart():
    first, second = soap(), derive(tensor(), "align", soap(calculator="LodeSphericalExpansion"))
    for source, note in ((first, "one"), (second, "other")):
        source.set_info("note", note)
    product = derive(tensor(), "cg_product", [first, second, first], {"max_angular": 3})
    found = info(product)
    assert "calculator" not in found and "note" not in found
    assert found["hypers"] == HYPERS and found["units"] == info(first)["units"]  # what they share is kept
    (step,) = found["history"]
    assert [source["calculator"] for source in step["sources"]] == ["SoapPowerSpectrum", "LodeSphericalExpansion"]
    assert step["sources"][1]["history"] == [{"operation": "align", "hypers": {}}]


def test_hash_follows_from_sources_operation_and_hypers():
    def digest(operation="product", sources=None, **options):
        return info(derive(tensor(), operation, sources or [soap(), soap(hypers={})], **options))["hash"]

    assert digest() == digest()
    others = [digest("sum"), digest(hypers={"a": 1}), digest(sources=[soap(hypers={}), soap()]), digest(sources=soap())]
    assert len({digest(), *others}) == 5
    assert digest(sources=soap(), same_features=True) == info(soap())["hash"]
    assert digest(same_features=True) not in (info(soap())["hash"], info(soap(hypers={}))["hash"])
    assert "hash" not in info(derive(tensor(), "product", [soap(), tensor()]))  # nobody knows what that was


def test_sources_that_say_nothing():
    assert info(derive(tensor(), "join", [tensor(), tensor()])) == {"history": [{"operation": "join", "hypers": {}}]}


def test_derivations_that_cannot_be():
    with pytest.raises(ValueError, match="join: expected at least one source, got none"):
        derive(tensor(), "join", [])
    with pytest.raises(TypeError, match=r"hyper-parameters of product .*JSON"):
        derive(tensor(), "product", soap(), {"with": object()})
    with pytest.raises(ValueError, match="sum: sources are in different units of energy, eV and Ha"):
        derive(tensor(), "sum", [soap(), soap(units={"energy": "Ha"})])


def test_canonical_names_are_a_step_where_there_was_something_to_do():
    block = TensorBlock(np.ones((1, 1)), Labels.range("structure", 1), [], Labels.range("n", 1))
    source = stamp(TensorMap(Labels.range("species_center", 1), [block]), calculator="X")
    once = canonicalize(source)
    step = {"operation": "canonicalize", "hypers": {}}
    assert info(once) == {**info(source), "history": [step]}
    assert info(canonicalize(once)) == info(once)
