"""100 000 atoms of silicon: peak memory, and time per atom against 1000 atoms."""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import harness
import peers
import potentials
import structures as data
from ketmap_ase import Calculator


def child(path: str, n_atoms: int):
    """Energy, forces and stress of one structure in a fresh process."""
    atoms = data.silicon(n_atoms)
    atoms.calc = Calculator(path)
    seconds = []
    for _ in range(3 if n_atoms > 10000 else 30):
        atoms.positions += 1e-6
        before = time.perf_counter()
        atoms.get_potential_energy(), atoms.get_forces()
        seconds.append(time.perf_counter() - before)
    found = {"first": seconds[0], "next": sorted(seconds[1:])[len(seconds[1:]) // 2]}
    print(json.dumps({"memory": harness.memory()["peak"], "atoms": len(atoms), **found}))


def measured_apart(path: Path, n_atoms: int) -> dict:
    command = [sys.executable, __file__, "--child", str(path), "--atoms", str(n_atoms)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def main():
    given = harness.options(
        __doc__, child=(None, "model of the process that is measured"), atoms=(1000, "structure of the child")
    )
    if given.child:
        return child(given.child, int(given.atoms))
    report = harness.Report("large", given)
    trained, _ = potentials.silicon_sets()
    hypers = peers.ketmap_hypers(*((1, 1) if given.tiny else ()))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "silicon.ketmap"
        potentials.silicon_model(hypers, trained[:: 40 if given.tiny else 10], alpha=1e-6).save(path)
        few = measured_apart(path, 8 if given.tiny else 1000)
        many = measured_apart(path, 64 if given.tiny else 100_000)
    per_atom = {
        name: {k: 1e6 * run[k] / run["atoms"] for k in ("first", "next")}
        for name, run in (("few", few), ("many", many))
    }
    report.row(
        f"silicon, {many['atoms']} atoms, energy and forces",
        per_atom["many"]["next"],
        {f"{few['atoms']} atoms": per_atom["few"]["next"]},
        aim="time per atom as for 1000, under 4000 MB",
        with_new_neighbour_list={str(run["atoms"]): per_atom[k]["first"] for k, run in (("few", few), ("many", many))},
        peak_megabytes={str(run["atoms"]): run["memory"] for run in (few, many)},
    )
    report.save()


if __name__ == "__main__":
    main()
