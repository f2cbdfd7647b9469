"""Keras layers of our own, for what Keras has no layer for.

Unlike the ``TFOpLambda`` that a bare TensorFlow function becomes, each is a real layer: it has a
name, saves its configuration, can be pruned around, and takes a quantization configuration.
Importing this module imports TensorFlow.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bridge.convert.quiet import tensorflow

tf, keras = tensorflow()


class Slice(keras.layers.Layer):  # type: ignore[misc, name-defined]
    """A strided slice of every axis but the batch."""

    def __init__(self, begin: Any, end: Any, step: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.begin, self.end, self.step = list(begin), list(end), list(step)

    def call(self, x: Any) -> Any:
        """The elements begin:end:step of each axis."""
        slices = [slice(None)]
        slices += [slice(b, e, s) for b, e, s in zip(self.begin, self.end, self.step, strict=True)]
        return x[tuple(slices)]

    def get_config(self) -> dict[str, Any]:
        """The arguments to build it again."""
        return {**super().get_config(), "begin": self.begin, "end": self.end, "step": self.step}


class Gather(keras.layers.Layer):  # type: ignore[misc, name-defined]
    """Chosen positions along one axis (1 is the first after the batch)."""

    def __init__(self, axis: int, positions: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis, self.positions = axis, [int(p) for p in positions]

    def call(self, x: Any) -> Any:
        """The chosen positions in their order."""
        return tf.gather(x, tf.constant(self.positions, tf.int32), axis=self.axis)

    def get_config(self) -> dict[str, Any]:
        """The arguments to build it again."""
        return {**super().get_config(), "axis": self.axis, "positions": self.positions}


class WithConstant(keras.layers.Layer):  # type: ignore[misc, name-defined]
    """A sum, difference or product with a constant that stays trainable where it is no scalar.

    Args:
        operation: ``add``, ``sub``, ``rsub`` (constant minus input) or ``mul``.
        value: the constant in the physical layout, without the batch.
    """

    def __init__(self, operation: str, value: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.operation = operation
        self.value = np.asarray(value, np.float32)

    def build(self, shape: Any) -> None:
        """Make the constant a variable."""
        self.constant = self.add_weight(
            "constant",
            self.value.shape,
            initializer=keras.initializers.Constant(self.value),
            trainable=False,
        )
        super().build(shape)

    def call(self, x: Any) -> Any:
        """The operation, broadcast over the batch."""
        if self.operation == "add":
            return x + self.constant
        if self.operation == "sub":
            return x - self.constant
        if self.operation == "rsub":
            return self.constant - x
        return x * self.constant

    def get_config(self) -> dict[str, Any]:
        """The arguments to build it again."""
        return {
            **super().get_config(),
            "operation": self.operation,
            "value": self.value.tolist(),
        }


class Resize(keras.layers.Layer):  # type: ignore[misc, name-defined]
    """Resize height and width as PyTorch's ``interpolate`` does.

    Args:
        size: output height and width.
        bilinear: bilinear, else nearest.
        align_corners: PyTorch's flag of the same name.
    """

    def __init__(self, size: Any, bilinear: bool, align_corners: bool, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.size, self.bilinear, self.align_corners = list(size), bilinear, align_corners

    def call(self, x: Any) -> Any:
        """The resized image, NHWC."""
        if not self.bilinear:
            return tf.compat.v1.image.resize_nearest_neighbor(x, self.size)
        return tf.raw_ops.ResizeBilinear(
            images=x,
            size=self.size,
            align_corners=self.align_corners,
            half_pixel_centers=not self.align_corners,
        )

    def get_config(self) -> dict[str, Any]:
        """The arguments to build it again."""
        own = {"size": self.size, "bilinear": self.bilinear, "align_corners": self.align_corners}
        return {**super().get_config(), **own}


class Pad(keras.layers.Layer):  # type: ignore[misc, name-defined]
    """Pad every axis but the batch, with zeros or mirrored.

    Args:
        paddings: before and after, for each axis.
        mode: ``CONSTANT``, ``REFLECT`` or ``SYMMETRIC``.
    """

    def __init__(self, paddings: Any, mode: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.paddings, self.mode = [list(p) for p in paddings], mode

    def call(self, x: Any) -> Any:
        """The padded tensor."""
        return tf.pad(x, [[0, 0], *self.paddings], mode=self.mode)

    def get_config(self) -> dict[str, Any]:
        """The arguments to build it again."""
        return {**super().get_config(), "paddings": self.paddings, "mode": self.mode}


class Reduce(keras.layers.Layer):  # type: ignore[misc, name-defined]
    """Mean, sum or maximum over some axes, which stay as ones."""

    def __init__(self, operation: str, axes: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.operation, self.axes = operation, list(axes)

    def call(self, x: Any) -> Any:
        """The reduced tensor."""
        function = {"mean": tf.reduce_mean, "sum": tf.reduce_sum, "max": tf.reduce_max}
        return function[self.operation](x, axis=self.axes, keepdims=True)

    def get_config(self) -> dict[str, Any]:
        """The arguments to build it again."""
        return {**super().get_config(), "operation": self.operation, "axes": self.axes}


class DepthToSpace(keras.layers.Layer):  # type: ignore[misc,name-defined]
    """Blocks of channels become squares of pixels, TensorFlow's order (DCR)."""

    def __init__(self, side: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.side = side

    def call(self, x: Any) -> Any:
        """The larger image, NHWC."""
        return tf.nn.depth_to_space(x, self.side)

    def get_config(self) -> dict[str, Any]:
        """The arguments to build it again."""
        return {**super().get_config(), "side": self.side}


class HardSwish(keras.layers.Layer):  # type: ignore[misc, name-defined]
    """x · relu6(x + 3) / 6, in the form that TFLite takes for one operator."""

    def call(self, x: Any) -> Any:
        """The activation."""
        return x * tf.nn.relu6(x + 3.0) * (1.0 / 6.0)


class TransposedConv(keras.layers.Conv2DTranspose):  # type: ignore[misc, name-defined]
    """Conv2DTranspose under a name of ours, so that tfmot asks us how to prune it."""

    def get_prunable_weights(self) -> list[Any]:
        """The kernel."""
        return [self.kernel]


CUSTOM: dict[str, Any] = {
    c.__name__: c
    for c in (
        Slice,
        Gather,
        WithConstant,
        Resize,
        Pad,
        Reduce,
        DepthToSpace,
        HardSwish,
        TransposedConv,
    )
}
"""All of them by class name, for ``custom_object_scope``."""
