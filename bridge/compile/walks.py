"""How kernels that pack their input see a layer, and what they are told of their walk."""

from __future__ import annotations

from bridge.compile.formats import Weighted
from bridge.encode.geometry import Walk


def pixels(layer: Weighted) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Source and target as the kernels see them.

    A 1×1 convolution without stride sees one long row of pixels, whatever the image's shape.
    """
    w = layer.window
    source = (layer.source.h, layer.source.w, layer.source.c)
    target = (layer.target.h, layer.target.w, layer.target.c)
    if (w.kernel_h, w.kernel_w, w.stride_h, w.stride_w, w.pad_top, w.pad_left) == (
        1, 1, 1, 1, 0, 0,
    ) and source[:2] == target[:2]:  # fmt: skip
        source = (1, source[0] * source[1], source[2])
        target = (1, target[0] * target[1], target[2])
    return source, target


def walk_parameters(geometry: Walk) -> dict[str, int]:
    """What every kernel's template needs to know of a walk."""
    return {
        "band": geometry.band,
        "segment": geometry.segment,
        "source_h": geometry.source[0],
        "source_w": geometry.source[1],
        "target_h": geometry.target[0],
        "target_w": geometry.target[1],
    }
