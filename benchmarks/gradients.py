"""Explicit position gradients of the power spectrum, to TensorMap: time, peak memory, bytes per second."""

import json
import subprocess
import sys

import harness
import numpy as np
import peers
import structures as data

CASES = {"2 crystals": 160, "4 crystals": 360}


def child(which: str, n_atoms: int, size: tuple[int, ...]):
    """Peak memory of one call in a fresh process, beyond what imports and structures take."""
    systems = data.crystals(n_atoms)
    calculator = peers.power_spectra(*size)[["ketmap", "featomic"].index(which)]
    calculator.compute(systems[0][:4])
    harness.forget_peak()
    before = harness.memory()["now"]
    tensor = calculator.compute(systems, gradients=["positions"])
    print(json.dumps({"memory": harness.memory()["peak"] - before, "bytes": held_bytes(tensor)}))


def held_bytes(tensor) -> int:
    return sum(block.values.nbytes + block.gradient("positions").values.nbytes for block in tensor.blocks())


def peak_megabytes(which: str, n_atoms: int, tiny: bool) -> float:
    command = [sys.executable, __file__, "--child", which, "--atoms", str(n_atoms)] + tiny * ["--tiny"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])["memory"]


def measure(report, name, n_atoms, given):
    systems = data.crystals(n_atoms)
    ours, theirs = peers.power_spectra(*size(given))
    held = held_bytes(ours.compute(systems, gradients=["positions"]))
    source = np.ones(held // 8)
    times = harness.alternate(
        given.seconds,
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
        megabytes=held / 1e6,
        gigabytes_per_second={name: held / time / 1e9 for name, time in times.items()},
        peak_megabytes={which: peak_megabytes(which, n_atoms, given.tiny) for which in ("ketmap", "featomic")},
    )


def size(given) -> tuple[int, ...]:
    return (1, 1) if given.tiny else ()


def main():
    given = harness.options(
        __doc__, child=(None, "measure the memory of one calculator"), atoms=(160, "structures of the child")
    )
    if given.child:
        return child(given.child, int(given.atoms), size(given))
    report = harness.Report("gradients", given)
    for name, n_atoms in CASES.items():
        measure(report, name, 80 if given.tiny else n_atoms, given)
    report.note("Limited by memory: the results are written as fast as memcpy copies, or faster (streaming stores).")
    report.save()


if __name__ == "__main__":
    main()
