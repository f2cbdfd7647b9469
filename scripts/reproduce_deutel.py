#!/usr/bin/env python3
"""Deutel et al.: how few parameters four networks need, and what they cost on three cores.

    scripts/reproduce_deutel.py [--quick] [--seed N] [--work FOLDER] [--pages FOLDER]
                                [--measure-again] [--redraw]

LeNet-5 on MNIST, the activity CNN on the UCI HAR subset and two plain CNNs on the CIFAR-10 subset;
single weights and whole filters pruned, quantized after training and with training, on the
emulated Cortex-M0, M4 and M7. Goes on where it was stopped. About an hour and a half
on two x86-64 cores; --quick about three minutes. Writes docs/results/deutel.md.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bridge.study import deutel
from bridge.study.setup import run

if __name__ == "__main__":
    sys.exit(run(deutel, str(__doc__), sys.argv[1:]))
