"""Dense 1×1 convolution weights, each four outputs followed by their requantization.

Four outputs are their weights as in format ``wide`` (:mod:`bridge.encode.wide`), then their tables,
36 bytes: four times bias and multiplier (little-endian int32), and four bytes. Zeros fill up the
last group. The C side is ``snn_convolve_pointwise_s8.c``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bridge.encode.streams import StreamError, as_matrix, frozen
from bridge.encode.wide import COLUMNS, ROWS, order_wide, wide_from_order

TABLES = 36
UNROLLED = 4


@dataclass(frozen=True, eq=False)
class PointwiseTables:
    """What turns the sums of each output into outputs, in one of two ways by groups of four.

    Fast, in units of 2^-12 (:mod:`bridge.encode.finish`), or exact, by TFLite's own roundings.

    Attributes:
        bias: int32, with the zero point folded in; fast times 2^8, exact times 2.
        multiplier: int32; fast 2^(8 + 12) of the scale in Q32, exact TFLite's in Q31.
        last: uint8; fast what the offset has beside half a unit and the zero point, below 128;
            exact the right shift less one, and 128.
    """

    bias: npt.NDArray[np.int32]
    multiplier: npt.NDArray[np.int32]
    last: npt.NDArray[np.uint8]


def order_pointwise(weights: npt.NDArray[np.int8], tables: PointwiseTables) -> npt.NDArray[np.int8]:
    """A matrix ``[outputs, inputs]`` and its tables in the kernel's order, flat.

    Raises:
        StreamError: not an int8 matrix, or a pair of weights that two bytes can't hold.
    """
    matrix = as_matrix(weights)
    groups = -(-matrix.shape[0] // ROWS)

    def filled(values: npt.NDArray[np.generic], dtype: str) -> npt.NDArray[np.int8]:
        full = np.zeros(groups * ROWS, dtype=dtype)
        full[: len(values)] = values
        return full.view(np.int8).reshape(groups, ROWS, -1)

    ordered = order_wide(matrix).reshape(groups, -1)
    scales = np.concatenate([filled(tables.bias, "<i4"), filled(tables.multiplier, "<i4")], axis=2)
    last = filled(tables.last, "u1").reshape(groups, ROWS)
    return frozen(np.concatenate([ordered, scales.reshape(groups, -1), last], axis=1).reshape(-1))


def pointwise_from_order(
    ordered: npt.NDArray[np.int8], rows: int, columns: int
) -> tuple[npt.NDArray[np.int8], PointwiseTables]:
    """The matrix and the tables that were ordered.

    Raises:
        StreamError: another number of bytes than such a matrix takes, or bytes that no matrix
            gives.
    """
    groups = -(-rows // ROWS)
    size = ROWS * COLUMNS * -(-columns // COLUMNS)
    if ordered.size != groups * (size + TABLES):
        raise StreamError(f"{ordered.size} bytes for a matrix of {rows}x{columns}")
    tiles = ordered.reshape(groups, size + TABLES)
    weights = wide_from_order(tiles[:, :size].reshape(-1), rows, columns)
    scales = np.ascontiguousarray(tiles[:, size : size + 32]).view("<i4").reshape(-1, 2)
    last = np.ascontiguousarray(tiles[:, size + 32 :]).view(np.uint8).reshape(-1)
    tables = PointwiseTables(
        scales[:rows, 0].astype(np.int32), scales[:rows, 1].astype(np.int32), last[:rows]
    )
    return weights, tables
