"""The library of native operators without the Python packages around it, as a C++ engine sees it."""

import shutil
import subprocess
import sys

import pytest

ketmap_native = pytest.importorskip("ketmap_native", reason="the native kernels are not built")

ALONE = '''
import sys, torch
torch.ops.load_library(sys.argv[1])
assert not any(name.startswith("ketmap") for name in sys.modules)

source = """
def expand(vectors: Tensor, starts: Tensor, own: Tensor, table: Tensor) -> Tensor:
    return torch.ops.ketmap.expand(vectors, starts, own, table, 0.1, 3.0, 0.5, 0.0)
"""
expand = torch.jit.CompilationUnit(source).expand
vectors = torch.tensor([[0.0, 0.0, 1.0]], dtype=torch.float64)
c = expand(vectors, torch.tensor([0, 1]), torch.zeros(1, dtype=torch.int32), torch.ones(40, 2, 1, dtype=torch.float64))
print(*(f"{value:.6f}" for value in c.flatten().tolist()))
'''


def test_scripted_code_runs_the_operators_in_a_fresh_process():
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", ALONE, str(ketmap_native.library)],
        capture_output=True,
        text=True,
        check=True,
    )
    # a neighbour along z at 1 Å, R = 1: Y_00 = 1/sqrt(4π), Y_10 = sqrt(3/4π), in the order (y, z, x)
    assert run.stdout.split() == ["0.282095", "0.000000", "0.488603", "0.000000"]


@pytest.mark.skipif(shutil.which("nm") is None, reason="nm is not installed")
def test_only_torchs_stable_interface_is_used():
    """It is C: the library keeps working with later versions of torch."""
    command = ["nm", "-D", "--undefined-only", str(ketmap_native.library)]
    symbols = subprocess.run(command, capture_output=True, text=True, check=True)
    names = [line.split()[-1] for line in symbols.stdout.splitlines()]
    assert any(name.startswith("aoti_torch_") for name in names)
    assert not [name for name in names if name.startswith("_Z") and ("torch" in name or "c10" in name)]
