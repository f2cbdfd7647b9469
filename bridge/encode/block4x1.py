"""Format ``4x1``: fully connected weights in blocks of four neighbouring outputs.

Rows stand in groups of four; a group is a header of four bytes (place in the kernel's unrolled
code, number of batches, bytes of the batches as uint16) and its batches. A batch is four blocks,
20 bytes: the words ``(C, A, B, D)`` and four offsets from a base that starts at column 0 and moves
on by the batch's last offset. With ``w[row][block]``, word A is ``w[0][0] w[1][0] w[0][1]
w[1][1]``, B the same of rows 2 and 3, D and C are A and B of the batch's blocks 2 and 3. Each two
bytes are the number ``low + 256 * high``: where the lower weight is negative the upper byte is one
less (:mod:`bridge.encode.pairs`). Unused blocks are zero. The C side is
``snn_fully_connected_4x1_s8.c``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bridge.encode.pairs import pair, unpair
from bridge.encode.streams import StreamError, as_matrix, frozen

ROWS = 4
BLOCKS = 4
HEADER = 4
BATCH = 20
UNROLLED = 5
BATCH_CODE = 86
FARTHEST = 255
MOST_BATCHES = 255


@dataclass(frozen=True, eq=False)
class Block4x1Stream:
    """Weights in format 4x1.

    Attributes:
        stream: uint8, groups one after the other.
        rows: outputs.
        columns: inputs.
        batches: of all groups.
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


def _header(batches: int) -> bytes:
    place = _place(batches) * BATCH_CODE // 2
    return bytes([place, batches]) + (batches * BATCH).to_bytes(2, "little")


def pack_4x1(weights: npt.NDArray[np.int8]) -> Block4x1Stream:
    """Pack a matrix ``[rows, columns]``; a block with any nonzero weight is stored whole.

    Raises:
        StreamError: not an int8 matrix, or a group with more than 255 batches.
    """
    matrix = as_matrix(weights)
    groups = -(-matrix.shape[0] // ROWS)
    full = np.zeros((groups * ROWS, matrix.shape[1]), dtype=np.int8)
    full[: matrix.shape[0]] = matrix
    parts: list[bytes] = []
    total = chunks = 0
    for index, group in enumerate(full.reshape(groups, ROWS, -1)):
        batches = _batches(group)
        if len(batches) > MOST_BATCHES:
            raise StreamError(f"group {index} needs {len(batches)} batches of {MOST_BATCHES}")
        parts.append(_header(len(batches)))
        parts.extend(batches)
        total += len(batches)
        chunks += max(-(-len(batches) // UNROLLED), 1)
    stream = np.frombuffer(b"".join(parts), dtype=np.uint8).copy()
    return Block4x1Stream(frozen(stream), matrix.shape[0], matrix.shape[1], total, chunks)


def _batches(group: npt.NDArray[np.int8]) -> list[bytes]:
    places = np.flatnonzero(group.any(axis=0)).tolist()
    zero = np.zeros(ROWS, dtype=np.int8)
    result: list[bytes] = []
    at = base = 0
    while at < len(places):
        slots: list[tuple[int, npt.NDArray[np.int8]]] = []
        while len(slots) < BLOCKS and at < len(places) and places[at] - base <= FARTHEST:
            slots.append((places[at] - base, group[:, places[at]]))
            at += 1
        if len(slots) < BLOCKS and at < len(places):
            slots.append((FARTHEST, zero))
        # The last block's offset moves the base on, so what is unused stands before it.
        slots = [(0, zero)] * (BLOCKS - len(slots)) + slots
        base += slots[-1][0]
        b = [block for _, block in slots]
        words = (
            (b[2][2:], b[3][2:]), (b[0][:2], b[1][:2]),
            (b[0][2:], b[1][2:]), (b[2][:2], b[3][:2]),
        )  # fmt: skip
        result.append(pair(np.array(words)).tobytes() + bytes(offset for offset, _ in slots))
    return result


def unpack_4x1(packed: Block4x1Stream) -> npt.NDArray[np.int8]:
    """The dense matrix that was packed.

    Raises:
        StreamError: the stream is corrupted: it ends early or late, leaves a row, names a column
            twice, is not as it would be packed, or contradicts its headers.
    """
    stream, at = packed.stream, 0
    groups = -(-packed.rows // ROWS)
    weights = np.zeros((groups * ROWS, packed.columns), dtype=np.int8)
    for index in range(groups):
        group = weights[index * ROWS : (index + 1) * ROWS]
        header = stream[at : at + HEADER]
        if len(header) < HEADER or header.tobytes() != _header(int(header[1])):
            raise StreamError(f"group {index} has a damaged header")
        at += HEADER
        base, start = 0, at
        for _ in range(int(header[1])):
            if at + BATCH > stream.size:
                raise StreamError(f"the stream ends inside group {index}")
            words = unpair(stream[at : at + 16].view(np.int8).reshape(4, 2, 2))
            offsets = stream[at + 16 : at + BATCH].astype(np.int64)
            at += BATCH
            # [block, row]: A and B of blocks 0 and 1, then of blocks 2 and 3.
            first = np.concatenate([words[1], words[2]], axis=1)
            second = np.concatenate([words[3], words[0]], axis=1)
            blocks = np.concatenate([first, second])
            columns = base + offsets
            if columns.max() >= packed.columns:
                raise StreamError(f"group {index} reaches column {columns.max()}")
            used = blocks.any(axis=1)
            if np.any(np.diff(columns[used]) <= 0) or group[:, columns[used]].any():
                raise StreamError(f"group {index} names a column twice")
            group[:, columns[used]] = blocks[used].T
            base = int(columns[-1])
        if b"".join(_batches(group)) != stream[start:at].tobytes():
            raise StreamError(f"group {index} is not as it would be packed")
    if at != stream.size:
        raise StreamError(f"{stream.size - at} bytes behind the last group")
    if weights[packed.rows :].any():
        raise StreamError("weights behind the last row")
    return weights[: packed.rows]
