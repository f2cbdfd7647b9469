"""Nonzero filter taps as a stream of (weight, delta): what ``dual`` and ``planar-vector`` store.

Each output channel is its first entry's position (1 byte), and then its entries: weight (int8) and
delta to the next one (uint8), with 0 as its last delta. A gap above 255 is bridged by entries of
weight 0; a channel without weights holds one such entry. A kernel has ``CHAIN`` entries unrolled,
and a channel enters that chain at its place.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bridge.encode.streams import LONGEST_GAP, StreamError, as_matrix, frozen

CHAIN = 15

Positions = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class TapStream:
    """Filters as a stream.

    Attributes:
        stream: uint8, all channels one after the other.
        place: uint8 ``[rows]``, where a channel enters the kernel's unrolled chain.
        rows: output channels.
        columns: taps of the filter.
    """

    stream: npt.NDArray[np.uint8]
    place: npt.NDArray[np.uint8]
    rows: int
    columns: int

    @property
    def entries(self) -> int:
        """Entries of all channels, bridges included."""
        return (int(self.stream.size) - self.rows) // 2


def count_taps(weights: npt.NDArray[np.int8], positions: Positions) -> int:
    """Entries that :func:`pack_taps` would write, bridges included."""
    order = np.argsort(positions)
    rows, places = np.nonzero(weights[:, order])
    words = positions[order][places]
    gaps = np.diff(words, prepend=0)
    first = np.diff(rows, prepend=-1) > 0
    gaps[first] = words[first]
    empty = len(weights) - np.unique(rows).size
    bridges = int((np.maximum(gaps - 1, 0) // LONGEST_GAP).sum())
    return int(words.size) + bridges + empty


def pack_taps(weights: npt.NDArray[np.int8], positions: Positions) -> TapStream:
    """Pack filters ``[out, taps]``.

    Args:
        weights: the filters.
        positions: of each tap, all different.

    Raises:
        StreamError: not an int8 matrix, or not one position a tap.
    """
    matrix = as_matrix(weights)
    if matrix.shape[1] != positions.size:
        raise StreamError(f"{matrix.shape[1]} columns for a filter of {positions.size} taps")
    order = np.argsort(positions)
    ordered, sorted_positions = matrix[:, order], positions[order]
    parts: list[npt.NDArray[np.uint8]] = []
    for row in ordered:
        nonzero = np.flatnonzero(row)
        parts.append(_channel(sorted_positions[nonzero], row[nonzero]))
    stream = np.concatenate(parts) if parts else np.zeros(0, np.uint8)
    return TapStream(
        stream=frozen(stream),
        place=frozen(np.array([_place((part.size - 1) // 2) for part in parts], dtype=np.uint8)),
        rows=matrix.shape[0],
        columns=matrix.shape[1],
    )


def _place(entries: int) -> int:
    """The first entry stands before the chain; without others it enters behind the last."""
    return CHAIN if entries == 1 else -(entries - 1) % CHAIN


def _channel(places: Positions, values: npt.NDArray[np.int8]) -> npt.NDArray[np.uint8]:
    at, entries = 0, []  # (step before the entry, weight)
    for place, value in zip(places.tolist(), values.tolist(), strict=True):
        step = place - at
        while step > LONGEST_GAP:
            entries.append((LONGEST_GAP, 0))
            step -= LONGEST_GAP
        entries.append((step, value))
        at = place
    if not entries:
        entries.append((0, 0))
    part = np.empty(2 * len(entries) + 1, dtype=np.uint8)
    part[0::2] = [step for step, _ in entries] + [0]
    part[1::2] = np.array([value for _, value in entries], dtype=np.int8).view(np.uint8)
    return part


def unpack_taps(packed: TapStream, positions: Positions) -> npt.NDArray[np.int8]:
    """The dense filters ``[out, taps]`` that were packed.

    Raises:
        StreamError: the stream is corrupted: it ends early or late, names a position that is no
            tap, has other bridges than it needs, or contradicts its places in the chain.
    """
    tap_at = {int(position): tap for tap, position in enumerate(positions.tolist())}
    weights = np.zeros((packed.rows, packed.columns), dtype=np.int8)
    stream = packed.stream
    values = stream.view(np.int8)
    if packed.place.shape != (packed.rows,):
        raise StreamError(f"{packed.place.size} places for {packed.rows} channels")
    at = 0
    for row in range(packed.rows):
        position, entries, start = 0, 0, at
        while True:
            if at + 3 > stream.size:
                raise StreamError(f"the stream ends inside channel {row}")
            position, value = position + int(stream[at]), int(values[at + 1])
            entries += 1
            at += 2
            last = stream[at] == 0
            if value:
                if position not in tap_at:
                    raise StreamError(f"channel {row} names position {position}, which is no tap")
                weights[row, tap_at[position]] = value
            elif not last and stream[at - 2] != LONGEST_GAP:
                raise StreamError(f"channel {row} has a bridge shorter than {LONGEST_GAP}")
            elif last and (entries > 1 or stream[start]):
                raise StreamError(f"channel {row} ends in a bridge")
            if last:
                break
        at += 1
        if int(packed.place[row]) != _place(entries):
            raise StreamError(f"channel {row} enters the chain at the wrong place")
    if at != stream.size:
        raise StreamError(f"{stream.size - at} bytes behind the last channel")
    return weights


def tap_code(
    packed: TapStream, bias: npt.NDArray[np.int32], shift: npt.NDArray[np.int32]
) -> npt.NDArray[np.int32]:
    """Bias, place in the chain and right shift of each channel, as ``snn_stream_planar.code``."""
    low = (packed.place.astype(np.int64) << 4) | -shift.astype(np.int64)
    return frozen(((bias.astype(np.int64) << 8) | low).astype(np.int32))
