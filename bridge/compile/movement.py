"""Operators that only move bytes, as strided copies of at most four dimensions."""

from __future__ import annotations

import math
from typing import Any

from bridge.compile.program import LayerPlan
from bridge.compile.quantization import quantization
from bridge.compile.steps import Step
from bridge.errors import UnsupportedOperator
from bridge.graph import Graph, Operator


def concatenate(graph: Graph, operator: Operator, target: object) -> Step:
    """CONCATENATION of activations that share one quantization, as TFLM demands."""
    output = graph.output(operator)
    axis = int(operator.options["axis"]) % len(output.shape)
    outer, inner = math.prod(output.shape[:axis]), math.prod(output.shape[axis + 1 :])
    copies: list[dict[str, Any]] = []
    first = 0
    for position, index in enumerate(operator.inputs):
        tensor = graph.tensor(index)
        how, result = quantization(tensor), quantization(output)
        same = (how.scales, how.zero_points) == (result.scales, result.zero_points)
        if tensor.data is not None or not same:
            raise UnsupportedOperator(
                "CONCATENATION of a constant or of unlike scales", operator.name
            )
        block = tensor.shape[axis] * inner
        copies.append(
            {
                "size": [1, 1, outer, block],
                "input_stride": [0, 0, block, 1],
                "output_stride": [0, 0, output.shape[axis] * inner, 1],
                "input_first": 0,
                "output_first": first,
                "input": position,
                "output": 0,
            }
        )
        first += block
    return _copy(operator, operator.inputs, copies)


def transpose(graph: Graph, operator: Operator, target: object) -> Step:
    """TRANSPOSE of up to four dimensions."""
    source, order = graph.tensor(operator.inputs[0]), graph.tensor(operator.inputs[1]).data
    if order is None or len(source.shape) > 4:
        raise UnsupportedOperator("TRANSPOSE of five dimensions or a computed order", operator.name)
    output = graph.output(operator).shape
    lead = [1] * (4 - len(output))
    entry = {
        "size": lead + list(output),
        "input_stride": [0] * len(lead) + [math.prod(source.shape[int(p) + 1 :]) for p in order],
        "output_stride": [0] * len(lead) + [math.prod(output[i + 1 :]) for i in range(len(output))],
        "input_first": 0,
        "output_first": 0,
        "input": 0,
        "output": 0,
    }
    return _copy(operator, operator.inputs[:1], [entry])


def _copy(operator: Operator, inputs: tuple[int, ...], copies: list[dict[str, Any]]) -> Step:
    return Step(
        kernel="copy_s8",
        inputs=inputs,
        outputs=operator.outputs,
        plan=LayerPlan(operator.name, operator.kind, "snn_copy_s8"),
        parameters={"copies": copies},
    )
