#!/usr/bin/env bash
# Style and types: ruff and mypy over the whole tree.
set -euo pipefail
cd "$(dirname "$0")/.."
.venv/bin/ruff check .
.venv/bin/ruff format --check .
.venv/bin/mypy
