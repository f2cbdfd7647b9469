"""What a layer costs in CMSIS-NN: the mark that a format of ours has to beat inside TFLM.

Closed form like ``bridge.compile.cost``, coarser: CMSIS-NN chooses among several kernels by shape,
here told apart as an unrolled convolution, a pointwise one, a depthwise and a fully connected one.
``python -m bridge.bench.cmsis_fit`` fits it to the CMSIS-NN of ``CMSIS_NN_ROOT`` on the emulated
cores and keeps the largest error beside it. The table was made with the one that TFLM 90b983c2b3f1
pins: versions differ little, but for Cortex-M55, where 4.0.0 takes up to five times as long.
"""

from __future__ import annotations

from bridge.compile.fits import CMSIS_NN, read_fit
from bridge.compile.formats import Weighted, taps_inside

FIT = read_fit(CMSIS_NN)


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
    return "unrolled", done


def cmsis_cycles(layer: Weighted) -> float:
    """Modelled cycles of one inference of a layer in CMSIS-NN."""
    kind, done = work(layer)
    costs = FIT.cycles.get(layer.core, FIT.cycles["cortex-m4"])[kind]
    return sum(costs.get(what, 0.0) * times for what, times in done.items())
