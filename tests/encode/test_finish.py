"""Requantization by proof: what is proved gives TFLite's outputs, what is not is found out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.encode.finish import (
    ABOVE_ROOM,
    LEAST_SHIFT,
    POINTWISE_ROOM,
    ROOM,
    Finish,
    more_offset,
    prove_finish,
)

rooms = st.sampled_from([ROOM, POINTWISE_ROOM])


def tflite(sums: np.ndarray, multiplier: int, right: int, zero_point: int) -> np.ndarray:
    """TFLite's two roundings, in int64."""
    high = (sums * multiplier + (1 << 30)) >> 31
    mask = (1 << right) - 1
    up = (high & mask) > (mask >> 1) + (high < 0)
    return np.clip((high >> right) + up + zero_point, -128, 127)


def fast(sums: np.ndarray, finish: Finish, right: int, zero_point: int, room: int) -> np.ndarray:
    """What the kernels compute, and that no step of it leaves int32."""
    unit = room + ABOVE_ROOM
    offset = ((2 * zero_point + 1) << (unit - 1)) + int(more_offset(np.int64(right), room))
    value = sums << room
    assert np.all(np.abs(value + 0.5) <= 2**31)
    high = (value * int(finish.cut(np.array([-right]))[0]) >> 32) + offset
    assert np.all(np.abs(high + 0.5) <= 2**31)
    return np.clip(high >> unit, -128, 127)


def prove(
    multiplier: int, right: int, reach: tuple[int, int], zero_point: int, room: int
) -> Finish:
    return prove_finish(
        np.array([multiplier], np.int32),
        np.array([-right], np.int32),
        np.array([reach[0]], np.int64),
        np.array([reach[1]], np.int64),
        zero_point,
        room=room,
    )


def telling_sums(
    multiplier: int, right: int, reach: tuple[int, int], rng: np.random.Generator
) -> np.ndarray:
    """Sums on both sides of every step, the extremes, and random ones."""
    steps = ((np.arange(-256, 257) + 0.5) * 2.0 ** (31 + right) / multiplier).astype(np.int64)
    near = (steps[:, None] + np.arange(-4, 5)).ravel()
    ends = [reach[0], reach[0] + 1, -1, 0, 1, reach[1] - 1, reach[1]]
    random = rng.integers(reach[0], reach[1] + 1, 2000)
    return np.clip(np.concatenate([near, ends, random]), *reach)


@given(
    st.integers(2**30, 2**31 - 1),
    st.integers(1, 22),
    st.integers(-(2**22), 2**22 - 3),
    st.integers(0, 2**22),
    st.integers(-128, 127),
    rooms,
    st.integers(0, 2**32 - 1),
)
@settings(max_examples=400, deadline=None)
def test_what_is_proved_gives_tflites_outputs(
    multiplier: int, right: int, low: int, span: int, zero_point: int, room: int, seed: int
) -> None:
    reach = (low, min(low + span, 2**22 - 3))
    finish = prove(multiplier, right, reach, zero_point, room)
    if not finish.proved[0]:
        assert int(finish.multiplier[0]) == multiplier
        return
    sums = telling_sums(multiplier, right, reach, np.random.default_rng(seed))
    wanted = tflite(sums, multiplier, right, zero_point)
    given_ = fast(sums, finish, right, zero_point, room)
    np.testing.assert_array_equal(np.maximum(given_, zero_point), np.maximum(wanted, zero_point))


@pytest.mark.parametrize("room", [ROOM, POINTWISE_ROOM])
@pytest.mark.parametrize("right", [5, 7, 9])
def test_scales_of_real_layers_are_proved(right: int, room: int) -> None:
    rng = np.random.default_rng(right)
    count = 200
    finish = prove_finish(
        rng.integers(2**30, 2**31, count).astype(np.int32),
        np.full(count, -right, np.int32),
        np.full(count, -(2**21)),
        np.full(count, 2**21),
        -128,
        room=room,
    )
    assert finish.proved.mean() > 0.95


def test_what_leaves_no_room_is_not_proved() -> None:
    for reach, right in (((-5, 2**22), 7), ((-(2**22) - 1, 5), 7), ((-5, 5), LEAST_SHIFT - 1)):
        assert not prove(2**30 + 1, right, reach, -128, ROOM).proved[0]


def test_a_step_that_comes_out_elsewhere_is_found() -> None:
    """With so small a scale few multipliers give every step; none of them is given wrongly."""
    rng = np.random.default_rng(0)
    count = 300
    finish = prove_finish(
        rng.integers(2**30, 2**31, count).astype(np.int32),
        np.full(count, -12, np.int32),
        np.full(count, -(2**22)),
        np.full(count, 2**22 - 3),
        -128,
    )
    assert finish.proved.mean() < 0.5
