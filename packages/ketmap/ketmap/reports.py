"""Tables of errors, for people and for programs."""

import csv
import json
from pathlib import Path

from ketmap_linear.scores import Errors
from rich.table import Table

COLUMNS = {
    "energy": ("energy, meV/atom", 1e3),
    "forces": ("forces, meV/Å", 1e3),
    "stress": ("stress, meV/Å³", 1e3),
}


def error_table(errors: dict[str, Errors], title: str | None = None) -> Table:
    """Root mean square and mean absolute errors of each part of a data set."""
    table = Table(title=title, title_justify="left")
    targets = _targets(errors)
    table.add_column("")
    table.add_column("structures", justify="right")
    for target in targets:
        table.add_column(f"{COLUMNS[target][0]}\nRMSE", justify="right")
        table.add_column("\nMAE", justify="right")
    for name, part in errors.items():
        cells = []
        for target in targets:
            deviation, factor = getattr(part, target), COLUMNS[target][1]
            cells += (
                ["-", "-"] if deviation is None else [f"{deviation.rmse * factor:.3g}", f"{deviation.mae * factor:.3g}"]
            )
        table.add_row(name, str(part.structures), *cells)
    return table


def write_errors(folder: Path, errors: dict[str, Errors], about: dict) -> None:
    """``errors.csv`` (one row per part and target) and ``errors.json`` (the same, and about the fit).

    Energies in eV per atom, forces in eV/Å, stress in eV/Å³.
    """
    with open(folder / "errors.csv", "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["part", "structures", "target", "rmse", "mae"])
        for name, part in errors.items():
            for target in COLUMNS:
                if deviation := getattr(part, target):
                    rows.writerow([name, part.structures, target, deviation.rmse, deviation.mae])
    content = {"errors": {name: part.to_dict() for name, part in errors.items()}, **about}
    (folder / "errors.json").write_text(json.dumps(content, indent=1) + "\n")


def _targets(errors: dict[str, Errors]) -> list[str]:
    return [target for target in COLUMNS if any(getattr(part, target) for part in errors.values())]
