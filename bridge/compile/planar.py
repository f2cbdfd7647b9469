"""The formats planar-vector and depthwise-vector: convolution with MVE, sixteen outputs a weight.

How many rows are computed side by side, and how many rows and columns share one unrolling, is
decided here: the fewest cycles that fit into the scratch that the layer may take.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from bridge.compile.cost import cycles
from bridge.compile.formats import COMFORTABLE_SCRATCH, Stored, Weighted
from bridge.compile.unrolling import unrolling_work
from bridge.compile.walks import pixels, walk_parameters
from bridge.encode.planar import TILE, PlanarGeometry, why_not_planar
from bridge.encode.streams import StreamError, fold_zero_point
from bridge.encode.taps import CHAIN, count_taps, pack_taps, tap_code, unpack_taps
from bridge.graph.model import Array

NAME, DEPTHWISE = "planar-vector", "depthwise-vector"
CORE = "cortex-m55"
"""The core with MVE: what the format costs is known there alone."""


def planar(layer: Weighted, scratch: int = COMFORTABLE_SCRATCH) -> Stored | None:
    """Nonzero weights for the MVE kernel; None where it can't run the layer.

    Args:
        layer: the layer.
        scratch: bytes of scratch that it should stay within, where possible.
    """
    if layer.kind == "DEPTHWISE_CONV_2D" or layer.groups != 1 or layer.one_pixel:
        return None
    weights = np.asarray(layer.weights, dtype=np.int8).reshape(layer.target.c, -1)
    return _stored(layer, weights, "convolve_planar_sparse", NAME, scratch)


def planar_depthwise(layer: Weighted, scratch: int = COMFORTABLE_SCRATCH) -> Stored | None:
    """A depthwise convolution for the MVE kernel; None where it can't run the layer."""
    if layer.kind != "DEPTHWISE_CONV_2D" or layer.source.c != layer.target.c:
        return None
    weights = np.asarray(layer.weights, dtype=np.int8).reshape(-1, layer.target.c).T
    return _stored(layer, np.ascontiguousarray(weights), "depthwise_planar", DEPTHWISE, scratch)


def _stored(
    layer: Weighted, weights: npt.NDArray[np.int8], kernel: str, name: str, scratch: int
) -> Stored | None:
    try:
        bias = fold_zero_point(weights, layer.bias, layer.input_zero_point)
    except StreamError:
        return None
    found = best_geometry(layer, weights, name, scratch)
    if found is None:
        return None
    geometry, work = found
    if why_not_planar(weights, bias, layer.multiplier, layer.shift, geometry):
        return None
    packed = pack_taps(weights, geometry.positions())
    constants: dict[str, Array] = {
        "stream": packed.stream,
        "multiplier": layer.multiplier,
        "code": tap_code(packed, bias, layer.shift),
    }

    def unpack(c: Mapping[str, Array]) -> Array:
        place = (c["code"] >> 4 & CHAIN).astype(np.uint8)
        held = unpack_taps(replace(packed, stream=c["stream"], place=place), geometry.positions())
        return held.T if geometry.group else held

    return Stored(
        kernel,
        f"snn_{kernel}_s8",
        constants,
        geometry.scratch,
        parameters={
            **walk_parameters(geometry),
            "lanes": geometry.lanes,
            "group": geometry.group,
        },
        own_requantization=True,
        work=work,
        unpack=unpack,
    )


def geometries(layer: Weighted) -> list[PlanarGeometry]:
    """Every walk worth thinking of that the kernels can take, by lanes, band, segment and group."""
    source, target = pixels(layer)
    w = layer.window
    height, width, channels = target
    groups = [0]
    if layer.kind == "DEPTHWISE_CONV_2D":
        groups = sorted({g for g in (4, 8, 16, 32, channels) if g <= channels})
    found = []
    for lanes in sorted({1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, height}):
        if lanes > max(height, -(-TILE // width)):
            continue
        rows = -(-height // lanes)
        for band in sorted({b for b in (1, 2, 3, 4, 6, 8, 16, rows) if b <= rows}):
            for segment in sorted({s for s in (8, 16, 32, 48, 64, 96, width) if s <= width}):
                if segment * lanes < TILE:
                    continue
                found += [
                    PlanarGeometry(
                        source=source,
                        target=target,
                        kernel=(w.kernel_h, w.kernel_w),
                        stride=(w.stride_h, w.stride_w),
                        dilation=(w.dilation_h, w.dilation_w),
                        band=band,
                        segment=segment,
                        lanes=lanes,
                        group=group,
                    )
                    for group in groups
                ]
    return [geometry for geometry in found if not geometry.why_not()]


def best_geometry(
    layer: Weighted, weights: npt.NDArray[np.int8], name: str, scratch: int
) -> tuple[PlanarGeometry, dict[str, float]] | None:
    """The walk with the least work whose scratch fits, and its work; else the smallest one."""
    choices = geometries(layer)
    if not choices:
        return None
    fitting = [g for g in choices if g.scratch <= scratch]
    fitting = fitting or [min(choices, key=lambda g: g.scratch)]
    # Positions, and so gaps and bridges, depend on the segment alone.
    entries = {g.segment: g for g in fitting}
    counts = {segment: count_taps(weights, g.positions()) for segment, g in entries.items()}
    works = [(g, sparse_work(layer, g, counts[g.segment])) for g in fitting]
    return min(works, key=lambda gw: (cycles(name, CORE, gw[1]), gw[0].scratch))


def sparse_work(layer: Weighted, geometry: PlanarGeometry, entries: int) -> dict[str, float]:
    """What the kernel does in one inference."""
    tiles = geometry.tiles
    channels = layer.target.c
    every = tiles / geometry.groups  # a group's tiles are those of a part of the channels
    return {
        "tile entries": every * entries,
        "tile channels": every * channels,
        # Ties of negative values are set right where such values stay.
        "signed channels": every * channels * (not layer.rectified),
        "tiles": float(tiles),
        **unrolling_work(layer, geometry),
        "places": float(-(-geometry.outputs // TILE)),
        "channels": float(channels),
        "layers": 1.0,
    }
