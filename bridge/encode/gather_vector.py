"""Format ``gather-vector``: unstructured fully connected weights for MVE.

A row is its number of entries (uint16), the entries' weights (int8), and their offsets (uint8) from
a base that starts at column 0 and that every sixteenth entry's offset moves on. Where the next
column is out of reach, entries of weight 0 and offset 255 fill the sixteen. The C side is
``snn_fully_connected_gather_vector_s8.c``.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bridge.encode.rows import RowStream
from bridge.encode.streams import StreamError, as_matrix, frozen

LANES = 16
HEADER = 2
FARTHEST = 255
MOST_ENTRIES = 2**16 - 1


def pack_gather_vector(weights: npt.NDArray[np.int8]) -> RowStream:
    """Pack a matrix ``[rows, columns]``.

    Raises:
        StreamError: not an int8 matrix, or a row with more than 65535 entries.
    """
    matrix = as_matrix(weights)
    parts: list[bytes] = []
    total = 0
    for index, row in enumerate(matrix):
        places = np.flatnonzero(row)
        values, offsets = _entries(places.tolist(), row[places].tolist())
        if len(offsets) > MOST_ENTRIES:
            raise StreamError(f"row {index} needs {len(offsets)} entries of {MOST_ENTRIES}")
        parts += [
            len(offsets).to_bytes(HEADER, "little"),
            np.array(values, dtype=np.int8).tobytes(),
            bytes(offsets),
        ]
        total += -(-len(offsets) // LANES)
    stream = np.frombuffer(b"".join(parts), dtype=np.uint8).copy()
    rows, columns = matrix.shape
    return RowStream(frozen(stream), rows, columns, batches=total, halves=0, chunks=total)


def _entries(places: list[int], values: list[int]) -> tuple[list[int], list[int]]:
    """Weights and offsets of a row, sixteens filled up where the next column is out of reach."""
    found: list[int] = []
    offsets: list[int] = []
    base = 0
    for place, value in zip(places, values, strict=True):
        while True:
            if offsets and len(offsets) % LANES == 0 and len(found) == len(offsets):
                base = _base(offsets)
            if place - base <= FARTHEST:
                break
            missing = LANES - len(offsets) % LANES
            found += [0] * missing
            offsets += [FARTHEST] * missing
        found.append(value)
        offsets.append(place - base)
    return found, offsets


def _base(offsets: list[int]) -> int:
    """Where the batch behind these whole ones starts."""
    return sum(offsets[LANES - 1 :: LANES])


def unpack_gather_vector(packed: RowStream) -> npt.NDArray[np.int8]:
    """The dense matrix that was packed.

    Raises:
        StreamError: the stream is corrupted: it ends early or late, leaves a row, or has entries
            that pack would not have written.
    """
    stream, at = packed.stream, 0
    weights = np.zeros((packed.rows, packed.columns), dtype=np.int8)
    for index in range(packed.rows):
        if at + HEADER > stream.size:
            raise StreamError(f"the stream ends before row {index}")
        entries = int.from_bytes(stream[at : at + HEADER].tobytes(), "little")
        at += HEADER
        if at + 2 * entries > stream.size:
            raise StreamError(f"the stream ends inside row {index}")
        values = stream[at : at + entries].view(np.int8)
        offsets = stream[at + entries : at + 2 * entries].astype(np.int64)
        at += 2 * entries
        moves = np.zeros(-(-entries // LANES), dtype=np.int64)
        moves[1:] = np.cumsum(offsets[LANES - 1 :: LANES])[: moves.size - 1]
        columns = np.repeat(moves, LANES)[:entries] + offsets
        used = values != 0
        if columns[used].max(initial=0) >= packed.columns:
            raise StreamError(f"row {index} reaches column {columns[used].max()}")
        if np.any(np.diff(columns[used]) <= 0):
            raise StreamError(f"row {index} names columns out of order")
        weights[index, columns[used]] = values[used]
        places = columns[used].tolist()
        if _entries(places, values[used].tolist()) != (values.tolist(), offsets.tolist()):
            raise StreamError(f"row {index} is not as it would be packed")
    if at != stream.size:
        raise StreamError(f"{stream.size - at} bytes behind the last row")
    return weights
