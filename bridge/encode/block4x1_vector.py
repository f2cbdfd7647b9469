"""Format ``4x1-vector``: fully connected weights in blocks of four neighbouring outputs, for MVE.

Rows stand in groups of four; a group is its number of batches (uint16) and the batches. A batch is
eight blocks, 48 bytes: eight columns (uint16), then eight weights (int8) of each of the four rows.
Unused blocks, at a group's end, are column 0 and zeros. The C side is
``snn_fully_connected_4x1_vector_s8.c``.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bridge.encode.rows import RowStream
from bridge.encode.streams import StreamError, as_matrix, frozen

ROWS = 4
BLOCKS = 8
HEADER = 2
BATCH = 2 * BLOCKS + ROWS * BLOCKS
MOST_COLUMNS = 2**16


def pack_4x1_vector(weights: npt.NDArray[np.int8]) -> RowStream:
    """Pack a matrix ``[rows, columns]``; a block with any nonzero weight is stored whole.

    Raises:
        StreamError: not an int8 matrix, or more than 65536 columns.
    """
    matrix = as_matrix(weights)
    rows, columns = matrix.shape
    if columns > MOST_COLUMNS:
        raise StreamError(f"{columns} columns; the format holds {MOST_COLUMNS}")
    parts: list[bytes] = []
    total = 0
    for group in _groups(matrix):
        places = np.flatnonzero(group.any(axis=0))
        batches = -(-places.size // BLOCKS)
        slots = np.zeros(batches * BLOCKS, dtype="<u2")
        slots[: places.size] = places
        values = np.zeros((ROWS, slots.size), dtype=np.int8)
        values[:, : places.size] = group[:, places]
        parts.append(batches.to_bytes(HEADER, "little"))
        for start in range(0, slots.size, BLOCKS):
            batch = slice(start, start + BLOCKS)
            parts += [slots[batch].tobytes(), values[:, batch].tobytes()]
        total += batches
    stream = np.frombuffer(b"".join(parts), dtype=np.uint8).copy()
    return RowStream(frozen(stream), rows, columns, batches=total, halves=0, chunks=total)


def unpack_4x1_vector(packed: RowStream) -> npt.NDArray[np.int8]:
    """The dense matrix that was packed.

    Raises:
        StreamError: the stream is corrupted: it ends early or late, leaves a row, names columns
            out of order, or has zeros where a block should be.
    """
    stream, at = packed.stream, 0
    groups = -(-packed.rows // ROWS)
    weights = np.zeros((groups * ROWS, packed.columns), dtype=np.int8)
    for index, group in enumerate(weights.reshape(groups, ROWS, packed.columns)):
        if at + HEADER > stream.size:
            raise StreamError(f"the stream ends before group {index}")
        batches = int.from_bytes(stream[at : at + HEADER].tobytes(), "little")
        at += HEADER
        body = stream[at : at + batches * BATCH]
        if body.size < batches * BATCH:
            raise StreamError(f"the stream ends inside group {index}")
        at += body.size
        split = body.reshape(batches, BATCH)
        columns = np.ascontiguousarray(split[:, : 2 * BLOCKS]).view("<u2").ravel().astype(np.int64)
        values = np.ascontiguousarray(split[:, 2 * BLOCKS :]).view(np.int8)
        blocks = values.reshape(batches, ROWS, BLOCKS).transpose(1, 0, 2).reshape(ROWS, -1)
        used = int(np.count_nonzero(blocks.any(axis=0)))
        if used <= columns.size - BLOCKS or blocks[:, used:].any() or columns[used:].any():
            raise StreamError(f"group {index} has an unused block before its end")
        if np.any(np.diff(columns[:used]) <= 0):
            raise StreamError(f"group {index} names columns out of order")
        if columns.max(initial=0) >= packed.columns:
            raise StreamError(f"group {index} reaches column {columns.max()}")
        group[:, columns[:used]] = blocks[:, :used]
    if at != stream.size:
        raise StreamError(f"{stream.size - at} bytes behind the last group")
    if weights[packed.rows :].any():
        raise StreamError("weights behind the last row")
    return weights[: packed.rows]


def _groups(matrix: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
    """``[groups, ROWS, columns]``, rows of zeros filling up the last group."""
    groups = -(-matrix.shape[0] // ROWS)
    full = np.zeros((groups * ROWS, matrix.shape[1]), dtype=np.int8)
    full[: matrix.shape[0]] = matrix
    return full.reshape(groups, ROWS, -1)
