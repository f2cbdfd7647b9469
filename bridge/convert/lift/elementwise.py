"""Handlers of activations, arithmetic, softmax and concatenation."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bridge.convert.lift.builder import Builder, Node
from bridge.convert.lift.values import Value, axis_order
from bridge.errors import UnsupportedOperator

Array = npt.NDArray[Any]

_SIMPLE = {"Sigmoid": "sigmoid", "Tanh": "tanh"}
_NONNEGATIVE = {"Relu", "Sigmoid", "Softmax", "HardSigmoid"}


def whole(b: Builder, value: Value, name: str) -> Value:
    """The value with a Keras tensor that holds its elements and nothing else."""
    if value.whole:
        return value
    order = axis_order(value.index)
    shape = [value.shape[a] for a in order]
    tensor = b.ordered(value, order, name)
    return Value(tensor, np.arange(value.index.size).reshape(shape).transpose(np.argsort(order)))


def unary(b: Builder, node: Node) -> None:
    """An activation: works on the Keras tensor as it lies."""
    value = whole(b, b.value(node, 0), node.name)
    layers, kind = b.keras.layers, node.kind
    if kind == "Relu":
        y = b.apply(layers.ReLU, node.name, value.tensor)
    elif kind == "LeakyRelu":
        y = b.apply(layers.LeakyReLU, node.name, value.tensor, alpha=float(node.get("alpha", 0.01)))
    elif kind == "HardSwish":
        y = b.apply(b.layers.HardSwish, node.name, value.tensor)
    elif kind == "HardSigmoid":
        y = _hard(
            b, node, value.tensor, float(node.get("alpha", 0.2)), float(node.get("beta", 0.5))
        )
    elif kind == "Neg":
        y = b.apply(b.layers.WithConstant, node.name, value.tensor, "mul", -1.0)
    else:
        y = b.apply(layers.Activation, node.name, value.tensor, _SIMPLE[kind])
    if kind in _NONNEGATIVE:
        b.nonnegative.add(node.outputs[0])
    b.put(node, Value(y, value.index))


def _hard(b: Builder, node: Node, x: Any, alpha: float, beta: float) -> Any:
    """clip(alpha·x + beta, 0, 1) as relu6 of a scaled sum: operators that int8 has."""
    y = x
    if abs(alpha - 1 / 6) > 1e-6:
        y = b.apply(b.layers.WithConstant, f"{node.name}.scale", y, "mul", 6 * alpha)
    y = b.apply(b.layers.WithConstant, f"{node.name}.shift", y, "add", 6 * beta)
    y = b.apply(b.keras.layers.ReLU, f"{node.name}.clip", y, max_value=6.0)
    return b.apply(b.layers.WithConstant, f"{node.name}.unit", y, "mul", 1 / 6)


def clip(b: Builder, node: Node) -> None:
    """Clip to 0 … max: ReLU6 and its kin."""
    value = whole(b, b.value(node, 0), node.name)
    low, high = b.constant(node, 1), b.constant(node, 2)
    lo = float(node.get("min", -np.inf)) if low is None else float(low.ravel()[0])
    hi = float(node.get("max", np.inf)) if high is None else float(high.ravel()[0])
    if lo != 0.0:
        raise UnsupportedOperator(
            node.kind, node.name, hint=f"clipping to {lo} … {hi} has no int8 operator; use ReLU6"
        )
    maximum = None if np.isinf(hi) else hi
    y = value.tensor
    if maximum not in (None, 6.0):
        # TFLite only fuses 6: scale there and back.
        y = b.apply(b.layers.WithConstant, f"{node.name}.scale", y, "mul", 6.0 / hi)
        y = b.apply(b.keras.layers.ReLU, f"{node.name}.clip", y, max_value=6.0)
        y = b.apply(b.layers.WithConstant, node.name, y, "mul", hi / 6.0)
    else:
        y = b.apply(b.keras.layers.ReLU, node.name, y, max_value=maximum)
    b.nonnegative.add(node.outputs[0])
    b.put(node, Value(y, value.index))


def physical_constant(value: Value, constant: Array) -> Array:
    """A constant, broadcast to a value's logical shape, laid out as the Keras tensor is.

    Axes along which it never changes are left at size 1.
    """
    laid = np.empty(int(np.prod(value.physical)), np.float32)
    laid[value.index.ravel()] = np.broadcast_to(constant, value.shape).ravel()
    laid = laid.reshape(value.physical)
    for axis in range(laid.ndim):
        first = np.take(laid, [0], axis)
        if np.array_equal(np.broadcast_to(first, laid.shape), laid):
            laid = first
    return laid if laid.size > 1 else laid.reshape(())


def prelu(b: Builder, node: Node) -> None:
    """PReLU with one slope or one per channel."""
    value = whole(b, b.value(node, 0), node.name)
    slope = b.constant(node, 1)
    assert slope is not None
    alpha = physical_constant(value, slope)
    shape = (1,) * (len(value.physical) - alpha.ndim) + alpha.shape
    if len(set(alpha.ravel().tolist())) == 1:
        y = b.apply(
            b.keras.layers.LeakyReLU, node.name, value.tensor, alpha=float(alpha.ravel()[0])
        )
    else:
        shared = [i + 1 for i, d in enumerate(shape) if d == 1]
        layer = b.keras.layers.PReLU(shared_axes=shared, name=b.unique(node.name))
        y = layer(value.tensor)
        layer.set_weights([alpha.reshape(layer.get_weights()[0].shape)])
    b.put(node, Value(y, value.index))


_KERAS = {
    "Add": "Add",
    "Sub": "Subtract",
    "Mul": "Multiply",
    "Max": "Maximum",
    "Min": "Minimum",
}


def binary(b: Builder, node: Node) -> None:
    """Add, Sub, Mul and Div, of two activations or with a constant, with broadcasting."""
    first, second = (b.env[name] for name in node.inputs[:2])
    if not isinstance(first, Value) and not isinstance(second, Value):
        function: Any = {
            "Add": np.add,
            "Sub": np.subtract,
            "Mul": np.multiply,
            "Div": np.divide,
            "Max": np.maximum,
            "Min": np.minimum,
        }
        if np.issubdtype(first.dtype, np.integer) and node.kind == "Div":
            b.put(node, first // second)
        else:
            b.put(node, function[node.kind](first, second))
        return
    if isinstance(first, Value) and isinstance(second, Value):
        _two_values(b, node, first, second)
        return
    value = first if isinstance(first, Value) else second
    constant = second if isinstance(first, Value) else first
    assert isinstance(value, Value)
    assert not isinstance(constant, Value)
    if node.kind in ("Max", "Min"):
        raise UnsupportedOperator(node.kind, node.name, hint="with a constant: use ReLU or ReLU6")
    operation = {"Add": "add", "Sub": "sub", "Mul": "mul", "Div": "mul"}[node.kind]
    if node.kind == "Div":
        if value is second:
            raise UnsupportedOperator("Div", node.name, hint="dividing by an activation")
        constant = 1.0 / constant
    if node.kind == "Sub" and value is second:
        operation = "rsub"
    constant = np.asarray(constant, np.float32)
    if len(np.broadcast_shapes(value.shape, constant.shape)) != value.index.ndim or (
        np.broadcast_shapes(value.shape, constant.shape) != value.shape
    ):
        raise UnsupportedOperator(
            node.kind, node.name, hint="the constant is larger than the input"
        )
    neutral = 1.0 if operation == "mul" else 0.0
    if operation != "rsub" and np.all(constant == neutral):
        b.put(node, value)
        return
    value = whole(b, value, node.name)
    laid = physical_constant(value, constant)
    y = b.apply(b.layers.WithConstant, node.name, value.tensor, operation, laid)
    b.put(node, Value(y, value.index))


def _two_values(b: Builder, node: Node, first: Value, second: Value) -> None:
    if node.kind not in _KERAS:
        raise UnsupportedOperator(node.kind, node.name, hint="dividing by an activation")
    layer = getattr(b.keras.layers, _KERAS[node.kind])(name=b.unique(node.name))
    if node.kind != "Sub" and all(n in b.nonnegative for n in node.inputs[:2]):
        b.nonnegative.add(node.outputs[0])
    if (
        first.physical == second.physical
        and np.array_equal(first.index, second.index)
        and first.whole
    ):
        b.put(node, Value(layer([first.tensor, second.tensor]), first.index))
        return
    shape = np.broadcast_shapes(first.shape, second.shape)
    a, c = (_aligned(value, len(shape)) for value in (first, second))
    order = axis_order(max((a, c), key=lambda value: value.index.size).index)
    if shape[order[0]] != 1:
        order = (next(x for x in order if shape[x] == 1), *[x for x in order if shape[x] != 1])
    tensors = [b.ordered(value, order, node.name) for value in (a, c)]
    y = layer(tensors)
    index = np.arange(int(np.prod(shape))).reshape([shape[x] for x in order])
    b.put(node, Value(y, index.transpose(np.argsort(order))))


def _aligned(value: Value, rank: int) -> Value:
    """The value with leading ones up to a rank and without repeated elements along an axis."""
    index = value.index.reshape((1,) * (rank - value.index.ndim) + value.shape)
    for axis in range(rank):
        first = np.take(index, [0], axis)
        if index.shape[axis] > 1 and np.array_equal(np.broadcast_to(first, index.shape), index):
            index = first
    return Value(value.tensor, index)


def softmax(b: Builder, node: Node) -> None:
    """Softmax over the axis that lies last; LogSoftmax is kept as Softmax, said aloud."""
    value = b.value(node, 0)
    rank = value.index.ndim
    axis = int(node.get("axis", -1)) % rank
    order = (*[a for a in axis_order(value.index) if a != axis], axis)
    x = b.ordered(value, order, node.name)
    y = b.apply(b.keras.layers.Softmax, node.name, x)
    if node.kind == "LogSoftmax":
        b.notes.append(
            f"{node.name}: log-softmax is kept as softmax; take the logarithm of the output "
            "where you need it (the order of the classes is the same)"
        )
    shape = [value.shape[a] for a in order]
    index = np.arange(int(np.prod(shape))).reshape(shape).transpose(np.argsort(order))
    b.nonnegative.add(node.outputs[0])
    b.put(node, Value(y, index))


def concat(b: Builder, node: Node) -> None:
    """Concat along any axis but the batch; TFLite Micro takes ten inputs at a time."""
    inputs = [b.env[name] for name in node.inputs]
    axis = int(node.get("axis", 1))
    if not any(isinstance(i, Value) for i in inputs):
        b.put(node, np.concatenate([np.atleast_1d(np.asarray(i)) for i in inputs], axis))
        return
    parts = [b.value(node, i) for i in range(len(inputs))]
    rank = parts[0].index.ndim
    axis %= rank
    if all(q.whole and q.index.size == q.shape[axis] for q in parts):
        _join_vectors(b, node, parts, axis)
        return
    order = axis_order(max(parts, key=lambda q: q.index.size).index)
    if parts[0].shape[order[0]] != 1 or order[0] == axis:
        raise UnsupportedOperator(node.kind, node.name, hint="the batch can't be joined")
    tensors = [b.ordered(q, order, node.name) for q in parts]
    along = order.index(axis)
    while len(tensors) > 10:
        head = b.keras.layers.Concatenate(axis=along, name=b.unique(f"{node.name}.part"))
        tensors = [head(tensors[:10]), *tensors[10:]]
    y = b.keras.layers.Concatenate(axis=along, name=b.unique(node.name))(tensors)
    shape = list(parts[0].shape)
    shape[axis] = sum(q.shape[axis] for q in parts)
    index = np.arange(int(np.prod(shape))).reshape([shape[a] for a in order])
    if all(name in b.nonnegative for name in node.inputs):
        b.nonnegative.add(node.outputs[0])
    b.put(node, Value(y, index.transpose(np.argsort(order))))


def _join_vectors(b: Builder, node: Node, parts: list[Value], axis: int) -> None:
    """Concat of vectors: each in whatever order it lies, the next layer's weights follow."""
    tensors, indices, offset = [], [], 0
    for part in parts:
        size = part.index.size
        tensors.append(b.reshape(part.tensor, (size,), node.name))
        indices.append(part.index + offset)
        offset += size
    while len(tensors) > 10:
        head = b.keras.layers.Concatenate(axis=1, name=b.unique(f"{node.name}.part"))
        tensors = [head(tensors[:10]), *tensors[10:]]
    y = b.keras.layers.Concatenate(axis=1, name=b.unique(node.name))(tensors)
    b.put(node, Value(y, np.concatenate(indices, axis)))


HANDLERS = {
    **dict.fromkeys(("Relu", "LeakyRelu", "HardSwish", "HardSigmoid", "Neg", *_SIMPLE), unary),
    **dict.fromkeys((*_KERAS, "Div"), binary),
    **dict.fromkeys(("Softmax", "LogSoftmax"), softmax),
    "Clip": clip,
    "PRelu": prelu,
    "Concat": concat,
}
