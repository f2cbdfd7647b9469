#!/usr/bin/env bash
# Style of the whole tree (ruff); types of bridge, models and scripts (mypy).
set -euo pipefail
cd "$(dirname "$0")/.."
.venv/bin/ruff check .
.venv/bin/ruff format --check .
.venv/bin/mypy
