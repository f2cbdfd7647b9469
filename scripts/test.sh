#!/usr/bin/env bash
# Sets up and runs the tests (everything: lint, types, pytest).
#   bash scripts/test.sh [pytest arguments]
set -euo pipefail
cd "$(dirname "$0")/.."
bash scripts/setup.sh --tests
bash scripts/check.sh
export TF_CPP_MIN_LOG_LEVEL=3 TF_USE_LEGACY_KERAS=1
# One process a core; a file stays together, since its tests share what was costly to make.
exec .venv/bin/python -m pytest -n auto --dist loadfile "$@"
