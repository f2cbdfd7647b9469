"""Operators that work value by value: arithmetic with broadcasting, and tables of 256 bytes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from bridge.compile import arithmetic
from bridge.compile.loops import broadcast
from bridge.compile.quantization import activation_range, quantization
from bridge.compile.steps import Step
from bridge.compile.tables import UNARY, table
from bridge.compile.target import Target, plain_plan, required
from bridge.cores import core as find_core
from bridge.errors import ModelError, UnsupportedOperator
from bridge.graph import Graph, Operator, Tensor
from bridge.graph.model import Array

ADD_TABLES = 2048
"""Bytes of scratch that ``snn_add_packed_s8`` takes."""

_CMSIS_NN = {"ADD": "arm_elementwise_add_s8", "MUL": "arm_elementwise_mul_s8"}
"""CMSIS-NN's functions for inputs of one shape."""


def binary(graph: Graph, operator: Operator, target: Target) -> Step:
    """ADD, SUB, MUL, PRELU, MAXIMUM and MINIMUM, broadcasting, with constants on either side."""
    first, second = required(graph, operator), required(graph, operator, 1)
    output = graph.output(operator)
    for tensor in (first, second):
        if tensor.dtype != "int8":
            raise UnsupportedOperator(f"{operator.kind} of {tensor.dtype}", operator.name)
    _check_shape(operator, output, first, second)
    out = quantization(output)
    bounds = activation_range(operator.options.get("fused_activation_function") or "NONE", out)
    values = arithmetic.parameters(
        operator.kind, quantization(first), quantization(second), out, bounds
    )
    single = next((t for t in (second, first) if t.data is not None and t.elements == 1), None)
    if single is not None and single.data is not None and target.engine != "c-float":
        fixed, function = int(single.data.reshape(-1)[0]), arithmetic.BINARY[operator.kind]
        swapped = single is first
        values_of = table(
            lambda x: function(values, fixed, x) if swapped else function(values, x, fixed)
        )
        return _lookup(operator, operator.inputs[1 if swapped else 0], output.elements, values_of)
    if _by_table(operator, first, second, values, target):
        return Step(
            kernel="add_packed_s8",
            inputs=(first.index, second.index),
            outputs=operator.outputs,
            plan=plain_plan(operator, "snn_add_packed_s8", {}),
            parameters={"quant": values, "size": output.elements},
            scratch=ADD_TABLES,
            in_place=(0, 1),
        )
    constants: dict[str, Array] = {
        f"input{i}": t.data for i, t in enumerate((first, second)) if t.data is not None
    }
    inputs = tuple(-1 if t.data is not None else t.index for t in (first, second))
    direct = _CMSIS_NN.get(operator.kind, "")
    if target.engine == "c-dense" and direct in target.cmsis and first.shape == second.shape:
        return Step(
            kernel=f"cmsis_{operator.kind.lower()}_s8",
            inputs=inputs,
            outputs=operator.outputs,
            plan=plain_plan(operator, direct, constants),
            parameters={"quant": values, "size": output.elements},
            constants=constants,
            in_place=(0, 1),
        )
    loop = broadcast(output.shape, (first.shape, second.shape))
    if loop is None:
        raise UnsupportedOperator(f"{operator.kind} over this many dimensions", operator.name)
    name = operator.kind.lower()
    whole = [i for i, t in enumerate((first, second)) if t.elements == output.elements]
    return Step(
        kernel="binary_s8",
        inputs=inputs,
        outputs=operator.outputs,
        plan=plain_plan(operator, f"snn_{name}_s8", constants),
        parameters={"function": f"snn_{name}", "loop": loop, "quant": values},
        constants=constants,
        in_place=tuple(whole),
    )


def _by_table(
    operator: Operator, first: Tensor, second: Tensor, values: arithmetic.Parameters, target: Target
) -> bool:
    """Whether ``snn_add_packed_s8`` takes this addition, and is worth its tables."""
    return (
        operator.kind == "ADD"
        and target.engine == "c-sparse"
        and find_core(target.core).dsp
        and first.data is None
        and second.data is None
        and first.shape == second.shape
        and first.elements >= ADD_TABLES // 4
        and 1 <= -values["output_shift"] <= 22
        and values["left_shift"] <= 20
        and values["shift1"] <= 0
        and values["shift2"] <= 0
    )


def unary(graph: Graph, operator: Operator, target: Target) -> Step:
    """An operator with one int8 input and output, as a table."""
    source, output = required(graph, operator), graph.output(operator)
    if {source.dtype, output.dtype} != {"int8"}:
        return _border(graph, operator)
    _check_shape(operator, output, source)
    try:
        function = UNARY[operator.kind](
            quantization(source), quantization(output), operator.options
        )
    except ModelError as error:
        raise ModelError(f"layer {operator.name!r}: {error.what}", hint=error.hint) from None
    return _lookup(operator, source.index, output.elements, table(function))


def _check_shape(operator: Operator, output: Tensor, *inputs: Tensor) -> None:
    """The output must be what the inputs broadcast to, else kernels would read beside them."""
    try:
        wanted = math.prod(np.broadcast_shapes(*(tensor.shape for tensor in inputs)))
    except ValueError:
        wanted = -1
    if output.elements != wanted:
        shapes = " and ".join(str(list(tensor.shape)) for tensor in inputs)
        raise ModelError(f"layer {operator.name!r} makes {list(output.shape)} of {shapes}")


def _lookup(operator: Operator, source: int, size: int, values: Array) -> Step:
    return Step(
        kernel="lookup_s8",
        inputs=(source,),
        outputs=operator.outputs,
        plan=plain_plan(operator, "snn_lookup_s8", {"table": values}),
        parameters={"size": size},
        constants={"table": values},
        in_place=(0,),
    )


def _border(graph: Graph, operator: Operator) -> Step:
    """QUANTIZE of a float32 input and DEQUANTIZE to a float32 output."""
    source, output = required(graph, operator), graph.output(operator)
    kernel = {
        ("QUANTIZE", "float32", "int8"): "quantize_f32_s8",
        ("DEQUANTIZE", "int8", "float32"): "dequantize_s8_f32",
    }.get((operator.kind, source.dtype, output.dtype))
    if kernel is None:
        raise UnsupportedOperator(
            f"{operator.kind} from {source.dtype} to {output.dtype}", operator.name
        )
    how = quantization(output if operator.kind == "QUANTIZE" else source)
    parameters: dict[str, Any] = {
        "size": math.prod(output.shape),
        "scale": how.scale,
        "zero_point": how.zero_point,
    }
    return Step(
        kernel=kernel,
        inputs=operator.inputs[:1],
        outputs=operator.outputs,
        plan=plain_plan(operator, f"snn_{kernel}", {}),
        parameters=parameters,
    )
