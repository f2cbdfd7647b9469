"""Layers as calls of CMSIS-NN, for ``c-dense``: which function runs which layer, with what.

Versions differ in what they offer, and a package may declare more than it holds. Lowerings ask
for functions by name; what none runs falls to the plain C kernels.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from bridge.compile.formats import Stored, Weighted
from bridge.cores import core as find_core
from bridge.encode.streams import StreamError, fold_zero_point
from bridge.graph.model import Array

BASIC = frozenset(
    {
        "arm_convolve_wrapper_s8",
        "arm_depthwise_conv_wrapper_s8",
        "arm_avgpool_s8",
        "arm_max_pool_s8",
    }
)
"""What every CMSIS-NN that the bridge works with offers."""

SUMS = "arm_vector_sum_s8"
"""Where this is offered, fully connected kernels want sums of the weights with MVE."""

_PER_CHANNEL, _PER_TENSOR = "arm_fully_connected_per_channel_s8", "arm_fully_connected_s8"


def store(layer: Weighted, offered: Collection[str]) -> Stored | None:
    """Every weight stored, and the function of CMSIS-NN that runs the layer.

    Args:
        layer: the layer.
        offered: the functions that can be called.

    Returns:
        None where no function runs it.
    """
    if layer.kind == "DEPTHWISE_CONV_2D":
        return _depthwise(layer)
    # Without sums of the weights MVE adds them up in its inner loop: the convolution takes half.
    slow = find_core(layer.core).mve and SUMS not in offered
    # Over several rows TFLM convolves where it can, as that shares weights between rows.
    shares = not layer.one_pixel and layer.source.c % 4 == 0
    if layer.kind == "FULLY_CONNECTED" and not slow and not shares:
        found = connected(layer, offered)
        if found is not None:
            return found
    return _convolution(layer) if layer.groups == 1 else None


def connected(layer: Weighted, offered: Collection[str]) -> Stored | None:
    """A fully connected kernel for such a layer; None where none is offered."""
    shared = len(set(zip(layer.multiplier.tolist(), layer.shift.tolist(), strict=True))) == 1
    function = _PER_TENSOR if shared else _PER_CHANNEL
    if function not in offered:
        return None
    constants = _constants(layer)
    if find_core(layer.core).mve and SUMS in offered:
        if _PER_CHANNEL not in offered:
            return None  # of that age, whose sums leave out the bias or the offset
        try:
            matrix = layer.weights.reshape(layer.target.c, -1)
            constants["kernel_sums"] = fold_zero_point(matrix, layer.bias, layer.input_zero_point)
        except StreamError:
            return None
    return Stored("cmsis_fully_connected_s8", function, constants)


def _depthwise(layer: Weighted) -> Stored | None:
    w = layer.window
    if w.dilation_h != 1 or w.dilation_w != 1:
        return None
    taps, mve = w.kernel_h * w.kernel_w, find_core(layer.core).mve
    # arm_depthwise_conv_s8_opt_get_buffer_size: blocks of 124 channels with MVE.
    size = taps * (4 * 124 if mve else 2 * layer.source.c)
    if mve and layer.source.c == 1:
        # Newer versions convolve a single channel, with the weights copied in another order.
        size = max(size, _columns(taps, mve=True) + taps * layer.target.c)
    function = "arm_depthwise_conv_wrapper_s8"
    return Stored("cmsis_depthwise_s8", function, _constants(layer), size)


def _convolution(layer: Weighted) -> Stored:
    w = layer.window
    pointwise = (
        w.kernel_h == w.kernel_w == w.stride_h == w.stride_w == 1
        and w.pad_top == w.pad_left == 0
        and layer.source.c % 4 == 0
    )
    column = w.kernel_h * w.kernel_w * layer.source.c
    size = 0 if pointwise else _columns(column, mve=find_core(layer.core).mve)
    return Stored("cmsis_convolve_s8", "arm_convolve_wrapper_s8", _constants(layer), size)


def _columns(column: int, *, mve: bool) -> int:
    """arm_convolve_s8_get_buffer_size: two int16 columns, or four int8 ones with MVE.

    Newer versions fill them up to whole words or vectors.
    """
    return 4 * (-(-column // 16) * 16 if mve else -(-column // 8) * 8)


def _constants(layer: Weighted) -> dict[str, Array]:
    bias = layer.bias
    # TFLM's Prepare passes a bias always; a missing one is all zero.
    return {
        "weights": layer.weights,
        "bias": np.zeros(layer.target.c, dtype=np.int32) if bias is None else bias,
    }
