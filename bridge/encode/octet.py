"""Format ``octet``: fully connected weights in batches of eight.

A row is a header of four bytes and its batches. A batch of ``n`` (8, or 4 for a half batch, which
comes first) is ``n`` weights (int8) and ``n`` offsets (uint8) from a base; the base starts at
column 0 and moves on by the batch's last offset. Unused slots hold weight 0. The header is: place
in the kernel's unrolled code, number of whole batches, number of half batches (0 or 1), 0. The C
side is ``snn_fully_connected_octet_s8.c``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bridge.encode.streams import StreamError, as_matrix, frozen

BATCH = 8
HALF = 4
HEADER = 4
UNROLLED = 5
BATCH_CODE = 98
FARTHEST = 255
MOST_BATCHES = 255


@dataclass(frozen=True, eq=False)
class OctetStream:
    """Weights in format octet.

    Attributes:
        stream: uint8, rows one after the other.
        rows: outputs.
        columns: inputs.
        batches: whole batches of all rows.
        halves: half batches of all rows.
        chunks: passes through the kernel's unrolled code.
    """

    stream: npt.NDArray[np.uint8]
    rows: int
    columns: int
    batches: int
    halves: int
    chunks: int

    @property
    def bytes(self) -> int:
        """Flash of the stream."""
        return int(self.stream.nbytes)


def pack_octet(weights: npt.NDArray[np.int8]) -> OctetStream:
    """Pack a matrix ``[rows, columns]``.

    Raises:
        StreamError: not an int8 matrix, or a row with more than 255 batches.
    """
    matrix = as_matrix(weights)
    parts: list[bytes] = []
    batches = halves = chunks = 0
    for index, row in enumerate(matrix):
        places = np.flatnonzero(row).tolist()
        values = row[places].tolist()
        whole, half = _batches(places, values, False), _batches(places, values, True)
        # A whole batch costs 32 cycles and 16 bytes, a half one 17 and 8.
        chosen = min((whole, half), key=lambda b: sum(len(x) for x in b))
        halved = int(bool(chosen) and len(chosen[0]) == 2 * HALF)
        count = len(chosen) - halved
        if count > MOST_BATCHES:
            raise StreamError(f"row {index} needs {count} batches; octet takes {MOST_BATCHES}")
        place = UNROLLED if count == 0 else -count % UNROLLED
        parts.append(bytes([place * BATCH_CODE // 2, count, halved, 0]))
        parts.extend(chosen)
        batches, halves = batches + count, halves + halved
        chunks += max(-(-count // UNROLLED), 1)
    stream = np.frombuffer(b"".join(parts), dtype=np.uint8).copy()
    rows, columns = matrix.shape
    return OctetStream(frozen(stream), rows, columns, batches, halves, chunks)


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


def unpack_octet(packed: OctetStream) -> npt.NDArray[np.int8]:
    """The dense matrix that was packed.

    Raises:
        StreamError: the stream is corrupted: it ends early or late, leaves a row, names a column
            twice, or contradicts its headers.
    """
    stream, at = packed.stream, 0
    weights = np.zeros((packed.rows, packed.columns), dtype=np.int8)
    for row in range(packed.rows):
        if at + HEADER > stream.size:
            raise StreamError(f"the stream ends before row {row}")
        place, count, halved, zero = stream[at : at + HEADER].tolist()
        wanted = UNROLLED if count == 0 else -count % UNROLLED
        if place * 2 != wanted * BATCH_CODE or halved > 1 or zero:
            raise StreamError(f"row {row} has a damaged header")
        at += HEADER
        base = 0
        for index in range(count + halved):
            size = HALF if halved and index == 0 else BATCH
            if at + 2 * size > stream.size:
                raise StreamError(f"the stream ends inside row {row}")
            values = stream[at : at + size].view(np.int8)
            offsets = stream[at + size : at + 2 * size].astype(np.int64)
            at += 2 * size
            used = values != 0
            columns = base + offsets
            if columns.max() >= packed.columns:
                raise StreamError(f"row {row} reaches column {columns.max()} of {packed.columns}")
            if np.any(weights[row, columns[used]]) or np.any(np.diff(columns[used]) <= 0):
                raise StreamError(f"row {row} names a column twice")
            idle = offsets[~used]
            if np.any((idle != 0) & (idle != FARTHEST)):
                raise StreamError(f"row {row} has an unused slot with an offset")
            weights[row, columns[used]] = values[used]
            base = int(columns[-1])
    if at != stream.size:
        raise StreamError(f"{stream.size - at} bytes behind the last row")
    return weights
