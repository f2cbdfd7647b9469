"""The arena on the host, found by search: small ones may crash TFLM, but never the bridge."""

from __future__ import annotations

import pytest

from bridge.errors import ModelError
from bridge.firmware.arena import STEP, cmsis_nn_bytes, host_arena_bytes, target_arena_bytes
from bridge.graph import read_tflite
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


def test_the_target_gets_room_for_cmsis_nn():
    """Its convolution unfolds two pixels to int16, or four to int8 in steps of sixteen."""
    model = int8_model(deep, (7, 5, 3))
    graph = read_tflite(model)
    taps = max(
        t.elements // t.shape[0] for op, t in graph.weights() if op.kind == "CONV_2D"
    )  # fmt: skip
    depthwise = max(
        2 * t.elements for op, t in graph.weights() if op.kind == "DEPTHWISE_CONV_2D"
    )  # fmt: skip
    assert cmsis_nn_bytes(graph) >= max(4 * taps, depthwise) + 4 * 12
    assert target_arena_bytes(model) == host_arena_bytes(model) + cmsis_nn_bytes(graph)
