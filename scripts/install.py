"""Installs ketmap into the Python that runs this script, in the order that its parts need.

    python scripts/install.py            # ketmap
    python scripts/install.py --tests    # and what the tests and the documentation need

1. torch (exactly the version that the C++ extension and the metatensor packages were tried with) and all
   dependencies, in one pip command; 2. the pure Python packages; 3. the native kernels, which need a C++20 compiler:
   without one everything still works, on the slower torch reference.
"""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TORCH = "torch==2.13.0"
PURE = "ops core density lode cg soap descriptors linear analysis ase testing ketmap".split()


def pip(*arguments: str) -> int:
    return subprocess.call([sys.executable, "-m", "pip", "install", "--quiet", *arguments])


def compiler() -> str | None:
    """The C++ compiler that the build will take, if there is one."""
    return next(filter(None, map(shutil.which, filter(None, [os.environ.get("CXX"), "c++", "g++", "clang++"]))), None)


def need(status: int, what: str) -> None:
    if status:
        raise SystemExit(f"ketmap: {what} failed; pip's message above says why")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tests", action="store_true", help="also what the tests and the documentation need")
    parser.add_argument(
        "--editable", action="store_true", help="install the Python packages in place, for work on them"
    )
    options = parser.parse_args()

    if sys.version_info < (3, 11):  # noqa: UP036 (whoever runs this with an older one is told so)
        version = ".".join(map(str, sys.version_info[:2]))
        raise SystemExit(
            f"ketmap needs Python 3.11 or later, this is {version}. Remove .venv and name another interpreter: "
            "PYTHON=python3.11 ./install.sh"
        )
    print("ketmap: 1/3 dependencies", flush=True)
    files = ["requirements.txt"] + ["requirements-test.txt"] * options.tests
    need(pip(TORCH, *[word for file in files for word in ("-r", str(ROOT / file))]), "installing the dependencies")

    print("ketmap: 2/3 Python packages", flush=True)
    places = [[*["-e"] * options.editable, str(ROOT / "packages" / name)] for name in PURE]
    in_place = ("--no-build-isolation", "--no-deps")
    need(pip(*in_place, *[word for place in places for word in place]), "installing the Python packages")

    print("ketmap: 3/3 native kernels", flush=True)
    found = compiler()
    if found is None or pip(*in_place, str(ROOT / "packages" / "native")):
        reason = "there is no C++ compiler" if found is None else f"{found} could not build them"
        print(
            f"ketmap: {reason}, so the native kernels are not installed. Everything works without them, 10 to 100 "
            "times slower. Install a C++20 compiler (for instance g++ 10 or later) and run this again for full speed.",
            flush=True,
        )


if __name__ == "__main__":
    main()
