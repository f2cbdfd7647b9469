"""One call of one kernel, before it is C text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bridge.compile.program import LayerPlan
from bridge.graph import Operator, Tensor
from bridge.graph.model import Array


@dataclass(frozen=True)
class Step:
    """A kernel call.

    Attributes:
        kernel: the template under ``templates/kernels`` that writes the call.
        inputs: tensors that it reads; -1 for a constant, whose values are the constant
            ``input0``, ``input1`` … by position.
        outputs: tensors that it writes.
        plan: how it appears in tables.
        parameters: what its template needs: shapes, windows, bounds.
        constants: arrays that go into flash, by role (``weights``, ``bias``, …).
        scratch: bytes of scratch.
        views: outputs that need no call, as they are parts of the first input: by position in
            ``outputs``, the place of their first value. The call writes the others.
        in_place: positions of inputs whose memory the first output may take over.
        prove: unpacks the weights and compares them; called when the step is written as C.
    """

    kernel: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    plan: LayerPlan
    parameters: Mapping[str, Any] = field(default_factory=dict)
    constants: Mapping[str, Array] = field(default_factory=dict)
    scratch: int = 0
    views: Mapping[int, int] = field(default_factory=dict)
    in_place: tuple[int, ...] = ()
    prove: Callable[[], None] | None = None

    @property
    def alias(self) -> bool:
        """Whether it moves no data."""
        return len(self.views) == len(self.outputs)


@dataclass(frozen=True)
class Shape:
    """An activation as kernels see it: one image."""

    h: int
    w: int
    c: int


def image(tensor: Tensor) -> Shape:
    """A tensor's shape as height, width, channels; missing leading dimensions are 1."""
    dimensions = (1, 1, 1, *tensor.shape)[-3:]
    return Shape(*dimensions)


@dataclass(frozen=True)
class Window:
    """The fields of ``snn_window``."""

    kernel_h: int
    kernel_w: int
    stride_h: int
    stride_w: int
    dilation_h: int
    dilation_w: int
    pad_top: int
    pad_left: int


def window(operator: Operator, kernel: tuple[int, int], source: Shape, target: Shape) -> Window:
    """The sliding window of a convolution or pooling operator.

    TFLite's SAME padding puts the odd row or column behind the image
    (tensorflow/lite/kernels/padding.h).
    """
    options = operator.options
    stride = int(options["stride_h"]), int(options["stride_w"])
    dilation = int(options.get("dilation_hfactor", 1)), int(options.get("dilation_wfactor", 1))
    pads = [0, 0]
    if options["padding"] == "SAME":
        for axis, (size, out) in enumerate(((source.h, target.h), (source.w, target.w))):
            reach = (out - 1) * stride[axis] + (kernel[axis] - 1) * dilation[axis] + 1
            pads[axis] = max(reach - size, 0) // 2
    return Window(*kernel, *stride, *dilation, *pads)
