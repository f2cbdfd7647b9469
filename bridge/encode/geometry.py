"""How kernels that pack their input walk a layer: bands of rows, a segment of columns at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

TILE = 4
CHANNEL_RECORD = 24
DENSE_ROW = 12
DEPTHWISE_ROW = 16
DEPTHWISE_TILE = 3


def starts(extent: int, step: int) -> list[int]:
    """Where bands or segments of an extent start; the last one steps back."""
    return [min(at, extent - step) for at in range(0, extent, step)]


@dataclass(frozen=True)
class Walk:
    """What all of these walks have in common.

    Attributes:
        source: input height, width, channels.
        target: output height, width, channels.
        kernel, stride, dilation: height and width of each.
        band: output rows that share one packing.
        segment: output columns that share one packing.
    """

    source: tuple[int, int, int]
    target: tuple[int, int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    band: int
    segment: int

    @property
    def phases(self) -> int:
        """Columns modulo the stride, as far as taps reach them; each phase is packed apart."""
        return min(self.stride[1], (self.kernel[1] - 1) * self.dilation[1] + 1)

    @property
    def columns(self) -> int:
        """Columns of one row, channel and phase that are filled."""
        return self.segment + (self.kernel[1] - 1) * self.dilation[1] // self.stride[1]

    @property
    def rows(self) -> int:
        """Rows that a band needs."""
        return (self.band - 1) * self.stride[0] + (self.kernel[0] - 1) * self.dilation[0] + 1

    def places(
        self, channels: int, rows: int, steps: tuple[int, int, int]
    ) -> npt.NDArray[np.int64]:
        """Place of each filter tap ``[height * width * channels]``, relative to the output's.

        Args:
            channels: of the filter.
            rows: packed rows from one row of the filter to the next.
            steps: places from one packed row, one channel and one phase to the next.
        """
        ky, kx, c = np.meshgrid(
            np.arange(self.kernel[0]),
            np.arange(self.kernel[1]),
            np.arange(channels),
            indexing="ij",
        )
        column = kx * self.dilation[1]
        lane = c * steps[1] + column % self.stride[1] * steps[2]
        found = ky * rows * steps[0] + lane + column // self.stride[1]
        return np.asarray(found.ravel(), dtype=np.int64)


@dataclass(frozen=True)
class DualGeometry(Walk):
    """The walk of the dual-pixel kernels; the twin of ``snn_dual_layout`` in C.

    A band's rows are those of one pixel of each pair.

    Attributes:
        order: how packed words are ordered: ``rows`` (row, channel, phase, column) for sparse,
            ``phases`` (phase, row, channel, column) for dense, ``channels`` (channel, row, phase,
            column) for depthwise kernels.
    """

    order: str = "rows"

    @property
    def extent(self) -> tuple[int, int]:
        """Output rows and columns that are walked; each position is two pixels."""
        height, width, _ = self.target
        return height - height // 2, width if height > 1 else width - width // 2

    @property
    def row_width(self) -> int:
        """Words from one row, channel and phase to the next."""
        return {"phases": DENSE_ROW, "channels": DEPTHWISE_ROW}.get(self.order, self.columns)

    @property
    def room(self) -> int:
        """Rows that a packing has room for: as many for each row modulo the dilation."""
        turns = min(self.dilation[0], self.rows)
        return turns * -(-self.rows // turns)

    @property
    def words(self) -> int:
        """Words of one packing."""
        return self.room * self.source[2] * self.phases * self.row_width

    @property
    def steps(self) -> tuple[int, int, int]:
        """Words from one row, one channel and one phase to the next."""
        channels, width = self.source[2], self.row_width
        if self.order == "rows":
            return channels * self.phases * width, self.phases * width, width
        if self.order == "phases":
            return channels * width, width, self.room * channels * width
        return self.phases * width, self.room * self.phases * width, width

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
        return self.words * 4 + self.target[2] * CHANNEL_RECORD + channels

    def positions(self) -> npt.NDArray[np.int64]:
        """Word of each filter tap ``[height * width * in]``, relative to the output position."""
        # Rows stand sorted by row modulo the dilation: a filter's are neighbours.
        return self.places(self.source[2], 1, self.steps)
