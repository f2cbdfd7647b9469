#!/usr/bin/env python3
"""Convert your own network: the same as ``tflm-bridge convert``, in one script.

    scripts/convert.py my_net.py:MyNet --weights my_net.pt --data my_data.py:load --out bundle

``--help`` tells every option.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bridge.cli import main

if __name__ == "__main__":
    sys.argv.insert(1, "convert")
    main()
