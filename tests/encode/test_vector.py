"""Formats for MVE: exact inverses, corrupted streams noticed, bounds and arithmetic proved."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.bench.kernel_cases import requantize
from bridge.encode.block4x1_vector import BATCH, pack_4x1_vector, unpack_4x1_vector
from bridge.encode.bounds import largest_sum
from bridge.encode.gather_vector import pack_gather_vector, unpack_gather_vector
from bridge.encode.planar import FRACTION, LARGEST_SCALED, PlanarGeometry, why_not_planar
from bridge.encode.rows import RowStream
from bridge.encode.streams import StreamError
from bridge.encode.taps import count_taps, pack_taps, tap_code, unpack_taps

Pack = Callable[[np.ndarray], RowStream]
Unpack = Callable[[RowStream], np.ndarray]

CONNECTED = [(pack_4x1_vector, unpack_4x1_vector), (pack_gather_vector, unpack_gather_vector)]


def sparse(rng: np.random.Generator, shape: tuple[int, ...], density: float) -> np.ndarray:
    weights = rng.integers(-128, 128, shape).astype(np.int8)
    weights[rng.random(shape) >= density] = 0
    return weights


@st.composite
def geometries(draw: st.DrawFn) -> PlanarGeometry:
    return PlanarGeometry(
        source=(64, 64, draw(st.integers(1, 20))),
        target=(32, 40, draw(st.integers(1, 6))),
        kernel=(draw(st.integers(1, 5)), draw(st.integers(1, 5))),
        stride=(draw(st.integers(1, 3)), draw(st.integers(1, 3))),
        dilation=(draw(st.integers(1, 2)), draw(st.integers(1, 3))),
        band=draw(st.integers(1, 4)),
        segment=draw(st.integers(2, 40)),
        lanes=draw(st.integers(1, 12)),
        group=draw(st.sampled_from([0, 0, 4])),
    )


def filters(geometry: PlanarGeometry, density: float, seed: int) -> np.ndarray:
    taps = geometry.positions().size
    return sparse(np.random.default_rng(seed), (geometry.target[2], taps), density)


densities = st.sampled_from([0.0, 0.01, 0.1, 0.6, 1.0])
seeds = st.integers(0, 2**32 - 1)


@given(geometries(), densities, seeds)
@settings(max_examples=120, deadline=None)
def test_taps_are_their_own_inverse(geometry: PlanarGeometry, density: float, seed: int) -> None:
    weights, positions = filters(geometry, density, seed), geometry.positions()
    packed = pack_taps(weights, positions)
    np.testing.assert_array_equal(unpack_taps(packed, positions), weights)
    assert packed.entries == count_taps(weights, positions)
    assert packed.stream.size == 2 * packed.entries + packed.rows


@given(geometries(), densities, seeds, st.data())
@settings(max_examples=120, deadline=None)
def test_corrupted_taps_never_give_the_same_silently(
    geometry: PlanarGeometry, density: float, seed: int, data: st.DataObject
) -> None:
    weights, positions = filters(geometry, density, seed), geometry.positions()
    packed = pack_taps(weights, positions)
    stream = packed.stream.copy()
    stream[data.draw(st.integers(0, stream.size - 1))] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(StreamError):
        assert not np.array_equal(unpack_taps(replace(packed, stream=stream), positions), weights)
    for other in (packed.stream[:-1], np.append(packed.stream, np.uint8(0))):
        with pytest.raises(StreamError):
            unpack_taps(replace(packed, stream=other), positions)


def test_a_code_holds_bias_place_and_shift() -> None:
    weights = np.zeros((2, 64), dtype=np.int8)
    weights[0, :17] = 1
    packed = pack_taps(weights, np.arange(64))
    code = tap_code(packed, np.array([-3, 2**22], np.int32), np.array([-8, -15], np.int32))
    assert (code & 255).tolist() == [(14 << 4) | 8, 255]
    assert (code >> 8).tolist() == [-3, 2**22]
    with pytest.raises(StreamError, match="63 taps"):
        pack_taps(weights, np.arange(63))
    with pytest.raises(StreamError, match="wrong place"):
        unpack_taps(replace(packed, place=packed.place[::-1]), np.arange(64))


@pytest.mark.parametrize(("pack", "unpack"), CONNECTED)
@given(st.integers(1, 11), st.integers(1, 1500), densities, seeds)
@settings(max_examples=80, deadline=None)
def test_connected_formats_are_their_own_inverse(
    pack: Pack, unpack: Unpack, rows: int, columns: int, density: float, seed: int
) -> None:
    weights = sparse(np.random.default_rng(seed), (rows, columns), density)
    packed = pack(weights)
    np.testing.assert_array_equal(unpack(packed), weights)
    if pack is pack_4x1_vector:
        assert packed.stream.size == BATCH * packed.batches + 2 * -(-rows // 4)


@pytest.mark.parametrize(("pack", "unpack"), CONNECTED)
@given(st.integers(1, 9), st.integers(1, 700), densities, seeds, st.data())
@settings(max_examples=80, deadline=None)
def test_corrupted_connected_formats_never_give_the_same_silently(
    pack: Pack, unpack: Unpack, rows: int, columns: int, density: float, seed: int,
    data: st.DataObject,
) -> None:  # fmt: skip
    weights = sparse(np.random.default_rng(seed), (rows, columns), density)
    packed = pack(weights)
    stream = packed.stream.copy()
    stream[data.draw(st.integers(0, stream.size - 1))] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(StreamError):
        assert not np.array_equal(unpack(replace(packed, stream=stream)), weights)
    for other in (packed.stream[:-1], np.append(packed.stream, np.uint8(0))):
        with pytest.raises(StreamError, match=r"end|behind"):
            unpack(replace(packed, stream=other))


def test_what_connected_formats_cannot_number_is_refused() -> None:
    with pytest.raises(StreamError, match="65536"):
        pack_4x1_vector(np.zeros((1, 65537), dtype=np.int8))
    with pytest.raises(StreamError, match="65535"):
        pack_gather_vector(np.ones((1, 65536), dtype=np.int8))


@given(geometries())
@settings(max_examples=100, deadline=None)
def test_a_tap_is_a_fixed_distance_from_the_output_in_the_planes(geometry: PlanarGeometry) -> None:
    """Unrolling the numbers of the image's columns, then reading every tap of every output."""
    (_, reach), (_, stride), (_, dilation) = geometry.kernel, geometry.stride, geometry.dilation
    row_step, channel_step, phase_step = (step * geometry.lanes for step in geometry.steps)
    planes = np.full(geometry.bytes, -1)
    for phase in range(geometry.phases):
        for column in range(geometry.columns):
            at = phase * phase_step + column * geometry.lanes
            planes[at : at + geometry.lanes] = column * stride + phase
    single = geometry.kernel == (1, 1) and not geometry.group
    unit = channel_step if single else geometry.lanes
    depth = 1 if geometry.group else geometry.source[2]
    positions = geometry.positions().reshape(*geometry.kernel, depth) * unit
    outputs = np.arange(geometry.outputs)
    for tap in range(reach):
        found = planes[positions[0, tap, 0] + outputs]
        wanted = outputs // geometry.lanes * stride + tap * dilation
        np.testing.assert_array_equal(found, wanted)
    used = geometry.rows * row_step
    assert positions.max() + geometry.outputs <= used <= geometry.bytes
    if geometry.group:
        assert channel_step == used
        assert geometry.group * used <= geometry.bytes


def test_what_the_vector_kernel_relies_on_is_proved_per_channel() -> None:
    geometry = PlanarGeometry((8, 8, 64), (8, 8, 2), (3, 3), (1, 1), (1, 1), 4, 8, lanes=2)
    weights = np.zeros((2, 576), dtype=np.int8)
    bias, multiplier = np.zeros(2, np.int32), np.full(2, 2**30, np.int32)
    shift = np.full(2, -6, np.int32)
    assert why_not_planar(weights, bias, multiplier, shift, geometry) == ""
    weights[1, :64] = 127
    weights[1, 64] = 63
    reach = int(largest_sum(weights)[1])
    assert reach << 10 <= LARGEST_SCALED < (reach + 128) << 10
    assert why_not_planar(weights, bias, multiplier, shift, geometry) == ""
    weights[1, 64] = 64
    said = why_not_planar(weights, bias, multiplier, shift, geometry)
    assert said.startswith(f"channel 1 may reach {2**30}")
    weights[1] = 0
    assert "bias" in why_not_planar(weights, bias + 2**23, multiplier, shift, geometry)
    assert "scale" in why_not_planar(weights, bias, multiplier, shift * 0, geometry)
    for change, word in (
        ({"segment": 9}, "columns"),
        ({"segment": 4}, "a tile takes 16"),
        ({"band": 5}, "band"),
        ({"target": (8, 8, 3000)}, "bytes apart"),
        ({"source": (8, 8, 10000)}, "input columns"),
    ):
        other = replace(geometry, **change)  # type: ignore[arg-type]
        assert word in other.why_not()
        assert word in why_not_planar(weights, bias, multiplier, shift, other)


@pytest.mark.parametrize(("lanes", "columns"), [(1, 65528), (16, 4088)])
def test_the_farthest_planes_are_those_that_sixteen_bits_reach(lanes: int, columns: int) -> None:
    """The eighth column of the next channel: one channel's planes and seven columns, all lanes."""
    wide = PlanarGeometry(
        (lanes, columns, 2), (lanes, columns, 1), (1, 1), (1, 1), (1, 1), 1, columns, lanes=lanes
    )
    assert (wide.steps[1] + 7) * lanes <= 2**16 - 1 < (wide.steps[1] + 8) * lanes
    assert wide.why_not() == ""
    more = replace(wide, target=(lanes, columns + 1, 1), segment=columns + 1)
    assert "planes" in more.why_not()


@given(st.integers(1, 15), st.integers(2**30, 2**31 - 1), st.integers(-128, 127), seeds)
@settings(max_examples=200, deadline=None)
def test_the_vector_kernels_requantization_is_tflites(
    right: int, multiplier: int, zero_point: int, seed: int
) -> None:
    """Sixteen bits behind the point and nested floors, up to the bound that is proved."""
    limit = LARGEST_SCALED >> (FRACTION - right)
    sums = np.random.default_rng(seed).integers(-limit, limit + 1, 3000)
    # Close to halves of an output, where ties are.
    halves = np.arange(-600, 601) * 2 ** (right + 30) // multiplier
    sums = np.concatenate([sums, *(halves + i for i in range(-2, 3)), [-limit, limit]])
    sums = sums[np.abs(sums) <= limit]
    scale = 1 << (FRACTION - right)
    v = sums * scale
    offset = (zero_point << FRACTION) + (1 << (FRACTION - 1)) + scale // 2
    y = (v * multiplier >> 31) + offset - np.where(v < 0, scale, 0)
    assert np.abs(y).max(initial=0) < 2**31
    quant = {"output_offset": zero_point, "activation_min": -128, "activation_max": 127}
    wanted = requantize(sums, np.array(multiplier), np.array(-right), quant)
    np.testing.assert_array_equal(np.clip(y >> FRACTION, -128, 127), wanted)
    # Without the correction, where negative values become the zero point anyway.
    plain = (v * multiplier >> 31) + offset
    np.testing.assert_array_equal(
        np.clip(plain >> FRACTION, zero_point, 127), np.maximum(wanted, zero_point)
    )
