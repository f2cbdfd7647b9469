"""Dense 1×1 convolution, two pixels by four outputs at a time."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bridge.compile.connected import requantization
from bridge.compile.formats import Stored, Weighted
from bridge.encode.bounds import extreme_sums, largest_sum
from bridge.encode.dual import EXACT
from bridge.encode.finish import POINTWISE_ROOM, more_offset, prove_finish
from bridge.encode.pairs import LARGEST_PAIRED
from bridge.encode.pointwise import (
    UNROLLED,
    PointwiseTables,
    order_pointwise,
    pointwise_from_order,
)
from bridge.encode.rows import RowTables
from bridge.encode.streams import StreamError
from bridge.encode.wide import COLUMNS, ROWS


def pointwise(layer: Weighted) -> Stored | None:
    """Every weight, for the 1×1 kernel; None where it can't run the layer."""
    w = layer.window
    alone = w.kernel_h == w.kernel_w == 1 and w.pad_top == w.pad_left == 0
    count = layer.target.h * layer.target.w
    if layer.kind == "DEPTHWISE_CONV_2D" or layer.groups != 1 or not alone or count < 2:
        return None
    matrix = np.asarray(layer.weights, dtype=np.int8).reshape(layer.target.c, -1)
    tables = requantization(matrix, layer)
    if tables is None or largest_sum(matrix).max(initial=0) > LARGEST_PAIRED:
        return None
    finished = _finished(matrix, layer, RowTables(**tables))
    try:
        ordered = order_pointwise(matrix, finished)
    except StreamError:
        return None
    blocks, groups = -(-layer.source.c // COLUMNS), -(-layer.target.c // ROWS)
    pairs = -(-count // 2)
    return Stored(
        "convolve_pointwise",
        "snn_convolve_pointwise_s8",
        {"weights": ordered},
        4 * COLUMNS * blocks,
        own_requantization=True,
        unpack=lambda c: pointwise_from_order(c["weights"], *matrix.shape)[0],
        work={
            "blocks": float(pairs * groups * blocks),
            "chunks": float(pairs * groups * -(-blocks // UNROLLED)),
            "groups": float(pairs * groups),
            "exact groups": float(pairs * np.count_nonzero(finished.last[::ROWS] >= EXACT)),
            "inputs": float(pairs * blocks),
            "pairs": float(pairs * (2 if layer.target.c % ROWS else 1)),
            "layers": 1.0,
        },
    )


def _finished(matrix: npt.NDArray[np.int8], layer: Weighted, tables: RowTables) -> PointwiseTables:
    """Tables for the fast requantization where all four outputs of a group are proved for it."""
    bias = tables.bias2 // 2
    lowest, highest = extreme_sums(matrix, bias)
    finish = prove_finish(
        layer.multiplier,
        layer.shift,
        lowest,
        highest,
        layer.output_zero_point,
        room=POINTWISE_ROOM,
    )
    proved = finish.proved & layer.rectified
    groups = -(-len(proved) // ROWS)
    padded = np.ones(ROWS * groups, dtype=np.bool_)
    padded[: len(proved)] = proved
    fast = np.repeat(padded.reshape(groups, ROWS).all(axis=1), ROWS)[: len(proved)]
    shifted = bias.astype(np.int64) << POINTWISE_ROOM
    more = more_offset(-layer.shift.astype(np.int64), POINTWISE_ROOM)
    return PointwiseTables(
        np.where(fast, shifted, tables.bias2).astype(np.int32),
        np.where(fast, finish.cut(layer.shift), tables.multiplier).astype(np.int32),
        np.where(fast, more, tables.shift + EXACT).astype(np.uint8),
    )
