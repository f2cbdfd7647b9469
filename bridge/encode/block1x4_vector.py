"""Format ``1x4-vector``: fully connected weights in blocks of four neighbouring inputs, for MVE.

A row is a header of four bytes (number of batches, 0, 0, 0) and its batches. A batch is four
blocks, 20 bytes: sixteen weights (int8) and four offsets, which count blocks of four columns from a
base that starts at column 0 and moves on by the batch's last offset. Unused blocks are zero. The C
side is ``snn_fully_connected_1x4_vector_s8.c``.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bridge.encode.block1x4 import BATCH, BLOCK, BLOCKS, block_batches, blocks_of
from bridge.encode.rows import RowStream
from bridge.encode.streams import StreamError, as_matrix, frozen

HEADER = 4
MOST_BATCHES = 255


def pack_1x4_vector(weights: npt.NDArray[np.int8]) -> RowStream:
    """Pack a matrix ``[rows, columns]``; a block with any nonzero weight is stored whole.

    Raises:
        StreamError: not an int8 matrix, or a row with more than 255 batches.
    """
    matrix = as_matrix(weights)
    parts: list[bytes] = []
    total = 0
    for index, row in enumerate(blocks_of(matrix)):
        batches = _batches(row)
        if len(batches) > MOST_BATCHES:
            raise StreamError(f"row {index} needs {len(batches)} batches of {MOST_BATCHES}")
        parts += [bytes([len(batches), 0, 0, 0]), *batches]
        total += len(batches)
    stream = np.frombuffer(b"".join(parts), dtype=np.uint8).copy()
    rows, columns = matrix.shape
    return RowStream(frozen(stream), rows, columns, batches=total, halves=0, chunks=total)


def _batches(row: npt.NDArray[np.int8]) -> list[bytes]:
    return [
        b"".join(block.tobytes() for _, block in slots) + bytes(offset for offset, _ in slots)
        for slots in block_batches(row, half=False)
    ]


def unpack_1x4_vector(packed: RowStream) -> npt.NDArray[np.int8]:
    """The dense matrix that was packed.

    Raises:
        StreamError: the stream is corrupted: it ends early or late, leaves a row, names a block
            twice, is not as it would be packed, or has a damaged header.
    """
    stream, at = packed.stream, 0
    width = -(-packed.columns // BLOCK)
    weights = np.zeros((packed.rows, width, BLOCK), dtype=np.int8)
    for index in range(packed.rows):
        header = stream[at : at + HEADER].tolist()
        if len(header) < HEADER or any(header[1:]):
            raise StreamError(f"row {index} has a damaged header")
        at += HEADER
        base, start = 0, at
        for _ in range(header[0]):
            if at + BATCH > stream.size:
                raise StreamError(f"the stream ends inside row {index}")
            blocks = stream[at : at + 16].view(np.int8).reshape(BLOCKS, BLOCK)
            places = base + stream[at + 16 : at + BATCH].astype(np.int64)
            at += BATCH
            if places.max() >= width:
                raise StreamError(f"row {index} reaches block {places.max()} of {width}")
            used = blocks.any(axis=1)
            if np.any(np.diff(places[used]) <= 0) or weights[index, places[used]].any():
                raise StreamError(f"row {index} names a block twice")
            weights[index, places[used]] = blocks[used]
            base = int(places[-1])
        if b"".join(_batches(weights[index])) != stream[start:at].tobytes():
            raise StreamError(f"row {index} is not as it would be packed")
    if at != stream.size:
        raise StreamError(f"{stream.size - at} bytes behind the last row")
    flat = weights.reshape(packed.rows, width * BLOCK)
    if flat[:, packed.columns :].any():
        raise StreamError("weights behind the last column")
    return flat[:, : packed.columns]
