#!/usr/bin/env bash
# LeNet-5 from PyTorch to one honest table on an emulated Cortex-M4, on digits that ship inside
# scikit-learn. Sets up everything it needs first; TFLM_ROOT adds the stock TFLM row.
#   bash scripts/demo.sh [folder for the bundle, default out/lenet5]
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-out/lenet5}
bash scripts/setup.sh
.venv/bin/tflm-bridge convert lenet5 --data digits --sparsity 0.9 --prune-all --epochs 20 --seed 0 --out "$out"
.venv/bin/tflm-bridge bench "$out" --core cortex-m4
