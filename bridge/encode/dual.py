"""Format ``dual``: sparse convolution weights for kernels that compute two pixels at once.

A packed word holds the activations of two output pixels, ``x0 + x1 * 2**23``. The kernels pack a
band of input rows, a segment of columns at a time, as words ``[row][channel][phase][column]``
(phase is the column modulo the stride; rows are sorted by row modulo the dilation), so that a
filter tap is a fixed distance in words from the word of the output position. Weights stand as
:mod:`bridge.encode.taps` says. The C side is ``snn_convolve_dual_sparse_s8.c``.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bridge.encode.bounds import largest_sum
from bridge.encode.finish import Finish
from bridge.encode.geometry import TILE, DualGeometry
from bridge.encode.streams import frozen
from bridge.encode.taps import TapStream

FIELD = 23
LARGEST_PACKED = 2 ** (FIELD - 1) - 1
"""Of ``|sum|``: it must fit its field of a packed word's sum."""
LARGEST_BIAS = 2**24
LARGEST_DENSE_BIAS = 2**28
EXACT = 128
"""Marks a shift whose channel is not proved for the fast requantization."""


def why_not_dual(
    weights: npt.NDArray[np.int8],
    bias: npt.NDArray[np.int32],
    multiplier: npt.NDArray[np.int32],
    shift: npt.NDArray[np.int32],
    geometry: DualGeometry,
) -> str:
    """What forbids the dual-pixel kernels for a layer; empty where nothing does.

    Args:
        weights: ``[out, taps]``.
        bias: folded, ``[out]``.
        multiplier: Q31, ``[out]``.
        shift: TFLite's, ``[out]``; negative is to the right.
        geometry: the walk.
    """
    height, width = geometry.extent
    tile = {"phases": 2, "channels": 1}.get(geometry.order, TILE)
    if not tile <= geometry.segment <= width:
        return f"{width} output columns, a tile takes {tile}"
    if not 1 <= geometry.band <= height:
        return f"a band of {geometry.band} rows of {height}"
    sums = largest_sum(weights)
    if sums.size and sums.max() > LARGEST_PACKED:
        worst = int(sums.argmax())
        return f"channel {worst} may sum to {sums[worst]}, the bound is {LARGEST_PACKED}"
    most = LARGEST_BIAS if geometry.order == "rows" else LARGEST_DENSE_BIAS
    if bias.size and np.abs(bias.astype(np.int64)).max() >= most:
        return f"a bias of {most} or more"
    if np.any(shift > -1) or np.any(shift < -15) or np.any(multiplier < 2**30):
        return "a channel whose scale is not in [2^-16, 0.5)"
    return ""


def pack_table(
    packed: TapStream,
    bias: npt.NDArray[np.int32],
    finish: Finish,
    shift: npt.NDArray[np.int32],
) -> npt.NDArray[np.uint8]:
    """What each channel needs beside its weights, ``[rows, 7 or 8]``: ``snn_stream_dual.table``."""
    line = bias.astype(np.int64) << 39
    line |= (~finish.proved).astype(np.int64) << 38
    line |= (finish.multiplier.astype(np.int64) - 2**30) << 8
    line |= (packed.place.astype(np.int64) << 4) | -shift.astype(np.int64)
    short = not bias.size or -(2**16) <= int(bias.min()) <= int(bias.max()) < 2**16
    table = line.astype("<i8").view(np.uint8).reshape(-1, 8)
    return frozen(np.ascontiguousarray(table[:, : 7 if short else 8]))
