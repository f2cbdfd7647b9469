"""The int8 network as frozen dataclasses: what every stage after the .tflite reads.

Names are TFLite's own: a tensor's quantization is ``real = scale * (q - zero_point)``
(https://ai.google.dev/edge/litert/models/quantization_spec), layouts are NHWC, a convolution's
weights are ``[out, height, width, in]``, a depthwise convolution's ``[1, height, width, out]``,
a fully connected layer's ``[out, in]``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Quantization:
    """Affine quantization of one tensor.

    Attributes:
        scales: float32 values; one for per-tensor, one a channel for per-channel quantization.
        zero_points: as many integers as scales.
        axis: the dimension that ``scales`` runs along (0 for per-tensor).
    """

    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    axis: int = 0

    @property
    def scale(self) -> float:
        """The only scale of a per-tensor quantization."""
        if len(self.scales) != 1:
            raise ValueError("per-channel quantization has no single scale")
        return self.scales[0]

    @property
    def zero_point(self) -> int:
        """The only zero point of a per-tensor quantization."""
        if len(self.zero_points) != 1:
            raise ValueError("per-channel quantization has no single zero point")
        return self.zero_points[0]


@dataclass(frozen=True)
class Tensor:
    """One tensor of the graph.

    Attributes:
        index: its place in ``Graph.tensors``, which is its place in the flatbuffer.
        shape: static dimensions; batch first where there is one.
        dtype: numpy's name (``int8``, ``int32``, ``float32`` …).
        data: the values of a constant, read-only; None for an activation.
    """

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: str
    quantization: Quantization | None = None
    data: Array | None = field(default=None, compare=False, repr=False)

    @property
    def elements(self) -> int:
        """How many values it holds."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def bytes(self) -> int:
        """How many bytes its values take."""
        return self.elements * np.dtype(self.dtype).itemsize


@dataclass(frozen=True)
class Operator:
    """One operator, in execution order.

    Attributes:
        index: its place in ``Graph.operators``.
        kind: TFLite's builtin name, for example ``CONV_2D``.
        inputs: tensor indices; -1 for an optional input that is absent.
        outputs: tensor indices.
        options: the builtin options under the schema's names in snake case
            (``stride_h``, ``padding``, ``fused_activation_function`` …); enums as their names
            (``SAME``, ``RELU6``).
        name: the name of its first output tensor.
    """

    index: int
    kind: str
    version: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Mapping[str, Any]
    name: str


@dataclass(frozen=True)
class Graph:
    """A whole network with static shapes and batch 1."""

    name: str
    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    def tensor(self, index: int) -> Tensor:
        """The tensor at an index."""
        return self.tensors[index]

    def input(self, operator: Operator, position: int) -> Tensor | None:
        """An operator's input tensor, or None where it is absent."""
        if position >= len(operator.inputs) or operator.inputs[position] < 0:
            return None
        return self.tensors[operator.inputs[position]]

    def output(self, operator: Operator, position: int = 0) -> Tensor:
        """An operator's output tensor."""
        return self.tensors[operator.outputs[position]]

    def weights(self) -> Iterator[tuple[Operator, Tensor]]:
        """Each operator that multiplies by constant weights, with its weight tensor."""
        for operator in self.operators:
            if operator.kind in WEIGHTED:
                tensor = self.input(operator, 1)
                if tensor is not None and tensor.data is not None:
                    yield operator, tensor


WEIGHTED = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV"})
