"""The dual-pixel formats: convolution that computes two pixels with one multiply.

How many rows and columns share one packing is decided here: the fewest cycles of packing that
fit into the scratch that the layer may take.
"""

from __future__ import annotations

import numpy as np

from bridge.compile.formats import Stored, Weighted
from bridge.encode.dual import (
    TILE,
    DualGeometry,
    pack_code,
    pack_dual,
    why_not_dual,
)
from bridge.encode.streams import StreamError, fold_zero_point
from bridge.graph.model import Array

COMFORTABLE_SCRATCH = 12 * 1024


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


def geometries(layer: Weighted) -> list[DualGeometry]:
    """Every walk worth thinking of, by band and segment."""
    source, target = pixels(layer)
    w = layer.window

    def walk(band: int, segment: int) -> DualGeometry:
        return DualGeometry(
            source=source,
            target=target,
            kernel=(w.kernel_h, w.kernel_w),
            stride=(w.stride_h, w.stride_w),
            dilation=(w.dilation_h, w.dilation_w),
            band=band,
            segment=segment,
        )

    height, width = walk(1, 1).extent
    segments = {s for s in (4, 8, 12, 16, 24, 32, width) if TILE <= s <= width}
    bands = {b for b in (1, 2, 3, 4, 6, 8, height) if b <= height}
    return [walk(band, segment) for band in sorted(bands) for segment in sorted(segments)]


def best_geometry(layer: Weighted, scratch: int) -> DualGeometry | None:
    """The walk with the least work whose scratch fits; the smallest one where none fits."""
    choices = geometries(layer)
    if not choices:
        return None
    fitting = [g for g in choices if g.scratch <= scratch]
    if not fitting:
        return min(choices, key=lambda g: g.scratch)
    channels, taps = layer.target.c, int(layer.weights[0].size)
    density = max(1.0 - layer.sparsity, 0.01)

    def work(g: DualGeometry) -> float:
        tile = channels * (90.0 + 13.0 * float(taps) * density)
        return g.packings * g.words * 5.0 + g.tiles * tile

    return min(fitting, key=lambda g: (work(g), g.scratch))


def dual(layer: Weighted, scratch: int = COMFORTABLE_SCRATCH) -> Stored | None:
    """Nonzero weights for the dual-pixel kernel; None where it can't run the layer.

    Args:
        layer: the layer.
        scratch: bytes of scratch that it should stay within, where possible.
    """
    if layer.kind == "DEPTHWISE_CONV_2D" or layer.groups != 1:
        return None
    geometry = best_geometry(layer, scratch)
    if geometry is None:
        return None
    matrix = np.asarray(layer.weights, dtype=np.int8).reshape(layer.target.c, -1)
    try:
        bias = fold_zero_point(matrix, layer.bias, layer.input_zero_point)
    except StreamError:
        return None
    if why_not_dual(matrix, bias, layer.multiplier, layer.shift, geometry):
        return None
    packed = pack_dual(matrix, geometry)
    constants: dict[str, Array] = {
        "stream": packed.stream,
        "bias": bias,
        "multiplier": layer.multiplier,
        "code": pack_code(packed, layer.shift),
    }
    return Stored(
        "convolve_dual_sparse",
        "snn_convolve_dual_sparse_s8",
        constants,
        geometry.scratch,
        parameters=_parameters(geometry),
        own_requantization=True,
    )


def _parameters(geometry: DualGeometry) -> dict[str, int]:
    return {
        "band": geometry.band,
        "segment": geometry.segment,
        "source_h": geometry.source[0],
        "source_w": geometry.source[1],
        "target_h": geometry.target[0],
        "target_w": geometry.target[1],
    }
