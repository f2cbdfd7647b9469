"""What unrolling for the planar kernels does, as ``snn_planar_pack`` in C walks it."""

from __future__ import annotations

from functools import lru_cache

from bridge.compile.formats import Weighted
from bridge.encode.geometry import starts
from bridge.encode.planar import PlanarGeometry

COLUMNS = 8
"""Columns that a round unrolls, two channels at once; fewer are unrolled one channel at a time."""


def unrolling_work(layer: Weighted, geometry: PlanarGeometry) -> dict[str, float]:
    """How often unrolling does what costs time, in one inference.

    Args:
        layer: the layer, for its padding.
        geometry: the walk.
    """
    (height, width), (stride_h, stride_w) = geometry.extent, geometry.stride
    tops = _at(height, geometry.band, stride_h, layer.window.pad_top)
    lefts = _at(width, geometry.segment, stride_w, layer.window.pad_left)
    lanes = tuple(
        min(lane * height, geometry.target[0] - height) * stride_h for lane in range(geometry.lanes)
    )
    phases = tuple(range(geometry.phases))
    rows = sum(_inside(tops, lanes, 1, geometry.source[0], geometry.rows))
    runs = _inside(lefts, phases, stride_w, geometry.source[1], geometry.columns)
    wide = sum(-(-count // COLUMNS) for count in runs if count >= COLUMNS)
    narrow = sum(count < COLUMNS for count in runs)
    reach = geometry.columns * stride_w
    # Of several groups of channels each is unrolled in the same way.
    whole = sum(top >= 0 and top + lanes[-1] + geometry.rows <= geometry.source[0] for top in tops)
    whole *= sum(left >= 0 and left + reach <= geometry.source[1] for left in lefts)
    packings, groups = len(tops) * len(lefts), geometry.groups
    channels = geometry.source[2]
    group = geometry.group or channels
    odd = channels // group * (group % 2) + channels % group % 2
    return {
        "pairs": float(rows * wide * (channels - odd) // 2),
        "singles": float(rows * (wide * odd + narrow * channels)),
        "rounds": float(groups * rows * (wide + narrow)),
        "lines": float(groups * rows * len(runs)),
        "rectangles": float(groups * packings * geometry.phases * geometry.lanes),
        "filled": float(groups * (packings - whole) * geometry.bytes // 16),
        "packings": float(groups * packings),
    }


def _at(extent: int, step: int, stride: int, pad: int) -> tuple[int, ...]:
    """Where in the input bands or segments start; in padding that is negative."""
    return tuple(start * stride - pad for start in starts(extent, step))


@lru_cache(maxsize=1024)
def _inside(
    firsts: tuple[int, ...], offsets: tuple[int, ...], stride: int, size: int, count: int
) -> tuple[int, ...]:
    """For each first and offset, how many of ``count`` places lie in [0, size); zeros left out."""
    found = []
    for at in (first + offset for first in firsts for offset in offsets):
        begin = (stride - 1 - at) // stride if at < 0 else 0
        end = min(count, max(size - at + stride - 1, 0) // stride)
        if end > begin:
            found.append(end - begin)
    return tuple(found)
