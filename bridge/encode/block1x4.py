"""Format ``1x4``: fully connected weights in blocks of four neighbouring inputs.

A batch is four blocks, 20 bytes: sixteen bytes of weights and four offsets, which count blocks of
four columns from a base that starts at column 0 and moves on by the batch's last offset; a half
batch is two blocks, two offsets and two bytes 0. Unused blocks are zero. ``bridge.encode.rows``
says how batches make a stream.

The weights ``w0 w1`` of two neighbouring inputs are stored as the number ``256 * w0 - w1``
(:mod:`bridge.encode.pairs`), and the kernel adds 128 to inputs at even places, which the tables'
bias has to know: ``snn_fully_connected_1x4_s8.c`` says why.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bridge.encode.pairs import pair, unpair
from bridge.encode.rows import Row, RowStream, RowTables, Unrolled, join_rows, split_rows
from bridge.encode.streams import StreamError, as_matrix

BLOCK = 4
BLOCKS = 4
HALF = 2
BATCH = 20
HALF_BATCH = 12
CODE = Unrolled(3, 106)
FARTHEST = 255

Slots = list[tuple[int, npt.NDArray[np.int8]]]


def largest_1x4_sum(weights: npt.NDArray[np.int8]) -> npt.NDArray[np.int64]:
    """The largest ``|sum|`` of each row for any int8 input, 128 added to inputs at even places."""
    up = np.maximum(weights.astype(np.int64), 0)
    down = np.maximum(-weights.astype(np.int64), 0)
    most = 255 * up[:, 0::2].sum(1) + 127 * up[:, 1::2].sum(1) + 128 * down[:, 1::2].sum(1)
    least = 255 * down[:, 0::2].sum(1) + 127 * down[:, 1::2].sum(1) + 128 * up[:, 1::2].sum(1)
    return np.asarray(np.maximum(most, least))


def even_bias(weights: npt.NDArray[np.int8]) -> npt.NDArray[np.int64]:
    """What the 128 at even inputs adds to each row's sum."""
    return np.asarray(128 * weights[:, 0::2].astype(np.int64).sum(axis=1))


def pack_1x4(weights: npt.NDArray[np.int8], tables: RowTables) -> RowStream:
    """Pack a matrix ``[rows, columns]``; a block with any nonzero weight is stored whole.

    Raises:
        StreamError: not an int8 matrix, a weight of -128, or a row with more than 255 batches.
    """
    matrix = as_matrix(weights)
    if matrix.size and matrix.min() == -128:
        raise StreamError("a weight of -128")
    rows = [_row(row) for row in blocks_of(matrix)]
    return RowStream(
        stream=join_rows(rows, tables, CODE),
        rows=matrix.shape[0],
        columns=matrix.shape[1],
        batches=sum(len(row.batches) for row in rows),
        halves=sum(bool(row.half) for row in rows),
        chunks=sum(CODE.passes(len(row.batches)) for row in rows),
    )


def blocks_of(matrix: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
    """``[rows, blocks, 4]``, zeros behind the last column."""
    rows, columns = matrix.shape
    width = -(-columns // BLOCK)
    full = np.zeros((rows, width * BLOCK), dtype=np.int8)
    full[:, :columns] = matrix
    return full.reshape(rows, width, BLOCK)


def _row(row: npt.NDArray[np.int8]) -> Row:
    choices = (block_batches(row, half=False), block_batches(row, half=True))
    chosen = min(choices, key=lambda batches: sum(len(slots) for slots in batches))
    batches = [_bytes(slots) for slots in chosen]
    if chosen and len(chosen[0]) == HALF:
        return Row(batches[1:], batches[0])
    return Row(batches)


def _bytes(slots: Slots) -> bytes:
    blocks = np.stack([block for _, block in slots])
    halves = pair(np.stack([-blocks[:, 1::2], blocks[:, 0::2]], axis=-1))
    offsets = bytes(offset for offset, _ in slots)
    return halves.tobytes() + offsets + bytes(2 if len(slots) == HALF else 0)


def block_batches(row: npt.NDArray[np.int8], *, half: bool) -> list[Slots]:
    """The blocks of a row ``[blocks, 4]`` in batches of (offset, block).

    Args:
        row: its blocks.
        half: whether the first batch has two slots instead of four.
    """
    places = np.flatnonzero(row.any(axis=1)).tolist()
    zero = np.zeros(BLOCK, dtype=np.int8)
    result: list[Slots] = []
    at = base = 0
    while at < len(places):
        size = HALF if half and not result else BLOCKS
        slots: Slots = []
        while len(slots) < size and at < len(places) and places[at] - base <= FARTHEST:
            slots.append((places[at] - base, row[places[at]]))
            at += 1
        if len(slots) < size and at < len(places):
            slots.append((FARTHEST, zero))
        # The last block's offset moves the base on, so what is unused stands before it.
        slots = [(0, zero)] * (size - len(slots)) + slots
        base += slots[-1][0]
        result.append(slots)
    return result


def unpack_1x4(packed: RowStream) -> tuple[npt.NDArray[np.int8], RowTables]:
    """The dense matrix and the tables that were packed.

    Raises:
        StreamError: the stream is corrupted: it ends early or late, leaves a row, names a block
            twice, is not as it would be packed, or contradicts its headers.
    """
    rows, tables = split_rows(
        packed.stream, packed.rows, CODE, lambda half: HALF_BATCH if half else BATCH
    )
    width = -(-packed.columns // BLOCK)
    weights = np.zeros((packed.rows, width, BLOCK), dtype=np.int8)
    for index, row in enumerate(rows):
        base = 0
        for batch in ([row.half] if row.half else []) + list(row.batches):
            count = BLOCKS if len(batch) == BATCH else HALF
            pairs = np.frombuffer(batch[: BLOCK * count], dtype=np.int8).reshape(count, 2, 2)
            if pairs[..., 0].min() == -128 or any(batch[BLOCK * count + count :]):
                raise StreamError(f"row {index} has a damaged batch")
            found = unpair(pairs)
            blocks = np.stack([found[..., 1], -found[..., 0]], axis=-1).reshape(count, BLOCK)
            offsets = np.frombuffer(batch[BLOCK * count :][:count], dtype=np.uint8)
            places = base + offsets.astype(np.int64)
            if places.max() >= width:
                raise StreamError(f"row {index} reaches block {places.max()} of {width}")
            used = blocks.any(axis=1)
            if np.any(np.diff(places[used]) <= 0) or weights[index, places[used]].any():
                raise StreamError(f"row {index} names a block twice")
            weights[index, places[used]] = blocks[used]
            base = int(places[-1])
        if _row(weights[index]) != row:
            raise StreamError(f"row {index} is not as it would be packed")
    flat = weights.reshape(packed.rows, width * BLOCK)
    if flat[:, packed.columns :].any():
        raise StreamError("weights behind the last column")
    return flat[:, : packed.columns], tables
