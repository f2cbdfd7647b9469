#!/usr/bin/env bash
# Sets up what the bridge needs: Debian packages, then Python packages in .venv. Quick when done.
#   bash scripts/setup.sh [--tests]     --tests: also what only the tests need
set -euo pipefail
cd "$(dirname "$0")/.."

debian=(gcc-arm-none-eabi libnewlib-arm-none-eabi libstdc++-arm-none-eabi-newlib qemu-system-arm
        cmake ninja-build gcc g++ python3-venv)
tools=(arm-none-eabi-gcc arm-none-eabi-g++ qemu-system-arm cmake ninja gcc g++)
python=${PYTHON:-python3}

missing=()
for tool in "${tools[@]}"; do command -v "$tool" >/dev/null || missing+=("$tool"); done
for library in libc_nano.a libstdc++_nano.a; do  # a path where the compiler has it, else the bare name
  [ -e "$(arm-none-eabi-gcc -print-file-name=$library 2>/dev/null)" ] || missing+=("$library")
done
[ -x .venv/bin/python ] || "$python" -c 'import ensurepip' 2>/dev/null || missing+=(python3-venv)
needed=${#missing[@]}
if [ "${1:-}" = --tests ]; then  # a browser that looks at the report, a server that shares a study
  debian+=(chromium postgresql git)
  command -v git >/dev/null || missing+=(git)
  command -v chromium >/dev/null || missing+=(chromium)
  compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || missing+=(postgresql)
fi
if [ ${#missing[@]} -gt 0 ]; then
  echo "setup: installing Debian packages (missing: ${missing[*]})"
  install="apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends ${debian[*]}"
  if [ "$(id -u)" = 0 ]; then bash -c "$install" >/dev/null
  elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then sudo bash -c "$install" >/dev/null
  elif command -v sudo >/dev/null && [ -t 0 ]; then sudo bash -c "$install" >/dev/null
  else
    echo "setup: not root and no sudo. Run this line as root, then start again:" >&2
    echo "  $install" >&2
    [ "$needed" = 0 ] || exit 1
    echo "setup: going on; the tests that need ${missing[*]} will be skipped" >&2
  fi
fi

"$python" - <<'PY' || exit 1
import sys
if not (3, 10) <= sys.version_info[:2] <= (3, 12):
    sys.exit(f"setup: Python {sys.version.split()[0]} found, 3.10 to 3.12 needed; "
             "name another with PYTHON=python3.11 bash scripts/setup.sh")
PY

stamp=.venv/.bridge-$(cat pyproject.toml scripts/constraints.txt | sha256sum | cut -c1-16)
if [ ! -e "$stamp" ]; then
  [ -x .venv/bin/python ] || "$python" -m venv .venv
  echo "setup: installing Python packages into .venv (about 3.5 GB; two to five minutes)"
  .venv/bin/python -m pip install -q --disable-pip-version-check \
    -c scripts/constraints.txt -e '.[dev]' 2> >(grep -v '^WARNING: Location' >&2)
  touch "$stamp"
fi
# The instruction counter is compiled here once, so that a run never waits for it.
.venv/bin/python -c 'from bridge.emulate.plugin import plugin_library; plugin_library()'
echo "setup: ready ($(.venv/bin/tflm-bridge --version))"
