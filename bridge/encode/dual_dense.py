"""Format ``dual-dense``: every weight once, in the order of the dense dual-pixel kernel.

Weights stand as ``[channel pair][block][lane][tap][2]``. A block is one to three taps that are
neighbours in the packed row; its lanes are the input channels of all filter rows. No byte is
added, except that an odd last channel is paired with zeros. The C side is
``snn_convolve_dual_s8.c``.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from bridge.encode.geometry import CHANNEL_RECORD, DEPTHWISE_TILE, DualGeometry
from bridge.encode.streams import StreamError, frozen

MOST_TAPS = 3
BLOCK_RECORD = 12


def blocks(geometry: DualGeometry) -> Iterator[list[int]]:
    """The blocks of a filter: the columns that are its taps."""
    stride, dilation = geometry.stride[1], geometry.dilation[1]
    for phase in range(geometry.phases):
        run: list[int] = []
        for kx in range(geometry.kernel[1]):
            if kx * dilation % stride != phase:
                continue
            follows = run and kx * dilation // stride == run[-1] * dilation // stride + 1
            if run and (not follows or len(run) == MOST_TAPS):
                yield run
                run = []
            run = [*run, kx]
        if run:
            yield run


def order_dense(weights: npt.NDArray[np.int8], geometry: DualGeometry) -> npt.NDArray[np.int8]:
    """Filters ``[out, h, w, in]`` in the kernel's order.

    Raises:
        StreamError: not the geometry's filter.
    """
    channels, *filter_shape = weights.shape
    if tuple(filter_shape) != (*geometry.kernel, geometry.source[2]):
        raise StreamError(f"filters {weights.shape} for a walk of {geometry.kernel}")
    pairs = np.zeros((channels + channels % 2, *filter_shape), dtype=np.int8)
    pairs[:channels] = weights
    pairs = pairs.reshape(-1, 2, *filter_shape)
    parts = [
        # [pair, 2, row, tap, in] → [pair, row, in, tap, 2]
        pairs[:, :, :, taps].transpose(0, 2, 4, 3, 1).reshape(len(pairs), -1)
        for taps in blocks(geometry)
    ]
    return frozen(np.ascontiguousarray(np.concatenate(parts, axis=1)).reshape(-1))


def dense_from_order(
    ordered: npt.NDArray[np.int8], channels: int, geometry: DualGeometry
) -> npt.NDArray[np.int8]:
    """The filters ``[out, h, w, in]`` that were ordered.

    Raises:
        StreamError: as many bytes as no filter of the geometry has.
    """
    pairs = -(-channels // 2)
    shape = (*geometry.kernel, geometry.source[2])
    if ordered.size != 2 * pairs * int(np.prod(shape)):
        raise StreamError(f"{ordered.size} weights for {channels} filters of {shape}")
    result = np.zeros((pairs, 2, *shape), dtype=np.int8)
    table = ordered.reshape(pairs, -1)
    at = 0
    for taps in blocks(geometry):
        size = shape[0] * shape[2] * len(taps) * 2
        part = table[:, at : at + size].reshape(pairs, shape[0], shape[2], len(taps), 2)
        for index, tap in enumerate(taps):
            result[:, :, :, tap] = part[:, :, :, index].transpose(0, 3, 1, 2)
        at += size
    return result.reshape(2 * pairs, *shape)[:channels]


def depthwise_scratch(geometry: DualGeometry) -> int:
    """Bytes of scratch; ``snn_depthwise_dual_s8_get_scratch_size`` in C.

    The geometry's source channels are those of one group.
    """
    group = geometry.source[2]
    records = (group + 1) * CHANNEL_RECORD
    return geometry.words * 4 + records + -(-group // 4) * 4 + 2 * DEPTHWISE_TILE * group


def dense_scratch(geometry: DualGeometry) -> int:
    """Bytes of scratch; ``snn_convolve_dual_s8_get_scratch_size`` in C."""
    reach = (geometry.kernel[1] - 1) * geometry.dilation[1]
    phases = min(geometry.stride[1], reach + 1)
    most = geometry.kernel[1]
    if geometry.dilation[1] == 1:
        most = phases * (geometry.kernel[1] // phases // 3 + 1)
    channels = -(-geometry.source[2] // 4) * 4
    records = (geometry.target[2] + 2) * CHANNEL_RECORD + (most + 1) * BLOCK_RECORD
    return geometry.words * 4 + records + channels
