"""Random operators against TFLM: shapes, zero points at their ends, extreme activations."""

from __future__ import annotations

import numpy as np
import pytest

from bridge.compile import ENGINES, compile_graph
from bridge.errors import ModelError, UnsupportedOperator
from bridge.firmware.host import run_on_host
from bridge.graph import read_tflite
from tests.compile import draw, draw_moves
from tests.compile.flatbuffer import Call, Value, integers, network
from tests.compile.networks import run_tflm

FAMILIES = draw.FAMILIES | draw_moves.FAMILIES


def _inputs(rng, graph, count=10):
    size = sum(graph.tensor(index).bytes for index in graph.inputs)
    values = rng.integers(-128, 128, (count, size), dtype=np.int8)
    values[0], values[1] = -128, 127
    values[2] = rng.choice(np.array([-128, 127], np.int8), size)
    return values


def _compare(graph, calls, outputs, expected, tolerance=0):
    """Name the operators whose outputs differ."""
    wrong, start = [], 0
    for call in calls:
        size = sum(int(np.prod(value.shape)) for value in call.outputs)
        part = slice(start, start + size)
        start += size
        far = np.abs(outputs[:, part].astype(int) - expected[:, part]).max()
        if far > tolerance:
            shapes = [value and value.shape for value in call.inputs]
            wrong.append((call.kind, shapes, call.options, int(far)))
    assert not wrong, wrong[:3]


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("family", FAMILIES)
def test_random_operators_equal_tflm(family, seed):
    rng = np.random.default_rng([seed, *family.encode()])
    draws = FAMILIES[family]
    calls = [draws[i % len(draws)](rng) for i in range(max(12, 3 * len(draws)))]
    model = network(calls)
    graph = read_tflite(model)
    inputs = _inputs(rng, graph)
    expected = run_tflm(model, inputs, graph)
    for core in ("cortex-m4", "cortex-m0"):
        program = compile_graph(graph, engine="c-sparse", core=core)
        _compare(graph, calls, run_on_host(program, inputs, sanitize=True), expected)


@pytest.mark.parametrize("seed", [1])
@pytest.mark.parametrize("family", FAMILIES)
def test_random_operators_in_float_are_near(family, seed):
    rng = np.random.default_rng([seed, *family.encode()])
    draws = FAMILIES[family]
    calls = [draws[i % len(draws)](rng) for i in range(max(12, 3 * len(draws)))]
    model = network(calls)
    graph = read_tflite(model)
    inputs = _inputs(rng, graph)
    outputs = run_on_host(compile_graph(graph, engine="c-float"), inputs, sanitize=True)
    # TFLite's integer resizing knows places in 1/1024 of a pixel.
    tolerance = 2 if family == "resizing" else 1
    _compare(graph, calls, outputs, run_tflm(model, inputs, graph), tolerance)


def _activation(*shape):
    return Value(shape, 0.1, 3)


REFUSED = {
    "GATHER with batch dimensions": Call(
        "GATHER",
        [_activation(1, 4, 3), integers([[1, 2]])],
        [_activation(1, 2, 3)],
        "GatherOptions",
        {"axis": 1, "batchDims": 1},
    ),
    "STRIDED_SLICE with ellipsis": Call(
        "STRIDED_SLICE",
        [_activation(1, 4, 3), integers([0, 0]), integers([1, 2]), integers([1, 1])],
        [_activation(1, 4, 2)],
        "StridedSliceOptions",
        {"ellipsisMask": 1},
    ),
    "MIRROR_PAD of dimensions far apart": Call(
        "MIRROR_PAD",
        [_activation(1, 4, 3, 2), integers([[0, 0], [1, 0], [0, 0], [0, 1]])],
        [_activation(1, 5, 3, 3)],
        "MirrorPadOptions",
    ),
    "CONCATENATION of unlike scales": Call(
        "CONCATENATION",
        [_activation(1, 2), Value((1, 2), 0.2, 3)],
        [_activation(1, 4)],
        "ConcatenationOptions",
        {"axis": 1},
    ),
    "CONV_2D over 2 images": Call(
        "CONV_2D",
        [
            _activation(2, 3, 3, 1),
            Value((1, 1, 1, 1), 0.1, data=np.ones((1, 1, 1, 1), np.int8)),
            None,
        ],
        [_activation(2, 3, 3, 1)],
        "Conv2DOptions",
        {"strideH": 1, "strideW": 1},
    ),
    "FLOOR_DIV": Call("FLOOR_DIV", [_activation(1, 2)] * 2, [_activation(1, 2)]),
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("what", REFUSED)
def test_what_is_not_covered_is_refused_by_name(what, engine):
    with pytest.raises(UnsupportedOperator, match=what):
        compile_graph(read_tflite(network([REFUSED[what]])), engine=engine)


def test_shapes_that_do_not_fit_are_refused():
    call = Call("MINIMUM", [_activation(1, 3), _activation(1, 1)], [_activation(1, 9)])
    with pytest.raises(ModelError, match=r"makes \[1, 9\] of \[1, 3\] and \[1, 1\]"):
        compile_graph(read_tflite(network([call])), engine="c-sparse")
