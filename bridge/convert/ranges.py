"""Which activations have an int8 range of their own, and what it is: measured on data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from bridge.convert.lift.builder import Array
from bridge.convert.quiet import tensorflow

# Layers that keep their input's quantization, or whose output range TFLite fixes itself.
_PLAIN = (
    *(
        "DepthToSpace",
        "Slice",
        "Gather",
        "Pad",
        "Permute",
        "Reshape",
        "UpSampling2D",
        "Resize",
        "ZeroPadding2D",
    ),
    *("MaxPooling2D", "AveragePooling2D", "Softmax", "Flatten"),
)
_FIXED_RANGE = ("sigmoid", "tanh", "softmax", "linear")
_RECTIFIED = ("Conv2D", "DepthwiseConv2D", "Dense", "Add", "Subtract", "WithConstant", "Multiply")


def _consumers(layer: Any) -> list[Any]:
    return [node.layer for node in layer._outbound_nodes]


def _is_output(model: Any, layer: Any) -> bool:
    return any(layer.output is o for o in model.outputs)


def has_own_range(model: Any, layer: Any) -> bool:
    """Whether a layer's output is quantized with a range of its own.

    Not so where the next layer's activation is fused into it, or where it only feeds a
    concatenation, whose one range all its parts share.
    """
    kind = type(layer).__name__
    if kind == "InputLayer" or kind in _PLAIN:
        return False
    if kind == "ReLU" and type(layer.input._keras_history.layer).__name__.endswith("Pooling2D"):
        return False  # TFLite fuses it into the pool, which has one range for in and out
    if kind == "Activation":
        return layer.get_config()["activation"] not in _FIXED_RANGE
    users = _consumers(layer)
    if len(users) == 1 and not _is_output(model, layer):
        after = type(users[0]).__name__
        if after == "ReLU" and kind in _RECTIFIED:
            return False
        if after == "Concatenate" and len(_consumers(users[0])) >= 1:
            return False
    return True


def rectified(layer: Any) -> bool:
    """Whether all that reads a layer's output is a ReLU, which is fused into it."""
    users = _consumers(layer)
    if len(users) == 1 and type(users[0]).__name__ == "BatchNormalization":
        return rectified(users[0])
    return bool(users) and all(type(user).__name__ == "ReLU" for user in users)


def measure(
    model: Any, inputs: Sequence[Array], *, clip: Callable[[Array], tuple[float, float]]
) -> dict[str, tuple[float, float]]:
    """Activation ranges of a float model on data, zero always within.

    Args:
        inputs: calibration samples, Keras layout.
        clip: the range of one tensor's values: :func:`extremes` or :func:`histogram`.
    """
    _, keras = tensorflow()
    layers = [layer for layer in model.layers if has_own_range(model, layer)]
    ranges: dict[str, tuple[float, float]] = {}
    for tensor, array in zip(model.inputs, inputs, strict=True):
        ranges[f"input:{tensor._keras_history.layer.name}"] = _with_zero(*clip(array))
    if not layers:
        return ranges
    probe = keras.Model(model.inputs, [layer.output for layer in layers])
    parts: list[list[Array]] = [[] for _ in layers]
    for i in range(0, len(inputs[0]), 64):
        result = probe([a[i : i + 64] for a in inputs], training=False)
        for part, value in zip(parts, result if len(layers) > 1 else [result], strict=True):
            part.append(np.asarray(value))
    for layer, part in zip(layers, parts, strict=True):
        ranges[layer.name] = _with_zero(*clip(np.concatenate(part)))
    return ranges


def _with_zero(low: float, high: float) -> tuple[float, float]:
    low, high = min(low, 0.0), max(high, 0.0)
    return (low, high) if high - low > 1e-6 else (low, low + 1e-3)


def extremes(values: Array) -> tuple[float, float]:
    """The true lowest and highest value."""
    return float(values.min()), float(values.max())


def histogram(values: Array, steps: int = 24) -> tuple[float, float]:
    """The range, shrunk towards zero, whose int8 rounding and clipping err least (mean square)."""
    low, high = _with_zero(*extremes(values))
    counts, edges = np.histogram(values, bins=2048, range=(low, high))
    centres = (edges[:-1] + edges[1:]) / 2
    best = (np.inf, low, high)
    for factor in np.linspace(1.0, 0.4, steps):
        a, b = low * factor, high * factor
        scale = max((b - a) / 255, 1e-12)
        outside = np.square(centres - np.clip(centres, a, b))
        inside = scale * scale / 12 * ((centres >= a) & (centres <= b))
        error = float((counts * (outside + inside)).sum())
        if error < best[0]:
            best = (error, a, b)
    return float(best[1]), float(best[2])
