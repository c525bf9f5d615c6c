#!/usr/bin/env bash
# Runs everything that is checked: style, documentation and tests, in an environment of their own (see tox.ini).
set -euo pipefail
cd "$(dirname "$0")"
[ -x .venv/bin/pip ] || "${PYTHON:-python3}" -m venv .venv
.venv/bin/python -m pip install --quiet tox
exec .venv/bin/python -m tox -qq -- "$@"
