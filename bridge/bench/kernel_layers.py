"""Layers to bench kernels on: the published shapes, and random weights for them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bridge.compile.formats import Weighted
from bridge.compile.quantization import quantize_multiplier
from bridge.compile.steps import Shape, Window


@dataclass(frozen=True)
class LayerShape:
    """A layer to bench, by name.

    Attributes:
        name: for tables.
        kind: TFLite's operator name.
        source: input height, width, channels.
        channels: output channels.
        kernel: height, width.
        stride: the same both ways.
        dilation: the same both ways.
        same: TFLite's SAME padding; else VALID.
        block: weights come in blocks of (outputs, inputs), for structured formats.
        zero_point: of the output; behind a ReLU it is -128.
    """

    name: str
    kind: str
    source: tuple[int, int, int]
    channels: int
    kernel: tuple[int, int] = (1, 1)
    stride: int = 1
    dilation: int = 1
    same: bool = True
    block: tuple[int, int] = (1, 1)
    zero_point: int = -128


CONV, DEPTHWISE, CONNECTED = "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"

SHAPES = (
    LayerShape("conv 3x3x64 > 64, 8x8", CONV, (8, 8, 64), 64, (3, 3)),
    LayerShape("conv 3x3x16 > 16, 32x32", CONV, (32, 32, 16), 16, (3, 3)),
    LayerShape("conv 5x5x6 > 16, 14x14", CONV, (14, 14, 6), 16, (5, 5), same=False),
    LayerShape("conv 3x3x16 > 32 /2, 32x32", CONV, (32, 32, 16), 32, (3, 3), stride=2),
    LayerShape("conv 3x3x16 > 16, 31x29", CONV, (31, 29, 16), 16, (3, 3)),
    LayerShape("conv 3x3x32 > 32 dilated, 16x16", CONV, (16, 16, 32), 32, (3, 3), dilation=2),
    LayerShape("conv 1x1x64 > 64, 25x5", CONV, (25, 5, 64), 64),
    LayerShape("conv 3x3x16 > 16, 31x29, no ReLU", CONV, (31, 29, 16), 16, (3, 3), zero_point=3),
    LayerShape("conv 1x1x64 > 64, 25x5, no ReLU", CONV, (25, 5, 64), 64, zero_point=3),
    LayerShape("depthwise 3x3x64, 25x5", DEPTHWISE, (25, 5, 64), 64, (3, 3)),
    LayerShape("depthwise 3x3x16 /2, 48x48", DEPTHWISE, (48, 48, 16), 16, (3, 3), stride=2),
    LayerShape("fully connected 1024 > 256", CONNECTED, (1, 1, 1024), 256),
    LayerShape("fully connected 784 > 300", CONNECTED, (1, 1, 784), 300),
    LayerShape("fully connected 784 > 300, 4x1", CONNECTED, (1, 1, 784), 300, block=(4, 1)),
    LayerShape("fully connected 784 > 300, 1x4", CONNECTED, (1, 1, 784), 300, block=(1, 4)),
)
"""The layers of the published table."""


def bench_layer(shape: LayerShape, sparsity: float, core: str, seed: int = 0) -> Weighted:
    """A layer of a shape with random weights; scales as a trained network would have them."""
    rng = np.random.default_rng(seed)
    depthwise = shape.kind == DEPTHWISE
    height, width, depth = shape.source
    target, pads = [], []
    for size, kernel in zip((height, width), shape.kernel, strict=True):
        reach = (kernel - 1) * shape.dilation + 1
        out = -(-size // shape.stride) if shape.same else (size - reach) // shape.stride + 1
        target.append(out)
        pads.append(max((out - 1) * shape.stride + reach - size, 0) // 2 if shape.same else 0)
    taps = (shape.channels, *shape.kernel, 1 if depthwise else depth)
    weights = np.clip(np.rint(rng.normal(0, 36, taps)), -127, 127)
    weights[weights == 0] = 1
    rows, columns = shape.block
    matrix = weights.reshape(shape.channels, -1)
    grid = (-(-matrix.shape[0] // rows), -(-matrix.shape[1] // columns))
    keep = np.ones(grid[0] * grid[1], dtype=bool)
    keep[rng.permutation(keep.size)[: round(keep.size * sparsity)]] = False
    kept = np.kron(keep.reshape(grid), np.ones(shape.block))
    matrix *= kept[: matrix.shape[0], : matrix.shape[1]]
    weights = matrix.reshape(taps).astype(np.int8)
    if depthwise:
        weights = weights.transpose(3, 1, 2, 0)
    live = max(weights.size // shape.channels * (1 - sparsity), 1.0)
    # One scale for all channels: CMSIS-NN 4's fully connected kernel knows no other.
    multiplier, shift = quantize_multiplier(min(60.0 / (36 * 70 * live**0.5), 0.45))
    return Weighted(
        kind=shape.kind,
        weights=np.ascontiguousarray(weights),
        bias=rng.integers(-(2**12), 2**12, shape.channels).astype(np.int32),
        input_zero_point=-128,
        source=Shape(*shape.source),
        target=Shape(target[0], target[1], shape.channels),
        window=Window(
            *shape.kernel, shape.stride, shape.stride, shape.dilation, shape.dilation, *pads
        ),
        groups=1,
        core=core,
        multiplier=np.full(shape.channels, multiplier, dtype=np.int32),
        shift=np.full(shape.channels, shift, dtype=np.int32),
        output_zero_point=shape.zero_point,
    )
