"""Graph to steps: which kernel runs each operator, with which parameters.

:data:`LOWERINGS` is the list of what is covered. What is not in it is refused here, by name,
before any C is written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bridge.compile.elementwise import binary, unary
from bridge.compile.movement import concatenate, pad, pick, rearrange, reshape
from bridge.compile.spatial import pool, reduce, resize_bilinear, softmax
from bridge.compile.steps import Step
from bridge.compile.tables import UNARY
from bridge.compile.target import Target
from bridge.compile.weighted import transpose_convolution, weighted
from bridge.errors import ModelError, UnsupportedOperator
from bridge.graph import Graph, Operator

Lowering = Callable[[Graph, Operator, Target], Step]

LOWERINGS: Mapping[str, Lowering] = {
    **dict.fromkeys(("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"), weighted),
    "TRANSPOSE_CONV": transpose_convolution,
    **dict.fromkeys(("MAX_POOL_2D", "AVERAGE_POOL_2D"), pool),
    **dict.fromkeys(("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN"), reduce),
    **dict.fromkeys(("ADD", "SUB", "MUL", "PRELU", "MAXIMUM", "MINIMUM"), binary),
    **dict.fromkeys((*UNARY, "DEQUANTIZE"), unary),
    "SOFTMAX": softmax,
    "RESIZE_BILINEAR": resize_bilinear,
    **dict.fromkeys(("RESHAPE", "SQUEEZE", "EXPAND_DIMS"), reshape),
    **dict.fromkeys(("CONCATENATION", "PACK"), concatenate),
    **dict.fromkeys(("PAD", "PADV2"), pad),
    **dict.fromkeys(("GATHER", "MIRROR_PAD", "RESIZE_NEAREST_NEIGHBOR"), pick),
    **dict.fromkeys(
        (
            "TRANSPOSE",
            "SLICE",
            "STRIDED_SLICE",
            "SPLIT",
            "SPLIT_V",
            "UNPACK",
            "SPACE_TO_DEPTH",
            "DEPTH_TO_SPACE",
        ),
        rearrange,
    ),
}
"""TFLite operator → its lowering."""

# Operators over images; all kernels take one image at a time.
_IMAGES = frozenset(
    {
        "CONV_2D",
        "DEPTHWISE_CONV_2D",
        "TRANSPOSE_CONV",
        "MAX_POOL_2D",
        "AVERAGE_POOL_2D",
        "RESIZE_BILINEAR",
        "RESIZE_NEAREST_NEIGHBOR",
    }
)


def supported() -> tuple[str, ...]:
    """The operators that plain C covers, by TFLite's names."""
    return tuple(sorted(LOWERINGS))


def lower(graph: Graph, target: Target) -> list[Step]:
    """Every operator as a step, in execution order.

    Raises:
        UnsupportedOperator: an operator without a kernel, named with its layer.
        ModelError: a tensor type or a parameter that no kernel takes.
    """
    for index in graph.outputs:
        if graph.tensor(index).data is not None:
            raise ModelError(f"output {graph.tensor(index).name!r} does not depend on any input")
    return [_lower(graph, operator, target) for operator in graph.operators]


def _lower(graph: Graph, operator: Operator, target: Target) -> Step:
    lowering = LOWERINGS.get(operator.kind)
    if lowering is None:
        raise UnsupportedOperator(
            operator.kind, operator.name, hint="run it with the TFLM engines, or replace the layer"
        )
    _check_types(graph, operator)
    if operator.kind in _IMAGES and graph.output(operator).shape[0] != 1:
        raise UnsupportedOperator(
            f"{operator.kind} over {graph.output(operator).shape[0]} images", operator.name
        )
    return lowering(graph, operator, target)


def _check_types(graph: Graph, operator: Operator) -> None:
    """Activations are int8, but float32 may enter QUANTIZE and leave DEQUANTIZE."""
    inside = [graph.tensor(i) for i in operator.inputs if i >= 0]
    activations = [tensor for tensor in inside if tensor.data is None]
    if operator.kind == "QUANTIZE":
        activations = []
    outputs = [graph.tensor(i) for i in operator.outputs]
    for tensor in (*activations, *(outputs if operator.kind != "DEQUANTIZE" else ())):
        if tensor.dtype != "int8":
            raise ModelError(
                f"layer {operator.name!r}: tensor {tensor.name!r} is {tensor.dtype}, not int8",
                hint="plain C runs full int8 networks; convert with int8 input and output",
            )
