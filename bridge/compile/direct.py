"""Format ``direct``: one small kernel for every layer, for the least code and weights together.

Entries are those of d8, their positions distances in the image that windows walk over; see
``snn_sparse_direct_s8`` in ``snn_sparse.h``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from bridge.compile.formats import Stored, Weighted
from bridge.compile.steps import Shape
from bridge.encode.streams import StreamError, fold_zero_point, pack_d8, unpack_d8
from bridge.graph.model import Array


def image_of(layer: Weighted) -> Shape:
    """What windows walk over: the input, or a padded copy just large enough for them."""
    w, out = layer.window, layer.target
    high = (out.h - 1) * w.stride_h + (w.kernel_h - 1) * w.dilation_h + 1
    wide = (out.w - 1) * w.stride_w + (w.kernel_w - 1) * w.dilation_w + 1
    inside = w.pad_top == w.pad_left == 0 and high <= layer.source.h and wide <= layer.source.w
    return layer.source if inside else Shape(high, wide, layer.source.c)


def direct(layer: Weighted) -> Stored | None:
    """Nonzero weights as (distance, weight) pairs; None where the kernel can't run the layer."""
    if layer.kind == "DEPTHWISE_CONV_2D" or layer.groups != 1:
        return None
    w, image, depth = layer.window, image_of(layer), layer.source.c
    weights = np.asarray(layer.weights, dtype=np.int8)
    rows = (w.kernel_h - 1) * w.dilation_h + 1
    spread = np.zeros((layer.target.c, rows, image.w, depth), dtype=np.int8)
    columns = np.arange(w.kernel_w) * w.dilation_w
    spread[:, :: w.dilation_h, columns, :] = weights
    try:
        packed = pack_d8(spread.reshape(layer.target.c, -1))
        bias = fold_zero_point(
            weights.reshape(layer.target.c, -1), layer.bias, layer.input_zero_point
        )
    except StreamError:
        return None

    def unpack(c: Mapping[str, Array]) -> Array:
        held = unpack_d8(replace(packed, stream=c["stream"], count=c["count"]))
        taps = held.reshape(spread.shape)[:, :: w.dilation_h, columns, :]
        if np.count_nonzero(held) != np.count_nonzero(taps):
            raise StreamError("a weight between the filter's taps")
        return taps

    # Weights quantized per tensor have one requantization for all channels: it is kept once.
    shared = len(set(zip(layer.multiplier.tolist(), layer.shift.tolist(), strict=True))) == 1
    kept = slice(0, 1) if shared else slice(None)
    return Stored(
        "sparse_direct",
        "snn_sparse_direct_s8",
        {
            "stream": packed.stream,
            "count": packed.count,
            "bias": bias,
            "multiplier": layer.multiplier[kept],
            "shift": layer.shift[kept].astype(np.int8),
        },
        0 if image == layer.source else image.h * image.w * image.c,
        parameters={"image_h": image.h, "image_w": image.w, "apart": 0 if shared else 1},
        own_requantization=True,
        unpack=unpack,
    )
