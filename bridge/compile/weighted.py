"""Layers with weights: convolution, depthwise, fully connected, transpose convolution."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from bridge.compile import cmsis, formats
from bridge.compile.choose import Budget, choose
from bridge.compile.cost import cycles
from bridge.compile.dead import settle_dead_channels
from bridge.compile.direct import direct
from bridge.compile.formats import COMFORTABLE_SCRATCH, Stored, Weighted
from bridge.compile.program import LayerPlan
from bridge.compile.quantization import activation_range, per_channel, per_tensor, quantization
from bridge.compile.steps import Shape, Step, Window, image, window
from bridge.compile.target import Target, required
from bridge.errors import ModelError, ProofError, UnsupportedOperator
from bridge.graph import Graph, Operator, Tensor
from bridge.graph.model import Array

CHOOSABLE = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"})
"""Operators whose format the planner chooses."""


def read_weighted(graph: Graph, operator: Operator, core: str) -> Weighted:
    """A weighted operator as formats see it.

    Raises:
        ModelError: its weights are no symmetric int8 constants.
    """
    source, output = required(graph, operator), graph.output(operator)
    weights = required(graph, operator, 1)
    values = _weights(operator, weights)
    connected = operator.kind == "FULLY_CONNECTED"
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
    return Weighted(
        kind=operator.kind,
        weights=values,
        bias=_bias(graph, operator, 2),
        input_zero_point=quantization(source).zero_point,
        source=place,
        target=result,
        window=slide,
        groups=groups,
        core=core,
        multiplier=np.array(multiplier, dtype=np.int32),
        shift=np.array(shift, dtype=np.int32),
        output_zero_point=quantization(output).zero_point,
        activation=_activation(operator, output),
    )


def weighted(graph: Graph, operator: Operator, target: Target) -> Step:
    """CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED."""
    layer = read_weighted(graph, operator, target.core)
    if target.engine in ("c-sparse", "c-compact"):
        layer = settle_dead_channels(layer)
    name, stored, reason = _store(layer, operator, target)
    chosen = _Choice(
        name,
        stored.function,
        reason,
        cycles(name, layer.core, stored.work) if target.engine == "c-sparse" else None,
    )
    constants = stored.with_requantization(layer)
    depthwise = operator.kind == "DEPTHWISE_CONV_2D"
    return Step(
        kernel=stored.kernel,
        inputs=operator.inputs[:1],
        outputs=operator.outputs,
        plan=_plan(operator, chosen, layer, constants),
        parameters={
            "source": layer.source,
            "target": layer.target,
            "window": layer.window,
            "groups": layer.groups,
            "multiplier": layer.target.c // layer.source.c if depthwise else 1,
            "quant": layer.quant,
            **stored.parameters,
        },
        constants=constants,
        scratch=stored.scratch,
        prove=lambda: _prove(operator, layer, name, stored),
    )


def transpose_convolution(graph: Graph, operator: Operator, target: Target) -> Step:
    """TRANSPOSE_CONV: inputs are the output's shape, weights, activations, bias."""
    source, output = required(graph, operator, 2), graph.output(operator)
    weights = required(graph, operator, 1)
    values = _weights(operator, weights)
    place, result = image(source), image(output)
    stride = int(operator.options["stride_h"]), int(operator.options["stride_w"])
    # TFLM pads as the convolution that leads back from the output to the input would.
    back = Shape(-(-result.h // stride[0]), -(-result.w // stride[1]), place.c)
    slide = window(operator, (values.shape[1], values.shape[2]), result, back)
    multiplier, shift = per_channel(
        quantization(source), quantization(weights), quantization(output), result.c
    )
    layer = Weighted(
        kind=operator.kind,
        weights=values,
        bias=_bias(graph, operator, 3),
        input_zero_point=quantization(source).zero_point,
        source=place,
        target=place,  # every input meets every weight once
        window=slide,
        groups=1,
        core=target.core,
        multiplier=np.array(multiplier, dtype=np.int32),
        shift=np.array(shift, dtype=np.int32),
        output_zero_point=quantization(output).zero_point,
        activation=_activation(operator, output),
    )
    constants: dict[str, Array] = {
        "weights": values,
        "multiplier": layer.multiplier,
        "shift": layer.shift,
    }
    if layer.bias is not None:
        constants["bias"] = layer.bias
    choice = _Choice("dense", "snn_transpose_convolve_s8", "the only kernel for it")
    macs = place.h * place.w * place.c * values.shape[1] * values.shape[2] * result.c
    return Step(
        kernel="transpose_convolve_s8",
        inputs=(source.index,),
        outputs=operator.outputs,
        plan=replace(_plan(operator, choice, layer, constants), macs=macs),
        parameters={
            "source": place,
            "target": result,
            "window": slide,
            "quant": layer.quant,
        },
        constants=constants,
    )


@dataclass(frozen=True)
class _Choice:
    format: str
    function: str
    reason: str
    cycles: float | None = None


def _plan(
    operator: Operator, choice: _Choice, layer: Weighted, constants: dict[str, Array]
) -> LayerPlan:
    return LayerPlan(
        name=operator.name,
        kind=operator.kind,
        kernel=choice.function,
        format=choice.format,
        macs=layer.macs,
        sparsity=layer.sparsity,
        weight_bytes=sum(int(array.nbytes) for array in constants.values()),
        cycles=choice.cycles,
        reason=choice.reason,
    )


def _store(layer: Weighted, operator: Operator, target: Target) -> tuple[str, Stored, str]:
    if target.engine == "c-dense":
        stored = cmsis.store(layer, target.cmsis)
        if stored is not None:
            return "dense", stored, "CMSIS-NN"
        return "dense", formats.dense(layer), "CMSIS-NN has no kernel for it"
    if target.engine == "c-float":
        return "dense", formats.dense(layer), "float baseline"
    if target.engine == "c-compact":
        return _smallest(layer)
    scratch = target.scratch.get(operator.index, COMFORTABLE_SCRATCH)
    return choose(layer, Budget(scratch, target.price, target.without))


def _prove(operator: Operator, layer: Weighted, form: str, stored: Stored) -> None:
    """Unpack what is emitted: the weights come out of its bytes as they went in."""
    try:
        held = stored.weights()
        wrong = int(np.count_nonzero(held != layer.weights.reshape(-1)))
    except ModelError as error:
        raise ProofError(f"stored as {form}", error.what, layer=operator.name) from error
    if wrong:
        raise ProofError(
            f"stored as {form}", f"{wrong} of {held.size} weights differ", layer=operator.name
        )


DENSE_CODE = 650
"""Bytes of a dense kernel, on Cortex-M4; the compact one is there anyway."""


def _smallest(layer: Weighted) -> tuple[str, Stored, str]:
    """The fewest bytes: of weights, and of a dense kernel's code where one would be needed."""
    found, plain = direct(layer), formats.dense(layer)
    size = sum(int(array.nbytes) for array in plain.with_requantization(layer).values())
    if found is None:
        return "dense", plain, "the compact kernel can't run it"
    least = formats.bytes_of(found)
    if least < size + DENSE_CODE:
        return "direct", found, f"{least} B instead of {size} B dense"
    return "dense", plain, f"{size} B instead of {least} B direct"


def _weights(operator: Operator, weights: Tensor) -> Array:
    if weights.data is None or weights.dtype != "int8" or any(quantization(weights).zero_points):
        raise ModelError(
            f"layer {operator.name!r}: its weights are no symmetric int8 constants",
            hint="convert to full int8",
        )
    return weights.data


def _bias(graph: Graph, operator: Operator, position: int) -> Array | None:
    bias = graph.input(operator, position)
    if bias is None:
        return None
    if bias.data is None or bias.dtype != "int32":
        raise UnsupportedOperator(f"{operator.kind} with a bias of {bias.dtype}", operator.name)
    return bias.data


def _activation(operator: Operator, output: Tensor) -> tuple[int, int]:
    name = operator.options.get("fused_activation_function") or "NONE"
    return activation_range(name, quantization(output))
