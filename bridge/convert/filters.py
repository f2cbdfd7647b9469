"""Whole filters removed: the tensors shrink, every engine gains, no kernel needs to know.

A filter's output channel vanishes with it, so whatever reads that channel loses an input. That
is followed through activations, pools, depthwise convolutions and a flatten up to the next
layers with weights; where channels meet others (a sum, a concatenation, an output) the layer
stays whole, with that reason.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from bridge.convert.lift.builder import Array
from bridge.convert.prune import Target, custom_objects, fresh_copy, kernel_of
from bridge.convert.quiet import quiet, tensorflow

Kept = npt.NDArray[np.int64]

_PASS = frozenset(
    (
        *("ReLU", "LeakyReLU", "HardSwish", "Activation", "MaxPooling2D", "AveragePooling2D"),
        *("ZeroPadding2D", "UpSampling2D", "Resize", "Reshape"),
    )
)


def obstacle(model: Any, layer: Any) -> str:
    """Empty where a layer's filters can be removed, else why not."""
    if type(layer).__name__ == "Conv2D" and layer.groups > 1:
        return "its filters belong to groups"
    if type(layer).__name__ not in ("Conv2D", "Dense"):
        return f"filters of {type(layer).__name__} are not removed"
    pending, seen = [layer], set()
    while pending:
        current = pending.pop()
        if any(current.output is o for o in model.outputs):
            return "its channels are an output of the network"
        for node in current._outbound_nodes:
            user = node.layer
            kind = type(user).__name__
            if user.name in seen:
                continue
            seen.add(user.name)
            if kind == "Dense" or (kind == "Conv2D" and user.groups == 1):
                continue
            if (kind == "DepthwiseConv2D" and user.depth_multiplier == 1) or (
                kind in _PASS and _keeps_channels(user)
            ):
                pending.append(user)
            else:
                return f"its channels meet others at {user.name!r}"
    return ""


def _keeps_channels(layer: Any) -> bool:
    if type(layer).__name__ != "Reshape":
        return True
    before, after = layer.input.shape[1:], layer.output.shape[1:]
    return len(after) == 1 or before[-1] == after[-1]


def choose_filters(model: Any, targets: list[Target]) -> tuple[list[Target], dict[str, Kept]]:
    """Which filters stay, by their weights' absolute sum.

    Returns:
        the targets, with what kept a layer whole as its reason, and kept filters by layer.
    """
    kept: dict[str, Kept] = {}
    result = []
    for target in targets:
        if not target.sparsity:
            result.append(target)
            continue
        layer = model.get_layer(target.name)
        reason = obstacle(model, layer)
        if reason:
            result.append(Target(target.name, target.kind, None, reason))
            continue
        kernel = np.abs(kernel_of(layer))
        norms = kernel.reshape(-1, kernel.shape[-1]).sum(0)
        count = max(1, math.floor(len(norms) * (1 - target.sparsity) + 1e-9))
        kept[target.name] = np.sort(np.argsort(-norms, kind="stable")[:count])
        words = f"{len(norms) - count} of {len(norms)} filters removed"
        result.append(Target(target.name, target.kind, None, words))
    return result, kept


def shrink(model: Any, kept: dict[str, Kept]) -> Any:
    """A smaller copy of a model, without the filters that are not kept."""
    _, keras = tensorflow()
    channels: dict[str, Kept | None] = {}
    weights: dict[str, list[Array]] = {}
    sizes: dict[str, int] = {}
    for layer in model.layers:
        incoming = _incoming(layer, channels)
        own = kept.get(layer.name)
        channels[layer.name] = own if own is not None else _outgoing(layer, incoming)
        if own is not None:
            sizes[layer.name] = len(own)
        if layer.weights:
            weights[layer.name] = _sliced(layer, incoming, own)

    def smaller(layer: Any) -> Any:
        config = layer.get_config()
        kind = type(layer).__name__
        if layer.name in sizes:
            config["filters" if kind == "Conv2D" else "units"] = sizes[layer.name]
        if kind == "Reshape":
            now = channels[layer.name]
            shape = list(config["target_shape"])
            if now is not None:
                shape[-1] = len(now)
            config["target_shape"] = tuple(shape)
        return layer.__class__.from_config(config)

    with quiet(), custom_objects():
        copy = keras.models.clone_model(model, clone_function=smaller)
    for name, values in weights.items():
        copy.get_layer(name).set_weights(values)
    return copy


def silenced(model: Any, kept: dict[str, Kept]) -> Any:
    """A copy of a model in full size whose removed filters are zero instead, or None.

    None where an activation turns their zeros into something else, so that it says nothing.
    """
    copy = fresh_copy(model)
    channels: dict[str, Kept | None] = {}
    for layer in copy.layers:
        own = kept.get(layer.name)
        gone = own if own is not None else _outgoing(layer, _incoming(layer, channels))
        channels[layer.name] = gone
        if gone is None:
            continue
        activation = layer.get_config().get("activation", "linear")
        if activation not in ("linear", "relu", "tanh", "silu", "swish"):
            return None
        if own is not None or type(layer).__name__ == "DepthwiseConv2D":
            axis = -2 if type(layer).__name__ == "DepthwiseConv2D" else -1
            values = layer.get_weights()
            mask = np.zeros(values[0].shape[axis], np.float32)
            mask[gone] = 1.0
            shape = [1] * values[0].ndim
            shape[axis] = -1
            layer.set_weights([values[0] * mask.reshape(shape), *(b * mask for b in values[1:])])
    return copy


def _incoming(layer: Any, channels: dict[str, Kept | None]) -> Kept | None:
    """The kept channels of a layer's (single) changed input, or None for all."""
    for node in layer._inbound_nodes:
        for source in np.atleast_1d(np.array(node.inbound_layers, dtype=object)).ravel():
            if channels.get(source.name) is not None:
                return channels[source.name]
    return None


def _outgoing(layer: Any, incoming: Kept | None) -> Kept | None:
    """The kept channels behind a layer that removes none itself."""
    kind = type(layer).__name__
    if incoming is None or kind in ("Dense", "Conv2D"):
        return None
    if kind == "Reshape" and len(layer.output.shape) == 2:
        before = tuple(int(d) for d in layer.input.shape[1:])
        flat = np.arange(int(np.prod(before))).reshape(before)
        return flat[..., incoming].ravel()
    return incoming


def _sliced(layer: Any, incoming: Kept | None, own: Kept | None) -> list[Array]:
    values = list(layer.get_weights())
    kind = type(layer).__name__
    if kind == "DepthwiseConv2D":
        if incoming is not None:
            values[0] = values[0][:, :, incoming, :]
            values[1:] = [bias[incoming] for bias in values[1:]]
        return values
    if kind in ("Conv2D", "Dense"):
        kernel = values[0]
        if incoming is not None:
            kernel = np.take(kernel, incoming, axis=-2)
        if own is not None:
            kernel = kernel[..., own]
            values[1:] = [bias[own] for bias in values[1:]]
        values[0] = kernel
    elif kind == "PReLU" and incoming is not None:
        values[0] = values[0][..., incoming] if values[0].shape[-1] > 1 else values[0]
    return values
