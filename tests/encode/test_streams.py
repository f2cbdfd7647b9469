"""Sparse streams: exact inverses, and corrupted ones are noticed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.encode.streams import StreamError, fold_zero_point, pack_d8, unpack_d8


@st.composite
def sparse_matrices(draw: st.DrawFn, max_columns: int = 1200) -> np.ndarray:
    rows = draw(st.integers(1, 8))
    columns = draw(st.integers(1, max_columns))
    density = draw(st.sampled_from([0.0, 0.002, 0.02, 0.1, 0.5, 1.0]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    weights = rng.integers(-128, 128, (rows, columns)).astype(np.int8)
    weights[rng.random((rows, columns)) >= density] = 0
    if draw(st.booleans()):
        weights[rng.integers(rows)] = 0
    return weights


@given(sparse_matrices())
@settings(max_examples=150, deadline=None)
def test_d8_is_its_own_inverse(weights: np.ndarray) -> None:
    packed = pack_d8(weights)
    np.testing.assert_array_equal(unpack_d8(packed), weights)
    assert packed.bytes == 2 * packed.entries + 2 * len(weights)


@pytest.mark.parametrize("place", [0, 1, 254, 255, 256, 510, 511, 765, 999])
def test_d8_bridges_long_gaps(place: int) -> None:
    weights = np.zeros((1, 1000), np.int8)
    weights[0, place] = -128
    packed = pack_d8(weights)
    assert packed.entries == 1 + max(place - 1, 0) // 255
    np.testing.assert_array_equal(unpack_d8(packed), weights)


@given(sparse_matrices(), st.data())
@settings(max_examples=150, deadline=None)
def test_a_corrupted_d8_stream_never_unpacks_to_the_same_weights_silently(
    weights: np.ndarray, data: st.DataObject
) -> None:
    packed = pack_d8(weights)
    if not packed.entries:
        return
    stream = packed.stream.copy()
    place = data.draw(st.integers(0, stream.size - 1))
    stream[place] ^= data.draw(st.integers(1, 255))
    try:
        changed = unpack_d8(replace(packed, stream=stream))
    except StreamError:
        return
    assert not np.array_equal(changed, weights)


def test_a_cut_or_overlong_stream_is_refused() -> None:
    packed = pack_d8(np.eye(4, 300, dtype=np.int8))
    for stream in (packed.stream[:-2], np.append(packed.stream, [1, 1]).astype(np.uint8)):
        with pytest.raises(StreamError, match="bytes"):
            unpack_d8(replace(packed, stream=stream))


def test_leaving_the_row_is_refused() -> None:
    packed = pack_d8(np.ones((1, 4), np.int8))
    with pytest.raises(StreamError, match="reaches column"):
        unpack_d8(replace(packed, columns=3))


def test_folding_the_zero_point_keeps_every_sum() -> None:
    rng = np.random.default_rng(0)
    weights = rng.integers(-127, 128, (5, 40)).astype(np.int8)
    bias = rng.integers(-(2**20), 2**20, 5).astype(np.int32)
    x = rng.integers(-128, 128, 40)
    folded = fold_zero_point(weights, bias, -7)
    np.testing.assert_array_equal(
        weights.astype(int) @ (x + 7) + bias, weights.astype(int) @ x + folded
    )


def test_wrong_weights_are_named() -> None:
    with pytest.raises(StreamError, match="int8 matrix"):
        pack_d8(np.zeros((2, 3), np.float32))  # type: ignore[arg-type]
