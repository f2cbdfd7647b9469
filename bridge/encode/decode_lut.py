"""DECODE's look-up tables: a few bits a value that choose from a short list for each channel.

The encoded tensor holds an index for each value in its order, ``width`` bits each, most
significant bit first. The ancillary tensor's byte 5 is the width (1 to 7), byte 6 the number of
table entries of a channel; the tables of all channels follow the header. Read by
``DecodeStateLut`` of TFLite Micro.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bridge.encode.decode_header import (
    HEADER_BYTES,
    LUT,
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
WIDEST = 7


def pack_lut(values: Array, channels: int = 1, axis: int = 0) -> Encoded:
    """Encode one tensor.

    Args:
        values: any shape, at least one value, one of :data:`DTYPES`.
        channels: how many quantization scales the tensor has; the decoder keeps a table for each.
        axis: the dimension that channels run along: the first or the last.

    Raises:
        EncodingError: a channel has more than 128 distinct values, or the tensor is of a type or
            layout that the decoder doesn't take.
    """
    if values.dtype.name not in DTYPES or not values.size:
        raise EncodingError(f"look-up tables can't hold {values.dtype} {values.shape}")
    view = by_channel(values, channels, axis)
    found = [np.unique(view[:, c], return_inverse=True) for c in range(channels)]
    stride = max(len(table) for table, _ in found)
    width = max(1, (stride - 1).bit_length())
    if width > WIDEST:
        raise EncodingError(f"a channel has {stride} distinct values, more than {1 << WIDEST}")
    tables = np.zeros((channels, stride), values.dtype)
    indices = np.zeros(view.shape, np.uint8)
    for c, (table, index) in enumerate(found):
        tables[c, : len(table)] = table
        indices[:, c] = index.reshape(view[:, c].shape)
    bits = np.unpackbits(indices.reshape(-1, 1), axis=1)[:, 8 - width :]
    return Encoded(
        np.packbits(bits.ravel()).tobytes(),
        header(LUT, bytes([width, stride])) + tables.tobytes(),
    )


def unpack_lut(
    encoded: Encoded, shape: Sequence[int], dtype: str, channels: int = 1, axis: int = 0
) -> Array:
    """The exact inverse of :func:`pack_lut`.

    Raises:
        EncodingError: the bytes are too few, point outside a table, or are of another format.
    """
    check_header(encoded, LUT)
    width, stride = encoded.ancillary[5], encoded.ancillary[6]
    if not 1 <= width <= WIDEST or not 1 <= stride <= 1 << width:
        raise EncodingError(f"look-up tables of {stride} entries behind {width} bits")
    kind = np.dtype(dtype)
    table = encoded.ancillary[HEADER_BYTES:]
    if len(table) != channels * stride * kind.itemsize:
        raise EncodingError(f"{channels} tables of {stride} entries in {len(table)} bytes")
    tables = np.frombuffer(table, kind).reshape(channels, stride)
    count = int(np.prod(shape, dtype=np.int64))
    bits = bits_of(encoded.stream, count * width).reshape(count, width)
    result = np.zeros(shape, kind)
    view = by_channel(result, channels, axis)
    indices = (bits @ (1 << np.arange(width)[::-1])).reshape(view.shape)
    if indices.size and indices.max() >= stride:
        raise EncodingError(f"index {indices.max()} in a table of {stride}")
    view[...] = tables[np.arange(channels)[None, :, None], indices]
    return result
