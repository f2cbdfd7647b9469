"""How a weighted layer can be stored and run: one function a format.

A format turns a :class:`Weighted` layer into the parts of a :class:`~bridge.compile.steps.Step`
that differ: kernel template, constants, scratch, work. ``bridge.compile.choose`` lists the formats
that the planner chooses from; a new kernel is added there and as a template.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from bridge.compile.steps import Shape, Window
from bridge.encode.streams import StreamError, fold_zero_point, pack_d8, unpack_d8
from bridge.graph.model import Array

COMFORTABLE_SCRATCH = 12 * 1024
"""Bytes of scratch that a layer should stay within where nothing else is asked."""


@dataclass(frozen=True)
class Weighted:
    """A convolution, depthwise convolution or fully connected layer.

    A fully connected layer is a 1×1 convolution over an image of one pixel.

    Attributes:
        kind: TFLite's operator name.
        weights: int8, ``[out, h, w, in / groups]``; depthwise ``[1, h, w, out]``.
        bias: int32 ``[out]``, or None.
        input_zero_point: of the activations.
        source: input shape.
        target: output shape.
        window: the sliding window.
        groups: 1, or the groups of a grouped convolution.
        core: what it is compiled for.
        multiplier: int32 ``[out]``, requantization in Q31.
        shift: int32 ``[out]``, TFLite's: negative is to the right.
        output_zero_point: of the output.
        activation: least and largest output that the fused activation leaves.
    """

    kind: str
    weights: Array
    bias: Array | None
    input_zero_point: int
    source: Shape
    target: Shape
    window: Window
    groups: int
    core: str
    multiplier: Array
    shift: Array
    output_zero_point: int
    activation: tuple[int, int] = (-128, 127)

    @property
    def quant(self) -> dict[str, int]:
        """The fields of ``snn_quant``."""
        return {
            "input_offset": -self.input_zero_point,
            "output_offset": self.output_zero_point,
            "activation_min": self.activation[0],
            "activation_max": self.activation[1],
        }

    @property
    def rectified(self) -> bool:
        """Whether no output lies below the zero point, as behind a ReLU."""
        return self.activation[0] >= self.output_zero_point

    @property
    def macs(self) -> int:
        """Dense multiply-accumulates of one inference."""
        taps = self.window.kernel_h * self.window.kernel_w
        depth = 1 if self.kind == "DEPTHWISE_CONV_2D" else self.source.c // self.groups
        return self.target.h * self.target.w * self.target.c * taps * depth

    @property
    def sparsity(self) -> float:
        """Share of weights that are zero."""
        return 1.0 - float(np.count_nonzero(self.weights)) / max(self.weights.size, 1)

    @property
    def one_pixel(self) -> bool:
        """Whether it is a plain matrix times vector."""
        w = self.window
        return (
            self.kind == "FULLY_CONNECTED"
            and self.source.h == self.source.w == 1
            and w.kernel_h == w.kernel_w == 1
        )


@dataclass(frozen=True)
class Stored:
    """A layer in one format.

    Attributes:
        kernel: the template that calls it.
        function: the C function, for tables.
        constants: arrays for flash, without requantization tables.
        scratch: bytes.
        parameters: what its template needs beside the layer's own parameters.
        own_requantization: the constants hold the requantization in a form of their own.
        work: how often the kernel does what costs time, by name; see ``bridge.compile.cost``.
        unpack: the format's inverse: the constants to the layer's weights in their order; None
            where ``weights`` of the constants holds them as they are.
    """

    kernel: str
    function: str
    constants: Mapping[str, Array]
    scratch: int = 0
    parameters: Mapping[str, int] = field(default_factory=dict)
    own_requantization: bool = False
    work: Mapping[str, float] = field(default_factory=dict)
    unpack: Callable[[Mapping[str, Array]], Array] | None = None

    def weights(self) -> Array:
        """The weights that the constants hold, flat.

        Raises:
            StreamError: the constants are damaged.
        """
        held = self.constants["weights"] if self.unpack is None else self.unpack(self.constants)
        return held.reshape(-1)

    def with_requantization(self, layer: Weighted) -> dict[str, Array]:
        """All arrays for flash."""
        if self.own_requantization:
            return dict(self.constants)
        return {**self.constants, "multiplier": layer.multiplier, "shift": layer.shift}


def dense(layer: Weighted) -> Stored:
    """Every weight stored; the portable kernels."""
    function = {
        "CONV_2D": "convolve_s8",
        "DEPTHWISE_CONV_2D": "depthwise_convolve_s8",
        "FULLY_CONNECTED": "fully_connected_s8" if layer.one_pixel else "convolve_s8",
    }[layer.kind]
    depth = 1 if layer.kind == "DEPTHWISE_CONV_2D" else layer.source.c // layer.groups
    outputs = layer.target.h * layer.target.w * layer.target.c
    taps = layer.target.c * taps_inside(layer)
    work = {
        f"{function} macs": float(taps * depth),
        f"{function} outputs": float(outputs),
        "layers": 1.0,
    }
    if not layer.one_pixel:
        every = outputs * layer.window.kernel_h * layer.window.kernel_w
        work[f"{function} taps"] = float(taps)
        work[f"{function} taps outside"] = float(every - taps)
        work[f"{function} rows"] = float(outputs * layer.window.kernel_h)
    return Stored(function, f"snn_{function}", _dense_constants(layer), work=work)


def taps_inside(layer: Weighted) -> int:
    """Filter taps that lie inside the image, over all output positions."""
    w = layer.window

    def along(size: int, out: int, kernel: int, stride: int, dilation: int, pad: int) -> int:
        places = np.arange(out)[:, None] * stride - pad + np.arange(kernel) * dilation
        return int(np.count_nonzero((places >= 0) & (places < size)))

    rows = along(layer.source.h, layer.target.h, w.kernel_h, w.stride_h, w.dilation_h, w.pad_top)
    columns = along(
        layer.source.w, layer.target.w, w.kernel_w, w.stride_w, w.dilation_w, w.pad_left
    )
    return rows * columns


def d8(layer: Weighted) -> Stored | None:
    """Nonzero weights as (delta, weight) pairs; see ``bridge.encode.streams``."""
    if layer.kind == "DEPTHWISE_CONV_2D" or layer.groups != 1:
        return None
    matrix = np.asarray(layer.weights, dtype=np.int8).reshape(layer.target.c, -1)
    try:
        packed = pack_d8(matrix)
        bias = fold_zero_point(matrix, layer.bias, layer.input_zero_point)
    except StreamError:
        return None
    constants: dict[str, Array] = {"stream": packed.stream, "count": packed.count, "bias": bias}

    def unpack(c: Mapping[str, Array]) -> Array:
        return unpack_d8(replace(packed, stream=c["stream"], count=c["count"]))

    pixels, channels = layer.target.h * layer.target.w, layer.target.c
    if layer.one_pixel:
        work = {
            "row entries": float(packed.entries),
            "rows": float(channels),
            "layers": 1.0,
        }
        return Stored(
            "fully_connected_d8",
            "snn_fully_connected_sparse_s8",
            constants,
            work=work,
            unpack=unpack,
        )
    # snn_convolve_sparse_s8_get_scratch_size: four unrolled pixels.
    taps = layer.window.kernel_h * layer.window.kernel_w
    work = {
        "entries": float(packed.entries * -(-pixels // 4)),
        "outputs": float(pixels * channels),
        "unrolled": float(pixels * taps * layer.source.c),
        "windows": float(pixels * taps),
        "quads": float(-(-pixels // 4)),
        "layers": 1.0,
    }
    return Stored(
        "convolve_d8",
        "snn_convolve_sparse_s8",
        constants,
        4 * taps * layer.source.c,
        work=work,
        unpack=unpack,
    )


def _dense_constants(layer: Weighted) -> dict[str, Array]:
    constants = {"weights": layer.weights}
    if layer.bias is not None:
        constants["bias"] = layer.bias
    return constants


def bytes_of(stored: Stored) -> int:
    """Flash of a stored layer, requantization tables left out (the same in every format)."""
    return sum(int(array.nbytes) for array in stored.constants.values())
