"""Large arrays ask for huge pages, unless the user has said otherwise."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")

ASKS = """
import ketmap_ops, torch
array = torch.empty(1 << 23, dtype=torch.float64)
place, inside, flags = array.data_ptr() + (1 << 25), False, ""
for line in open("/proc/self/smaps"):
    first = line.split()[0]
    if "-" in first:
        begin, end = (int(bound, 16) for bound in first.split("-"))
        inside = begin <= place < end
    elif inside and first == "VmFlags:":
        flags = line
print("hg" in flags.split())
"""


@pytest.mark.skipif(
    not PAGES.exists() or "[never]" in PAGES.read_text(), reason="this system has no transparent huge pages"
)
@pytest.mark.parametrize(("given", "expected"), [(None, "True"), ("0", "False")])
def test_huge_pages(given, expected):
    environment = {name: value for name, value in os.environ.items() if name != "THP_MEM_ALLOC_ENABLE"}
    environment |= {} if given is None else {"THP_MEM_ALLOC_ENABLE": given}
    run = subprocess.run([sys.executable, "-c", ASKS], env=environment, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == expected
