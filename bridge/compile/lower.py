"""Graph to steps: which kernel runs each operator, with which parameters.

One function an operator; :data:`LOWERINGS` is the list of what is covered. What is not in it is
refused here, by name, before any C is written.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bridge.compile import formats
from bridge.compile.choose import DSP_CORES, choose
from bridge.compile.elementwise import arithmetic, lookup
from bridge.compile.formats import Stored, Weighted
from bridge.compile.program import LayerPlan
from bridge.compile.quantization import (
    activation_range,
    add_parameters,
    per_channel,
    per_tensor,
    quantization,
    softmax_parameters,
)
from bridge.compile.steps import Shape, Step, Window, image, window
from bridge.errors import ModelError, UnsupportedOperator
from bridge.graph import Graph, Operator, Tensor


@dataclass(frozen=True)
class Target:
    """What the steps are for: an engine on a core."""

    engine: str
    core: str


def lower(graph: Graph, target: Target) -> list[Step]:
    """Every operator as a step, in execution order.

    Raises:
        UnsupportedOperator: an operator without a kernel, named with its layer.
        ModelError: a tensor type or a parameter that no kernel takes.
    """
    return [_lower(graph, operator, target) for operator in graph.operators]


def _lower(graph: Graph, operator: Operator, target: Target) -> Step:
    lowering = LOWERINGS.get(operator.kind)
    if lowering is None:
        raise UnsupportedOperator(
            operator.kind, operator.name, hint="run it with the TFLM engines, or replace the layer"
        )
    for index in (*operator.inputs[:1], *operator.outputs):
        tensor = graph.tensor(index)
        if tensor.dtype != "int8":
            raise ModelError(
                f"layer {operator.name!r}: tensor {tensor.name!r} is {tensor.dtype}, not int8",
                hint="plain C runs full int8 networks; convert with int8 input and output",
            )
    return lowering(graph, operator, target)


def _source(graph: Graph, operator: Operator, position: int = 0) -> Tensor:
    tensor = graph.input(operator, position)
    if tensor is None:
        raise ModelError(f"layer {operator.name!r} has no input {position}")
    return tensor


def _weighted(graph: Graph, operator: Operator, target: Target) -> Step:
    source, output = _source(graph, operator), graph.output(operator)
    weights, bias = _source(graph, operator, 1), graph.input(operator, 2)
    if weights.data is None or weights.dtype != "int8":
        raise ModelError(f"layer {operator.name!r}: its weights are no int8 constant")
    connected = operator.kind == "FULLY_CONNECTED"
    values = weights.data
    if connected:
        channels, depth = values.shape
        values = values.reshape(channels, 1, 1, depth)
        rows = source.elements // depth
        place, result = Shape(1, rows, depth), Shape(1, rows, channels)
        slide = Window(1, 1, 1, 1, 1, 1, 0, 0)
        groups = 1
    else:
        place, result = image(source), image(output)
        slide = window(operator, (values.shape[1], values.shape[2]), place, result)
        groups = 1 if operator.kind == "DEPTHWISE_CONV_2D" else place.c // values.shape[3]
    scales = quantization(weights)
    single = connected and len(scales.scales) == 1
    requantization = per_tensor if single else per_channel
    multiplier, shift = requantization(quantization(source), scales, quantization(output), result.c)
    layer = Weighted(
        kind=operator.kind,
        weights=values,
        bias=None if bias is None else bias.data,
        input_zero_point=quantization(source).zero_point,
        source=place,
        target=result,
        window=slide,
        groups=groups,
        core=target.core,
        multiplier=np.array(multiplier, dtype=np.int32),
        shift=np.array(shift, dtype=np.int32),
        output_zero_point=quantization(output).zero_point,
    )
    name, stored, reason = _store(layer, target)
    low, high = activation_range(
        operator.options["fused_activation_function"], quantization(output)
    )
    constants = stored.with_requantization(layer)
    plan = LayerPlan(
        name=operator.name,
        kind=operator.kind,
        kernel=stored.function,
        format=name,
        macs=layer.macs,
        sparsity=layer.sparsity,
        weight_bytes=sum(int(array.nbytes) for array in constants.values()),
        reason=reason,
    )
    return Step(
        kernel=stored.kernel,
        inputs=operator.inputs[:1],
        outputs=operator.outputs,
        plan=plan,
        parameters={
            "source": place,
            "target": result,
            "window": slide,
            "groups": groups,
            "multiplier": result.c // place.c if operator.kind == "DEPTHWISE_CONV_2D" else 1,
            "quant": _quant(source, output, low, high),
            **stored.parameters,
        },
        constants=constants,
        scratch=stored.scratch,
    )


def _store(layer: Weighted, target: Target) -> tuple[str, Stored, str]:
    if target.engine == "c-dense":
        stored = formats.cmsis_nn(layer)
        if stored is not None:
            return "dense", stored, "CMSIS-NN"
        return "dense", formats.dense(layer), "CMSIS-NN has no kernel for it"
    if target.engine == "c-float":
        return "dense", formats.dense(layer), "float baseline"
    return choose(layer)


def _quant(source: Tensor, output: Tensor, low: int, high: int) -> dict[str, int]:
    return {
        "input_offset": -quantization(source).zero_point,
        "output_offset": quantization(output).zero_point,
        "activation_min": low,
        "activation_max": high,
    }


def _pool(graph: Graph, operator: Operator, target: Target) -> Step:
    source, output = _source(graph, operator), graph.output(operator)
    place, result = image(source), image(output)
    kernel = int(operator.options["filter_height"]), int(operator.options["filter_width"])
    low, high = activation_range(
        operator.options["fused_activation_function"], quantization(output)
    )
    average = operator.kind == "AVERAGE_POOL_2D"
    name = "average_pool" if average else "max_pool"
    scratch = 0
    if target.engine == "c-dense":
        name = f"cmsis_{name}"
        # arm_avgpool_s8_get_buffer_size: one int32 a channel.
        scratch = 4 * place.c if average else 0
    elif not average and target.engine == "c-sparse" and target.core in DSP_CORES:
        name = "max_pool_packed"
    return Step(
        kernel=f"{name}_s8",
        inputs=operator.inputs[:1],
        outputs=operator.outputs,
        plan=_plain(operator, f"{name}_s8"),
        parameters={
            "source": place,
            "target": result,
            "window": window(operator, kernel, place, result),
            "quant": _quant(source, output, low, high),
        },
        scratch=scratch,
    )


def _add(graph: Graph, operator: Operator, target: Target) -> Step:
    first, second = _source(graph, operator), _source(graph, operator, 1)
    output = graph.output(operator)
    if first.shape != second.shape or first.data is not None or second.data is not None:
        return arithmetic(graph, operator, target)
    low, high = activation_range(
        operator.options["fused_activation_function"], quantization(output)
    )
    quant = {**add_parameters(first, second, output), "activation_min": low, "activation_max": high}
    return Step(
        kernel="add_s8",
        inputs=operator.inputs[:2],
        outputs=operator.outputs,
        plan=_plain(operator, "add_s8"),
        parameters={"quant": quant, "size": output.elements},
    )


def _pad(graph: Graph, operator: Operator, target: Target) -> Step:
    source, output = _source(graph, operator), graph.output(operator)
    paddings = _source(graph, operator, 1).data
    if paddings is None or len(source.shape) != 4 or paddings[0].any() or paddings[3].any():
        raise UnsupportedOperator(
            "PAD of other than height and width", operator.name, hint="use the TFLM engines"
        )
    return Step(
        kernel="pad_s8",
        inputs=operator.inputs[:1],
        outputs=operator.outputs,
        plan=_plain(operator, "pad_s8"),
        parameters={
            "source": image(source),
            "target": image(output),
            "top": int(paddings[1][0]),
            "left": int(paddings[2][0]),
            "value": quantization(output).zero_point,
        },
    )


def _softmax(graph: Graph, operator: Operator, target: Target) -> Step:
    source, output = _source(graph, operator), graph.output(operator)
    result = quantization(output)
    if result.zero_point != -128 or abs(result.scale * 256 - 1) > 1e-6:
        raise ModelError(f"layer {operator.name!r}: softmax must have scale 1/256, zero point -128")
    beta = float(np.float32(operator.options["beta"]))
    multiplier, left_shift, diff_min = softmax_parameters(beta, quantization(source).scale)
    return Step(
        kernel="softmax_s8",
        inputs=operator.inputs[:1],
        outputs=operator.outputs,
        plan=_plain(operator, "softmax_s8"),
        parameters={
            "rows": source.elements // source.shape[-1],
            "size": source.shape[-1],
            "multiplier": multiplier,
            "left_shift": left_shift,
            "diff_min": diff_min,
            "beta": beta,
        },
    )


def _reshape(graph: Graph, operator: Operator, target: Target) -> Step:
    return Step(
        kernel="reshape",
        inputs=operator.inputs[:1],
        outputs=operator.outputs,
        plan=LayerPlan(operator.name, operator.kind, "", reason="moves no data"),
        alias=True,
    )


def _plain(operator: Operator, kernel: str) -> LayerPlan:
    function = {
        "cmsis_max_pool_s8": "arm_max_pool_s8",
        "cmsis_average_pool_s8": "arm_avgpool_s8",
    }.get(kernel, f"snn_{kernel}")
    return LayerPlan(operator.name, operator.kind, function)


Lowering = Callable[[Graph, Operator, Target], Step]

LOWERINGS: dict[str, Lowering] = {
    "CONV_2D": _weighted,
    "DEPTHWISE_CONV_2D": _weighted,
    "FULLY_CONNECTED": _weighted,
    "MAX_POOL_2D": _pool,
    "AVERAGE_POOL_2D": _pool,
    "ADD": _add,
    "SUB": arithmetic,
    "MUL": arithmetic,
    "LOGISTIC": lookup,
    "PAD": _pad,
    "SOFTMAX": _softmax,
    "RESHAPE": _reshape,
    "SQUEEZE": _reshape,
    "EXPAND_DIMS": _reshape,
}
"""TFLite operator → its lowering."""


def supported() -> tuple[str, ...]:
    """The operators that plain C covers, by TFLite's names."""
    return tuple(sorted(LOWERINGS))
