"""The dual-pixel formats: convolution that computes two pixels with one multiply.

How many rows and columns share one packing is decided here: the fewest cycles of packing that
fit into the scratch that the layer may take.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bridge.compile.cost import cycles
from bridge.compile.formats import Stored, Weighted
from bridge.encode.dual import (
    DENSE_ROW,
    DEPTHWISE_ROW,
    DEPTHWISE_TILE,
    TILE,
    DualGeometry,
    count_entries,
    pack_code,
    pack_dual,
    why_not_dual,
)
from bridge.encode.dual_dense import blocks, dense_scratch, depthwise_scratch, order_dense
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


def geometries(layer: Weighted, order: str) -> list[DualGeometry]:
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
            order=order,
        )

    height, width = walk(1, 1).extent
    bands = sorted({b for b in (1, 2, 3, 4, 6, 8, height) if b <= height})
    if order == "phases":
        most = DENSE_ROW - (w.kernel_w - 1) * w.dilation_w // w.stride_w
        segments = [s for s in range(2, min(most, width) + 1)]
    else:
        wanted = {4, 6, 8, 10, 12, 14, 16, 24, 32, width}
        segments = sorted(s for s in wanted if TILE <= s <= width)
    return [walk(band, segment) for band in bands for segment in segments]


def best_geometry(layer: Weighted, order: str, scratch: int) -> DualGeometry | None:
    """The walk with the least work whose scratch fits; the smallest one where none fits."""
    choices = geometries(layer, order)
    if not choices:
        return None
    size = dense_scratch if order == "phases" else sparse_scratch
    fitting = [g for g in choices if size(g) <= scratch]
    if not fitting:
        return min(choices, key=size)

    def work(g: DualGeometry) -> float:
        parts = dense_work(layer, g) if order == "phases" else sparse_work(layer, g)
        return cycles("dual-dense" if order == "phases" else "dual", layer.core, parts)

    return min(fitting, key=lambda g: (work(g), size(g)))


def packing_work(geometry: DualGeometry, groups: int = 1) -> dict[str, float]:
    """What packing does: words, and the positions and rows that they belong to."""
    rows = groups * geometry.packings * geometry.rows * geometry.phases
    positions = rows * geometry.columns
    return {
        "words": float(positions * geometry.source[2]),
        "positions": float(positions),
        "rows": float(rows),
    }


def sparse_work(layer: Weighted, geometry: DualGeometry) -> dict[str, float]:
    """What the sparse kernel does in one inference."""
    whole, half = geometry.tiles
    entries, channels = count_entries(_matrix(layer), geometry), layer.target.c
    return {
        **packing_work(geometry),
        "tile entries": float(whole * entries),
        "tile channels": float(whole * channels),
        "half entries": float(half * entries),
        "half channels": float(half * channels),
        "tiles": float(whole + half),
        "channels": float(channels),
        "layers": 1.0,
    }


def dense_work(layer: Weighted, geometry: DualGeometry) -> dict[str, float]:
    """What the dense kernel does in one inference."""
    pairs = geometry.pair_tiles * -(-layer.target.c // 2)
    result = {
        **packing_work(geometry),
        "pairs": float(pairs),
        "tiles": float(geometry.pair_tiles),
        "channels": float(layer.target.c),
        "layers": 1.0,
    }
    for taps in (1, 2, 3):
        result[f"rows of {taps}"] = 0.0
    count = 0
    for rows, columns in blocks(geometry):
        lanes = (rows.stop - rows.start) * geometry.source[2]
        result[f"rows of {len(columns)}"] += float(pairs * lanes)
        count += 1
    result["blocks"] = float(pairs * count)
    return result


def depthwise_work(layer: Weighted, geometry: DualGeometry) -> dict[str, float]:
    """What the depthwise kernel does in one inference."""
    groups = -(-layer.source.c // geometry.source[2])
    tiles = geometry.packings * geometry.band * -(-geometry.segment // DEPTHWISE_TILE)
    stride = 1 if geometry.stride[1] == 1 else 2
    return {
        **packing_work(geometry, groups),
        f"tile channels {stride}": float(tiles * layer.target.c),
        "tiles": float(tiles * groups),
        "cut": float(tiles * layer.target.c) if geometry.segment < DEPTHWISE_TILE else 0.0,
        "channels": float(layer.target.c),
        "layers": 1.0,
    }


def sparse_scratch(geometry: DualGeometry) -> int:
    """Bytes of scratch of the sparse kernel."""
    return geometry.scratch


def dual(layer: Weighted, scratch: int = COMFORTABLE_SCRATCH) -> Stored | None:
    """Nonzero weights for the dual-pixel kernel; None where it can't run the layer.

    Args:
        layer: the layer.
        scratch: bytes of scratch that it should stay within, where possible.
    """
    if layer.kind == "DEPTHWISE_CONV_2D" or layer.groups != 1:
        return None
    geometry = best_geometry(layer, "rows", scratch)
    bias = None if geometry is None else _provable_bias(_matrix(layer), layer, geometry)
    if geometry is None or bias is None:
        return None
    packed = pack_dual(_matrix(layer), geometry)
    constants: dict[str, Array] = {
        "stream": packed.stream,
        "multiplier": layer.multiplier,
        "code": pack_code(packed, bias, layer.shift),
    }
    return Stored(
        "convolve_dual_sparse",
        "snn_convolve_dual_sparse_s8",
        constants,
        geometry.scratch,
        parameters=_parameters(geometry),
        own_requantization=True,
        work=sparse_work(layer, geometry),
    )


def dual_dense(layer: Weighted, scratch: int = COMFORTABLE_SCRATCH) -> Stored | None:
    """Every weight, for the dense dual-pixel kernel; None where it can't run the layer."""
    if layer.kind == "DEPTHWISE_CONV_2D" or layer.groups != 1:
        return None
    geometry = best_geometry(layer, "phases", scratch)
    bias = None if geometry is None else _provable_bias(_matrix(layer), layer, geometry)
    if geometry is None or bias is None:
        return None
    constants: dict[str, Array] = {
        "weights": order_dense(np.asarray(layer.weights, dtype=np.int8), geometry),
        "bias": bias,
        "multiplier": layer.multiplier,
        "shift": (-layer.shift).astype(np.uint8),
    }
    return Stored(
        "convolve_dual",
        "snn_convolve_dual_s8",
        constants,
        dense_scratch(geometry),
        parameters=_parameters(geometry),
        own_requantization=True,
        work=dense_work(layer, geometry),
    )


def dual_depthwise(layer: Weighted, scratch: int = COMFORTABLE_SCRATCH) -> Stored | None:
    """A 3×3 depthwise convolution for the dual-pixel kernel; None where it can't run it."""
    w = layer.window
    plain = (w.kernel_h, w.kernel_w, w.dilation_h, w.dilation_w) == (3, 3, 1, 1)
    same = layer.source.c == layer.target.c
    if layer.kind != "DEPTHWISE_CONV_2D" or not plain or not same or w.stride_w > 2:
        return None
    geometry = _depthwise_geometry(layer, scratch)
    # As a matrix [channel, tap], so that bounds and sums are those of a convolution.
    matrix = np.ascontiguousarray(
        np.asarray(layer.weights, dtype=np.int8).reshape(9, layer.target.c).T
    )
    bias = _provable_bias(matrix, layer, geometry)
    if bias is None:
        return None
    constants: dict[str, Array] = {
        "weights": matrix,
        "bias": bias,
        "multiplier": layer.multiplier,
        "shift": (-layer.shift).astype(np.uint8),
    }
    return Stored(
        "depthwise_dual",
        "snn_depthwise_dual_s8",
        constants,
        depthwise_scratch(geometry),
        parameters={**_parameters(geometry), "group": geometry.source[2]},
        own_requantization=True,
        work=depthwise_work(layer, geometry),
    )


def _depthwise_geometry(layer: Weighted, scratch: int) -> DualGeometry:
    w = layer.window
    height = layer.target.h - layer.target.h // 2
    width = layer.target.w if layer.target.h > 1 else layer.target.w - layer.target.w // 2
    most = DEPTHWISE_ROW - 2 // w.stride_w
    choices = [
        DualGeometry(
            source=(layer.source.h, layer.source.w, group),
            target=(layer.target.h, layer.target.w, layer.target.c),
            kernel=(3, 3),
            stride=(w.stride_h, w.stride_w),
            dilation=(1, 1),
            band=band,
            segment=segment,
            order="channels",
        )
        for group in sorted({g for g in (4, 8, 16, 32, layer.source.c) if g <= layer.source.c})
        for band in sorted({b for b in (1, 2, 3, 4, 6, 8, height) if b <= height})
        for segment in range(1, min(most, width) + 1)
    ]

    def work(g: DualGeometry) -> float:
        return cycles("depthwise-dual", layer.core, depthwise_work(layer, g))

    fitting = [g for g in choices if depthwise_scratch(g) <= scratch]
    if not fitting:
        return min(choices, key=depthwise_scratch)
    return min(fitting, key=lambda g: (work(g), depthwise_scratch(g)))


def _matrix(layer: Weighted) -> npt.NDArray[np.int8]:
    return np.asarray(layer.weights, dtype=np.int8).reshape(layer.target.c, -1)


def _provable_bias(
    matrix: npt.NDArray[np.int8], layer: Weighted, geometry: DualGeometry
) -> npt.NDArray[np.int32] | None:
    """The folded bias if every bound of the dual-pixel kernels is proved, else None."""
    try:
        bias = fold_zero_point(matrix, layer.bias, layer.input_zero_point)
    except StreamError:
        return None
    why = why_not_dual(matrix, bias, layer.multiplier, layer.shift, geometry)
    return None if why else bias


def _parameters(geometry: DualGeometry) -> dict[str, int]:
    return {
        "band": geometry.band,
        "segment": geometry.segment,
        "source_h": geometry.source[0],
        "source_w": geometry.source[1],
        "target_h": geometry.target[0],
        "target_w": geometry.target[1],
    }
