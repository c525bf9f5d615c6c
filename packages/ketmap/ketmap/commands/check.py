"""Does a file hold a TensorMap that keeps the contract?"""

from pathlib import Path

import ketmap_core
from ketmap_core import load_tensor

from .. import console


def check(path: Path) -> bool:
    """Print what the file holds and where it breaks the contract; whether it keeps it."""
    tensor = load_tensor(path)
    report = ketmap_core.check(tensor)
    console.out.print(f"{path}: {len(tensor)} blocks, keys {', '.join(tensor.keys.names)}")
    made = ketmap_core.info(tensor)
    if made.get("calculator"):
        console.out.print(f"made by {made['calculator']} with {made.get('hypers')}; units {made.get('units')}")
    for problem in report.problems:
        console.out.print(f"  {problem}", markup=False)
    console.out.print("keeps the contract" if report else f"breaks the contract in {len(report.problems)} places")
    return bool(report)
