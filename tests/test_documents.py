"""What the documentation prints is run: docstrings, README, pages, tutorials."""

import doctest
import importlib
import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TUTORIALS = sorted((ROOT / "tutorials").glob("*.py"))
PACKAGES = sorted(path.name for path in (ROOT / "packages").glob("*/ketmap_*") if path.name != "ketmap_native")


def modules():
    """All modules of all packages; the commands' data folder holds a script, not a module."""
    for name in ("ketmap", *PACKAGES):
        package = importlib.import_module(name)
        yield name
        for module in pkgutil.walk_packages(package.__path__, name + "."):
            if ".data." not in module.name:
                yield module.name


def run(source: str | Path, folder: Path) -> str:
    """What a program prints, run in an empty folder."""
    program = [str(source)] if isinstance(source, Path) else ["-c", source]
    environment = {**os.environ, "MPLBACKEND": "agg", "OMP_WAIT_POLICY": "passive"}
    done = subprocess.run([sys.executable, *program], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def python_blocks(page: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", page.read_text(), flags=re.DOTALL)


@pytest.mark.parametrize("name", list(modules()))
def test_docstrings(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_python_on_pages(tmp_path):
    for page in PAGES[1:]:
        if blocks := python_blocks(page):
            run("\n".join(blocks), tmp_path)


def test_readme_example_prints_a_drift(tmp_path):
    (block,) = python_blocks(ROOT / "README.md")
    drift = float(run(block, tmp_path).splitlines()[-1].split()[0])
    assert abs(drift) < 1.0  # meV per atom and ps: forces are the derivatives of the energy


@pytest.mark.slow
@pytest.mark.parametrize("tutorial", TUTORIALS, ids=lambda p: p.name)
def test_tutorials(tutorial, tmp_path):
    assert run(tutorial, tmp_path)


def test_commands_of_the_readme_exist():
    readme = (ROOT / "README.md").read_text()
    for command in re.findall(r"^\./(\S+)", readme, flags=re.MULTILINE):
        assert os.access(ROOT / command, os.X_OK), command
    from ketmap.cli import app

    known = {command.name or command.callback.__name__ for command in app.registered_commands}
    for page in PAGES:
        named = set(re.findall(r"`ketmap ([a-z]+)", page.read_text()))
        assert named <= known, f"{page.name} names commands that do not exist: {named - known}"


def test_links_between_files_exist():
    for page in PAGES:
        for target in re.findall(r"\]\((?!http)([^)#]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_tests_that_pages_name_exist():
    for page in PAGES:
        for path in re.findall(r"`((?:tests|docs|benchmarks|packages|tutorials)/[\w/.]*)`", page.read_text()):
            assert (ROOT / path).exists() or path == "docs/benchmarks.md", f"{page.name} names {path}"
