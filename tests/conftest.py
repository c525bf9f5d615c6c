"""What all tests share: torch's threads, the real data sets, and whether a lack of them is a failure."""

import os
from pathlib import Path

import pytest
import torch

torch.set_num_threads(2)


@pytest.fixture(scope="session")
def data():
    """``data("zuo2020/Si_train.xyz.gz")``: the path of a real data set in the folder that KETMAP_DATA names."""
    folder = os.environ.get("KETMAP_DATA")

    def find(name: str) -> Path:
        if not folder:
            pytest.skip("needs the real data sets: KETMAP_DATA names no folder")
        path = Path(folder) / name
        if not path.is_file():
            pytest.fail(f"KETMAP_DATA={folder} has no {name}")
        return path

    return find
