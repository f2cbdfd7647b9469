"""Format ``1x4``: fully connected weights in blocks of four neighbouring inputs.

A row is a header of four bytes (place in the kernel's unrolled code, number of batches, 0, 0) and
its batches. A batch is four blocks, 20 bytes: sixteen weights (int8) and four offsets, which count
blocks of four columns from a base that starts at column 0 and moves on by the batch's last
offset. Unused blocks are zero. The C side is ``snn_fully_connected_1x4_s8.c``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bridge.encode.streams import StreamError, as_matrix, frozen

BLOCK = 4
BLOCKS = 4
HEADER = 4
BATCH = 20
UNROLLED = 3
BATCH_CODE = 130
FARTHEST = 255
MOST_BATCHES = 255


@dataclass(frozen=True, eq=False)
class Block1x4Stream:
    """Weights in format 1x4.

    Attributes:
        stream: uint8, rows one after the other.
        rows: outputs.
        columns: inputs.
        batches: of all rows.
        chunks: passes through the kernel's unrolled code.
    """

    stream: npt.NDArray[np.uint8]
    rows: int
    columns: int
    batches: int
    chunks: int

    @property
    def bytes(self) -> int:
        """Flash of the stream."""
        return int(self.stream.nbytes)


def _place(batches: int) -> int:
    return UNROLLED if batches == 0 else -batches % UNROLLED


def pack_1x4(weights: npt.NDArray[np.int8]) -> Block1x4Stream:
    """Pack a matrix ``[rows, columns]``; a block with any nonzero weight is stored whole.

    Raises:
        StreamError: not an int8 matrix, or a row with more than 255 batches.
    """
    matrix = as_matrix(weights)
    rows, columns = matrix.shape
    width = -(-columns // BLOCK)
    full = np.zeros((rows, width * BLOCK), dtype=np.int8)
    full[:, :columns] = matrix
    parts: list[bytes] = []
    total = chunks = 0
    for index, row in enumerate(full.reshape(rows, width, BLOCK)):
        batches = _batches(row)
        if len(batches) > MOST_BATCHES:
            raise StreamError(f"row {index} needs {len(batches)} batches of {MOST_BATCHES}")
        parts.append(bytes([_place(len(batches)) * BATCH_CODE // 2, len(batches), 0, 0]))
        parts.extend(batches)
        total += len(batches)
        chunks += max(-(-len(batches) // UNROLLED), 1)
    stream = np.frombuffer(b"".join(parts), dtype=np.uint8).copy()
    return Block1x4Stream(frozen(stream), rows, columns, total, chunks)


def _batches(row: npt.NDArray[np.int8]) -> list[bytes]:
    places = np.flatnonzero(row.any(axis=1)).tolist()
    zero = np.zeros(BLOCK, dtype=np.int8)
    result: list[bytes] = []
    at = base = 0
    while at < len(places):
        slots: list[tuple[int, npt.NDArray[np.int8]]] = []
        while len(slots) < BLOCKS and at < len(places) and places[at] - base <= FARTHEST:
            slots.append((places[at] - base, row[places[at]]))
            at += 1
        if len(slots) < BLOCKS and at < len(places):
            slots.append((FARTHEST, zero))
        # The last block's offset moves the base on, so what is unused stands before it.
        slots = [(0, zero)] * (BLOCKS - len(slots)) + slots
        base += slots[-1][0]
        result.append(
            b"".join(block.tobytes() for _, block in slots) + bytes(offset for offset, _ in slots)
        )
    return result


def unpack_1x4(packed: Block1x4Stream) -> npt.NDArray[np.int8]:
    """The dense matrix that was packed.

    Raises:
        StreamError: the stream is corrupted: it ends early or late, leaves a row, names a block
            twice, or contradicts its headers.
    """
    stream, at = packed.stream, 0
    width = -(-packed.columns // BLOCK)
    weights = np.zeros((packed.rows, width, BLOCK), dtype=np.int8)
    for index in range(packed.rows):
        header = stream[at : at + HEADER].tolist()
        damaged = len(header) < HEADER or header[0] * 2 != _place(header[1]) * BATCH_CODE
        if damaged or header[2] or header[3]:
            raise StreamError(f"row {index} has a damaged header")
        at += HEADER
        base = 0
        for _ in range(header[1]):
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
    if at != stream.size:
        raise StreamError(f"{stream.size - at} bytes behind the last row")
    flat = weights.reshape(packed.rows, width * BLOCK)
    if flat[:, packed.columns :].any():
        raise StreamError("weights behind the last column")
    return flat[:, : packed.columns]
