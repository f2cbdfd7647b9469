"""Depthwise 3×3 convolution, two pixels with one multiply."""

from __future__ import annotations

import numpy as np

from bridge.compile.cost import cycles
from bridge.compile.formats import COMFORTABLE_SCRATCH, Stored, Weighted
from bridge.compile.packing import packing_work
from bridge.compile.proofs import (
    dense_tables,
    exact_channels,
    finish_of,
    provable_bias,
)
from bridge.compile.walks import walk_parameters
from bridge.encode.dual_dense import depthwise_scratch
from bridge.encode.geometry import DEPTHWISE_ROW, DEPTHWISE_TILE, DualGeometry
from bridge.graph.model import Array


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
    bias = provable_bias(matrix, layer, geometry)
    if bias is None:
        return None
    finish = finish_of(matrix, bias, layer)
    constants: dict[str, Array] = {"weights": matrix, **dense_tables(bias, finish, layer)}
    return Stored(
        "depthwise_dual",
        "snn_depthwise_dual_s8",
        constants,
        depthwise_scratch(geometry),
        parameters={**walk_parameters(geometry), "group": geometry.source[2]},
        own_requantization=True,
        work=depthwise_work(layer, geometry, exact_channels(finish, layer)),
        unpack=lambda c: c["weights"].T,
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


def depthwise_work(layer: Weighted, geometry: DualGeometry, exact: int = 0) -> dict[str, float]:
    """What the depthwise kernel does in one inference; ``exact`` channels are requantized so."""
    groups = -(-layer.source.c // geometry.source[2])
    tiles = geometry.packings * geometry.band * -(-geometry.segment // DEPTHWISE_TILE)
    stride = 1 if geometry.stride[1] == 1 else 2
    return {
        **packing_work(layer, geometry, groups),
        f"tile channels {stride}": float(tiles * layer.target.c),
        "exact channels": float(tiles * exact),
        "tiles": float(tiles * groups),
        "cut": float(tiles * layer.target.c) if geometry.segment < DEPTHWISE_TILE else 0.0,
        "channels": float(layer.target.c),
        "layers": 1.0,
    }
