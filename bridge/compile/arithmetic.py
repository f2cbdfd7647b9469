"""Operators with two inputs: their parameters as ``snn_elementwise``, and their arithmetic.

The arithmetic in Python serves inputs of which one is a single constant: such an operator has
256 states and becomes a table. Sources: {add,sub,mul,prelu}_common.cc under
tensorflow/lite/micro/kernels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from bridge.compile.fixed_point import clamp, requantize
from bridge.compile.quantization import INT8_MAX, INT8_MIN, quantize_multiplier
from bridge.graph import Quantization

Parameters = dict[str, int]

FIELDS = (
    "offset1", "multiplier1", "shift1", "offset2", "multiplier2", "shift2",
    "output_offset", "output_multiplier", "output_shift", "left_shift",
    "activation_min", "activation_max",
)  # fmt: skip
"""The fields of ``snn_elementwise``, in order."""

_LEFT_SHIFT = 20


def parameters(
    kind: str, a: Quantization, b: Quantization, out: Quantization, bounds: tuple[int, int]
) -> Parameters:
    """The fields of ``snn_elementwise`` for one operator.

    Args:
        kind: TFLite's operator name.
        a: quantization of the first input.
        b: of the second.
        out: of the output.
        bounds: of the fused activation.
    """
    result = dict.fromkeys(FIELDS, 0)
    result.update(offset1=-a.zero_point, offset2=-b.zero_point, output_offset=out.zero_point)
    result.update(activation_min=bounds[0], activation_max=bounds[1])
    multipliers: Mapping[str, float] = {}
    if kind == "ADD":
        twice = 2.0 * max(a.scale, b.scale)
        multipliers = {
            "1": a.scale / twice,
            "2": b.scale / twice,
            "output_": twice / ((1 << _LEFT_SHIFT) * out.scale),
        }
    elif kind == "SUB":
        # TFLM subtracts with float32 scales where it adds with double ones.
        f = np.float32
        wide = f(2.0) * max(f(a.scale), f(b.scale))
        multipliers = {
            "1": float(f(a.scale) / wide),
            "2": float(f(b.scale) / wide),
            "output_": float(wide / (f(1 << _LEFT_SHIFT) * f(out.scale))),
        }
    elif kind == "MUL":
        multipliers = {"output_": a.scale * b.scale / out.scale}
    elif kind == "PRELU":
        multipliers = {"1": a.scale / out.scale, "2": a.scale * b.scale / out.scale}
    for place, real in multipliers.items():
        multiplier, shift = quantize_multiplier(real)
        front = place if place == "output_" else ""
        back = "" if front else place
        result[f"{front}multiplier{back}"], result[f"{front}shift{back}"] = multiplier, shift
    if kind in {"ADD", "SUB"}:
        result["left_shift"] = _LEFT_SHIFT
    return result


def _sum(p: Parameters, x: int, y: int, sign: int) -> int:
    left = p["left_shift"]
    a = requantize((x + p["offset1"]) << left, p["multiplier1"], p["shift1"])
    b = requantize((y + p["offset2"]) << left, p["multiplier2"], p["shift2"])
    value = requantize(a + sign * b, p["output_multiplier"], p["output_shift"])
    return clamp(value + p["output_offset"], p["activation_min"], p["activation_max"])


def _product(p: Parameters, x: int, y: int) -> int:
    product = (x + p["offset1"]) * (y + p["offset2"])
    value = requantize(product, p["output_multiplier"], p["output_shift"])
    return clamp(value + p["output_offset"], p["activation_min"], p["activation_max"])


def _prelu(p: Parameters, x: int, y: int) -> int:
    value = x + p["offset1"]
    if value >= 0:
        value = requantize(value, p["multiplier1"], p["shift1"])
    else:
        product = value * (y + p["offset2"])
        value = requantize(product, p["multiplier2"], p["shift2"])
    return clamp(value + p["output_offset"], INT8_MIN, INT8_MAX)


BINARY: Mapping[str, Callable[[Parameters, int, int], int]] = {
    "ADD": lambda p, x, y: _sum(p, x, y, 1),
    "SUB": lambda p, x, y: _sum(p, x, y, -1),
    "MUL": _product,
    "PRELU": _prelu,
    "MAXIMUM": lambda p, x, y: max(x, y),
    "MINIMUM": lambda p, x, y: min(x, y),
}
"""TFLite operator → its arithmetic on two int8 values."""
