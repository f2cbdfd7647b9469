"""Streams of fully connected rows, each followed by its requantization (``snn_stream_rows`` in C).

A stream is a header, then for every row its batches and a trailer that ends in the next row's
header:

    header:   0, place in the kernel's unrolled code, number of batches, 1 if a half batch is first
    trailer:  twice the bias and the multiplier (little-endian int32), the right shift less one,
              and the last three bytes of the next header

The header behind the last row is (0, 0, 2).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bridge.encode.streams import StreamError, frozen

HEADER = 4
TRAILER = 12
END = bytes([0, 0, 2])
MOST_BATCHES = 255
MOST_SHIFT = 23
"""To the right. Half a unit and the zero point, ``(2 * zero point + 1) * 2**(shift - 1)`` with a
factor of up to 255, are added to a number below 2^30: one bit further may leave 32 bits."""


@dataclass(frozen=True, eq=False)
class RowTables:
    """What turns the sum of each row into an output.

    Attributes:
        bias2: int32, twice the bias with the zero point folded in.
        multiplier: int32, Q31.
        shift: uint8, to the right, less one.
    """

    bias2: npt.NDArray[np.int32]
    multiplier: npt.NDArray[np.int32]
    shift: npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Row:
    """The batches of one row.

    Attributes:
        batches: whole ones.
        half: a half batch, or empty.
    """

    batches: Sequence[bytes]
    half: bytes = b""


@dataclass(frozen=True, eq=False)
class RowStream:
    """Packed rows.

    Attributes:
        stream: uint8, rows one after the other.
        rows: outputs.
        columns: inputs.
        batches: whole ones of all rows.
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


@dataclass(frozen=True)
class Unrolled:
    """The unrolled code of a kernel.

    Attributes:
        batches: how many stand in it.
        code: bytes of one.
    """

    batches: int
    code: int

    def place(self, count: int) -> int:
        """Where a row of ``count`` batches enters, in halfwords."""
        skipped = self.batches if count == 0 else -count % self.batches
        return skipped * self.code // 2

    def passes(self, count: int) -> int:
        """How often it is run through for a row of ``count`` batches."""
        return max(-(-count // self.batches), 1)


def join_rows(rows: Sequence[Row], tables: RowTables, unrolled: Unrolled) -> npt.NDArray[np.uint8]:
    """The stream.

    Raises:
        StreamError: a row with more than 255 batches, or tables of another length.
    """
    count = len(rows)
    if not len(tables.bias2) == len(tables.multiplier) == len(tables.shift) == count:
        raise StreamError(f"{count} rows with tables for {len(tables.bias2)}")
    if np.any(tables.shift >= MOST_SHIFT):
        raise StreamError(f"a right shift of more than {MOST_SHIFT}")
    parts = [b"\0"]
    for index, row in enumerate(rows):
        if len(row.batches) > MOST_BATCHES:
            raise StreamError(f"row {index} needs {len(row.batches)} batches of {MOST_BATCHES}")
        parts.append(
            bytes([unrolled.place(len(row.batches)), len(row.batches), int(bool(row.half))])
        )
        parts += [row.half, *row.batches]
        parts.append(tables.bias2[index].astype("<i4").tobytes())
        parts.append(tables.multiplier[index].astype("<i4").tobytes())
        parts.append(bytes([int(tables.shift[index])]))
    parts.append(END)
    return frozen(np.frombuffer(b"".join(parts), dtype=np.uint8).copy())


def split_rows(
    stream: npt.NDArray[np.uint8],
    rows: int,
    unrolled: Unrolled,
    size: Callable[[bool], int],
) -> tuple[list[Row], RowTables]:
    """What :func:`join_rows` was given.

    Args:
        stream: the bytes.
        rows: how many to expect.
        unrolled: the kernel's code.
        size: bytes of a batch, and of a half one if asked so.

    Raises:
        StreamError: the stream ends early or late, or a header is damaged.
    """
    data = stream.tobytes()
    found: list[Row] = []
    bias2, multiplier, shift = [], [], []
    if len(data) < HEADER or data[0]:
        raise StreamError("the stream's first header is damaged")
    at = 1
    for index in range(rows):
        place, count, half = data[at : at + 3]
        if place != unrolled.place(count) or half > 1:
            raise StreamError(f"row {index} has a damaged header")
        at += 3
        end = at + half * size(True) + count * size(False)
        if end + TRAILER > len(data):
            raise StreamError(f"the stream ends inside row {index}")
        first = data[at : at + half * size(True)]
        at += len(first)
        found.append(Row([data[i : i + size(False)] for i in range(at, end, size(False))], first))
        bias2.append(int.from_bytes(data[end : end + 4], "little", signed=True))
        multiplier.append(int.from_bytes(data[end + 4 : end + 8], "little", signed=True))
        shift.append(data[end + 8])
        if shift[-1] >= MOST_SHIFT:
            raise StreamError(f"row {index} has a shift of {shift[-1] + 1}")
        at = end + 9
    if data[at:] != END:
        raise StreamError("the stream doesn't end behind its last row")
    return found, RowTables(
        np.array(bias2, dtype=np.int32),
        np.array(multiplier, dtype=np.int32),
        np.array(shift, dtype=np.uint8),
    )
