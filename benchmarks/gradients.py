"""Explicit position gradients of the power spectrum, to TensorMap: time, peak memory, bytes per second."""

import json
import subprocess
import sys

import harness
import numpy as np
import peers
import structures as data

CASES = {"2 crystals": 160, "4 crystals": 360}


def child(which: str, n_atoms: int):
    """Peak memory of one call in a fresh process, beyond what imports and structures take."""
    systems = data.crystals(n_atoms)
    calculator = peers.power_spectra()[["ketmap", "featomic"].index(which)]
    calculator.compute(systems[0][:4])
    harness.forget_peak()
    before = harness.memory()["now"]
    tensor = calculator.compute(systems, gradients=["positions"])
    print(json.dumps({"memory": harness.memory()["peak"] - before, "bytes": held_bytes(tensor)}))


def held_bytes(tensor) -> int:
    return sum(block.values.nbytes + block.gradient("positions").values.nbytes for block in tensor.blocks())


def measured_apart(which: str, n_atoms: int) -> dict:
    command = [sys.executable, __file__, "--child", which, "--atoms", str(n_atoms)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def measure(report, name, n_atoms, seconds):
    systems = data.crystals(n_atoms)
    ours, theirs = peers.power_spectra()
    size = held_bytes(ours.compute(systems, gradients=["positions"]))
    source = np.ones(size // 8)
    times = harness.alternate(
        seconds,
        ketmap=lambda: ours.compute(systems, gradients=["positions"]),
        featomic=lambda: theirs.compute(systems, gradients=["positions"]),
        memcpy=lambda: source.copy(),
    )
    atoms = sum(map(len, systems))
    report.row(
        f"{name}, {atoms} atoms",
        times["ketmap"] / atoms * 1e6,
        {"featomic": times["featomic"] / atoms * 1e6},
        aim=5,
        megabytes=size / 1e6,
        gigabytes_per_second={name: size / time / 1e9 for name, time in times.items()},
        peak_megabytes={which: measured_apart(which, n_atoms)["memory"] for which in ("ketmap", "featomic")},
    )


def main():
    given = harness.options(
        __doc__, child=(None, "measure the memory of one calculator"), atoms=(160, "structures of the child")
    )
    if given.child:
        return child(given.child, int(given.atoms))
    report = harness.Report("gradients", given)
    for name, n_atoms in CASES.items():
        measure(report, name, 80 if given.tiny else n_atoms, given.seconds)
    report.save()


if __name__ == "__main__":
    main()
