"""Format ``planar-vector``: sparse convolution weights for MVE, sixteen outputs a weight.

The kernel unrolls a band of input rows, a segment of columns at a time, into bytes
``[row][channel][phase][column][lane]``: phase is the column modulo the stride, and the lanes are
output rows that are computed side by side, so that narrow images fill a vector too. A filter tap is
then a fixed distance from the output position. Weights stand as :mod:`bridge.encode.taps` says;
positions count columns of all lanes or, with a filter of one tap, channels. The C side is
``snn_convolve_planar_sparse_s8.c``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bridge.encode.bounds import largest_sum
from bridge.encode.geometry import Walk

TILE = 16
FRACTION = 16
LARGEST_SCALED = 2**30 - 1
LARGEST_BIAS = 2**23
LARGEST_PLACE = 2**16 - 1
CHANNEL_RECORD = 20


@dataclass(frozen=True)
class PlanarGeometry(Walk):
    """The walk of the planar kernels; the twin of ``snn_planar_layout`` in C.

    A band's rows are those of one lane.

    Attributes:
        lanes: output rows that are computed side by side.
        group: depthwise: channels that are unrolled together, each ``[row][phase][column][lane]``;
            0 where every output channel reads all input channels.
    """

    lanes: int = 1
    group: int = 0

    @property
    def extent(self) -> tuple[int, int]:
        """Output rows of one lane, and columns."""
        return -(-self.target[0] // self.lanes), self.target[1]

    @property
    def steps(self) -> tuple[int, int, int]:
        """Columns, of all lanes, from one row, one channel and one phase to the next."""
        line = self.phases * self.columns
        if self.group:
            return line, self.rows * line, self.columns
        return self.source[2] * line, line, self.columns

    @property
    def groups(self) -> int:
        """Groups of channels that are unrolled one after the other."""
        return -(-self.source[2] // self.group) if self.group else 1

    @property
    def packings(self) -> int:
        """Unrollings of one inference."""
        height, width = self.extent
        return self.groups * -(-height // self.band) * -(-width // self.segment)

    @property
    def outputs(self) -> int:
        """Outputs of one row of a segment, all lanes."""
        return self.segment * self.lanes

    @property
    def tiles(self) -> int:
        """Tiles of one inference, each of a group's channels."""
        return self.packings * self.band * -(-self.outputs // TILE)

    @property
    def bytes(self) -> int:
        """Bytes of one unrolling."""
        channels = self.group or self.source[2]
        return -(-self.rows * channels * self.phases * self.columns * self.lanes // 16) * 16

    @property
    def farthest(self) -> int:
        """Bytes from the first to the last output of a row of a segment."""
        height, width, channels = self.target
        row = min((self.lanes - 1) * self.extent[0], height - self.extent[0])
        return (row * width + self.segment - 1) * channels

    @property
    def scratch(self) -> int:
        """Bytes of scratch; the kernel's ``_get_scratch_size`` in C."""
        places = -(-self.outputs // TILE) * TILE * 2
        return (self.target[2] + 1) * CHANNEL_RECORD + places + self.bytes

    def why_not(self) -> str:
        """What forbids this walk to the kernels; empty where nothing does."""
        height, width = self.extent
        if not 1 <= self.segment <= width or self.outputs < TILE:
            return f"{self.segment} of {width} output columns, a tile takes {TILE}"
        if not 1 <= self.band <= height:
            return f"a band of {self.band} rows of {height}"
        if self.group and self.source[2] != self.target[2]:
            return "a channel multiplier"
        # Offsets of 16 bits: of a tile's outputs, and of two channels' eight columns in the image
        # and in the planes.
        if self.farthest > LARGEST_PLACE:
            return f"the outputs of a tile lie up to {self.farthest} bytes apart"
        if 7 * self.stride[1] * self.source[2] + 1 > LARGEST_PLACE:
            return "input columns too far apart"
        if (self.steps[1] + 7) * self.lanes > LARGEST_PLACE:
            return f"planes of {self.steps[1] * self.lanes} bytes"
        return ""

    def positions(self) -> npt.NDArray[np.int64]:
        """Position of each filter tap ``[height * width * in]``, relative to the output's.

        Depthwise ``[height * width]``, relative to the output's in its own channel.
        """
        if self.kernel == (1, 1) and not self.group:
            return np.arange(self.source[2], dtype=np.int64)
        return self.places(1 if self.group else self.source[2], self.dilation[0], self.steps)


def why_not_planar(
    weights: npt.NDArray[np.int8],
    bias: npt.NDArray[np.int32],
    multiplier: npt.NDArray[np.int32],
    shift: npt.NDArray[np.int32],
    geometry: PlanarGeometry,
) -> str:
    """What forbids the kernel for a layer; empty where nothing does.

    Args:
        weights: ``[out, taps]``.
        bias: folded, ``[out]``.
        multiplier: Q31, ``[out]``.
        shift: TFLite's, ``[out]``; negative is to the right.
        geometry: the walk.
    """
    if why := geometry.why_not():
        return why
    if np.any(shift > -1) or np.any(shift < -15) or np.any(multiplier < 2**30):
        return "a channel whose scale is not in [2^-16, 0.5)"
    if bias.size and np.abs(bias.astype(np.int64)).max() >= LARGEST_BIAS:
        return "a bias of 2^23 or more"
    scaled = largest_sum(weights, bias) << (FRACTION + shift.astype(np.int64))
    if scaled.size and scaled.max() > LARGEST_SCALED:
        worst = int(scaled.argmax())
        return f"channel {worst} may reach {scaled[worst]}, the bound is {LARGEST_SCALED}"
    return ""
