"""Two int8 weights as one number of 16 bits, ``low + 256 * high``.

As bytes it looks like the two weights, but the upper byte is one less where the lower weight is
negative. Fully connected kernels multiply with the whole number and take the lower weight's part
off again, which spares them taking the upper weight out of its byte.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bridge.encode.streams import StreamError

LARGEST_PAIRED = 2**23 - 1
"""Of ``|sum of x * high|``: 256 times it must fit 32 bits."""


def pair(weights: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
    """Two weights ``[…, 2]`` as the bytes of ``w[0] + 256 * w[1]``.

    Raises:
        StreamError: -128 above a negative weight, which no two bytes can hold.
    """
    high = weights[..., 1].astype(np.int16) - (weights[..., 0] < 0)
    if high.size and high.min() < -128:
        raise StreamError("a weight of -128 above a negative one")
    return np.stack([weights[..., 0], high.astype(np.int8)], axis=-1)


def unpair(bytes_: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
    """What :func:`pair` was given.

    Raises:
        StreamError: a weight of 128.
    """
    high = bytes_[..., 1].astype(np.int16) + (bytes_[..., 0] < 0)
    if high.size and high.max() > 127:
        raise StreamError("a weight of 128")
    return np.stack([bytes_[..., 0], high.astype(np.int8)], axis=-1)
