"""The packages: what they declare is what they import, one version, no cycles."""

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = sorted(path.parent for path in (ROOT / "packages").glob("*/pyproject.toml"))
# what a distribution is called, where that is not the name that is imported
DISTRIBUTIONS = {
    "metatensor": {"metatensor-core", "metatensor-operations", "metatensor-torch"},
    "metatomic": {"metatomic-torch"},
    "sphericart": {"sphericart-torch"},
    "ruamel": {"ruamel-yaml"},
    "yaml": {"pyyaml"},
    "PIL": {"pillow"},
}
# imports inside a script that is shipped beside the data it made, not part of the package
SCRIPTS = {"make_dimers.py", "make_ethanol.py"}


def project(folder: Path) -> dict:
    return tomllib.loads((folder / "pyproject.toml").read_text())["project"]


def canonical(requirement: str) -> str:
    return re.sub(r"[-_.]+", "-", re.match(r"[\w.\-]+", requirement)[0]).lower()


def module(folder: Path) -> Path:
    (path,) = (p for p in folder.iterdir() if p.name.startswith("ketmap") and p.is_dir())
    return path


def imported(folder: Path) -> set[str]:
    """Top-level names that the package imports anywhere, function bodies included."""
    names = set()
    for file in module(folder).rglob("*.py"):
        if file.name in SCRIPTS:
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names.add(node.module.split(".")[0])
    return names - set(sys.stdlib_module_names) - {module(folder).name}


def siblings(folder: Path) -> set[str]:
    return {name for name in map(canonical, project(folder)["dependencies"]) if name.startswith("ketmap")}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda f: f.name)
def test_declared_are_the_imported(folder):
    declared = set(map(canonical, project(folder)["dependencies"]))
    used = set()
    for name in imported(folder):
        used |= DISTRIBUTIONS.get(name, {canonical(name)}) & (declared | {canonical(name)}) or {canonical(name)}
    # the native kernels are optional: they need a compiler
    assert used - declared - {"ketmap-native"} == set(), "imported, but not declared"
    assert {name for name in declared if name.startswith("ketmap")} - used == set(), "declared, but not imported"


def test_one_version():
    versions = {project(folder)["name"]: project(folder)["version"] for folder in FOLDERS}
    assert len(set(versions.values())) == 1, versions
    (version,) = set(versions.values())
    for folder in FOLDERS:
        for requirement in project(folder)["dependencies"]:
            if canonical(requirement).startswith("ketmap"):
                assert requirement.endswith(f"=={version}"), f"{folder.name} requires {requirement}"


def test_no_cycles():
    graph = {project(folder)["name"]: siblings(folder) for folder in FOLDERS}
    while graph:
        leaves = {name for name, needs in graph.items() if not needs & set(graph)}
        assert leaves, f"these packages need each other: {sorted(graph)}"
        graph = {name: needs for name, needs in graph.items() if name not in leaves}


def test_torch_is_no_build_requirement():
    """A build requirement on torch would make pip fetch another, much larger torch than the installed one."""
    for folder in FOLDERS:
        build = tomllib.loads((folder / "pyproject.toml").read_text())["build-system"]
        assert not any(canonical(requirement) == "torch" for requirement in build["requires"]), folder.name


@pytest.mark.parametrize("folder", [f for f in FOLDERS if f.name != "native"], ids=lambda f: f.name)
def test_public_names_are_documented(folder):
    """Of ``native``, a library of operators, ``ketmap_ops`` documents the names."""
    package = __import__(module(folder).name)
    for name in getattr(package, "__all__", []):
        value = getattr(package, name)
        if callable(value):
            assert (value.__doc__ or "").strip(), f"{package.__name__}.{name} has no docstring"
