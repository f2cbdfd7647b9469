"""The arena on the host, found by search: small ones may crash TFLM, but never the bridge."""

from __future__ import annotations

import pytest

from bridge.errors import ModelError
from bridge.firmware.arena import STEP, host_arena_bytes
from tests.compile.networks import int8_model


def deep(layers, x):
    """Enough operators that an arena of some kilobytes ends in a failed allocation unchecked."""
    for _ in range(6):
        x = layers.DepthwiseConv2D(3, padding="same", activation="relu")(x)
        x = layers.Conv2D(64, 1, activation="relu")(x)
    return layers.Dense(12)(layers.Flatten()(x))


def test_the_arena_fits_and_less_does_not():
    from tflite_micro.python.tflite_micro import runtime

    model = int8_model(deep, (7, 5, 3))
    size = host_arena_bytes(model)
    runtime.Interpreter.from_bytes(model, arena_size=size)
    assert size % STEP == 0
    with pytest.raises(RuntimeError, match="allocate"):
        runtime.Interpreter.from_bytes(model, arena_size=size - 2 * STEP)


def test_what_tflm_refuses_is_said():
    with pytest.raises(ModelError, match="256 MB"):
        host_arena_bytes(b"\0\0\0\0TFL3" + bytes(200))
