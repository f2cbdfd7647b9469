"""Formats of fully connected layers beyond the portable one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from bridge.compile.formats import Stored, Weighted
from bridge.encode.block1x4 import BLOCK, even_bias, largest_1x4_sum, pack_1x4, unpack_1x4
from bridge.encode.block1x4_vector import pack_1x4_vector, unpack_1x4_vector
from bridge.encode.block4x1 import pack_4x1, unpack_4x1
from bridge.encode.block4x1_vector import pack_4x1_vector, unpack_4x1_vector
from bridge.encode.bounds import largest_sum
from bridge.encode.gather_vector import pack_gather_vector, unpack_gather_vector
from bridge.encode.octet import pack_octet, unpack_octet
from bridge.encode.pairs import LARGEST_PAIRED
from bridge.encode.rows import MOST_SHIFT, RowStream, RowTables
from bridge.encode.streams import StreamError, fold_zero_point
from bridge.encode.wide import COLUMNS, ROWS, order_wide, wide_from_order
from bridge.graph.model import Array

LARGEST_REACH = 2**30 - 1
"""Of ``|sum| + |bias|``: twice that is what is multiplied."""

UNROLLED = 4
"""Blocks of the dense kernel that stand in a row; those left over are looped over one by one."""

Matrix = npt.NDArray[np.int8]
Tables = dict[str, Array]
Packed = TypeVar("Packed")


def octet(layer: Weighted) -> Stored | None:
    """Nonzero weights in batches of eight; None where the kernel can't run the layer."""
    made = _packed(layer, lambda matrix, tables: pack_octet(matrix, RowTables(**tables)))
    if made is None:
        return None
    packed, tables = made
    return Stored(
        "fully_connected_octet",
        "snn_fully_connected_octet_s8",
        {"stream": packed.stream},
        own_requantization=True,
        work={
            "batches": float(packed.batches),
            "halves": float(packed.halves),
            "chunks": float(packed.chunks),
            **_outputs(layer),
        },
        unpack=lambda c: _weights(*unpack_octet(replace(packed, stream=c["stream"])), tables),
    )


def block4x1(layer: Weighted) -> Stored | None:
    """Blocks of four neighbouring outputs; None where the kernel can't run the layer."""
    made = _packed(layer, lambda matrix, _: pack_4x1(matrix), sums=largest_sum)
    if made is None:
        return None
    packed, tables = made
    groups = -(-layer.target.c // ROWS)
    return Stored(
        "fully_connected_4x1",
        "snn_fully_connected_4x1_s8",
        {"stream": packed.stream, **tables},
        4 * ROWS * groups,
        own_requantization=True,
        work={
            "batches": float(packed.batches),
            "chunks": float(packed.chunks),
            "groups": float(groups),
            **_outputs(layer),
        },
        unpack=lambda c: unpack_4x1(replace(packed, stream=c["stream"])),
    )


def block1x4(layer: Weighted) -> Stored | None:
    """Blocks of four neighbouring inputs; None where the kernel can't run the layer."""
    made = _packed(
        layer,
        lambda matrix, tables: pack_1x4(matrix, RowTables(**tables)),
        sums=largest_1x4_sum,
        added=even_bias,
    )
    if made is None:
        return None
    packed, tables = made
    return Stored(
        "fully_connected_1x4",
        "snn_fully_connected_1x4_s8",
        {"stream": packed.stream},
        BLOCK * -(-layer.source.c // BLOCK),
        own_requantization=True,
        work={
            "batches": float(packed.batches),
            "halves": float(packed.halves),
            "chunks": float(packed.chunks),
            "inputs": float(layer.source.c),
            **_outputs(layer),
        },
        unpack=lambda c: _weights(*unpack_1x4(replace(packed, stream=c["stream"])), tables),
    )


def block1x4_vector(layer: Weighted) -> Stored | None:
    """Blocks of four neighbouring inputs for MVE; None where the kernel can't run the layer."""
    return _vector(
        layer,
        "1x4",
        pack_1x4_vector,
        unpack_1x4_vector,
        scratch=BLOCK * -(-layer.source.c // BLOCK) + 4 * layer.target.c,
        work={"inputs": float(layer.source.c)},
    )


def block4x1_vector(layer: Weighted) -> Stored | None:
    """Blocks of four neighbouring outputs for MVE; None where the kernel can't run the layer."""
    groups = -(-layer.target.c // ROWS)
    return _vector(
        layer,
        "4x1",
        pack_4x1_vector,
        unpack_4x1_vector,
        scratch=4 * ROWS * groups,
        work={"groups": float(groups)},
    )


def gather_vector(layer: Weighted) -> Stored | None:
    """Nonzero weights in batches of sixteen for MVE; None where the kernel can't run the layer."""
    return _vector(
        layer,
        "gather",
        pack_gather_vector,
        unpack_gather_vector,
        scratch=4 * layer.target.c,
        work={},
    )


def wide(layer: Weighted) -> Stored | None:
    """Every weight, four outputs by four inputs at a time; None where the kernel can't run it."""
    made = _packed(layer, lambda matrix, _: order_wide(matrix), sums=largest_sum)
    if made is None:
        return None
    ordered, tables = made
    groups, (blocks, rest) = -(-layer.target.c // ROWS), divmod(layer.source.c, COLUMNS)
    quads, singles = divmod(blocks, UNROLLED)
    calls = (blocks > 0) + (rest > 0)
    return Stored(
        "fully_connected_wide",
        "snn_fully_connected_wide_s8",
        {"weights": ordered, **tables},
        4 * ROWS * groups,
        own_requantization=True,
        work={
            "quads": float(groups * quads),
            "singles": float(groups * (singles + (rest > 0))),
            "calls": float(groups * calls),
            "groups": float(groups),
            **_outputs(layer),
        },
        unpack=lambda c: wide_from_order(c["weights"], layer.target.c, layer.source.c),
    )


def _weights(matrix: Matrix, held: RowTables, tables: Tables) -> Matrix:
    """The weights of a stream that holds tables as well, if those are what they should be."""
    if not all(np.array_equal(getattr(held, name), table) for name, table in tables.items()):
        raise StreamError("the stream holds another requantization")
    return matrix


def _outputs(layer: Weighted) -> dict[str, float]:
    return {"outputs": float(layer.target.c), "layers": 1.0}


def _vector(
    layer: Weighted,
    name: str,
    pack: Callable[[Matrix], RowStream],
    unpack: Callable[[RowStream], Matrix],
    *,
    scratch: int,
    work: Mapping[str, float],
) -> Stored | None:
    """A format for MVE, whose sums are requantized at the end."""
    made = _packed(layer, lambda matrix, _: pack(matrix))
    if made is None:
        return None
    packed, tables = made
    return Stored(
        f"fully_connected_{name}_vector",
        f"snn_fully_connected_{name}_vector_s8",
        {"stream": packed.stream, **tables},
        scratch,
        own_requantization=True,
        work={"batches": float(packed.batches), **work, **_outputs(layer)},
        unpack=lambda c: unpack(replace(packed, stream=c["stream"])),
    )


def _packed(
    layer: Weighted,
    pack: Callable[[Matrix, Tables], Packed],
    *,
    sums: Callable[[Matrix], npt.NDArray[np.int64]] | None = None,
    added: Callable[[Matrix], npt.NDArray[np.int64]] | None = None,
) -> tuple[Packed, Tables] | None:
    """A fully connected layer's weights in a format, and its tables for requantization.

    Args:
        layer: the layer.
        pack: makes the format from the weights ``[outputs, inputs]`` and the tables.
        sums: largest sum of each row that has to fit a pair's half; None where nothing is paired.
        added: what the kernel adds to each row's sum.

    Returns:
        None if the layer has more than one pixel, or a bound is not proved.
    """
    if not layer.one_pixel:
        return None
    matrix = np.asarray(layer.weights, dtype=np.int8).reshape(layer.target.c, -1)
    tables = requantization(matrix, layer, None if added is None else added(matrix))
    if tables is None or (sums is not None and sums(matrix).max(initial=0) > LARGEST_PAIRED):
        return None
    try:
        return pack(matrix, tables), tables
    except StreamError:
        return None


def requantization(
    matrix: Matrix, layer: Weighted, added: npt.NDArray[np.int64] | None = None
) -> Tables | None:
    """Tables for ``snn_requantize_rows`` if its bounds are proved for every row, else None.

    Args:
        matrix: the weights.
        layer: the layer.
        added: what the kernel adds to each sum and the bias has to take off again.
    """
    try:
        folded = fold_zero_point(matrix, layer.bias, layer.input_zero_point)
    except StreamError:
        return None
    more = np.zeros(len(matrix), dtype=np.int64) if added is None else added
    bias = folded.astype(np.int64) - more
    reach = largest_sum(matrix) + np.abs(more) + np.abs(bias)
    if reach.size and reach.max() > LARGEST_REACH:
        return None
    shifts = np.any(layer.shift > -1) or np.any(layer.shift < -MOST_SHIFT)
    if shifts or np.any(layer.multiplier < 2**30):
        return None
    return {
        "bias2": (2 * bias).astype(np.int32),
        "multiplier": layer.multiplier,
        "shift": (-layer.shift - 1).astype(np.uint8),
    }
