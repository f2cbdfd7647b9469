"""Format ``octet``: fully connected weights in batches of eight.

A batch of ``n`` (8, or 4 for a half batch) is ``n`` weights (int8) and ``n`` offsets (uint8) from a
base; the base starts at column 0 and moves on by the batch's last offset. Unused slots hold
weight 0. ``bridge.encode.rows`` says how batches make a stream. The C side is
``snn_fully_connected_octet_s8.c``.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bridge.encode.rows import Row, RowStream, RowTables, Unrolled, join_rows, split_rows
from bridge.encode.streams import StreamError, as_matrix

BATCH = 8
HALF = 4
CODE = Unrolled(5, 98)
FARTHEST = 255


def pack_octet(weights: npt.NDArray[np.int8], tables: RowTables) -> RowStream:
    """Pack a matrix ``[rows, columns]`` and the requantization of its rows.

    Raises:
        StreamError: not an int8 matrix, or a row with more than 255 batches.
    """
    matrix = as_matrix(weights)
    rows = [_row(row) for row in matrix]
    return RowStream(
        stream=join_rows(rows, tables, CODE),
        rows=matrix.shape[0],
        columns=matrix.shape[1],
        batches=sum(len(row.batches) for row in rows),
        halves=sum(bool(row.half) for row in rows),
        chunks=sum(CODE.passes(len(row.batches)) for row in rows),
    )


def _row(weights: npt.NDArray[np.int8]) -> Row:
    places = np.flatnonzero(weights).tolist()
    values = weights[places].tolist()
    # A whole batch costs 32 cycles and 16 bytes, a half one 17 and 8.
    choices = (_batches(places, values, False), _batches(places, values, True))
    chosen = min(choices, key=lambda batches: sum(len(batch) for batch in batches))
    if chosen and len(chosen[0]) == 2 * HALF:
        return Row(chosen[1:], chosen[0])
    return Row(chosen)


def _batches(places: list[int], values: list[int], half: bool) -> list[bytes]:
    result: list[bytes] = []
    at = base = 0
    while at < len(places):
        size = HALF if half and not result else BATCH
        taken = 0
        while taken < size and at + taken < len(places) and places[at + taken] - base <= FARTHEST:
            taken += 1
        more = at + taken < len(places)
        slots = [(places[at + i] - base, values[at + i]) for i in range(taken)]
        at += taken
        if taken < size and more:
            slots.append((FARTHEST, 0))
        # The last slot moves the base on, so what is unused stands before it.
        slots = [(0, 0)] * (size - len(slots)) + slots
        base += slots[-1][0]
        result.append(
            np.array([value for _, value in slots], np.int8).tobytes()
            + bytes(offset for offset, _ in slots)
        )
    return result


def unpack_octet(packed: RowStream) -> tuple[npt.NDArray[np.int8], RowTables]:
    """The dense matrix and the tables that were packed.

    Raises:
        StreamError: the stream is corrupted: it ends early or late, leaves a row, names a column
            twice, is not as it would be packed, or contradicts its headers.
    """
    rows, tables = split_rows(
        packed.stream, packed.rows, CODE, lambda half: 2 * (HALF if half else BATCH)
    )
    weights = np.zeros((packed.rows, packed.columns), dtype=np.int8)
    for index, row in enumerate(rows):
        base = 0
        for batch in ([row.half] if row.half else []) + list(row.batches):
            size = len(batch) // 2
            values = np.frombuffer(batch[:size], dtype=np.int8)
            offsets = np.frombuffer(batch[size:], dtype=np.uint8).astype(np.int64)
            used = values != 0
            columns = base + offsets
            if columns.max() >= packed.columns:
                raise StreamError(f"row {index} reaches column {columns.max()} of {packed.columns}")
            if np.any(weights[index, columns[used]]) or np.any(np.diff(columns[used]) <= 0):
                raise StreamError(f"row {index} names a column twice")
            weights[index, columns[used]] = values[used]
            base = int(columns[-1])
        if _row(weights[index]) != row:
            raise StreamError(f"row {index} is not as it would be packed")
    return weights, tables
