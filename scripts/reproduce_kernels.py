#!/usr/bin/env python3
"""Kernel against kernel on every core: the tables behind docs/kernels.md.

    scripts/reproduce_kernels.py [--quick] [--seed N] [--work FOLDER] [--pages FOLDER]
                                 [--measure-again] [--redraw]

Every weight format on layers of many shapes and sparsities beside dense CMSIS-NN: cycles,
instructions, bytes, crossovers, the planner's error; set TFLM_ROOT for its newer CMSIS-NN beside.
Goes on where it was stopped. About twenty minutes on two x86-64 cores; --quick less than one.
Writes docs/results/kernels.md.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bridge.study import kernels
from bridge.study.setup import run

if __name__ == "__main__":
    sys.exit(run(kernels, str(__doc__), sys.argv[1:]))
