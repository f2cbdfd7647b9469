"""Each operator of plain C against the TFLM interpreter, byte for byte, with sanitizers."""

from __future__ import annotations

import numpy as np
import pytest

from bridge.compile import compile_graph
from bridge.compile.host import run_on_host
from bridge.graph import read_tflite
from tests.compile.networks import int8_model, random_inputs, run_tflm


def _excite(layers, x):
    gate = layers.Activation("sigmoid")(layers.Conv2D(x.shape[-1], (5, 4))(x))
    return layers.Multiply()([x, gate])


CASES = {
    "MUL": _excite,
    "SUB": lambda layers, x: layers.Subtract()([x, layers.Conv2D(x.shape[-1], (5, 4))(x)]),
    "ADD": lambda layers, x: x + np.linspace(-1, 2, x.shape[-1]).astype(np.float32),
    "LOGISTIC": lambda layers, x: layers.Activation("sigmoid")(x),
}


@pytest.mark.parametrize("kind", CASES)
def test_operator_equals_tflm(kind):
    shape = (5, 4, 3)
    model = int8_model(CASES[kind], shape)
    graph = read_tflite(model)
    assert kind in {operator.kind for operator in graph.operators}
    inputs = random_inputs(shape)
    expected = run_tflm(model, inputs)
    assert len(np.unique(expected)) > 8
    outputs = run_on_host(compile_graph(graph, engine="c-sparse"), inputs, sanitize=True)
    assert np.array_equal(outputs, expected)
