"""Dual-pixel and batched formats: exact inverses, and corrupted streams are noticed."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.encode.block1x4 import largest_1x4_sum, pack_1x4, unpack_1x4
from bridge.encode.block1x4_vector import pack_1x4_vector, unpack_1x4_vector
from bridge.encode.block4x1 import pack_4x1, unpack_4x1
from bridge.encode.bounds import largest_sum
from bridge.encode.dual import LARGEST_PACKED, pack_table, why_not_dual
from bridge.encode.dual_dense import dense_from_order, order_dense
from bridge.encode.finish import Finish
from bridge.encode.geometry import DualGeometry
from bridge.encode.octet import pack_octet, unpack_octet
from bridge.encode.pairs import pair, unpair
from bridge.encode.pointwise import PointwiseTables, order_pointwise, pointwise_from_order
from bridge.encode.rows import MOST_SHIFT, RowTables
from bridge.encode.streams import StreamError
from bridge.encode.taps import count_taps, pack_taps, unpack_taps
from bridge.encode.wide import order_wide, wide_from_order


def sparse(
    rng: np.random.Generator, shape: tuple[int, ...], density: float, lowest: int = -128
) -> np.ndarray:
    weights = rng.integers(lowest, 128, shape).astype(np.int8)
    weights[rng.random(shape) >= density] = 0
    return weights


def tables(rng: np.random.Generator, rows: int) -> RowTables:
    return RowTables(
        rng.integers(-(2**31), 2**31, rows).astype(np.int32),
        rng.integers(2**30, 2**31, rows).astype(np.int32),
        rng.integers(0, MOST_SHIFT, rows).astype(np.uint8),
    )


def same_tables(first: RowTables, second: RowTables) -> bool:
    return all(
        np.array_equal(getattr(first, name), getattr(second, name))
        for name in ("bias2", "multiplier", "shift")
    )


@st.composite
def geometries(draw: st.DrawFn, order: str = "rows") -> DualGeometry:
    kernel = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    stride = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    dilation = draw(st.integers(1, 2)), draw(st.integers(1, 3))
    most = 12 - (kernel[1] - 1) * dilation[1] // stride[1] if order == "phases" else 40
    return DualGeometry(
        source=(64, 64, draw(st.integers(1, 20))),
        target=(32, 40, draw(st.integers(1, 6))),
        kernel=kernel,
        stride=stride,
        dilation=dilation,
        band=draw(st.integers(1, 4)),
        segment=draw(st.integers(2, max(most, 2))),
        order=order,
    )


densities = st.sampled_from([0.0, 0.01, 0.1, 0.6, 1.0])
seeds = st.integers(0, 2**32 - 1)


@given(geometries(), densities, seeds)
@settings(max_examples=120, deadline=None)
def test_dual_is_its_own_inverse(geometry: DualGeometry, density: float, seed: int) -> None:
    taps = geometry.kernel[0] * geometry.kernel[1] * geometry.source[2]
    weights = sparse(np.random.default_rng(seed), (geometry.target[2], taps), density)
    packed = pack_taps(weights, geometry.positions())
    np.testing.assert_array_equal(unpack_taps(packed, geometry.positions()), weights)
    assert packed.entries == count_taps(weights, geometry.positions())
    assert packed.stream.nbytes == 2 * packed.entries + packed.rows


@given(geometries(), densities, seeds, st.data())
@settings(max_examples=120, deadline=None)
def test_a_corrupted_dual_stream_never_gives_the_same_weights_silently(
    geometry: DualGeometry, density: float, seed: int, data: st.DataObject
) -> None:
    taps = geometry.kernel[0] * geometry.kernel[1] * geometry.source[2]
    weights = sparse(np.random.default_rng(seed), (geometry.target[2], taps), density)
    packed = pack_taps(weights, geometry.positions())
    stream = packed.stream.copy()
    stream[data.draw(st.integers(0, stream.size - 1))] ^= data.draw(st.integers(1, 255))
    try:
        changed = unpack_taps(replace(packed, stream=stream), geometry.positions())
    except StreamError:
        return
    assert not np.array_equal(changed, weights)


@given(geometries("phases"), seeds)
@settings(max_examples=120, deadline=None)
def test_the_dense_order_is_its_own_inverse(geometry: DualGeometry, seed: int) -> None:
    shape = (geometry.target[2], *geometry.kernel, geometry.source[2])
    weights = sparse(np.random.default_rng(seed), shape, 1.0)
    ordered = order_dense(weights, geometry)
    np.testing.assert_array_equal(dense_from_order(ordered, shape[0], geometry), weights)
    with pytest.raises(StreamError):
        dense_from_order(ordered[:-1], shape[0], geometry)


@given(st.integers(1, 9), st.integers(1, 1500), densities, seeds)
@settings(max_examples=120, deadline=None)
def test_octet_is_its_own_inverse(rows: int, columns: int, density: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    weights, rows_tables = sparse(rng, (rows, columns), density), tables(rng, rows)
    found, found_tables = unpack_octet(pack_octet(weights, rows_tables))
    np.testing.assert_array_equal(found, weights)
    assert same_tables(found_tables, rows_tables)


@given(st.integers(1, 5), st.integers(1, 400), densities, seeds, st.data())
@settings(max_examples=120, deadline=None)
def test_a_corrupted_octet_stream_never_gives_the_same_silently(
    rows: int, columns: int, density: float, seed: int, data: st.DataObject
) -> None:
    rng = np.random.default_rng(seed)
    weights, rows_tables = sparse(rng, (rows, columns), density), tables(rng, rows)
    packed = pack_octet(weights, rows_tables)
    stream = packed.stream.copy()
    stream[data.draw(st.integers(0, stream.size - 1))] ^= data.draw(st.integers(1, 255))
    try:
        found, found_tables = unpack_octet(replace(packed, stream=stream))
    except StreamError:
        return
    assert not np.array_equal(found, weights) or not same_tables(found_tables, rows_tables)


def test_a_stream_of_rows_that_ends_elsewhere_is_refused() -> None:
    rng = np.random.default_rng(0)
    weights = sparse(rng, (4, 50), 0.2, -127)
    for pack, unpack in ((pack_octet, unpack_octet), (pack_1x4, unpack_1x4)):
        packed = pack(weights, tables(rng, 4))  # type: ignore[operator]
        for stream in (packed.stream[:-1], np.append(packed.stream, np.uint8(0))):
            with pytest.raises(StreamError, match="end"):
                unpack(replace(packed, stream=stream))  # type: ignore[operator]
        with pytest.raises(StreamError, match="tables for 3"):
            pack(weights, tables(rng, 3))  # type: ignore[operator]


@given(st.integers(1, 11), st.integers(1, 900), densities, seeds)
@settings(max_examples=120, deadline=None)
def test_4x1_is_its_own_inverse(rows: int, columns: int, density: float, seed: int) -> None:
    weights = sparse(np.random.default_rng(seed), (rows, columns), density, -127)
    np.testing.assert_array_equal(unpack_4x1(pack_4x1(weights)), weights)


@given(st.integers(1, 9), st.integers(1, 400), densities, seeds, st.data())
@settings(max_examples=120, deadline=None)
def test_a_corrupted_4x1_stream_never_gives_the_same_silently(
    rows: int, columns: int, density: float, seed: int, data: st.DataObject
) -> None:
    weights = sparse(np.random.default_rng(seed), (rows, columns), density, -127)
    packed = pack_4x1(weights)
    stream = packed.stream.copy()
    stream[data.draw(st.integers(0, stream.size - 1))] ^= data.draw(st.integers(1, 255))
    try:
        found = unpack_4x1(replace(packed, stream=stream))
    except StreamError:
        return
    assert not np.array_equal(found, weights)


@given(st.integers(1, 11), st.integers(1, 900), densities, seeds)
@settings(max_examples=120, deadline=None)
def test_1x4_is_its_own_inverse(rows: int, columns: int, density: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    weights, rows_tables = sparse(rng, (rows, columns), density, -127), tables(rng, rows)
    found, found_tables = unpack_1x4(pack_1x4(weights, rows_tables))
    np.testing.assert_array_equal(found, weights)
    assert same_tables(found_tables, rows_tables)
    vector = pack_1x4_vector(weights)
    np.testing.assert_array_equal(unpack_1x4_vector(vector), weights)


@given(st.integers(1, 9), st.integers(1, 400), densities, seeds, st.data())
@settings(max_examples=120, deadline=None)
def test_a_corrupted_1x4_stream_never_gives_the_same_silently(
    rows: int, columns: int, density: float, seed: int, data: st.DataObject
) -> None:
    rng = np.random.default_rng(seed)
    weights = sparse(rng, (rows, columns), density, -127)
    rows_tables = tables(rng, rows)
    packed = pack_1x4(weights, rows_tables)
    stream = packed.stream.copy()
    stream[data.draw(st.integers(0, stream.size - 1))] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(StreamError):
        found, found_tables = unpack_1x4(replace(packed, stream=stream))
        assert not np.array_equal(found, weights) or not same_tables(found_tables, rows_tables)
    vector = pack_1x4_vector(weights)
    stream = vector.stream.copy()
    stream[data.draw(st.integers(0, stream.size - 1))] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(StreamError):
        found = unpack_1x4_vector(replace(vector, stream=stream))
        assert not np.array_equal(found, weights)


@given(st.integers(1, 60), seeds)
@settings(max_examples=60, deadline=None)
def test_the_largest_1x4_sum_is_reached_and_never_passed(columns: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    weights = sparse(rng, (1, columns), 0.7, -127)
    bound, w = int(largest_1x4_sum(weights)[0]), weights[0].astype(int)
    low = np.where(np.arange(columns) % 2, -128, 0)
    high = np.where(np.arange(columns) % 2, 127, 255)
    up = int((np.where(w > 0, high, low) * w).sum())
    down = int((np.where(w > 0, low, high) * w).sum())
    assert bound == max(up, -down)


@given(st.integers(1, 30), st.integers(1, 70), seeds)
@settings(max_examples=60, deadline=None)
def test_the_wide_order_is_its_own_inverse(rows: int, columns: int, seed: int) -> None:
    weights = sparse(np.random.default_rng(seed), (rows, columns), 1.0, -127)
    np.testing.assert_array_equal(wide_from_order(order_wide(weights), rows, columns), weights)


@given(st.integers(1, 30), st.integers(1, 70), seeds)
@settings(max_examples=60, deadline=None)
def test_the_pointwise_order_is_its_own_inverse(rows: int, columns: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    weights = sparse(rng, (rows, columns), 0.9, -127)
    given_ = PointwiseTables(
        rng.integers(-(2**31), 2**31, rows).astype(np.int32),
        rng.integers(1, 2**31, rows).astype(np.int32),
        rng.integers(0, 256, rows).astype(np.uint8),
    )
    ordered = order_pointwise(weights, given_)
    found, tables_ = pointwise_from_order(ordered, rows, columns)
    np.testing.assert_array_equal(found, weights)
    for name in ("bias", "multiplier", "last"):
        np.testing.assert_array_equal(getattr(tables_, name), getattr(given_, name))
    with pytest.raises(StreamError, match="bytes for a matrix"):
        pointwise_from_order(ordered[:-1], rows, columns)


def test_a_pair_that_two_bytes_cannot_hold_is_refused() -> None:
    weights = np.array([[-1], [-128]], dtype=np.int8)
    for pack in (order_wide, pack_4x1):
        with pytest.raises(StreamError, match="-128 above a negative one"):
            pack(weights)
    np.testing.assert_array_equal(unpair(pair(weights[::-1, 0])), weights[::-1, 0])
    with pytest.raises(StreamError, match="128"):
        unpair(np.array([-1, 127], dtype=np.int8))


@given(st.integers(1, 300), seeds)
@settings(max_examples=60, deadline=None)
def test_the_largest_sum_is_reached_and_never_passed(taps: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    weights = sparse(rng, (1, taps), 0.7)
    bound = int(largest_sum(weights)[0])
    w = weights[0].astype(int)
    up = int((np.where(w > 0, 127, -128) * w).sum())
    down = int((np.where(w > 0, -128, 127) * w).sum())
    assert bound == max(up, -down)
    assert abs(int((rng.integers(-128, 128, taps) * w).sum())) <= bound


def plain_geometry() -> DualGeometry:
    return DualGeometry((8, 8, 64), (8, 8, 2), (3, 3), (1, 1), (1, 1), 1, 8)


def test_the_bound_is_proved_per_channel() -> None:
    geometry = plain_geometry()
    weights = np.zeros((2, 576), dtype=np.int8)
    bias, multiplier = np.zeros(2, np.int32), np.full(2, 2**30, np.int32)
    shift = np.full(2, -8, np.int32)
    assert why_not_dual(weights, bias, multiplier, shift, geometry) == ""
    weights[1, :259] = 127
    assert int(largest_sum(weights)[1]) > LARGEST_PACKED
    assert "channel 1 may sum to" in why_not_dual(weights, bias, multiplier, shift, geometry)
    weights[1] = 0
    assert "scale" in why_not_dual(weights, bias, multiplier, shift * 0, geometry)
    assert "bias" in why_not_dual(weights, bias + 2**24, multiplier, shift, geometry)
    dense = replace(geometry, order="phases")
    assert why_not_dual(weights, bias + 2**24, multiplier, shift, dense) == ""
    assert "bias" in why_not_dual(weights, bias + 2**28, multiplier, shift, dense)
    narrow = replace(geometry, segment=9)
    assert "columns" in why_not_dual(weights, bias, multiplier, shift, narrow)


@given(
    st.integers(-(2**24), 2**24 - 1),
    st.integers(2**30, 2**31 - 1),
    st.integers(1, 15),
    st.booleans(),
    st.integers(1, 40),
)
@settings(max_examples=120, deadline=None)
def test_a_line_of_the_table_holds_all_of_a_channel(
    bias: int, multiplier: int, right: int, proved: bool, entries: int
) -> None:
    """Read as ``snn_convolve_dual_sparse_s8.c`` reads it."""
    weights = np.zeros((2, 576), dtype=np.int8)
    weights[0, :entries] = 1
    packed = pack_taps(weights, plain_geometry().positions())
    finish = Finish(np.full(2, multiplier, np.int32), np.array([proved, not proved]))
    table = pack_table(packed, np.array([bias, 0], np.int32), finish, np.full(2, -right, np.int32))
    assert table.shape == (2, 7 if -(2**16) <= bias < 2**16 else 8)
    for channel, line in enumerate(table):
        value = int.from_bytes(line.tobytes(), "little", signed=True)
        assert value & 15 == right
        assert value >> 4 & 15 == packed.place[channel]
        assert (value >> 8 & (2**30 - 1)) + 2**30 == multiplier
        assert bool(value >> 38 & 1) == (proved == bool(channel))
        assert value >> 39 == (0 if channel else bias)
