"""What a layer costs in CMSIS-NN: the mark that a format of ours has to beat inside TFLM.

Closed form like ``bridge.compile.cost``, coarser: CMSIS-NN chooses among several kernels by shape,
here told apart as an unrolled convolution, a pointwise one, a depthwise and a fully connected one.
``python -m bridge.bench.cmsis_fit`` fits it to CMSIS-NN 4.0.0 on the emulated cores and keeps the
largest error beside it; the CMSIS-NN inside a user's TFLM may be newer, and a little faster.
"""

from __future__ import annotations

import numpy as np

from bridge.compile.cmsis_cost_table import CYCLES
from bridge.compile.formats import Weighted, taps_inside
from bridge.graph.model import Array

_ROWS = 4
"""Outputs that CMSIS-NN's convolution for Cortex-M55 computes at a time."""


def work(layer: Weighted) -> tuple[str, dict[str, float]]:
    """Which kind of kernel CMSIS-NN runs a layer with, and how often it does what."""
    window, pixels = layer.window, layer.target.h * layer.target.w
    outputs = float(pixels * layer.target.c)
    if layer.one_pixel:
        return "fully connected", {"macs": float(layer.macs), "outputs": outputs, "layers": 1.0}
    if layer.kind == "DEPTHWISE_CONV_2D":
        inside = float(taps_inside(layer))
        return "depthwise", {"taps": inside, "outputs": outputs, "layers": 1.0}
    taps = window.kernel_h * window.kernel_w
    done = {"macs": float(layer.macs), "outputs": outputs, "pixels": float(pixels), "layers": 1.0}
    if taps == 1 and window.stride_h == window.stride_w == 1:
        return "pointwise", done
    columns = taps * layer.source.c
    done |= {"taps": float(pixels * taps), "unrolled": float(pixels * columns)}
    if layer.core == "cortex-m55":
        done["padded"] = float(_padded(layer) * columns * layer.target.c)
    return "unrolled", done


def _padded(layer: Weighted) -> int:
    """Outputs that the kernel for Cortex-M55 computes one by one: of four in a row, one is padded.

    CMSIS-NN 4.0.0 unrolls four windows at a time and multiplies them together only where none of
    them crosses the image's border.
    """
    w, source, target = layer.window, layer.source, layer.target
    whole = np.logical_and.outer(
        _inside(target.h, w.stride_h, w.pad_top, (w.kernel_h - 1) * w.dilation_h, source.h),
        _inside(target.w, w.stride_w, w.pad_left, (w.kernel_w - 1) * w.dilation_w, source.w),
    ).ravel()
    groups = np.add.reduceat(~whole, np.arange(0, whole.size, _ROWS)) > 0
    return int(np.count_nonzero(np.repeat(groups, _ROWS)[: whole.size]))


def _inside(count: int, stride: int, pad: int, reach: int, size: int) -> Array:
    """For each output along one side, whether its window lies inside the image."""
    first = np.arange(count) * stride - pad
    return np.asarray((first >= 0) & (first + reach < size))


def cmsis_cycles(layer: Weighted) -> float:
    """Modelled cycles of one inference of a layer in CMSIS-NN."""
    kind, done = work(layer)
    costs = CYCLES.get(layer.core, CYCLES["cortex-m4"])[kind]
    return sum(costs.get(what, 0.0) * times for what, times in done.items())
