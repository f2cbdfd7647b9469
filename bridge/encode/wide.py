"""Format ``wide``: dense fully connected weights, four outputs by four inputs at a time.

Weights stand as ``[four outputs][four inputs][2][2][2][2]``: the pair of outputs, inputs 0 and 2
before 1 and 3, which of the two, which output of the pair. Zeros fill up both sides. The last two
bytes are one number, see :mod:`bridge.encode.pairs`. The C side is
``snn_fully_connected_wide_s8.c``.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bridge.encode.pairs import pair, unpair
from bridge.encode.streams import StreamError, as_matrix, frozen

ROWS = 4
COLUMNS = 4


def order_wide(weights: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
    """A matrix ``[rows, columns]`` in the kernel's order, flat.

    Raises:
        StreamError: not an int8 matrix, or a pair of weights that two bytes can't hold.
    """
    matrix = as_matrix(weights)
    rows, columns = -(-matrix.shape[0] // ROWS), -(-matrix.shape[1] // COLUMNS)
    full = np.zeros((rows * ROWS, columns * COLUMNS), dtype=np.int8)
    full[: matrix.shape[0], : matrix.shape[1]] = matrix
    # [group, pair, output, block, which, parity] to [group, block, pair, parity, which, output]
    tiles = full.reshape(rows, 2, 2, columns, 2, 2).transpose(0, 3, 1, 5, 4, 2)
    return frozen(pair(tiles).reshape(-1))


def wide_from_order(ordered: npt.NDArray[np.int8], rows: int, columns: int) -> npt.NDArray[np.int8]:
    """The matrix ``[rows, columns]`` that was ordered.

    Raises:
        StreamError: another number of bytes than such a matrix takes, or bytes that no matrix
            gives.
    """
    high, wide = -(-rows // ROWS), -(-columns // COLUMNS)
    if ordered.size != high * wide * ROWS * COLUMNS:
        raise StreamError(f"{ordered.size} weights for a matrix of {rows}x{columns}")
    tiles = unpair(ordered.reshape(high, wide, 2, 2, 2, 2)).transpose(0, 2, 5, 1, 4, 3)
    return tiles.reshape(high * ROWS, wide * COLUMNS)[:rows, :columns].copy()
