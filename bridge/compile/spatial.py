"""Operators over images and along dimensions: pooling, reduction, softmax, bilinear resizing."""

from __future__ import annotations

import math

import numpy as np

from bridge.compile.quantization import (
    activation_range,
    quantization,
    quantize_multiplier,
    softmax_parameters,
)
from bridge.compile.steps import Step, image, window
from bridge.compile.target import Target, constant_input, plain_plan, required
from bridge.cores import core as find_core
from bridge.errors import ModelError, UnsupportedOperator
from bridge.graph import Graph, Operator

_CMSIS_NAMES = {"max_pool_s8": "arm_max_pool_s8", "average_pool_s8": "arm_avgpool_s8"}


def pool(graph: Graph, operator: Operator, target: Target) -> Step:
    """MAX_POOL_2D and AVERAGE_POOL_2D."""
    source, output = required(graph, operator), graph.output(operator)
    place, result = image(source), image(output)
    kernel = int(operator.options["filter_height"]), int(operator.options["filter_width"])
    low, high = activation_range(
        operator.options["fused_activation_function"], quantization(output)
    )
    average = operator.kind == "AVERAGE_POOL_2D"
    name = "average_pool_s8" if average else "max_pool_s8"
    function, scratch = f"snn_{name}", 0
    if target.engine == "c-dense":
        function = _CMSIS_NAMES[name]
        name = f"cmsis_{name}"
        # arm_avgpool_s8_get_buffer_size: one int32 a channel.
        scratch = 4 * place.c if average else 0
    elif not average and target.engine == "c-sparse" and find_core(target.core).dsp:
        name = "max_pool_packed_s8"
        function = f"snn_{name}"
    return Step(
        kernel=name,
        inputs=operator.inputs[:1],
        outputs=operator.outputs,
        plan=plain_plan(operator, function, {}),
        parameters={
            "source": place,
            "target": result,
            "window": window(operator, kernel, place, result),
            "quant": {
                "input_offset": -quantization(source).zero_point,
                "output_offset": quantization(output).zero_point,
                "activation_min": low,
                "activation_max": high,
            },
        },
        scratch=scratch,
    )


def reduce(graph: Graph, operator: Operator, target: Target) -> Step:
    """MEAN, SUM, REDUCE_MAX and REDUCE_MIN over any dimensions.

    TFLM folds the mean's division into the multiplier
    (tensorflow/lite/kernels/internal/reference/reduce.h, QuantizedMeanOrSum).
    """
    source, output = required(graph, operator), graph.output(operator)
    rank = len(source.shape)
    axes = {int(a) % rank for a in constant_input(graph, operator, 1).reshape(-1)}
    size = _alternate(source.shape, axes)
    if size is None:
        raise UnsupportedOperator(f"{operator.kind} over these dimensions", operator.name)
    count = math.prod(source.shape[a] for a in axes)
    a, b = quantization(source), quantization(output)
    if operator.kind in {"REDUCE_MAX", "REDUCE_MIN"}:
        kernel = operator.kind.lower() + "_s8"
        if (a.scales, a.zero_points) != (b.scales, b.zero_points):
            raise ModelError(f"layer {operator.name!r}: input and output must share one scale")
        parameters: dict[str, object] = {"size": size}
    else:
        kernel = "sum_s8"
        multiplier, shift = quantize_multiplier(a.scale / b.scale)
        if operator.kind == "MEAN":
            left = min(count.bit_length() - 1, 32, 31 + shift)
            multiplier = (multiplier << left) // count
            shift -= left
        parameters = {
            "size": size,
            "offset": -a.zero_point * count,
            "multiplier": multiplier,
            "shift": shift,
            "output_offset": b.zero_point,
            "factor": 1.0 / count if operator.kind == "MEAN" else 1.0,
        }
    return Step(
        kernel=kernel,
        inputs=operator.inputs[:1],
        outputs=operator.outputs,
        plan=plain_plan(operator, f"snn_{kernel}", {}),
        parameters=parameters,
    )


def _alternate(shape: tuple[int, ...], axes: set[int]) -> list[int] | None:
    """Dimensions as kept, reduced, kept, reduced; None where four are too few."""
    size: list[int] = [1]
    for axis, count in enumerate(shape):
        if count == 1:
            continue
        reduced = axis in axes
        if reduced == (len(size) % 2 == 0):
            size[-1] *= count
        else:
            size.append(count)
    if len(size) > 4:
        return None
    return size + [1] * (4 - len(size))


def softmax(graph: Graph, operator: Operator, target: Target) -> Step:
    """SOFTMAX over the last dimension."""
    source, output = required(graph, operator), graph.output(operator)
    result = quantization(output)
    if result.zero_point != -128 or abs(result.scale * 256 - 1) > 1e-6:
        raise ModelError(f"layer {operator.name!r}: softmax must have scale 1/256, zero point -128")
    beta = float(np.float32(operator.options["beta"]))
    multiplier, left_shift, diff_min = softmax_parameters(beta, quantization(source).scale)
    direct = target.engine == "c-dense" and "arm_softmax_s8" in target.cmsis
    return Step(
        kernel="cmsis_softmax_s8" if direct else "softmax_s8",
        inputs=operator.inputs[:1],
        outputs=operator.outputs,
        plan=plain_plan(operator, "arm_softmax_s8" if direct else "snn_softmax_s8", {}),
        parameters={
            "rows": source.elements // source.shape[-1],
            "size": source.shape[-1],
            "multiplier": multiplier,
            "left_shift": left_shift,
            "diff_min": diff_min,
            "beta": beta,
        },
        in_place=(0,),
    )


def resize_bilinear(graph: Graph, operator: Operator, target: Target) -> Step:
    """RESIZE_BILINEAR, with positions in 1/1024 of a pixel as TFLM's integer kernel."""
    source, output = required(graph, operator), graph.output(operator)
    place, result = image(source), image(output)
    corners = bool(operator.options.get("align_corners"))
    half = bool(operator.options.get("half_pixel_centers"))

    def scale(size: int, wanted: int) -> tuple[int, float]:
        if corners and wanted > 1:
            size, wanted = size - 1, wanted - 1
        return (1024 * size + wanted // 2) // wanted, size / wanted

    scale_h, real_h = scale(place.h, result.h)
    scale_w, real_w = scale(place.w, result.w)
    for step, size, wanted in ((scale_h, place.h, result.h), (scale_w, place.w, result.w)):
        last = (wanted - 1) * step + (step // 2 - 512 if half else 0)
        if last // 1024 > size - 1:
            # Rounded steps leave the image; TFLite reads beside it.
            raise UnsupportedOperator("RESIZE_BILINEAR by this factor", operator.name)
    return Step(
        kernel="resize_bilinear_s8",
        inputs=operator.inputs[:1],
        outputs=operator.outputs,
        plan=plain_plan(operator, "snn_resize_bilinear_s8", {}),
        parameters={
            "source": place,
            "target": result,
            "scale_h": scale_h,
            "scale_w": scale_w,
            "half_pixel": int(half),
            "real_h": real_h,
            "real_w": real_w,
        },
    )
