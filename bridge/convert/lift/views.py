"""Handlers of operators that only move elements: numpy on the index array, no layer at all."""

from __future__ import annotations

from typing import Any

import numpy as np

from bridge.convert.lift.builder import Builder, Node
from bridge.convert.lift.values import Value
from bridge.errors import UnsupportedOperator


def moved(b: Builder, node: Node, array: Any, position: int = 0) -> None:
    """Store a moved index array (of an activation) or array (of a constant) as output."""
    source = b.env[node.inputs[0]]
    if isinstance(source, Value):
        if node.inputs[0] in b.nonnegative:
            b.nonnegative.add(node.outputs[position])
        b.env[node.outputs[position]] = Value(source.tensor, array)
    else:
        b.env[node.outputs[position]] = array


def elements(b: Builder, node: Node) -> Any:
    """What to move: the index array of an activation, or the constant itself."""
    source = b.env[node.inputs[0]]
    return source.index if isinstance(source, Value) else source


def reshape(b: Builder, node: Node) -> None:
    """Reshape and view."""
    x = elements(b, node)
    shape = b.constant(node, 1)
    assert shape is not None
    wanted = [int(d) for d in shape]
    if not node.get("allowzero", 0):
        wanted = [x.shape[i] if d == 0 else d for i, d in enumerate(wanted)]
    moved(b, node, x.reshape(wanted))


def flatten(b: Builder, node: Node) -> None:
    """Flatten."""
    x = elements(b, node)
    axis = int(node.get("axis", 1)) % (x.ndim + 1)
    moved(b, node, x.reshape(int(np.prod(x.shape[:axis], dtype=int)), -1))


def transpose(b: Builder, node: Node) -> None:
    """Transpose and permute."""
    moved(b, node, elements(b, node).transpose(node.get("perm")))


def _axes(b: Builder, node: Node) -> list[int] | None:
    axes = b.constant(node, 1)
    if axes is None:
        given: list[int] | None = node.get("axes")
        return given
    return [int(a) for a in axes.ravel()]


def squeeze(b: Builder, node: Node) -> None:
    """Squeeze."""
    x, axes = elements(b, node), _axes(b, node)
    if axes is None:
        axes = [i for i, d in enumerate(x.shape) if d == 1]
    moved(b, node, np.squeeze(x, tuple(axes)))


def unsqueeze(b: Builder, node: Node) -> None:
    """Unsqueeze."""
    moved(b, node, np.expand_dims(elements(b, node), tuple(_axes(b, node) or [])))


def take_slice(b: Builder, node: Node) -> None:
    """Slice, strided or not, also backwards."""
    x = elements(b, node)
    starts: Any
    ends: Any
    axes: Any
    steps: Any
    if len(node.inputs) > 1:
        starts, ends = b.constant(node, 1), b.constant(node, 2)
        axes, steps = b.constant(node, 3), b.constant(node, 4)
    else:
        starts, ends, axes, steps = (node.get(k) for k in ("starts", "ends", "axes", "steps"))
    assert starts is not None
    assert ends is not None
    axes = list(range(len(starts))) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    cut = [slice(None)] * x.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        last: int | None = int(end)
        if int(step) < 0 and int(end) < -x.shape[int(axis)]:
            last = None
        cut[int(axis)] = slice(int(start), last, int(step))
    moved(b, node, x[tuple(cut)])


def split(b: Builder, node: Node) -> None:
    """Split and chunk."""
    x = elements(b, node)
    axis = int(node.get("axis", 0)) % x.ndim
    sizes: Any = b.constant(node, 1)
    if sizes is None:
        sizes = node.get("split")
    if sizes is None:
        step = -(-x.shape[axis] // len(node.outputs))
        sizes = [min(step, x.shape[axis] - i) for i in range(0, x.shape[axis], step)]
    at = 0
    for position, size in enumerate(sizes):
        moved(b, node, np.take(x, np.arange(at, at + int(size)), axis), position)
        at += int(size)


def expand(b: Builder, node: Node) -> None:
    """Expand: repeated positions; arithmetic broadcasts instead of copying."""
    shape = b.constant(node, 1)
    assert shape is not None
    x = elements(b, node)
    moved(b, node, np.broadcast_to(x, np.broadcast_shapes(x.shape, tuple(int(d) for d in shape))))


def tile(b: Builder, node: Node) -> None:
    """Tile and repeat."""
    repeats = b.constant(node, 1)
    assert repeats is not None
    moved(b, node, np.tile(elements(b, node), [int(r) for r in repeats]))


def gather(b: Builder, node: Node) -> None:
    """Gather at constant positions."""
    positions = b.constant(node, 1)
    assert positions is not None
    moved(b, node, np.take(elements(b, node), positions, int(node.get("axis", 0))))


def space_to_depth(b: Builder, node: Node) -> None:
    """SpaceToDepth (pixel unshuffle)."""
    x = elements(b, node)
    n, c, h, w = x.shape
    s = int(node.get("blocksize"))
    y = x.reshape(n, c, h // s, s, w // s, s).transpose(0, 3, 5, 1, 2, 4)
    moved(b, node, y.reshape(n, c * s * s, h // s, w // s))


def identity(b: Builder, node: Node) -> None:
    """Identity, Dropout at inference, and casts of activations."""
    moved(b, node, elements(b, node))


def cast(b: Builder, node: Node) -> None:
    """Cast: of constants really, of activations not at all."""
    source = b.env[node.inputs[0]]
    if isinstance(source, Value):
        if int(node.get("to", 1)) not in (1, 10, 11):
            raise UnsupportedOperator(node.kind, node.name, hint="activations stay numbers")
        b.env[node.outputs[0]] = source
        return
    import onnx

    kind: Any = onnx.helper.tensor_dtype_to_np_dtype(int(node.get("to", 1)))
    b.env[node.outputs[0]] = source.astype(kind)


def shape_of(b: Builder, node: Node) -> None:
    """Shape: a constant, since every shape is known."""
    shape = np.array(elements(b, node).shape, np.int64)
    b.env[node.outputs[0]] = shape[node.get("start", 0) : node.get("end")]


HANDLERS = {
    "Reshape": reshape,
    "Flatten": flatten,
    "Transpose": transpose,
    "Squeeze": squeeze,
    "Unsqueeze": unsqueeze,
    "Slice": take_slice,
    "Split": split,
    "Expand": expand,
    "Tile": tile,
    "Gather": gather,
    "SpaceToDepth": space_to_depth,
    "Identity": identity,
    "Dropout": identity,
    "Cast": cast,
    "Shape": shape_of,
}
