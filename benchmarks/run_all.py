"""Run every benchmark, one after the other, each in its own process; then write the table of figures."""

import subprocess
import sys
from pathlib import Path

NAMES = (
    "expansion_kernel expansion bases by_pair radial_spectrum power_spectrum gradients md_step snap small large "
    "threads channels cg_product lambda_soap correlations nice descriptors lode ionic_md"
).split()


def main():
    here = Path(__file__).parent
    failed = [name for name in NAMES if subprocess.run([sys.executable, here / f"{name}.py", *sys.argv[1:]]).returncode]
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")
    subprocess.run([sys.executable, here / "report.py", *sys.argv[1:]], check=True)


if __name__ == "__main__":
    main()
