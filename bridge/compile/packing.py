"""What packing for the dual-pixel kernels does, as ``snn_dual_pack`` in C walks it."""

from __future__ import annotations

from collections.abc import Iterator

from bridge.compile.formats import Weighted
from bridge.encode.geometry import DualGeometry, starts

FOUR = 4


def packing_work(layer: Weighted, geometry: DualGeometry, groups: int = 1) -> dict[str, float]:
    """How often packing does what costs time, in one inference.

    Args:
        layer: the layer, for its padding.
        geometry: the walk; its source channels are those of one group.
        groups: of channels that are packed one after the other.
    """
    window, channels = layer.window, geometry.source[2]
    height, width = geometry.extent
    turns = min(geometry.dilation[0], geometry.rows)
    rows = [
        run
        for y in starts(height, geometry.band)
        for turn in range(turns)
        for run in _runs(
            y * geometry.stride[0] - window.pad_top + turn,
            turns,
            geometry.source[0],
            geometry.room // turns,
            (geometry.target[0] - height) * geometry.stride[0],
        )
    ]
    reach = (geometry.kernel[1] - 1) * geometry.dilation[1]
    columns = [
        run
        for x in starts(width, geometry.segment)
        for phase in range(geometry.phases)
        for run in _runs(
            x * geometry.stride[1] - window.pad_left + phase,
            geometry.stride[1],
            geometry.source[1],
            geometry.segment + (reach - phase) // geometry.stride[1],
            (geometry.target[1] - width) * geometry.stride[1],
        )
    ]
    many = sum(count for count, _ in rows)
    # A row of one channel, wholly inside the image, is packed like a position of many channels.
    turned = [count for count, inside in columns if inside] if _turns(layer, geometry) else []
    flat = sum(count for count, inside in rows if inside) if turned else 0
    along = sum(count for count, _ in columns) * many
    fours = channels // FOUR * along
    lanes = channels % FOUR * (along - flat * sum(turned))
    begun = channels % FOUR * (many * len(columns) - flat * len(turned))
    return {
        name: float(groups * times)
        for name, times in {
            "fours": fours + flat * sum(count // FOUR for count in turned),
            "positions": (along if channels >= FOUR else 0) + flat * len(turned),
            "lanes": lanes + flat * sum(count % FOUR for count in turned),
            "lane rows": begun + flat * sum(count % FOUR for count in turned),
            "rows": many * len(columns) if channels >= FOUR else flat * len(turned),
            "blocks": len(rows) * len(columns),
            "packings": geometry.packings,
        }.items()
    }


def _turns(layer: Weighted, geometry: DualGeometry) -> bool:
    return geometry.source[2] == layer.source.c == geometry.stride[1] == 1


def _runs(at: int, step: int, size: int, count: int, apart: int) -> Iterator[tuple[int, bool]]:
    """Places of which both pixels stay on their side of the image's edges: count, both inside."""
    while count > 0:
        same = _same_side(at + apart, step, size, _same_side(at, step, size, count))
        yield same, at >= 0 and at + apart < size
        at += same * step
        count -= same


def _same_side(at: int, step: int, size: int, count: int) -> int:
    last = at + (count - 1) * step
    if last < 0 or at >= size or (at >= 0 and last < size):
        return count
    return ((0 if at < 0 else size) - at + step - 1) // step
