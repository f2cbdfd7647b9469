#!/usr/bin/env python3
"""Younes et al.: pruning × quantization × coding on an activity network, alone and together.

    scripts/reproduce_younes.py [--quick] [--seed N] [--work FOLDER] [--pages FOLDER]
                                [--measure-again] [--redraw]

The activity CNN on the UCI HAR subset: every combination of pruning, int8 and coding (bitmask,
Huffman, look-up tables with clustering), with error, flash and RAM; which techniques add up and
which cancel; and the sweep over sparsity. Goes on where it was stopped. About twenty minutes on
two x86-64 cores; --quick about four. Set TFLM_ROOT for the interpreter's own rows. Writes
docs/results/younes.md.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bridge.study import younes
from bridge.study.setup import run

if __name__ == "__main__":
    sys.exit(run(younes, str(__doc__), sys.argv[1:]))
