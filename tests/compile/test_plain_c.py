"""Generated C against the real TFLM interpreter, byte for byte, on the host."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from bridge.compile import compile_graph
from bridge.errors import InputError, UnsupportedOperator
from bridge.firmware.host import run_on_host
from bridge.graph import read_tflite
from tests.compile.networks import int8_model, lenet, random_inputs, residual, run_tflm

CASES = {"lenet": (lenet, (20, 17, 1)), "residual": (residual, (11, 14, 3))}


@pytest.fixture(scope="module", params=[(n, s) for n in CASES for s in (0.0, 0.9)], ids=str)
def network(request):
    name, sparsity = request.param
    build, shape = CASES[name]
    model = int8_model(build, shape, sparsity=sparsity)
    inputs = random_inputs(shape)
    return read_tflite(model, name=name), inputs, run_tflm(model, inputs), sparsity, model


def test_sparse_engine_equals_tflm_byte_for_byte(network):
    graph, inputs, expected, sparsity, _ = network
    assert len(np.unique(expected)) > 8, "outputs must move with the input"
    program = compile_graph(graph, engine="c-sparse")
    weights = sum(tensor.elements for _, tensor in graph.weights())
    assert (program.weight_bytes < 0.5 * weights) == (sparsity > 0.5)
    assert np.array_equal(run_on_host(program, inputs, sanitize=True), expected)


def test_float_engine_is_near_the_int8_network(network):
    graph, inputs, _, _, model = network
    inputs = inputs // 4  # inside the calibrated range, where int8 activations don't saturate
    expected = run_tflm(model, inputs)
    program = compile_graph(graph, engine="c-float")
    outputs = run_on_host(program, inputs, sanitize=True)
    noise = np.abs(outputs.astype(int) - expected).mean()
    assert 0 < noise < 6


def test_a_changed_weight_changes_the_output(network):
    graph, inputs, expected, *_ = network
    operator, _ = list(graph.weights())[-1]
    bias = graph.tensors[operator.inputs[2]]
    changed = dataclasses.replace(bias, data=bias.data + np.int32(20_000))
    tensors = (*graph.tensors[: bias.index], changed, *graph.tensors[bias.index + 1 :])
    broken = compile_graph(dataclasses.replace(graph, tensors=tensors), engine="c-sparse")
    assert not np.array_equal(run_on_host(broken, inputs), expected)


def test_the_same_graph_gives_the_same_text(network):
    graph, *_ = network
    first, second = (compile_graph(graph, engine="c-sparse") for _ in range(2))
    assert first.files == second.files


def test_what_is_not_covered_is_refused_by_name(network):
    graph, *_ = network
    first = dataclasses.replace(graph.operators[0], kind="RFFT2D", name="spectrum")
    changed = dataclasses.replace(graph, operators=(first, *graph.operators[1:]))
    with pytest.raises(UnsupportedOperator, match="RFFT2D at 'spectrum'"):
        compile_graph(changed, engine="c-sparse")


def test_unknown_engine_and_prefix():
    graph = read_tflite(int8_model(lenet, (20, 17, 1)))
    with pytest.raises(InputError, match="unknown engine"):
        compile_graph(graph, engine="fast")
    with pytest.raises(InputError, match="can't start C names"):
        compile_graph(graph, engine="c-sparse", prefix="2fast")
