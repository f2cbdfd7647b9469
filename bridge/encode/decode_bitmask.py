"""DECODE's pruning format: one bit a value, and the values that are not pruned.

The encoded tensor holds one bit for each value, most significant bit first: 1 where a value is
stored, 0 where it is its channel's zero point. The stored values follow the header in order.
Read by ``DecodeStatePrune`` of TFLite Micro, whose own tools don't write it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bridge.encode.decode_header import (
    BITMASK,
    HEADER_BYTES,
    Encoded,
    EncodingError,
    bits_of,
    by_channel,
    check_header,
    header,
)
from bridge.graph.model import Array

DTYPES = frozenset({"int8", "int16", "int32", "int64", "float32", "bool"})
"""Types that the decoder rebuilds."""


def pack_bitmask(values: Array, zero_points: Sequence[int] = (0,), axis: int = 0) -> Encoded:
    """Encode one tensor.

    Args:
        values: any shape, one of :data:`DTYPES`.
        zero_points: what a pruned value of each channel is; one for per-tensor quantization.
        axis: the dimension that channels run along: the first or the last.

    Raises:
        EncodingError: a type that the decoder doesn't know, a zero point that it doesn't apply,
            or channels along a dimension between.
    """
    pruned = _zero_points(values.dtype, zero_points)
    stored = by_channel(values, len(pruned), axis) != pruned[None, :, None]
    kept = by_channel(values, len(pruned), axis)[stored]
    return Encoded(np.packbits(stored.ravel()).tobytes(), header(BITMASK) + kept.tobytes())


def unpack_bitmask(
    encoded: Encoded,
    shape: Sequence[int],
    dtype: str,
    zero_points: Sequence[int] = (0,),
    axis: int = 0,
) -> Array:
    """The exact inverse of :func:`pack_bitmask`.

    Raises:
        EncodingError: the bytes are too few or too many, or of another format.
    """
    check_header(encoded, BITMASK)
    kind = np.dtype(dtype)
    pruned = _zero_points(kind, zero_points)
    count = int(np.prod(shape, dtype=np.int64))
    table = encoded.ancillary[HEADER_BYTES:]
    bits = bits_of(encoded.stream, count).astype(bool)
    if len(table) != int(bits.sum()) * kind.itemsize:
        raise EncodingError(f"{int(bits.sum())} values are marked, {len(table)} bytes are stored")
    result = np.zeros(shape, kind)
    view = by_channel(result, len(pruned), axis)
    view[...] = pruned[None, :, None]
    view[bits.reshape(view.shape)] = np.frombuffer(table, kind)
    return result


def _zero_points(dtype: np.dtype[np.generic], zero_points: Sequence[int]) -> Array:
    if dtype.name not in DTYPES:
        raise EncodingError(f"bitmask coding has no type {dtype}")
    if dtype.name != "int8" and any(zero_points):
        raise EncodingError(f"zero points of {dtype} must be zero, which the decoder checks")
    return np.array(zero_points, np.int64).astype(dtype)
