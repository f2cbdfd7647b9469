"""The dual-pixel formats: convolution that computes two pixels with one multiply.

How many rows and columns share one packing is decided here: the fewest cycles of packing that
fit into the scratch that the layer may take.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from bridge.compile.cost import cycles
from bridge.compile.formats import COMFORTABLE_SCRATCH, Stored, Weighted
from bridge.compile.packing import packing_work
from bridge.compile.proofs import (
    dense_tables,
    exact_channels,
    finish_of,
    provable_bias,
)
from bridge.compile.walks import pixels, walk_parameters
from bridge.encode.dual import pack_table
from bridge.encode.dual_dense import blocks, dense_from_order, dense_scratch, order_dense
from bridge.encode.geometry import DENSE_ROW, TILE, DualGeometry
from bridge.encode.taps import count_taps, pack_taps, unpack_taps
from bridge.graph.model import Array


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


def sparse_work(layer: Weighted, geometry: DualGeometry, exact: int = 0) -> dict[str, float]:
    """What the sparse kernel does in one inference; ``exact`` channels are requantized so."""
    whole, half = geometry.tiles
    entries, channels = count_taps(_matrix(layer), geometry.positions()), layer.target.c
    return {
        **packing_work(layer, geometry),
        "tile entries": float(whole * entries),
        "tile channels": float(whole * channels),
        "half entries": float(half * entries),
        "half channels": float(half * channels),
        "exact channels": float(whole * exact),
        "exact half channels": float(half * exact),
        "tiles": float(whole + half),
        "channels": float(channels),
        "layers": 1.0,
    }


def dense_work(layer: Weighted, geometry: DualGeometry, exact: int = 0) -> dict[str, float]:
    """What the dense kernel does in one inference; ``exact`` channels are requantized so."""
    pairs = geometry.pair_tiles * -(-layer.target.c // 2)
    result = {
        **packing_work(layer, geometry),
        "pairs": float(pairs),
        "exact channels": float(geometry.pair_tiles * exact),
        "tiles": float(geometry.pair_tiles),
        "channels": float(layer.target.c),
        "layers": 1.0,
    }
    for taps in (1, 2, 3):
        result[f"rows of {taps}"] = 0.0
    count = 0
    for columns in blocks(geometry):
        lanes = geometry.kernel[0] * geometry.source[2]
        result[f"rows of {len(columns)}"] += float(pairs * lanes)
        count += 1
    result["blocks"] = float(pairs * count)
    return result


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
    bias = None if geometry is None else provable_bias(_matrix(layer), layer, geometry)
    if geometry is None or bias is None:
        return None
    packed = pack_taps(_matrix(layer), geometry.positions())
    finish = finish_of(_matrix(layer), bias, layer)
    table = pack_table(packed, bias, finish, layer.shift)
    constants: dict[str, Array] = {"stream": packed.stream, "table": table}

    def unpack(c: Mapping[str, Array]) -> Array:
        stored = replace(packed, stream=c["stream"], place=(c["table"][:, 0] >> 4).astype(np.uint8))
        return unpack_taps(stored, geometry.positions())

    return Stored(
        "convolve_dual_sparse",
        "snn_convolve_dual_sparse_s8",
        constants,
        geometry.scratch,
        parameters={**walk_parameters(geometry), "line": table.shape[1]},
        own_requantization=True,
        work=sparse_work(layer, geometry, exact_channels(finish, layer)),
        unpack=unpack,
    )


def dual_dense(layer: Weighted, scratch: int = COMFORTABLE_SCRATCH) -> Stored | None:
    """Every weight, for the dense dual-pixel kernel; None where it can't run the layer."""
    if layer.kind == "DEPTHWISE_CONV_2D" or layer.groups != 1:
        return None
    geometry = best_geometry(layer, "phases", scratch)
    bias = None if geometry is None else provable_bias(_matrix(layer), layer, geometry)
    if geometry is None or bias is None:
        return None
    finish = finish_of(_matrix(layer), bias, layer)
    constants: dict[str, Array] = {
        "weights": order_dense(np.asarray(layer.weights, dtype=np.int8), geometry),
        **dense_tables(bias, finish, layer),
    }
    return Stored(
        "convolve_dual",
        "snn_convolve_dual_s8",
        constants,
        dense_scratch(geometry),
        parameters=walk_parameters(geometry),
        own_requantization=True,
        work=dense_work(layer, geometry, exact_channels(finish, layer)),
        unpack=lambda c: dense_from_order(c["weights"], layer.target.c, geometry),
    )


def _matrix(layer: Weighted) -> npt.NDArray[np.int8]:
    return np.asarray(layer.weights, dtype=np.int8).reshape(layer.target.c, -1)
