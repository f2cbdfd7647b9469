"""Byte streams of nonzero weights for the sparse kernels; every ``pack`` has its exact inverse.

Format d8, two bytes an entry: ``delta`` (unsigned) and ``weight`` (signed). For each output
channel the position starts at 0; an entry adds its delta to the position and then multiplies the
input there by its weight. The first delta of a channel is therefore the index of its first
nonzero weight, the following ones are gaps. A gap above 255 is bridged by entries (255, 0), which
multiply by nothing. Beside the stream stands the number of entries of each channel (uint16).

The same bytes are read by ``tflm_project/sparse_nn/src/snn_*_sparse_s8.c``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from bridge.errors import ModelError

Scalar = TypeVar("Scalar", bound=np.generic)

LONGEST_GAP = 255
MOST_ENTRIES = 0xFFFF


class StreamError(ModelError):
    """A weight stream that leaves its bounds or contradicts its own counts."""


@dataclass(frozen=True, eq=False)
class D8Stream:
    """Weights in format d8.

    Attributes:
        stream: uint8 ``[2 * entries]``, delta and weight by turns.
        count: uint16 ``[rows]``, entries of each row, bridges included.
        rows: output channels.
        columns: weights of a row in the dense matrix.
    """

    stream: npt.NDArray[np.uint8]
    count: npt.NDArray[np.uint16]
    rows: int
    columns: int

    @property
    def bytes(self) -> int:
        """Flash that stream and counts take."""
        return int(self.stream.nbytes + self.count.nbytes)

    @property
    def entries(self) -> int:
        """Entries of all rows, bridges included."""
        return int(self.stream.size // 2)


def pack_d8(weights: npt.NDArray[np.int8]) -> D8Stream:
    """Pack a matrix of int8 weights.

    Args:
        weights: ``[rows, columns]``; a convolution's filters flattened to ``[out, h*w*in]``.

    Raises:
        StreamError: not an int8 matrix, or a row with more than 65,535 entries.
    """
    matrix = as_matrix(weights)
    deltas: list[npt.NDArray[np.uint8]] = []
    values: list[npt.NDArray[np.int8]] = []
    counts = []
    for index, row in enumerate(matrix):
        places = np.flatnonzero(row)
        gaps = np.diff(places, prepend=0)
        bridges = np.maximum(gaps - 1, 0) // LONGEST_GAP
        delta, value = _with_bridges(gaps, row[places], bridges)
        if delta.size > MOST_ENTRIES:
            raise StreamError(f"row {index} needs {delta.size} entries; d8 takes {MOST_ENTRIES}")
        deltas.append(delta)
        values.append(value)
        counts.append(delta.size)
    stream = np.empty(2 * sum(counts), dtype=np.uint8)
    if counts:
        stream[0::2] = np.concatenate(deltas)
        stream[1::2] = np.concatenate(values).view(np.uint8)
    return D8Stream(
        stream=frozen(stream),
        count=frozen(np.array(counts, dtype=np.uint16)),
        rows=matrix.shape[0],
        columns=matrix.shape[1],
    )


def _with_bridges(
    gaps: npt.NDArray[np.intp], values: npt.NDArray[np.int8], bridges: npt.NDArray[np.intp]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int8]]:
    """Insert ``bridges[i]`` entries (255, 0) before the i-th weight."""
    ends = np.cumsum(bridges + 1) - 1
    total = int(bridges.sum()) + len(gaps)
    delta = np.full(total, LONGEST_GAP, dtype=np.uint8)
    value = np.zeros(total, dtype=np.int8)
    delta[ends] = (gaps - bridges * LONGEST_GAP).astype(np.uint8)
    value[ends] = values
    return delta, value


def unpack_d8(packed: D8Stream) -> npt.NDArray[np.int8]:
    """The dense matrix ``[rows, columns]`` that was packed.

    Raises:
        StreamError: the stream is corrupted: it ends early or late, or leaves a row.
    """
    if packed.count.shape != (packed.rows,):
        raise StreamError(f"{packed.count.size} counts for {packed.rows} rows")
    if packed.stream.size != 2 * int(packed.count.sum(dtype=np.int64)):
        raise StreamError(
            f"the stream has {packed.stream.size} bytes, its counts say "
            f"{2 * int(packed.count.sum(dtype=np.int64))}"
        )
    weights = np.zeros((packed.rows, packed.columns), dtype=np.int8)
    delta = packed.stream[0::2].astype(np.int64)
    value = packed.stream[1::2].view(np.int8)
    start = 0
    for row, count in enumerate(packed.count.tolist()):
        places = np.cumsum(delta[start : start + count])
        values = value[start : start + count]
        if count and places[-1] >= packed.columns:
            raise StreamError(f"row {row} reaches column {places[-1]} of {packed.columns}")
        if np.any(delta[start + 1 : start + count] == 0):
            raise StreamError(f"row {row} stands still: a delta of 0 after its first entry")
        if np.any((values == 0) & (delta[start : start + count] != LONGEST_GAP)):
            raise StreamError(f"row {row} has a bridge shorter than {LONGEST_GAP}")
        if count and values[-1] == 0:
            raise StreamError(f"row {row} ends in a bridge")
        weights[row, places] = values
        start += count
    return weights


def fold_zero_point(
    weights: npt.NDArray[np.int8], bias: npt.NDArray[np.int32] | None, zero_point: int
) -> npt.NDArray[np.int32]:
    """Bias per row with the input's zero point folded in: ``bias - zero_point * sum(w)``.

    With it, ``sum((x - zero_point) * w) + bias`` becomes ``sum(x * w) + folded``.

    Raises:
        StreamError: a folded bias that leaves 32 bits.
    """
    matrix = as_matrix(weights)
    folded = -zero_point * matrix.sum(axis=1, dtype=np.int64)
    if bias is not None:
        folded = folded + bias.astype(np.int64)
    # INT32_MIN itself occurs: a filter of nothing but zeros has a tiny scale and a huge bias.
    if folded.size and (folded.max() > 2**31 - 1 or folded.min() < -(2**31)):
        raise StreamError("a folded bias leaves 32 bits")
    return frozen(folded.astype(np.int32))


def as_matrix(weights: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
    """The weights as an int8 matrix, or an error that names what they are."""
    if weights.dtype != np.int8 or weights.ndim != 2:
        raise StreamError(f"weights must be an int8 matrix, not {weights.dtype} {weights.shape}")
    return np.ascontiguousarray(weights)


def frozen(array: npt.NDArray[Scalar]) -> npt.NDArray[Scalar]:
    """The array, made read-only."""
    array.setflags(write=False)
    return array
