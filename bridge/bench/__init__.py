"""One honest comparison: the same weights through every engine, on every core asked for."""

from bridge.bench.row import LayerCount, Row

__all__ = ["LayerCount", "Row"]
