#!/usr/bin/env python3
"""Dogan et al.: LeNet-5 on MNIST, float32 C against pruned int8 C on a Cortex-M4.

    scripts/reproduce_dogan.py [--quick] [--seed N] [--work FOLDER] [--pages FOLDER]
                               [--measure-again] [--redraw]

The same network as float32 C, as dense int8 and as sparse int8: memory, instructions, accuracy.
Goes on where it was stopped. About forty minutes on two x86-64 cores; --quick about three minutes.
Set TFLM_ROOT to measure stock TFLM beside it. Writes docs/results/dogan.md.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bridge.study import dogan
from bridge.study.setup import run

if __name__ == "__main__":
    sys.exit(run(dogan, str(__doc__), sys.argv[1:]))
