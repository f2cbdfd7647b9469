#!/usr/bin/env python3
"""Every engine on networks of the zoo, on three cores: the tables behind docs/benchmarks.md.

    scripts/reproduce_benchmarks.py [--quick] [--seed N] [--work FOLDER] [--pages FOLDER]
                                    [--measure-again] [--redraw]

Stock TFLM, TFLM with our kernels, CMSIS-NN called directly and our plain C on the same int8 weights
and inputs; whole networks at high sparsity; unpruned ones beside published boards. Set TFLM_ROOT
for the interpreter's rows. Goes on where it was stopped. About forty minutes on two x86-64 cores;
--quick about three. Writes docs/results/benchmarks.md.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bridge.study import benchmarks
from bridge.study.setup import run

if __name__ == "__main__":
    sys.exit(run(benchmarks, str(__doc__), sys.argv[1:]))
