"""Operators that work value by value: broadcasting arithmetic, and tables of 256 bytes."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from bridge.compile import fixed_point
from bridge.compile.program import LayerPlan
from bridge.compile.quantization import (
    activation_range,
    add_parameters,
    quantization,
    quantize_multiplier,
)
from bridge.compile.steps import Step
from bridge.errors import ModelError, UnsupportedOperator
from bridge.graph import Graph, Operator, Tensor
from bridge.graph.model import Array


def arithmetic(graph: Graph, operator: Operator, target: object) -> Step:
    """ADD, SUB and MUL with broadcasting and constant operands."""
    first, second = graph.input(operator, 0), graph.input(operator, 1)
    output = graph.output(operator)
    if first is None or second is None:
        raise ModelError(f"layer {operator.name!r} lacks an input")
    for tensor in (first, second):
        if tensor.dtype != "int8":
            raise ModelError(f"layer {operator.name!r}: {tensor.name!r} is not int8")
    if len(output.shape) > 4:
        raise UnsupportedOperator(f"{operator.kind} of more than four dimensions", operator.name)
    low, high = activation_range(
        operator.options["fused_activation_function"], quantization(output)
    )
    quant = {**add_parameters(first, second, output), "activation_min": low, "activation_max": high}
    if operator.kind == "MUL":
        a, b, out = (quantization(tensor).scale for tensor in (first, second, output))
        multiplier, shift = quantize_multiplier(a * b / out)
        quant |= {"output_multiplier": multiplier, "output_shift": shift, "left_shift": 0}
    kernel = f"{operator.kind.lower()}_broadcast_s8"
    roles = (("first", first), ("second", second))
    constants: dict[str, Array] = {r: t.data for r, t in roles if t.data is not None}
    return Step(
        kernel=kernel,
        inputs=tuple(tensor.index for tensor in (first, second) if tensor.data is None),
        outputs=operator.outputs,
        plan=LayerPlan(
            operator.name,
            operator.kind,
            f"snn_{kernel}",
            weight_bytes=sum(int(array.nbytes) for array in constants.values()),
        ),
        parameters={
            "quant": quant,
            "size": [1] * (4 - len(output.shape)) + list(output.shape),
            "stride1": _strides(first),
            "stride2": _strides(second),
        },
        constants=constants,
    )


def _strides(tensor: Tensor) -> list[int]:
    shape = [1] * (4 - len(tensor.shape)) + list(tensor.shape)
    return [0 if shape[i] == 1 else math.prod(shape[i + 1 :]) for i in range(4)]


def lookup(graph: Graph, operator: Operator, target: object) -> Step:
    """An operator from one int8 to one int8, as a table computed exactly as TFLM does."""
    source, output = graph.tensor(operator.inputs[0]), graph.output(operator)
    function = _FUNCTIONS[operator.kind](operator, source, output)
    table = np.array([min(max(function(q), -128), 127) for q in range(-128, 128)], dtype=np.int8)
    return Step(
        kernel="lookup_s8",
        inputs=operator.inputs[:1],
        outputs=operator.outputs,
        plan=LayerPlan(operator.name, operator.kind, "snn_lookup_s8", weight_bytes=256),
        parameters={"size": output.elements},
        constants={"table": table},
    )


_Function = Callable[[int], int]


def _sigmoid(operator: Operator, source: Tensor, output: Tensor) -> _Function:
    how = quantization(source)
    multiplier, shift = quantize_multiplier(how.scale * (1 << 27))
    radius = math.floor(15.0 * (1 << 27) / 2.0**shift)
    tanh = operator.kind == "TANH"
    curve, places = (fixed_point.tanh, 24) if tanh else (fixed_point.logistic, 23)

    def function(q: int) -> int:
        value = q - how.zero_point
        if abs(value) >= radius:
            return 127 if value > 0 else -128
        raw = curve(fixed_point.requantize(value, multiplier, shift))
        return fixed_point.divide_by_power_of_two(raw, places) - (0 if tanh else 128)

    return function


def _rescale(operator: Operator, source: Tensor, output: Tensor) -> _Function:
    how, result = quantization(source), quantization(output)
    ratio = how.scale / result.scale
    if operator.kind == "RELU":  # TFLM divides these two in float32
        ratio = float(np.float32(how.scale) / np.float32(result.scale))
    multiplier, shift = quantize_multiplier(ratio)
    slope = float(np.float32(operator.options.get("alpha", 1.0)))
    negative = quantize_multiplier(how.scale * slope / result.scale)
    low = result.zero_point if operator.kind == "RELU" else -128

    def function(q: int) -> int:
        value = q - how.zero_point
        factor = negative if operator.kind == "LEAKY_RELU" and value < 0 else (multiplier, shift)
        return max(fixed_point.requantize(value, *factor) + result.zero_point, low)

    return function


_FUNCTIONS: dict[str, Callable[[Operator, Tensor, Tensor], _Function]] = {
    "LOGISTIC": _sigmoid,
    "TANH": _sigmoid,
    "RELU": _rescale,
    "LEAKY_RELU": _rescale,
    "QUANTIZE": _rescale,
}
