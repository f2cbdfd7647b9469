"""``python -m bridge.cli`` is ``tflm-bridge``."""

from bridge.cli import main

main()
