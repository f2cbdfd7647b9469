"""Format ``wide``: dense fully connected weights, four outputs by four inputs at a time.

Weights stand as ``[four outputs][four inputs][4][4]``, zeros filling up both sides. The C side is
``snn_fully_connected_wide_s8.c``.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bridge.encode.streams import StreamError, as_matrix, frozen

ROWS = 4
COLUMNS = 4


def order_wide(weights: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
    """A matrix ``[rows, columns]`` in the kernel's order, flat."""
    matrix = as_matrix(weights)
    rows, columns = -(-matrix.shape[0] // ROWS), -(-matrix.shape[1] // COLUMNS)
    full = np.zeros((rows * ROWS, columns * COLUMNS), dtype=np.int8)
    full[: matrix.shape[0], : matrix.shape[1]] = matrix
    tiles = full.reshape(rows, ROWS, columns, COLUMNS).transpose(0, 2, 1, 3)
    return frozen(np.ascontiguousarray(tiles).reshape(-1))


def wide_from_order(ordered: npt.NDArray[np.int8], rows: int, columns: int) -> npt.NDArray[np.int8]:
    """The matrix ``[rows, columns]`` that was ordered.

    Raises:
        StreamError: another number of bytes than such a matrix takes.
    """
    high, wide = -(-rows // ROWS), -(-columns // COLUMNS)
    if ordered.size != high * wide * ROWS * COLUMNS:
        raise StreamError(f"{ordered.size} weights for a matrix of {rows}x{columns}")
    tiles = ordered.reshape(high, wide, ROWS, COLUMNS).transpose(0, 2, 1, 3)
    return tiles.reshape(high * ROWS, wide * COLUMNS)[:rows, :columns].copy()
