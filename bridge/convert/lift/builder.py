"""The state of one lowering, and the few moves that all handlers share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from bridge.convert.lift import values as v
from bridge.convert.lift.values import Index, Value
from bridge.errors import UnsupportedOperator

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Node:
    """An ONNX node with its attributes as Python values.

    Attributes:
        kind: ONNX's operator name.
        name: our layer name, from the module's path in PyTorch.
        inputs: value names; empty where an optional one is absent.
        outputs: value names.
        attributes: by name.
    """

    kind: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]

    def get(self, name: str, default: Any = None) -> Any:
        """An attribute, or its default."""
        return self.attributes.get(name, default)


@dataclass
class Builder:
    """Values by ONNX name, Keras layers as they arise, and what must be said.

    Attributes:
        env: ONNX value name → :class:`Value`, or a numpy array for a constant.
        made: layer name → the ONNX value it produces (the proof compares these).
        notes: sentences for the user.
        nonnegative: names of values that can't be below zero.
    """

    keras: Any
    layers: Any
    env: dict[str, Value | Array] = field(default_factory=dict)
    made: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    nonnegative: set[str] = field(default_factory=set)
    transposes: list[str] = field(default_factory=list)
    used: set[str] = field(default_factory=set)

    def unique(self, name: str) -> str:
        """A layer name that is still free."""
        name = name or "layer"
        candidate, n = name, 1
        while candidate.lower() in self.used:
            n += 1
            candidate = f"{name}_{n}"
        self.used.add(candidate.lower())
        return candidate

    def value(self, node: Node, position: int) -> Value:
        """An input that must be an activation."""
        value = self.env[node.inputs[position]]
        if not isinstance(value, Value):
            raise UnsupportedOperator(
                node.kind, node.name, hint="its input is a constant; compute it before the network"
            )
        return value

    def constant(self, node: Node, position: int) -> Array | None:
        """An input that must be a constant, or None where it is absent."""
        if position >= len(node.inputs) or not node.inputs[position]:
            return None
        value = self.env[node.inputs[position]]
        if isinstance(value, Value):
            raise UnsupportedOperator(
                node.kind,
                node.name,
                hint=f"its input {position} ({node.inputs[position]}) is computed at run time; "
                "only constants are supported there",
            )
        return value

    def apply(
        self, layer: Callable[..., Any], name: str, tensor: Any, *args: Any, **kw: Any
    ) -> Any:
        """Make a layer under a free name and call it."""
        return layer(*args, name=self.unique(name), **kw)(tensor)

    # -- layouts ---------------------------------------------------------------------------

    def arrange(self, value: Value, target: Index, name: str) -> Any:
        """A Keras tensor of physical shape ``target.shape`` whose elements are ``target``.

        Takes the cheapest way there is: nothing, a reshape, slices, a gather along an axis, a
        transpose, a gather of single elements.
        """
        physical, size = value.physical, int(np.prod(value.physical))
        if v.is_free(target, size):
            return self.reshape(value.tensor, target.shape, name)
        box = v.as_box(target, physical)
        if box is not None:
            return self.reshape(self._take(value.tensor, box, physical, name), target.shape, name)
        turned = v.as_transpose(target, size)
        if turned is not None:
            shape, permutation = turned
            self.transposes.append(name)
            tensor = self.reshape(value.tensor, shape, name)
            return self.apply(
                self.keras.layers.Permute,
                f"{name}.permute",
                tensor,
                tuple(p + 1 for p in permutation),
            )
        flat = self.reshape(value.tensor, (size,), name)
        self.notes.append(f"{name}: elements are reordered one by one (GATHER), which costs memory")
        gathered = self.apply(self.layers.Gather, f"{name}.gather", flat, 1, target.ravel())
        return self.reshape(gathered, target.shape, name)

    def cut_out(self, value: Value, name: str) -> Value:
        """The same elements, in any order, of a tensor sliced down to them, where slices can."""
        flat = np.sort(value.index, axis=None)
        if value.whole or np.any(np.diff(flat) == 0):
            return value
        box = v.as_box(flat, value.physical)
        if box is None:
            return value
        tensor = self._take(value.tensor, box, value.physical, name)
        return Value(tensor, np.searchsorted(flat, value.index))

    def reshape(self, tensor: Any, shape: tuple[int, ...], name: str) -> Any:
        """A Keras reshape, left out where the shape is there already."""
        if tuple(tensor.shape[1:]) == tuple(shape):
            return tensor
        return self.apply(self.keras.layers.Reshape, f"{name}.reshape", tensor, tuple(shape))

    def _take(self, tensor: Any, box: v.Box, physical: tuple[int, ...], name: str) -> Any:
        slices = [v.strided(a) or (0, physical[i], 1) for i, a in enumerate(box.axes)]
        if any(s != (0, physical[i], 1) for i, s in enumerate(slices)):
            begin, end, step = zip(*slices, strict=True)
            tensor = self.apply(self.layers.Slice, f"{name}.slice", tensor, begin, end, step)
        for axis, positions in enumerate(box.axes):
            if v.strided(positions) is None:
                tensor = self.apply(
                    self.layers.Gather, f"{name}.gather", tensor, axis + 1, positions
                )
        return tensor

    def ordered(self, value: Value, order: tuple[int, ...], name: str) -> Any:
        """The tensor with its logical axes in ``order``; the leading one must have size 1."""
        target = value.index.transpose(order)
        if target.shape[0] == 1:
            target = target[0]
        return self.arrange(value, target, name)

    def nhwc(
        self, value: Value, node: Node, *, keep_channels: bool = False
    ) -> tuple[Any, npt.NDArray[np.int64]]:
        """A [batch, height, width, channels] tensor, and where its channels are.

        A rank-3 value (1-D) gets height 1.

        Args:
            keep_channels: the channels must be in their logical order.

        Returns:
            the tensor and p: its channel j is logical channel ``p[j]``.
        """
        index = value.index
        if index.ndim == 3:
            index = index[:, :, None, :]
        if index.ndim != 4 or index.shape[0] != 1:
            raise UnsupportedOperator(
                node.kind,
                node.name,
                hint=f"its input has shape {list(value.shape)}; 1-D and 2-D with the batch "
                "as the first axis are supported",
            )
        target = index[0].transpose(1, 2, 0)
        size = int(np.prod(value.physical))
        identity = np.arange(target.shape[-1])
        if not keep_channels:
            p = v.last_axis_permutation(target, size)
            if p is not None:
                return self.reshape(value.tensor, target.shape, node.name), p
        return self.arrange(value, target, node.name), identity

    def put_nhwc(self, node: Node, tensor: Any, p: Array | None = None, rank: int = 4) -> Value:
        """Store an NHWC tensor as the node's output, its channel j being logical ``p[j]``."""
        h, w, c = (int(d) for d in tensor.shape[1:])
        physical = np.arange(h * w * c).reshape(h, w, c)
        index = np.empty((1, c, h, w), np.int64)
        index[0, np.arange(c) if p is None else p] = physical.transpose(2, 0, 1)
        if rank == 3:
            index = index[:, :, 0, :]
        made = Value(tensor, index)
        self.put(node, made)
        return made

    def put(self, node: Node, value: Value | Array, position: int = 0) -> Any:
        """Store an output and remember which layer made it."""
        name = node.outputs[position]
        self.env[name] = value
        if isinstance(value, Value):
            history = getattr(value.tensor, "_keras_history", None)
            if history is not None:
                self.made.setdefault(history.layer.name, name)
        return value
