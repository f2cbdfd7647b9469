"""Handlers of pooling, reduction, padding and resizing."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from bridge.convert.lift.builder import Builder, Node
from bridge.convert.lift.values import Value, axis_order
from bridge.convert.lift.weighted import _two, is_same, pads_of
from bridge.errors import UnsupportedOperator


def _window(node: Node, x: Any) -> tuple[Any, Any, Any, Any]:
    """Size, kernel, strides and pads of a pooling, with ceil_mode turned into pads."""
    kernel = _two(node.get("kernel_shape"))
    strides = _two(node.get("strides") or [1] * len(node.get("kernel_shape")))
    if any(d != 1 for d in node.get("dilations") or []):
        raise UnsupportedOperator(node.kind, node.name, hint="pooling without dilation works")
    size = (int(x.shape[1]), int(x.shape[2]))
    pads = [list(p) for p in pads_of(node, size, kernel, strides)]
    if node.get("ceil_mode", 0):
        for i in range(2):
            covered = size[i] + sum(pads[i]) - kernel[i]
            windows = math.ceil(covered / strides[i])
            if windows * strides[i] >= size[i] + pads[i][0]:
                windows -= 1  # a window may not start behind the input
            pads[i][1] += max(windows * strides[i] - covered, 0)
    return size, kernel, strides, (tuple(pads[0]), tuple(pads[1]))


def max_pool(b: Builder, node: Node) -> None:
    """MaxPool; padding that is not SAME mirrors the border, which no maximum can notice."""
    value = b.value(node, 0)
    x, p = b.nhwc(value, node)
    size, kernel, strides, pads = _window(node, x)
    padding = "valid"
    if pads != ((0, 0), (0, 0)):
        if is_same(size, kernel, strides, pads):
            padding = "same"
        elif node.inputs[0] in b.nonnegative:
            x = b.apply(b.keras.layers.ZeroPadding2D, f"{node.name}.pad", x, padding=pads)
        else:
            # A window that reaches q cells out also holds the q cells it mirrors.
            mirrored = [tuple(min(q, n) for q in pair) for pair, n in zip(pads, size, strict=True)]
            x = b.apply(b.layers.Pad, f"{node.name}.pad", x, [*mirrored, (0, 0)], mode="SYMMETRIC")
    y = b.apply(
        b.keras.layers.MaxPooling2D,
        node.name,
        x,
        pool_size=kernel,
        strides=strides,
        padding=padding,
    )
    if node.inputs[0] in b.nonnegative:
        b.nonnegative.add(node.outputs[0])
    b.put_nhwc(node, y, p, value.index.ndim)


def average_pool(b: Builder, node: Node) -> None:
    """AveragePool, padded cells counted or not."""
    value = b.value(node, 0)
    x, p = b.nhwc(value, node)
    size, kernel, strides, pads = _window(node, x)
    padding, correction = "valid", None
    if pads != ((0, 0), (0, 0)):
        counts_all = bool(node.get("count_include_pad", 0)) and not node.get("ceil_mode", 0)
        if not counts_all and is_same(size, kernel, strides, pads):
            padding = "same"
        else:
            x = b.apply(b.keras.layers.ZeroPadding2D, f"{node.name}.pad", x, padding=pads)
            if not counts_all:
                correction = _correction(node, size, kernel, strides, pads)
    y = b.apply(
        b.keras.layers.AveragePooling2D,
        node.name,
        x,
        pool_size=kernel,
        strides=strides,
        padding=padding,
    )
    if correction is not None:
        y = b.apply(b.layers.WithConstant, f"{node.name}.count", y, "mul", correction)
    if node.inputs[0] in b.nonnegative:
        b.nonnegative.add(node.outputs[0])
    b.put_nhwc(node, y, p, value.index.ndim)


def _correction(node: Node, size: Any, kernel: Any, strides: Any, pads: Any) -> Any:
    """What a mean over whole windows must be multiplied by, [height, width, 1]."""
    parts = []
    own = pads_of(node, size, kernel, strides)
    for i in range(2):
        n, k, s, (before, after) = size[i], kernel[i], strides[i], pads[i]
        inside = np.zeros(before + n + after)
        counted = own[i] if node.get("count_include_pad", 0) else (0, 0)
        inside[before - counted[0] : before + n + counted[1]] = 1
        starts = range(0, before + n + after - k + 1, s)
        parts.append(np.array([k / inside[t : t + k].sum() for t in starts], np.float32))
    return (parts[0][:, None] * parts[1])[:, :, None]


def global_average_pool(b: Builder, node: Node) -> None:
    """GlobalAveragePool: an average pooling over everything, which has fast kernels."""
    value = b.value(node, 0)
    x, p = b.nhwc(value, node)
    window = (int(x.shape[1]), int(x.shape[2]))
    y = x
    if window != (1, 1):
        y = b.apply(b.keras.layers.AveragePooling2D, node.name, x, pool_size=window)
    b.put_nhwc(node, y, p, value.index.ndim)


def global_max_pool(b: Builder, node: Node) -> None:
    """GlobalMaxPool: a max pooling over everything."""
    value = b.value(node, 0)
    x, p = b.nhwc(value, node)
    window = (int(x.shape[1]), int(x.shape[2]))
    y = b.apply(b.keras.layers.MaxPooling2D, node.name, x, pool_size=window)
    b.put_nhwc(node, y, p, value.index.ndim)


def reduce(b: Builder, node: Node) -> None:
    """ReduceMean, ReduceSum and ReduceMax over any axes but the batch."""
    value = b.value(node, 0)
    axes_input = b.constant(node, 1)
    axes = node.get("axes") if axes_input is None else [int(a) for a in axes_input]
    rank = value.index.ndim
    axes = sorted({a % rank for a in (axes or range(rank))})
    operation = {"ReduceMean": "mean", "ReduceSum": "sum", "ReduceMax": "max"}[node.kind]
    keep = bool(node.get("keepdims", 1))
    shape = tuple(1 if a in axes else d for a, d in enumerate(value.shape))
    spatial = rank in (3, 4) and all(a >= 2 for a in axes)
    if spatial and operation in ("mean", "max"):
        x, p = b.nhwc(value, node)
        h, w = int(x.shape[1]), int(x.shape[2])
        window = (h if rank == 4 and 2 in axes else 1, w if rank - 1 in axes else 1)
        kind = "AveragePooling2D" if operation == "mean" else "MaxPooling2D"
        y = x
        if window != (1, 1):
            y = b.apply(
                getattr(b.keras.layers, kind), node.name, x, pool_size=window, strides=window
            )
        made = b.put_nhwc(node, y, p, rank)
    else:
        order = axis_order(value.index)
        x = b.ordered(value, order, node.name)
        lead = 1 if value.index.transpose(order).shape[0] == 1 else 0
        physical_axes = [order.index(a) - lead + 1 for a in axes if order.index(a) >= lead]
        y = b.apply(b.layers.Reduce, node.name, x, operation, physical_axes)
        index = np.arange(int(np.prod(shape))).reshape([shape[a] for a in order])
        made = b.put(node, Value(y, index.transpose(np.argsort(order))))
    if not keep:
        squeezed = tuple(d for a, d in enumerate(value.shape) if a not in axes)
        b.env[node.outputs[0]] = Value(made.tensor, made.index.reshape(squeezed))


def pad(b: Builder, node: Node) -> None:
    """Pad with zeros, another constant, or mirrored."""
    value = b.value(node, 0)
    pads = b.constant(node, 1)
    amounts = [int(a) for a in (node.get("pads") if pads is None else pads)]
    fill = b.constant(node, 2)
    axes = b.constant(node, 3)
    rank = value.index.ndim
    chosen = list(range(rank)) if axes is None else [int(a) % rank for a in axes]
    before, after = [0] * rank, [0] * rank
    for i, axis in enumerate(chosen):
        before[axis], after[axis] = amounts[i], amounts[i + len(chosen)]
    mode = node.get("mode", "constant")
    number = 0.0 if fill is None or fill.size == 0 else float(fill.ravel()[0])
    if mode == "constant" and number != 0.0:
        raise UnsupportedOperator(
            node.kind, node.name, hint=f"padding with {number} is not supported; pad with zeros"
        )
    if any(q < 0 for q in before + after):
        index = value.index[
            tuple(
                slice(max(-lo, 0), d - max(-hi, 0))
                for lo, hi, d in zip(before, after, value.shape, strict=True)
            )
        ]
        value = Value(value.tensor, index)
        before, after = [max(q, 0) for q in before], [max(q, 0) for q in after]
    if not any(before + after):
        b.put(node, value)
        return
    if mode in ("edge", "wrap"):  # elements repeated: a view, which becomes a GATHER
        b.put(
            node,
            Value(value.tensor, np.pad(value.index, list(zip(before, after, strict=True)), mode)),
        )  # type: ignore[call-overload]
        return
    order = axis_order(value.index)
    if value.shape[order[0]] != 1 or before[order[0]] or after[order[0]]:
        raise UnsupportedOperator(node.kind, node.name, hint="the batch can't be padded")
    x = b.ordered(value, order, node.name)
    physical = [(before[a], after[a]) for a in order[1:]]
    if mode == "constant" and rank == 4 and order == (0, 2, 3, 1) and physical[2] == (0, 0):
        y = b.apply(b.keras.layers.ZeroPadding2D, node.name, x, padding=tuple(physical[:2]))
    else:
        y = b.apply(b.layers.Pad, node.name, x, physical, mode=mode.upper())
    shape = [d + lo + hi for d, lo, hi in zip(value.shape, before, after, strict=True)]
    index = np.arange(int(np.prod(shape))).reshape([shape[a] for a in order])
    if node.inputs[0] in b.nonnegative:
        b.nonnegative.add(node.outputs[0])
    b.put(node, Value(y, index.transpose(np.argsort(order))))


def resize(b: Builder, node: Node) -> None:
    """Resize: nearest and bilinear, as PyTorch's interpolate exports them."""
    value = b.value(node, 0)
    rank = value.index.ndim
    scales, sizes = b.constant(node, 2), b.constant(node, 3)
    if sizes is not None and sizes.size:
        out = [int(s) for s in sizes]
        if len(out) == rank - 2:
            out = [1, value.shape[1], *out]
    elif scales is not None and scales.size:
        factors = [float(s) for s in scales]
        if len(factors) == rank - 2:
            factors = [1.0, 1.0, *factors]
        out = [math.floor(d * s) for d, s in zip(value.shape, factors, strict=True)]
    else:
        raise UnsupportedOperator(node.kind, node.name, hint="its size is computed at run time")
    if out[1] != value.shape[1]:
        raise UnsupportedOperator(node.kind, node.name, hint="channels can't be resized")
    mode = node.get("mode", "nearest")
    place = node.get("coordinate_transformation_mode", "half_pixel")
    if mode == "cubic" or (mode == "linear" and place == "asymmetric"):
        raise UnsupportedOperator(node.kind, node.name, hint="use nearest or bilinear")
    x, p = b.nhwc(value, node)
    h, w = int(x.shape[1]), int(x.shape[2])
    target = (out[2], out[3]) if rank == 4 else (1, out[2])
    whole = target[0] % h == 0 and target[1] % w == 0
    if mode == "nearest" and not whole:
        exact = place == "asymmetric" and node.get("nearest_mode") == "floor"
        if not exact:
            raise UnsupportedOperator(
                node.kind, node.name, hint="nearest works for whole factors or mode='nearest'"
            )
    y = x
    if mode == "nearest" and whole:
        if target != (h, w):
            factors2 = (target[0] // h, target[1] // w)
            y = b.apply(b.keras.layers.UpSampling2D, node.name, x, size=factors2)
    else:
        y = b.apply(
            b.layers.Resize,
            node.name,
            x,
            target,
            bilinear=mode == "linear",
            align_corners=place == "align_corners",
        )
    if node.inputs[0] in b.nonnegative:
        b.nonnegative.add(node.outputs[0])
    b.put_nhwc(node, y, p, rank)


def depth_to_space(b: Builder, node: Node) -> None:
    """DepthToSpace (pixel shuffle); PyTorch's order of channels costs a gather of channels."""
    value = b.value(node, 0)
    side = int(node.get("blocksize"))
    channels = value.shape[1] // (side * side)
    if node.get("mode", "DCR") == "CRD":
        order = np.arange(value.shape[1]).reshape(channels, side * side).T.ravel()
        value = Value(value.tensor, value.index[:, order])
    x, _ = b.nhwc(value, node, keep_channels=True)
    b.put_nhwc(node, b.apply(b.layers.DepthToSpace, node.name, x, side))


HANDLERS = {
    "DepthToSpace": depth_to_space,
    "MaxPool": max_pool,
    "AveragePool": average_pool,
    "GlobalAveragePool": global_average_pool,
    "GlobalMaxPool": global_max_pool,
    "ReduceMean": reduce,
    "ReduceSum": reduce,
    "ReduceMax": reduce,
    "Pad": pad,
    "Resize": resize,
    "Upsample": resize,
}
