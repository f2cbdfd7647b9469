"""What TFLite Micro's DECODE operator reads: an encoded tensor and an ancillary tensor.

The ancillary tensor begins with a 16-byte header: byte 0 the decode type, byte 1 the version (1),
bytes 4 to 15 are the type's own, byte 4 being its version (1). Tables follow at byte 16
(``tensorflow/lite/micro/compression/decode.py`` and ``kernels/decode_state.h`` of TFLite Micro).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bridge.errors import ModelError
from bridge.graph.model import Array

HEADER_BYTES = 16
LUT, HUFFMAN, BITMASK = 0, 1, 2
"""Decode types."""


class EncodingError(ModelError):
    """Values that an encoding can't hold, or encoded bytes that contradict themselves."""


@dataclass(frozen=True)
class Encoded:
    """One tensor as DECODE stores it.

    Attributes:
        stream: bytes of the encoded tensor.
        ancillary: bytes of the ancillary tensor, header included.
    """

    stream: bytes
    ancillary: bytes

    @property
    def bytes(self) -> int:
        """What both tensors store."""
        return len(self.stream) + len(self.ancillary)


def header(kind: int, parameters: bytes = b"") -> bytes:
    """The common header; ``parameters`` go to byte 5 and after."""
    made = bytes([kind, 1, 0, 0, 1]) + parameters
    return made.ljust(HEADER_BYTES, b"\0")


def check_header(encoded: Encoded, kind: int) -> None:
    """Refuse an ancillary tensor of another type or version.

    Raises:
        EncodingError: it is not the wanted one.
    """
    found = encoded.ancillary[:5]
    if len(encoded.ancillary) < HEADER_BYTES or found != header(kind)[:5]:
        raise EncodingError(f"an ancillary tensor begins {found.hex()}, not with type {kind}")


def by_channel(values: Array, channels: int, axis: int) -> Array:
    """View a tensor as DECODE walks it: ``[outer, channels, inner]``.

    Args:
        values: the tensor.
        channels: how many quantization scales it has; 1 for per-tensor.
        axis: the dimension they run along: the first or the last.

    Raises:
        EncodingError: the channels run along a dimension between, which DECODE refuses.
    """
    if channels == 1:
        return values.reshape(1, 1, -1)
    if values.ndim == 0 or values.shape[axis] != channels:
        raise EncodingError(f"{channels} channels along dimension {axis} of {values.shape}")
    if axis == values.ndim - 1:
        return values.reshape(-1, channels, 1)
    if axis == 0:
        return values.reshape(1, channels, -1)
    raise EncodingError(f"DECODE takes channels along the first or last dimension, not {axis}")


def bits_of(data: bytes, count: int) -> Array:
    """The first bits of some bytes, most significant first.

    Raises:
        EncodingError: there are fewer.
    """
    bits = np.unpackbits(np.frombuffer(data, np.uint8))
    if len(bits) < count:
        raise EncodingError(f"a stream has {len(bits)} bits where {count} are needed")
    return bits[:count]
