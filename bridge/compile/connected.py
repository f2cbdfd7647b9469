"""Formats of fully connected layers beyond the portable one."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bridge.compile.formats import Stored, Weighted
from bridge.encode.dual import largest_sum
from bridge.encode.octet import pack_octet
from bridge.encode.streams import StreamError, fold_zero_point
from bridge.encode.wide import COLUMNS, ROWS, order_wide
from bridge.graph.model import Array

LARGEST_SUM = 2**30 - 1


def octet(layer: Weighted) -> Stored | None:
    """Nonzero weights in batches of eight; None where the kernel can't run the layer."""
    if not layer.one_pixel:
        return None
    matrix = np.asarray(layer.weights, dtype=np.int8).reshape(layer.target.c, -1)
    tables = requantization(matrix, layer)
    if tables is None:
        return None
    try:
        packed = pack_octet(matrix)
    except StreamError:
        return None
    return Stored(
        "fully_connected_octet",
        "snn_fully_connected_octet_s8",
        {"stream": packed.stream, **tables},
        4 * layer.target.c,
        own_requantization=True,
        work={
            "batches": float(packed.batches),
            "halves": float(packed.halves),
            "chunks": float(packed.chunks),
            "outputs": float(layer.target.c),
            "layers": 1.0,
        },
    )


def wide(layer: Weighted) -> Stored | None:
    """Every weight, four outputs by four inputs at a time; None where the kernel can't run it."""
    if not layer.one_pixel:
        return None
    matrix = np.asarray(layer.weights, dtype=np.int8).reshape(layer.target.c, -1)
    tables = requantization(matrix, layer)
    if tables is None:
        return None
    groups, blocks = -(-layer.target.c // ROWS), -(-layer.source.c // COLUMNS)
    return Stored(
        "fully_connected_wide",
        "snn_fully_connected_wide_s8",
        {"weights": order_wide(matrix), **tables},
        2 * COLUMNS * blocks + 4 * ROWS * groups,
        own_requantization=True,
        work={
            "blocks": float(groups * blocks),
            "groups": float(groups),
            "inputs": float(layer.source.c),
            "outputs": float(layer.target.c),
            "layers": 1.0,
        },
    )


def requantization(matrix: npt.NDArray[np.int8], layer: Weighted) -> dict[str, Array] | None:
    """Tables for ``snn_requantize_rows`` if its bounds are proved for every row, else None."""
    try:
        bias = fold_zero_point(matrix, layer.bias, layer.input_zero_point)
    except StreamError:
        return None
    reach = largest_sum(matrix) + np.abs(bias.astype(np.int64))
    if reach.size and reach.max() > LARGEST_SUM:
        return None
    if np.any(layer.shift > -1) or np.any(layer.multiplier < 2**30):
        return None
    return {
        "bias": bias,
        "multiplier": layer.multiplier,
        "shift": (-layer.shift).astype(np.uint8),
    }
