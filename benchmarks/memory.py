"""Filling fresh memory, which every large result is: pages of 2 MB, as ketmap asks torch for, and of 4 kB."""

import os
import subprocess
import sys

import harness

#: in a process of its own: torch reads the variable once. GB/s of the fastest of a few
FILL = """
import time
import harness, torch, ketmap_ops
array, times = None, []
for _ in range(7):
    del array
    start = time.perf_counter()
    array = torch.empty({megabytes} << 17, dtype=torch.float64).fill_(1.0)
    times.append(time.perf_counter() - start)
print(min(times))
"""


def main():
    given = harness.options(__doc__)
    report = harness.Report("memory", given)
    for megabytes in (8,) if given.tiny else (8, 64, 400):
        seconds = {}
        for asked in ("1", "0"):
            command = [sys.executable, "-c", FILL.format(megabytes=megabytes)]
            environment = os.environ | {"THP_MEM_ALLOC_ENABLE": asked, "PYTHONPATH": os.pathsep.join(sys.path)}
            run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
            seconds[asked] = float(run.stdout)
        scale = 1e6 / megabytes
        report.row(f"fresh array of {megabytes} MB", scale * seconds["1"], {"4 kB": scale * seconds["0"]}, unit="µs/MB")
    report.save()


if __name__ == "__main__":
    main()
