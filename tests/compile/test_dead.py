"""Filters that pruning emptied keep their layer in the fast kernels, and its outputs the same."""

from __future__ import annotations

import numpy as np
import pytest

from bridge.compile import compile_graph
from bridge.compile.dead import settle_dead_channels
from bridge.compile.fixed_point import requantize
from bridge.compile.weighted import read_weighted
from bridge.firmware.host import run_on_host
from bridge.graph import read_tflite
from tests.compile.networks import int8_model, random_inputs, run_tflm

SHAPE = (12, 9, 3)


def with_dead_filters(layers, x):
    x = layers.Conv2D(6, 3, padding="same", name="first")(x)
    x = layers.DepthwiseConv2D(3, name="depthwise")(x)
    return layers.Dense(5, name="last")(layers.Flatten()(x))


@pytest.fixture(scope="module")
def model():
    def empty(layer, values):
        if layer.name == "first":
            values[..., 1] = values[..., 4] = 0
        elif layer.name == "depthwise":
            values[:, :, 2] = 0
        elif layer.name == "last":
            values[:, 3] = 0

    return int8_model(with_dead_filters, SHAPE, seed=5, change=empty)


def test_outputs_are_tflms(model):
    graph = read_tflite(model)
    inputs = random_inputs(SHAPE, count=40)
    program = compile_graph(graph, engine="c-sparse")
    assert np.array_equal(run_on_host(program, inputs, sanitize=True), run_tflm(model, inputs))


def test_a_dead_filter_costs_no_layer_its_fast_kernel(model):
    program = compile_graph(read_tflite(model), engine="c-sparse")
    formats = {plan.kind: plan.format for plan in program.layers if plan.macs}
    assert formats["CONV_2D"] in {"dual", "dual-dense"}
    assert formats["DEPTHWISE_CONV_2D"] == "depthwise-dual"


def test_only_dead_channels_change(model):
    graph = read_tflite(model)
    operator = next(o for o, _ in graph.weights() if o.kind == "CONV_2D")
    before = read_weighted(graph, operator, "cortex-m4")
    after = settle_dead_channels(before)
    dead = [1, 4]
    alive = [c for c in range(before.target.c) if c not in dead]
    assert np.array_equal(before.bias[alive], after.bias[alive])
    assert np.array_equal(before.shift[alive], after.shift[alive])
    for c in dead:
        was = requantize(int(before.bias[c]), int(before.multiplier[c]), int(before.shift[c]))
        now = requantize(int(after.bias[c]), int(after.multiplier[c]), int(after.shift[c]))
        assert now == max(-256, min(256, was))
        assert abs(int(after.bias[c])) <= 1024
        assert -15 <= after.shift[c] <= -1
