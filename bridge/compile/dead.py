"""Channels whose weights are all zero: their output is a constant, so its sums may be chosen.

A filter that pruning emptied gets a tiny scale from the quantizer, and with it a bias near the end
of int32 and a shift beyond what the fast kernels take. One such channel would keep a whole layer
out of them. Its output is the same for every input, so the channel is given a small bias and an
exact power of two that come to the same value.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bridge.compile.fixed_point import clamp, requantize
from bridge.compile.formats import Weighted

MULTIPLIER, SHIFT, ONE = 2**30, -6, 128
"""Requantization by 2^30 * 2^(-6 - 31) = 1/128, a scale like that of others; 128 comes to 1."""

FURTHEST = 256
"""Beyond it an output stands at the end of int8, whatever its zero point."""


def settle_dead_channels(layer: Weighted) -> Weighted:
    """The layer with small biases and plain requantization in channels without weights.

    Its outputs are the same, byte for byte.
    """
    axes = (0, 1, 2) if layer.kind == "DEPTHWISE_CONV_2D" else (1, 2, 3)
    dead = ~np.any(layer.weights, axis=axes)
    if not dead.any():
        return layer
    bias = np.zeros(layer.target.c, np.int32) if layer.bias is None else layer.bias.copy()
    multiplier, shift = layer.multiplier.copy(), layer.shift.copy()
    for channel in np.flatnonzero(dead):
        value = requantize(int(bias[channel]), int(multiplier[channel]), int(shift[channel]))
        bias[channel] = ONE * clamp(value, -FURTHEST, FURTHEST)
        multiplier[channel], shift[channel] = MULTIPLIER, SHIFT
    return replace(layer, bias=bias, multiplier=multiplier, shift=shift)
