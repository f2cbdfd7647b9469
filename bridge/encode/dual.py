"""Format ``dual``: sparse convolution weights for kernels that compute two pixels at once.

A packed word holds the activations of two output pixels, ``x0 + x1 * 2**23``. The kernels pack a
band of input rows, a segment of columns at a time, as words ``[row][channel][phase][column]``
(phase is the column modulo the stride), so that a filter tap is a fixed distance in words from
the word of the output position. Each output channel is stored as

    first position (1 byte), then per nonzero weight: weight (int8), delta to the next (uint8)

with 0 as its last delta. A gap above 255 is bridged by entries of weight 0; a channel without
weights holds one such entry. The C side is ``snn_convolve_dual_sparse_s8.c``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bridge.encode.streams import LONGEST_GAP, StreamError, as_matrix, frozen

TILE = 4
CHAIN = 15
FIELD = 23
LARGEST_SUM = 2 ** (FIELD - 1) - 1
LARGEST_BIAS = 2**28
CHANNEL_RECORD = 24
DENSE_ROW = 12
DEPTHWISE_ROW = 16
DEPTHWISE_TILE = 3


@dataclass(frozen=True)
class DualGeometry:
    """How a layer is walked and packed; the twin of ``snn_dual_layout`` in C.

    Attributes:
        source: input height, width, channels.
        target: output height, width, channels.
        kernel, stride, dilation: height and width of each.
        band: output rows (of one pixel of each pair) that share one packing.
        segment: output columns that share one packing.
        order: how packed words are ordered: ``rows`` (row, channel, phase, column) for sparse,
            ``phases`` (phase, row, channel, column) for dense, ``channels`` (channel, row, phase,
            column) for depthwise kernels.
    """

    source: tuple[int, int, int]
    target: tuple[int, int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    band: int
    segment: int
    order: str = "rows"

    @property
    def extent(self) -> tuple[int, int]:
        """Output rows and columns that are walked; each position is two pixels."""
        height, width, _ = self.target
        return height - height // 2, width if height > 1 else width - width // 2

    @property
    def phases(self) -> int:
        """Column phases that are packed apart."""
        return min(self.stride[1], (self.kernel[1] - 1) * self.dilation[1] + 1)

    @property
    def columns(self) -> int:
        """Words of one row, channel and phase that are filled."""
        return self.segment + (self.kernel[1] - 1) * self.dilation[1] // self.stride[1]

    @property
    def row_width(self) -> int:
        """Words from one row, channel and phase to the next."""
        return {"phases": DENSE_ROW, "channels": DEPTHWISE_ROW}.get(self.order, self.columns)

    @property
    def rows(self) -> int:
        """Rows that a band needs."""
        return (self.band - 1) * self.stride[0] + (self.kernel[0] - 1) * self.dilation[0] + 1

    @property
    def words(self) -> int:
        """Words of one packing."""
        return self.rows * self.source[2] * self.phases * self.row_width

    @property
    def steps(self) -> tuple[int, int, int]:
        """Words from one row, one channel and one phase to the next."""
        channels, width = self.source[2], self.row_width
        if self.order == "rows":
            return channels * self.phases * width, self.phases * width, width
        if self.order == "phases":
            return channels * width, width, self.rows * channels * width
        return self.phases * width, self.rows * self.phases * width, width

    @property
    def packings(self) -> int:
        """Packings of one inference."""
        height, width = self.extent
        return -(-height // self.band) * -(-width // self.segment)

    @property
    def tiles(self) -> tuple[int, int]:
        """Tiles of one inference of the sparse kernel: whole ones and halves."""
        rows = self.packings * self.band
        rest = self.segment % TILE
        halves = 1 if rest in (1, 2) else 0
        return rows * (-(-self.segment // TILE) - halves), rows * halves

    @property
    def pair_tiles(self) -> int:
        """Tiles of one inference of the dense kernel, two words each."""
        return self.packings * self.band * -(-self.segment // 2)

    @property
    def scratch(self) -> int:
        """Bytes of scratch of the sparse kernel; its ``_get_scratch_size`` in C."""
        channels = -(-self.source[2] // 4) * 4
        return self.words * 4 + (self.target[2] + 1) * CHANNEL_RECORD + channels

    def positions(self) -> npt.NDArray[np.int64]:
        """Word of each filter tap ``[height * width * in]``, relative to the output position."""
        ky, kx, c = np.meshgrid(
            np.arange(self.kernel[0]),
            np.arange(self.kernel[1]),
            np.arange(self.source[2]),
            indexing="ij",
        )
        row_step, channel_step, phase_step = self.steps
        column = kx * self.dilation[1]
        lane = c * channel_step + column % self.stride[1] * phase_step
        words = ky * self.dilation[0] * row_step + lane + column // self.stride[1]
        return np.asarray(words.ravel(), dtype=np.int64)


def count_entries(weights: npt.NDArray[np.int8], geometry: DualGeometry) -> int:
    """Entries that :func:`pack_dual` would write, bridges included."""
    positions = geometry.positions()
    order = np.argsort(positions)
    rows, places = np.nonzero(weights[:, order])
    words = positions[order][places]
    gaps = np.diff(words, prepend=0)
    first = np.diff(rows, prepend=-1) > 0
    gaps[first] = words[first]
    empty = len(weights) - np.unique(rows).size
    bridges = int((np.maximum(gaps - 1, 0) // LONGEST_GAP).sum())
    return int(words.size) + bridges + empty


@dataclass(frozen=True, eq=False)
class DualStream:
    """Weights in format dual.

    Attributes:
        stream: uint8, all channels one after the other.
        place: uint8 ``[rows]``, where a channel enters the kernel's unrolled chain.
        rows: output channels.
        columns: taps of the filter.
        geometry: the walk that positions belong to.
    """

    stream: npt.NDArray[np.uint8]
    place: npt.NDArray[np.uint8]
    rows: int
    columns: int
    geometry: DualGeometry

    @property
    def bytes(self) -> int:
        """Flash of the stream alone."""
        return int(self.stream.nbytes)

    @property
    def entries(self) -> int:
        """Entries of all channels, bridges included."""
        return (int(self.stream.size) - self.rows) // 2


def largest_sum(
    weights: npt.NDArray[np.int8], bias: npt.NDArray[np.int32] | None = None
) -> npt.NDArray[np.int64]:
    """The largest ``|bias + sum of x * w|`` of each row over all int8 inputs."""
    w = weights.astype(np.int64)
    positive = np.where(w > 0, w, 0).sum(axis=1)
    negative = -np.where(w < 0, w, 0).sum(axis=1)
    start = np.zeros(len(w), dtype=np.int64) if bias is None else bias.astype(np.int64)
    highest = start + 127 * positive + 128 * negative
    lowest = start - 128 * positive - 127 * negative
    worst: npt.NDArray[np.int64] = np.maximum(np.abs(highest), np.abs(lowest))
    return worst


def why_not_dual(
    weights: npt.NDArray[np.int8],
    bias: npt.NDArray[np.int32],
    multiplier: npt.NDArray[np.int32],
    shift: npt.NDArray[np.int32],
    geometry: DualGeometry,
) -> str:
    """What forbids the dual-pixel kernels for a layer; empty where nothing does.

    Args:
        weights: ``[out, taps]``.
        bias: folded, ``[out]``.
        multiplier: Q31, ``[out]``.
        shift: TFLite's, ``[out]``; negative is to the right.
        geometry: the walk.
    """
    height, width = geometry.extent
    tile = {"phases": 2, "channels": 1}.get(geometry.order, TILE)
    if not tile <= geometry.segment <= width:
        return f"{width} output columns, a tile takes {tile}"
    if not 1 <= geometry.band <= height:
        return f"a band of {geometry.band} rows of {height}"
    sums = largest_sum(weights)
    if geometry.order == "rows":
        sums = np.maximum(sums, largest_sum(weights, bias))
    if sums.size and sums.max() > LARGEST_SUM:
        worst = int(sums.argmax())
        return f"channel {worst} may sum to {sums[worst]}, the bound is {LARGEST_SUM}"
    if bias.size and np.abs(bias.astype(np.int64)).max() >= LARGEST_BIAS:
        return "a bias of 2^28 or more"
    if np.any(shift > -1) or np.any(shift < -15) or np.any(multiplier < 2**30):
        return "a channel whose scale is not in [2^-16, 0.5)"
    return ""


def pack_dual(weights: npt.NDArray[np.int8], geometry: DualGeometry) -> DualStream:
    """Pack filters ``[out, h * w * in]`` for a walk.

    Raises:
        StreamError: not an int8 matrix, or not of the geometry's filter.
    """
    matrix = as_matrix(weights)
    positions = geometry.positions()
    if matrix.shape[1] != positions.size:
        raise StreamError(f"{matrix.shape[1]} columns for a filter of {positions.size} taps")
    order = np.argsort(positions)
    ordered, sorted_positions = matrix[:, order], positions[order]
    parts: list[npt.NDArray[np.uint8]] = []
    places = []
    for row in ordered:
        nonzero = np.flatnonzero(row)
        part = _channel(sorted_positions[nonzero], row[nonzero])
        parts.append(part)
        entries = (part.size - 1) // 2
        places.append(CHAIN if entries == 1 else -(entries - 1) % CHAIN)
    stream = np.concatenate(parts) if parts else np.zeros(0, np.uint8)
    return DualStream(
        stream=frozen(stream),
        place=frozen(np.array(places, dtype=np.uint8)),
        rows=matrix.shape[0],
        columns=matrix.shape[1],
        geometry=geometry,
    )


def _channel(places: npt.NDArray[np.int64], values: npt.NDArray[np.int8]) -> npt.NDArray[np.uint8]:
    """One channel: first position, then (weight, delta to the next)."""
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
    steps = [step for step, _ in entries] + [0]
    part = np.empty(2 * len(entries) + 1, dtype=np.uint8)
    part[0::2] = steps
    part[1::2] = np.array([value for _, value in entries], dtype=np.int8).view(np.uint8)
    return part


def unpack_dual(packed: DualStream) -> npt.NDArray[np.int8]:
    """The dense filters ``[out, h * w * in]`` that were packed.

    Raises:
        StreamError: the stream is corrupted: it ends early or late, names a word that is no tap,
            or contradicts its places in the chain.
    """
    positions = packed.geometry.positions()
    tap_at = {int(word): tap for tap, word in enumerate(positions.tolist())}
    weights = np.zeros((packed.rows, packed.columns), dtype=np.int8)
    stream = packed.stream
    values = stream.view(np.int8)
    if packed.place.shape != (packed.rows,):
        raise StreamError(f"{packed.place.size} places for {packed.rows} channels")
    at = 0
    for row in range(packed.rows):
        word, entries, start = 0, 0, at
        while True:
            if at + 3 > stream.size:
                raise StreamError(f"the stream ends inside channel {row}")
            word, value = word + int(stream[at]), int(values[at + 1])
            entries += 1
            at += 2
            last = stream[at] == 0
            if value:
                if word not in tap_at:
                    raise StreamError(f"channel {row} names word {word}, which is no tap")
                weights[row, tap_at[word]] = value
            elif not last and stream[at - 2] != LONGEST_GAP:
                raise StreamError(f"channel {row} has a bridge shorter than {LONGEST_GAP}")
            elif last and (entries > 1 or stream[start]):
                raise StreamError(f"channel {row} ends in a bridge")
            if last:
                break
        at += 1
        if int(packed.place[row]) != (CHAIN if entries == 1 else -(entries - 1) % CHAIN):
            raise StreamError(f"channel {row} enters the chain at the wrong place")
    if at != stream.size:
        raise StreamError(f"{stream.size - at} bytes behind the last channel")
    return weights


def pack_code(
    packed: DualStream, bias: npt.NDArray[np.int32], shift: npt.NDArray[np.int32]
) -> npt.NDArray[np.int32]:
    """Bias, place in the chain and right shift of each channel, as ``snn_stream_dual.code``."""
    low = (packed.place.astype(np.int64) << 4) | -shift.astype(np.int64)
    return frozen(((bias.astype(np.int64) << 8) | low).astype(np.int32))
