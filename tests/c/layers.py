"""Random layers for kernel tests, with everything that kernels get wrong in them."""

from __future__ import annotations

import numpy as np

from bridge.compile.formats import Weighted
from bridge.compile.quantization import quantize_multiplier
from bridge.compile.steps import Shape, Window


def random_layer(
    rng: np.random.Generator,
    source: tuple[int, int, int],
    channels: int,
    *,
    kernel: tuple[int, int] = (3, 3),
    stride: tuple[int, int] = (1, 1),
    dilation: tuple[int, int] = (1, 1),
    same: bool = True,
    density: float = 0.2,
    kind: str = "CONV_2D",
    largest: int = 127,
    core: str = "cortex-m4",
) -> Weighted:
    """A layer with random weights, scales, zero points and activation range."""
    depthwise = kind == "DEPTHWISE_CONV_2D"
    out, pad = [], []
    for size, k, s, d in zip(source[:2], kernel, stride, dilation, strict=True):
        reach = (k - 1) * d + 1
        n = -(-size // s) if same else (size - reach) // s + 1
        out.append(n)
        pad.append(max((n - 1) * s + reach - size, 0) // 2 if same else 0)
    shape = (1, *kernel, channels) if depthwise else (channels, *kernel, source[2])
    weights = rng.integers(-largest, largest + 1, shape)
    weights[rng.random(shape) >= density] = 0
    if rng.random() < 0.5:
        weights[..., int(rng.integers(shape[-1]))] = 0  # an all-zero input or output channel
    if not depthwise and channels > 1 and rng.random() < 0.5:
        weights[int(rng.integers(channels))] = 0
    taps = kernel[0] * kernel[1] * (1 if depthwise else source[2])
    spread = 60.0 * largest * max(taps * density, 1.0) ** 0.5
    pairs = [
        quantize_multiplier(min(float(rng.uniform(20, 120)) / spread, 0.49))
        for _ in range(channels)
    ]
    # Behind a ReLU, as most are, requantization takes another way than elsewhere.
    zero_point = -128 if rng.random() < 0.6 else int(rng.integers(-128, 128))
    least = zero_point if rng.random() < 0.3 else -128
    narrow = rng.random() < 0.3
    return Weighted(
        kind=kind,
        weights=weights.astype(np.int8),
        bias=rng.integers(-(2**14), 2**14, channels).astype(np.int32),
        input_zero_point=int(rng.integers(-128, 128)),
        source=Shape(*source),
        target=Shape(out[0], out[1], channels),
        window=Window(*kernel, *stride, *dilation, *pad),
        groups=1,
        core=core,
        multiplier=np.array([m for m, _ in pairs], dtype=np.int32),
        shift=np.array([s for _, s in pairs], dtype=np.int32),
        output_zero_point=zero_point,
        activation=(max(least, -100), max(least, 90)) if narrow else (least, 127),
    )


def activations(rng: np.random.Generator, layer: Weighted) -> np.ndarray:
    """Random inputs; sometimes nothing but the extremes."""
    shape = (layer.source.h, layer.source.w, layer.source.c)
    extreme = rng.random()
    if extreme < 0.15:
        return np.full(shape, -128, dtype=np.int8)
    if extreme < 0.3:
        return rng.choice(np.array([-128, 127], dtype=np.int8), shape)
    return rng.integers(-128, 128, shape).astype(np.int8)
