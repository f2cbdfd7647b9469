"""Fixed-point parameters, computed as TFLite Micro's Prepare() computes them.

Sources: tensorflow/lite/kernels/internal/quantization_util.cc and kernel_util.cc.
"""

from __future__ import annotations

import math

import numpy as np

from bridge.errors import ModelError
from bridge.graph import Quantization, Tensor

INT8_MIN, INT8_MAX = -128, 127


def round_half_away(value: float) -> int:
    """The nearest integer, ties away from zero: TfLiteRound, where Python's round() is to even."""
    return math.floor(abs(value) + 0.5) * (1 if value >= 0 else -1)


def quantize_multiplier(real: float) -> tuple[int, int]:
    """A real multiplier as a Q31 integer and a shift (positive: left).

    Returns:
        ``(multiplier, shift)`` with ``real ≈ multiplier * 2**(shift - 31)``.
    """
    if real == 0.0:
        return 0, 0
    mantissa, shift = math.frexp(real)
    fixed = round_half_away(mantissa * (1 << 31))
    if fixed == 1 << 31:
        fixed //= 2
        shift += 1
    return (0, 0) if shift < -31 else (fixed, shift)


def per_channel(
    source: Quantization, weights: Quantization, target: Quantization, channels: int
) -> tuple[list[int], list[int]]:
    """Multiplier and shift of each output channel of a weighted layer."""
    scales = weights.scales if len(weights.scales) == channels else weights.scales * channels
    pairs = [quantize_multiplier(source.scale * scale / target.scale) for scale in scales]
    return [multiplier for multiplier, _ in pairs], [shift for _, shift in pairs]


def per_tensor(
    source: Quantization, weights: Quantization, target: Quantization, channels: int
) -> tuple[list[int], list[int]]:
    """The same where the weights have one scale: TFLM multiplies the scales in float32."""
    product = float(np.float32(source.scale) * np.float32(weights.scale))
    multiplier, shift = quantize_multiplier(product / target.scale)
    return [multiplier] * channels, [shift] * channels


def activation_range(name: str, target: Quantization) -> tuple[int, int]:
    """The int8 bounds of a fused activation.

    Args:
        name: TFLite's name, for example ``RELU6``.
        target: the output's quantization.
    """

    def quantize(value: float) -> int:
        ratio = float(np.float32(value) / np.float32(target.scale))
        return target.zero_point + round_half_away(ratio)

    low, high = INT8_MIN, INT8_MAX
    if name in {"RELU", "RELU6"}:
        low = max(low, quantize(0.0))
    if name == "RELU6":
        high = min(high, quantize(6.0))
    if name == "RELU_N1_TO_1":
        low, high = max(low, quantize(-1.0)), min(high, quantize(1.0))
    return low, high


def softmax_parameters(beta: float, scale: float) -> tuple[int, int, int]:
    """Multiplier, left shift and lowest difference of a fixed-point softmax."""
    integer_bits = 5
    real = min(beta * scale * (1 << (31 - integer_bits)), float((1 << 31) - 1))
    multiplier, left_shift = quantize_multiplier(real)
    radius = ((1 << integer_bits) - 1) * (1 << (31 - integer_bits)) / (1 << left_shift)
    return multiplier, left_shift, -math.floor(radius)


def quantization(tensor: Tensor) -> Quantization:
    """A tensor's quantization, which must be there.

    Raises:
        ModelError: it has none.
    """
    if tensor.quantization is None:
        raise ModelError(f"tensor {tensor.name!r} is not quantized", hint="convert to full int8")
    return tensor.quantization
