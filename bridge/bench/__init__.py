"""One honest comparison: the same weights through every engine, on every core asked for."""

from bridge.bench.row import Row

__all__ = ["Row"]
