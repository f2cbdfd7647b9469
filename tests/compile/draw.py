"""Random operators: shapes, quantization, options; every valid combination may come up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.compile.flatbuffer import Call, Value, integers

Rng = np.random.Generator
ACTIVATIONS = {"NONE": 0, "RELU": 1, "RELU_N1_TO_1": 2, "RELU6": 3}


def _scale(rng: Rng, low: float = -8, high: float = 0) -> float:
    return float(np.float32(2 ** rng.uniform(low, high)))


def _zero(rng: Rng) -> int:
    return int(rng.choice([-128, 127, 0, rng.integers(-128, 128)]))


def _image(rng: Rng, depth: int | None = None) -> tuple[int, ...]:
    h, w = rng.integers(1, 10 if rng.random() < 0.7 else 20, 2)
    return (1, int(h), int(w), depth or int(rng.integers(1, 10)))


def _shape(rng: Rng, low: int = 2, high: int = 5) -> tuple[int, ...]:
    return (1, *(int(n) for n in rng.integers(1, 8, int(rng.integers(low, high)) - 1)))


def _activation(rng: Rng) -> int:
    return int(rng.integers(0, 4))


def _source(rng: Rng, shape: tuple[int, ...]) -> Value:
    return Value(shape, _scale(rng), _zero(rng))


def _like(value: Value, shape: tuple[int, ...]) -> Value:
    return Value(shape, value.scale, value.zero)


def _out(size: int, kernel: int, stride: int, dilation: int, same: bool) -> int:
    return -(-size // stride) if same else (size - (kernel - 1) * dilation - 1) // stride + 1


def _weights(rng: Rng, shape: tuple[int, ...], channels: int, axis: int, *, single=False) -> Value:
    scales = np.float32(2 ** rng.uniform(-9, -5, 1 if single else channels))
    data = rng.integers(-127, 128, shape).astype(np.int8)
    data[rng.random(shape) < rng.choice([0.0, 0.5, 0.95])] = 0
    if rng.random() < 0.2:
        data[data != 0] = 127  # the sums go to their bounds
    return Value(shape, scales, 0, data=data, axis=0 if single else axis)


def _result(rng: Rng, source: Value, weights: Value, shape: tuple[int, ...], taps: int) -> Value:
    unit = float(source.scale) * float(np.mean(weights.scale))
    return Value(
        shape, float(np.float32(unit * 64 * taps**0.5 * 2 ** rng.uniform(-1, 3))), _zero(rng)
    )


def _bias(
    rng: Rng, source: Value, weights: Value, channels: int, *, always: bool = False
) -> Value | None:
    if not always and rng.random() < 0.2:
        return None
    data = rng.integers(-(2**14), 2**14, channels).astype(np.int32)
    return Value((channels,), np.float32(source.scale) * weights.scale, 0, "int32", data)


def _window(rng: Rng, shape: tuple[int, ...], *, dilated: bool) -> dict[str, Any]:
    same = bool(rng.integers(2))
    result: dict[str, Any] = {"padding": 0 if same else 1, "same": same}
    for axis, letter in ((1, "H"), (2, "W")):
        kernel = int(rng.integers(1, 5 if same else min(5, shape[axis] + 1)))
        room = (shape[axis] - 1) // max(kernel - 1, 1)
        dilation = int(rng.integers(1, 3)) if dilated and (same or room >= 2) else 1
        stride = int(rng.integers(1, 4))
        result |= {f"k{letter}": kernel, f"d{letter}": dilation, f"stride{letter}": stride}
        result[f"out{letter}"] = _out(shape[axis], kernel, stride, dilation, same)
    return result


def convolution(rng: Rng) -> Call:
    groups = int(rng.choice([1, 1, 2]))
    source = _source(rng, _image(rng, groups * int(rng.integers(1, 6))))
    w = _window(rng, source.shape, dilated=True)
    depth = source.shape[3] // groups
    channels = groups * int(rng.integers(1, 6))
    weights = _weights(rng, (channels, w["kH"], w["kW"], depth), channels, 0)
    output = _result(
        rng, source, weights, (1, w["outH"], w["outW"], channels), weights.data[0].size
    )
    options = {"padding": w["padding"], "strideH": w["strideH"], "strideW": w["strideW"],
               "dilationHFactor": w["dH"], "dilationWFactor": w["dW"],
               "fusedActivationFunction": _activation(rng)}  # fmt: skip
    inputs = [source, weights, _bias(rng, source, weights, channels)]
    return Call("CONV_2D", inputs, [output], "Conv2DOptions", options)


def depthwise(rng: Rng) -> Call:
    source = _source(rng, _image(rng))
    w = _window(rng, source.shape, dilated=True)
    multiplier = int(rng.integers(1, 4))
    channels = source.shape[3] * multiplier
    weights = _weights(rng, (1, w["kH"], w["kW"], channels), channels, 3)
    output = _result(rng, source, weights, (1, w["outH"], w["outW"], channels), w["kH"] * w["kW"])
    options = {"padding": w["padding"], "strideH": w["strideH"], "strideW": w["strideW"],
               "dilationHFactor": w["dH"], "dilationWFactor": w["dW"],
               "depthMultiplier": multiplier,
               "fusedActivationFunction": _activation(rng)}  # fmt: skip
    # TFLM crashes on a depthwise convolution without a bias.
    inputs = [source, weights, _bias(rng, source, weights, channels, always=True)]
    return Call("DEPTHWISE_CONV_2D", inputs, [output], "DepthwiseConv2DOptions", options)


def connected(rng: Rng) -> Call:
    depth, channels = (int(n) for n in rng.integers(1, 70, 2))
    rows = () if rng.random() < 0.7 else (int(rng.integers(1, 5)),)
    source = _source(rng, (1, *rows, depth))
    weights = _weights(rng, (channels, depth), channels, 0, single=bool(rng.integers(2)))
    output = _result(rng, source, weights, (1, *rows, channels), depth)
    options = {"keepNumDims": bool(rows), "fusedActivationFunction": _activation(rng)}
    inputs = [source, weights, _bias(rng, source, weights, channels)]
    return Call("FULLY_CONNECTED", inputs, [output], "FullyConnectedOptions", options)


def transposed(rng: Rng) -> Call:
    source = _source(rng, _image(rng))
    same = bool(rng.integers(2))
    kernel, stride = rng.integers(1, 5, 2), rng.integers(1, 4, 2)
    h, w = (
        int(n * s + (0 if same else max(k - s, 0)))
        for n, s, k in zip(source.shape[1:3], stride, kernel, strict=True)
    )
    channels = int(rng.integers(1, 7))
    weights = _weights(
        rng, (channels, int(kernel[0]), int(kernel[1]), source.shape[3]), channels, 0
    )
    output = _result(rng, source, weights, (1, h, w, channels), weights.data[0].size)
    options = {"padding": 0 if same else 1, "strideH": int(stride[0]), "strideW": int(stride[1]),
               "fusedActivationFunction": _activation(rng)}  # fmt: skip
    inputs: list[Value | None] = [integers(output.shape), weights, source]
    bias = _bias(rng, source, weights, channels)
    inputs += [bias] if bias is not None else []
    return Call("TRANSPOSE_CONV", inputs, [output], "TransposeConvOptions", options)


def pooling(kind: str) -> Callable[[Rng], Call]:
    def draw(rng: Rng) -> Call:
        source = _source(rng, _image(rng))
        w = _window(rng, source.shape, dilated=False)
        output = _like(source, (1, w["outH"], w["outW"], source.shape[3]))
        options = {"padding": w["padding"], "strideH": w["strideH"], "strideW": w["strideW"],
                   "filterHeight": w["kH"], "filterWidth": w["kW"],
                   "fusedActivationFunction": _activation(rng)}  # fmt: skip
        return Call(kind, [source], [output], "Pool2DOptions", options)

    return draw


def reduction(kind: str) -> Callable[[Rng], Call]:
    def draw(rng: Rng) -> Call:
        source = _source(rng, _shape(rng))
        rank = len(source.shape)
        count = int(rng.integers(1, rank))
        axes = sorted(int(a) for a in rng.choice(np.arange(1, rank), count, replace=False))
        keep = bool(rng.integers(2))
        shape = tuple(
            1 if i in axes else n for i, n in enumerate(source.shape) if keep or i not in axes
        )
        output = _like(source, shape)
        if kind in {"MEAN", "SUM"}:
            total = np.prod([source.shape[a] for a in axes])
            grow = 2 ** rng.uniform(-1, 1) * (1.0 if kind == "MEAN" else total**0.7)
            output = Value(shape, float(np.float32(source.scale * grow)), _zero(rng))
        given = [a - rank if rng.random() < 0.3 else a for a in axes]
        return Call(kind, [source, integers(given)], [output], "ReducerOptions", {"keepDims": keep})

    return draw


def binary(kind: str, table: str = "", *, shared: bool = False) -> Callable[[Rng], Call]:
    def draw(rng: Rng) -> Call:
        whole = rng.random() < 0.2  # large and alike: what fast kernels are for
        shape = (1, 9, 10, int(rng.integers(5, 10))) if whole else _shape(rng)
        shapes = [list(shape), list(shape)]
        for i in range(1, 1 if whole else len(shape)):
            repeated = int(rng.integers(0, 6))
            if repeated < (1 if kind == "PRELU" else 2):
                shapes[1 - repeated][i] = 1
        if not whole and rng.random() < 0.2:
            lost = int(rng.integers(1, len(shape)))
            shapes[1], shapes[0][:lost] = shapes[1][lost:], shape[:lost]  # fewer dimensions
        first = _source(rng, tuple(shapes[0]))
        second = _source(rng, tuple(shapes[1]))
        second.scale = float(np.float32(first.scale * 2 ** rng.uniform(-3, 3)))
        if shared:
            second.scale, second.zero = first.scale, first.zero
        constant = int(rng.integers(0, 4))
        if kind == "PRELU":
            constant, second.scale = 1, _scale(rng, -9, -6)
        for position, value in enumerate((first, second)):
            if constant == position:
                value.data = rng.integers(-128, 128, value.shape).astype(np.int8)
        both = max(first.scale, second.scale) if kind in {"ADD", "SUB"} else first.scale
        unit = {"MUL": first.scale * second.scale * 40}.get(kind, both)
        output = Value(shape, float(np.float32(unit * 2 ** rng.uniform(-1, 2))), _zero(rng))
        if shared:
            output = _like(first, shape)
        options = {"fusedActivationFunction": _activation(rng)} if table and not shared else {}
        return Call(kind, [first, second], [output], table, options)

    return draw


def unary(kind: str, table: str = "") -> Callable[[Rng], Call]:
    def draw(rng: Rng) -> Call:
        source = _source(rng, _shape(rng))
        output = Value(
            source.shape, float(np.float32(source.scale * 2 ** rng.uniform(-1, 1.5))), _zero(rng)
        )
        options = {}
        if kind in {"LOGISTIC", "SOFTMAX"}:
            output = Value(source.shape, 1 / 256, -128)
        if kind == "TANH":
            output = Value(source.shape, 1 / 128, 0)
        if kind == "RELU6":
            output = _like(source, source.shape)
        if kind == "SOFTMAX":
            options = {"beta": float(np.float32(rng.choice([1.0, 1.0, 0.3, 4.0])))}
        if kind == "LEAKY_RELU":
            options = {"alpha": float(np.float32(rng.uniform(-0.3, 1.2)))}
        return Call(kind, [source], [output], table, options)

    return draw


FAMILIES: dict[str, list[Callable[[Rng], Call]]] = {
    "convolution": [convolution],
    "depthwise": [depthwise],
    "connected": [connected],
    "transposed": [transposed],
    "pooling": [pooling("MAX_POOL_2D"), pooling("AVERAGE_POOL_2D")],
    "reduction": [reduction(kind) for kind in ("MEAN", "SUM", "REDUCE_MAX")],
    "sums": [binary("ADD", "AddOptions"), binary("SUB", "SubOptions")],
    "products": [
        binary("MUL", "MulOptions"),
        binary("PRELU"),
        binary("MAXIMUM", "MaximumMinimumOptions", shared=True),
        binary("MINIMUM", "MaximumMinimumOptions", shared=True),
    ],
    "activations": [
        unary("LOGISTIC"),
        unary("TANH"),
        unary("HARD_SWISH", "HardSwishOptions"),
        unary("LEAKY_RELU", "LeakyReluOptions"),
        unary("RELU"),
        unary("RELU6"),
        unary("QUANTIZE", "QuantizeOptions"),
        unary("SOFTMAX", "SoftmaxOptions"),
    ],
}
"""Operators that are drawn into one network."""
