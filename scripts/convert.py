#!/usr/bin/env python3
"""Convert a network with one script; the same as ``tflm-bridge convert``.

python scripts/convert.py my_model.py:Net --weights net.pt --data my_data.py:load \\
    --layout channels-first --out out/net
python scripts/convert.py --help
"""

from __future__ import annotations

import sys
from pathlib import Path

try:
    from bridge.cli import main
except ImportError:  # run from a checkout that is not installed
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    from bridge.cli import main

if __name__ == "__main__":
    sys.argv.insert(1, "convert")
    main()
