"""Handlers of operators with weights: convolutions, linear layers, batch normalization.

ONNX keeps convolution weights as [out, in / groups, height, width], Keras as
[height, width, in / groups, out]; a linear layer's [out, in] is Keras' [in, out].
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from bridge.convert.lift import values as v
from bridge.convert.lift.builder import Builder, Node
from bridge.convert.lift.values import Value
from bridge.errors import UnsupportedOperator

Array = npt.NDArray[Any]


def _two(values: Any, fill: int = 1) -> tuple[int, int]:
    """Stride, dilation or kernel as (height, width); a 1-D operator has height ``fill``."""
    t = tuple(int(x) for x in values)
    return (fill, t[0]) if len(t) == 1 else (t[0], t[1])


def pads_of(
    node: Node, size: tuple[int, int], kernel: tuple[int, int], stride: tuple[int, int]
) -> tuple[tuple[int, int], tuple[int, int]]:
    """((top, bottom), (left, right)) of a sliding window; ``kernel`` counts dilation in."""
    auto = node.get("auto_pad", "NOTSET")
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        result = []
        for n, k, s in zip(size, kernel, stride, strict=True):
            total = max((math.ceil(n / s) - 1) * s + k - n, 0)
            small, large = total // 2, total - total // 2
            result.append((small, large) if auto == "SAME_UPPER" else (large, small))
        return result[0], result[1]
    p = list(node.get("pads") or [0, 0, 0, 0])
    if len(p) == 2:
        p = [0, p[0], 0, p[1]]
    return (p[0], p[2]), (p[1], p[3])


def is_same(
    size: tuple[int, int], kernel: tuple[int, int], stride: tuple[int, int], pads: Any
) -> bool:
    """Whether these pads are what TensorFlow's SAME would do."""
    for n, k, s, (before, after) in zip(size, kernel, stride, pads, strict=True):
        total = max((math.ceil(n / s) - 1) * s + k - n, 0)
        # What lies behind the last window doesn't count.
        needed_after = max(((n + before + after - k) // s) * s + k - n - before, 0)
        if before != total // 2 or needed_after != total - total // 2:
            return False
        if (n + before + after - k) // s + 1 != math.ceil(n / s):
            return False
    return True


def conv(b: Builder, node: Node) -> None:
    """Conv, 1-D and 2-D, with groups, dilation and any zero padding."""
    value = b.value(node, 0)
    weights = b.constant(node, 1)
    bias = b.constant(node, 2)
    assert weights is not None
    rank = weights.ndim
    if rank == 3:
        weights = weights[:, :, None, :]
    if weights.ndim != 4:
        raise UnsupportedOperator(node.kind, node.name, hint="1-D and 2-D are supported")
    groups = int(node.get("group", 1))
    strides = _two(node.get("strides") or [1] * (rank - 2))
    dilations = _two(node.get("dilations") or [1] * (rank - 2))
    out, per_group, kh, kw = weights.shape
    channels = per_group * groups
    depthwise = groups == channels and groups > 1
    x, p = b.nhwc(value, node, keep_channels=groups > 1 and not depthwise)
    size = (int(x.shape[1]), int(x.shape[2]))
    window = ((kh - 1) * dilations[0] + 1, (kw - 1) * dilations[1] + 1)
    pads = pads_of(node, size, window, strides)
    padding = "valid"
    if pads != ((0, 0), (0, 0)):
        if is_same(size, window, strides, pads):
            padding = "same"
        else:
            x = b.apply(b.keras.layers.ZeroPadding2D, f"{node.name}.pad", x, padding=pads)
    common = {
        "padding": padding,
        "strides": strides,
        "dilation_rate": dilations,
        "use_bias": bias is not None,
    }
    order: Array | None = None
    if depthwise and strides[0] == strides[1]:
        multiplier = out // groups
        name = b.unique(node.name)
        layer = b.keras.layers.DepthwiseConv2D(
            (kh, kw), depth_multiplier=multiplier, name=name, **common
        )
        # [out, 1, h, w] → [h, w, in, multiplier]; logical output g·multiplier + m.
        kernel = weights.reshape(groups, multiplier, kh, kw).transpose(2, 3, 0, 1)[:, :, p, :]
        order = (p[:, None] * multiplier + np.arange(multiplier)).ravel()
        bias = None if bias is None else bias[order]
    else:
        if depthwise and not np.array_equal(p, np.arange(channels)):
            x, p = b.nhwc(value, node, keep_channels=True)
        kernel = weights.transpose(2, 3, 1, 0)
        if groups == 1:
            kernel = kernel[:, :, p, :]
        layer = b.keras.layers.Conv2D(
            out, (kh, kw), groups=groups, name=b.unique(node.name), **common
        )
    y = layer(x)
    layer.set_weights([kernel] if bias is None else [kernel, bias])
    b.put_nhwc(node, y, order, value.index.ndim)


def conv_transpose(b: Builder, node: Node) -> None:
    """ConvTranspose, 1-D and 2-D; groups become zeros of one dense kernel."""
    value = b.value(node, 0)
    weights = b.constant(node, 1)
    bias = b.constant(node, 2)
    assert weights is not None
    rank = weights.ndim
    if rank == 3:
        weights = weights[:, :, None, :]
    groups = int(node.get("group", 1))
    strides = _two(node.get("strides") or [1] * (rank - 2))
    dilations = _two(node.get("dilations") or [1] * (rank - 2))
    if dilations != (1, 1) or node.get("output_shape"):
        raise UnsupportedOperator(
            node.kind, node.name, hint="without dilation and output_shape it is supported"
        )
    extra = _two(node.get("output_padding") or [0] * (rank - 2), 0)
    channels, per_group, kh, kw = weights.shape
    out = per_group * groups
    if groups > 1:
        dense = np.zeros((channels, out, kh, kw), np.float32)
        step = channels // groups
        for g in range(groups):
            rows, columns = slice(g * step, (g + 1) * step), slice(g * per_group, None)
            dense[rows, columns][:, :per_group] = weights[rows]
        weights = dense
    x, p = b.nhwc(value, node)
    size = (int(x.shape[1]), int(x.shape[2]))
    pads = pads_of(node, size, (kh, kw), strides)
    wanted = [
        (n - 1) * s - sum(q) + k + e
        for n, s, q, k, e in zip(size, strides, pads, (kh, kw), extra, strict=True)
    ]
    same = all(
        w == n * s and q[0] == max(k - s, 0) // 2 and k >= s
        for w, n, s, q, k in zip(wanted, size, strides, pads, (kh, kw), strict=True)
    )
    layer = b.layers.TransposedConv(
        out,
        (kh, kw),
        strides=strides,
        padding="same" if same else "valid",
        use_bias=bias is not None,
        name=b.unique(node.name),
    )
    y = layer(x)
    kernel = weights.transpose(2, 3, 1, 0)[:, :, :, p]
    layer.set_weights([kernel] if bias is None else [kernel, bias])
    if not same:
        have = (int(y.shape[1]), int(y.shape[2]))
        over = [max(q[0] + w - h, 0) for q, w, h in zip(pads, wanted, have, strict=True)]
        if any(over):
            if bias is not None and np.any(bias):
                raise UnsupportedOperator(
                    node.kind,
                    node.name,
                    hint="output_padding larger than padding needs bias=False here",
                )
            y = b.apply(
                b.keras.layers.ZeroPadding2D,
                f"{node.name}.pad",
                y,
                padding=((0, over[0]), (0, over[1])),
            )
        begin = (pads[0][0], pads[1][0], 0)
        end = (begin[0] + wanted[0], begin[1] + wanted[1], out)
        if tuple(y.shape[1:]) != end or any(begin):
            y = b.apply(b.layers.Slice, f"{node.name}.crop", y, begin, end, (1, 1, 1))
    b.put_nhwc(node, y, None, value.index.ndim)


def linear(b: Builder, node: Node, value: Value, kernel: Array, bias: Array | None) -> None:
    """``x @ kernel + bias`` over the last axis; kernel is [in, out].

    A single row becomes a Dense layer whose weight rows take up whatever order the input has
    (so that a flatten needs no transpose); several rows become a 1×1 convolution.
    """
    lead = [d for d in value.shape[:-1] if d > 1]
    if not lead:
        value = b.cut_out(value, node.name)
    target = value.index.reshape(*lead, value.shape[-1])
    size = int(np.prod(value.physical))
    p = v.last_axis_permutation(target, size)
    if p is None:
        x, p = b.arrange(value, target, node.name), np.arange(value.shape[-1])
    else:
        x = b.reshape(value.tensor, target.shape, node.name)
    name = b.unique(node.name)
    out = kernel.shape[1]
    kernel = kernel[p]
    if not lead:
        layer = b.keras.layers.Dense(out, use_bias=bias is not None, name=name)
        y = layer(x)
    else:
        rows = int(np.prod(lead))
        x = b.reshape(x, (1, rows, len(p)), node.name)
        layer = b.keras.layers.Conv2D(out, 1, use_bias=bias is not None, name=name)
        y = layer(x)
        kernel = kernel[None, None]
    layer.set_weights([kernel] if bias is None else [kernel, bias])
    shape = (*value.shape[:-1], out)
    b.put(node, Value(y, np.arange(int(np.prod(shape))).reshape(shape)))


def gemm(b: Builder, node: Node) -> None:
    """Gemm with constant weights."""
    kernel = b.constant(node, 1)
    bias = b.constant(node, 2)
    assert kernel is not None
    if node.get("transA", 0):
        raise UnsupportedOperator(node.kind, node.name, hint="transA is not supported")
    kernel = (kernel.T if node.get("transB", 0) else kernel) * float(node.get("alpha", 1.0))
    if bias is not None:
        bias = np.broadcast_to(bias * float(node.get("beta", 1.0)), (kernel.shape[1],))
    linear(b, node, b.value(node, 0), kernel, bias)


def matmul(b: Builder, node: Node) -> None:
    """MatMul with a constant second factor (the exporter's Linear without bias)."""
    second = b.env[node.inputs[1]]
    if isinstance(second, Value) or second.ndim != 2:
        raise UnsupportedOperator(
            node.kind,
            node.name,
            hint="a product of two activations (attention) has no int8 kernel in TFLite Micro "
            "that keeps this network static; use convolutions or Linear layers",
        )
    linear(b, node, b.value(node, 0), second, None)


def batch_norm(b: Builder, node: Node) -> None:
    """A BatchNormalization that no layer before it could take up: a 1×1 depthwise convolution."""
    value = b.value(node, 0)
    gamma, beta, mean, variance = (b.constant(node, i) for i in range(1, 5))
    scale, shift = affine_of(gamma, beta, mean, variance, node)
    affine(b, node, value, scale, shift)


def affine_of(gamma: Any, beta: Any, mean: Any, variance: Any, node: Node) -> tuple[Array, Array]:
    """Scale and shift of a BatchNormalization."""
    scale = gamma / np.sqrt(variance + float(node.get("epsilon", 1e-5)))
    return scale, beta - mean * scale


def affine(b: Builder, node: Node, value: Value, scale: Array, shift: Array) -> None:
    """``scale * x + shift`` per channel."""
    rank = value.index.ndim
    if rank == 2:
        wide = Value(value.tensor, value.index[:, :, None])
        flat = Node(node.kind, node.name, node.inputs, node.outputs, node.attributes)
        affine(b, flat, wide, scale, shift)
        made = b.env[node.outputs[0]]
        assert isinstance(made, Value)
        b.env[node.outputs[0]] = Value(made.tensor, made.index[:, :, 0])
        return
    x, p = b.nhwc(value, node)
    layer = b.keras.layers.DepthwiseConv2D(1, name=b.unique(node.name))
    y = layer(x)
    layer.set_weights([scale[p].reshape(1, 1, -1, 1), shift[p]])
    b.put_nhwc(node, y, p, rank)


HANDLERS = {
    "Conv": conv,
    "ConvTranspose": conv_transpose,
    "Gemm": gemm,
    "MatMul": matmul,
    "BatchNormalization": batch_norm,
}
