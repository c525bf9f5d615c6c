#!/usr/bin/env bash
# Makes .venv, installs ketmap into it, trains a potential on the shipped data and runs molecular dynamics with it.
set -euo pipefail
cd "$(dirname "$0")"
[ -x .venv/bin/pip ] || "${PYTHON:-python3}" -m venv .venv
.venv/bin/python scripts/install.py "$@"
.venv/bin/ketmap demo --folder runs/ethanol --overwrite
