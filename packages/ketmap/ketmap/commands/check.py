"""Does a file or folder hold a TensorMap that keeps the contract?"""

from pathlib import Path

import ketmap_core
from ketmap_core import open_tensor, open_tensors

from .. import console


def check(path: Path) -> bool:
    """Print what a file or a folder of chunks holds and where it breaks the contract; whether it keeps it.

    One block at a time is in memory.
    """
    problems = _folder(path) if path.is_dir() else _file(path)
    for problem in problems:
        console.out.print(f"  {problem}", markup=False)
    console.out.print(f"breaks the contract in {len(problems)} places" if problems else "keeps the contract")
    return not problems


def _file(path: Path) -> list[str]:
    with open_tensor(path) as tensor:
        console.out.print(f"{path}: {len(tensor)} blocks, keys {', '.join(tensor.keys.names)}")
        _origin(tensor)
        return ketmap_core.check(tensor).problems


def _folder(path: Path) -> list[str]:
    folder = open_tensors(path)
    count = f"{folder.n_systems} systems in {len(folder.chunks)} chunks"
    console.out.print(f"{path}: {count}, {len(folder)} blocks, {folder.nbytes / 1e6:.0f} MB")
    if not folder.about.get("done", True):
        console.out.print("its making was stopped; the same command goes on")
    _origin(folder)
    problems = folder.verify()
    with console.progress() as advance:
        for i, chunk in enumerate(folder.chunks if not problems else ()):
            advance("chunks", i, len(folder.chunks))
            with folder.open(i) as tensor:
                problems += [f"{chunk.file}: {problem}" for problem in ketmap_core.check(tensor).problems]
    return problems


def _origin(tensor) -> None:
    made = ketmap_core.info(tensor)
    if made.get("calculator"):
        console.out.print(f"made by {made['calculator']} with {made.get('hypers')}; units {made.get('units')}")
