"""Operators with one int8 input as tables of 256 outputs, computed as TFLite Micro computes them.

An int8 value has 256 states, so every such operator is one look-up at run time, whatever its
arithmetic. Sources, all under tensorflow/lite: micro/kernels/{logistic,hard_swish,leaky_relu,
activations,quantize}_common.cc, micro/kernels/tanh.cc and the reference kernels that they call.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from bridge.compile.fixed_point import (
    clamp,
    divide_by_power_of_two,
    logistic,
    requantize,
    tanh,
    truncate,
)
from bridge.compile.quantization import INT8_MAX, INT8_MIN, quantize_multiplier, round_half_away
from bridge.errors import ModelError
from bridge.graph import Quantization
from bridge.graph.model import Array

Function = Callable[[int], int]


def table(function: Function) -> Array:
    """The outputs for -128 … 127, clamped to int8."""
    values = [clamp(function(x), INT8_MIN, INT8_MAX) for x in range(INT8_MIN, INT8_MAX + 1)]
    return np.array(values, dtype=np.int8)


def _fixed_input(source: Quantization) -> tuple[int, int, int]:
    """Multiplier and shift to 4 integer bits, and the input from which the output saturates."""
    mantissa, shift = math.frexp(source.scale * (1 << 27))
    multiplier = round_half_away(mantissa * (1 << 31))
    radius = math.floor(15 * (1 << 27) / (1 << shift)) if shift >= 0 else INT8_MAX * 4
    return multiplier, shift, radius


def _saturating(source: Quantization, curve: Callable[[int], int], bits: int, low: int) -> Function:
    multiplier, shift, radius = _fixed_input(source)

    def function(x: int) -> int:
        value = x - source.zero_point
        if abs(value) >= radius:
            return INT8_MIN if value < 0 else INT8_MAX
        return divide_by_power_of_two(curve(requantize(value, multiplier, shift)), 31 - bits) + low

    return function


def _logistic(source: Quantization, target: Quantization, options: Mapping[str, Any]) -> Function:
    if target.zero_point != INT8_MIN:
        raise ModelError("LOGISTIC must have output zero point -128")
    return _saturating(source, logistic, 8, INT8_MIN)


def _tanh(source: Quantization, target: Quantization, options: Mapping[str, Any]) -> Function:
    return _saturating(source, tanh, 7, 0)


def _relu(source: Quantization, target: Quantization, options: Mapping[str, Any]) -> Function:
    multiplier, shift = quantize_multiplier(_ratio(source.scale, target.scale))

    def function(x: int) -> int:
        value = target.zero_point + requantize(x - source.zero_point, multiplier, shift)
        return max(value, target.zero_point)

    return function


def _relu6(source: Quantization, target: Quantization, options: Mapping[str, Any]) -> Function:
    six = source.zero_point + round_half_away(_ratio(6.0, source.scale))
    return lambda x: clamp(x, source.zero_point, min(six, INT8_MAX))


def _leaky_relu(source: Quantization, target: Quantization, options: Mapping[str, Any]) -> Function:
    alpha = np.float32(source.scale) * np.float32(options["alpha"]) / np.float32(target.scale)
    below, below_shift = quantize_multiplier(abs(float(alpha)))
    above, above_shift = quantize_multiplier(_ratio(source.scale, target.scale))

    def function(x: int) -> int:
        value = x - source.zero_point
        if value >= 0:
            return target.zero_point + requantize(value, above, above_shift)
        scaled = requantize(value, below, below_shift)
        return target.zero_point + (scaled if alpha >= 0 else -scaled)

    return function


def _requantize(source: Quantization, target: Quantization, options: Mapping[str, Any]) -> Function:
    multiplier, shift = quantize_multiplier(source.scale / target.scale)
    return lambda x: target.zero_point + requantize(x - source.zero_point, multiplier, shift)


def _hard_swish(source: Quantization, target: Quantization, options: Mapping[str, Any]) -> Function:
    fine = np.float32(1 / 128) * np.float32(source.scale)
    out_multiplier, out_shift = quantize_multiplier(float(fine / np.float32(target.scale)))
    relu_scale = np.float32(3.0) / np.float32(32768.0)
    relu_multiplier, relu_shift = quantize_multiplier(float(fine / relu_scale))
    if out_shift > 0:
        raise ModelError("HARD_SWISH has an output scale too small for its input")
    out16, relu16 = _to_int16(out_multiplier), _to_int16(relu_multiplier)

    def function(x: int) -> int:
        value = (x - source.zero_point) * 128
        output = _high_mul16(value, out16)
        gate = value
        if relu_shift > 0:
            gate = _saturate16(gate << (relu_shift - 1))
        gate = _high_mul16(gate, relu16)
        if relu_shift > 0:
            gate = _saturate16(gate << 1)
        elif relu_shift < 0:
            gate = divide_by_power_of_two(gate, -relu_shift)
        gate = (gate + (1 << 15)) >> 1
        product = truncate(gate * output, 1 << 15)
        return divide_by_power_of_two(product, -out_shift) + target.zero_point

    return function


def _saturate16(value: int) -> int:
    return clamp(value, -(1 << 15), (1 << 15) - 1)


def _high_mul16(a: int, b: int) -> int:
    product = a * b
    nudge = 1 << 14 if product >= 0 else 1 - (1 << 14)
    return _saturate16(truncate(product + nudge, 1 << 15))


def _to_int16(multiplier: int) -> int:
    return min((multiplier + (1 << 15)) >> 16, (1 << 15) - 1)


def _ratio(a: float, b: float) -> float:
    """a / b in float32, as TFLM divides scales."""
    return float(np.float32(a) / np.float32(b))


UNARY: Mapping[str, Callable[[Quantization, Quantization, Mapping[str, Any]], Function]] = {
    "LOGISTIC": _logistic,
    "TANH": _tanh,
    "RELU": _relu,
    "RELU6": _relu6,
    "LEAKY_RELU": _leaky_relu,
    "HARD_SWISH": _hard_swish,
    "QUANTIZE": _requantize,
}
"""TFLite operator → its function from int8 to integers."""
