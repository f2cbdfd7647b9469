"""The float baseline: the int8 steps again, with weights dequantized and float32 kernels.

The network's values are the int8 network's own, ``real = scale * (q - zero_point)``, so that the
two differ in arithmetic and storage alone. Input and output stay as they are at the border.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from bridge.compile.lower import lower
from bridge.compile.program import LayerPlan
from bridge.compile.quantization import quantization
from bridge.compile.steps import Step
from bridge.compile.target import Target
from bridge.errors import UnsupportedOperator
from bridge.graph import Graph, Operator, Tensor
from bridge.graph.model import Array

_WEIGHTED = frozenset(
    {"convolve_s8", "depthwise_convolve_s8", "fully_connected_s8", "transpose_convolve_s8"}
)
_SAME = frozenset(
    {
        "average_pool_s8",
        "binary_s8",
        "copy_s8",
        "max_pool_s8",
        "pick_s8",
        "reduce_max_s8",
        "reduce_min_s8",
        "resize_bilinear_s8",
        "softmax_s8",
        "sum_s8",
    }
)


def lower_float(graph: Graph, core: str) -> list[Step]:
    """Every operator as a float32 step.

    Raises:
        UnsupportedOperator: as for int8.
    """
    steps = lower(graph, Target("c-float", core))
    return [
        _float(graph, operator, step) for operator, step in zip(graph.operators, steps, strict=True)
    ]


def _float(graph: Graph, operator: Operator, step: Step) -> Step:
    if step.alias:
        return step
    if operator.kind in {"QUANTIZE", "DEQUANTIZE"}:
        # Everything inside is float32 already.
        plan = LayerPlan(operator.name, operator.kind, "", reason="moves no data")
        return replace(step, kernel="", constants={}, views={0: 0}, plan=plan, scratch=0)
    parameters: dict[str, Any] = {**step.parameters, **_bounds(operator)}
    constants = _constants(graph, operator, step)
    if step.kernel == "lookup_s8":
        kernel = "activate_f32"
        parameters["kind"] = f"SNN_{operator.kind}"
        parameters["alpha"] = float(operator.options.get("alpha", 0.0))
    elif step.kernel in _WEIGHTED | _SAME:
        kernel = step.kernel.replace("_s8", "_f32")
    else:
        raise UnsupportedOperator(operator.kind, operator.name, hint="leave out engine c-float")
    function = step.plan.kernel.replace("_s8", "_f32")
    plan = replace(
        step.plan,
        kernel="snn_activate_f32" if kernel == "activate_f32" else function,
        format="float32" if "weights" in constants else step.plan.format,
        weight_bytes=sum(int(array.nbytes) for array in constants.values()),
        reason="float baseline",
    )
    return replace(
        step, kernel=kernel, parameters=parameters, constants=constants, plan=plan, scratch=0
    )


def _constants(graph: Graph, operator: Operator, step: Step) -> dict[str, Array]:
    """The step's constants as float32; tables of indices stay as they are."""
    if step.kernel in _WEIGHTED:
        places = {"weights": 1, "bias": 3 if operator.kind == "TRANSPOSE_CONV" else 2}
        found = {role: graph.input(operator, position) for role, position in places.items()}
        return {role: dequantize(tensor) for role, tensor in found.items() if tensor is not None}
    constants: dict[str, Array] = {}
    for role, array in step.constants.items():
        if role.startswith("input"):
            tensor = graph.input(operator, int(role.removeprefix("input")))
            if tensor is not None:
                constants[role] = dequantize(tensor)
        elif role in {"rows", "columns"}:
            constants[role] = array
    return constants


def dequantize(tensor: Tensor) -> Array:
    """A constant's real values as float32."""
    if tensor.data is None:
        raise ValueError(f"{tensor.name} is no constant")
    how = quantization(tensor)
    shape = [1] * len(tensor.shape)
    if len(how.scales) > 1:
        shape[how.axis] = -1
    scales = np.array(how.scales, dtype=np.float64).reshape(shape)
    zeros = np.array(how.zero_points, dtype=np.int64).reshape(shape)
    return np.asarray((tensor.data.astype(np.int64) - zeros) * scales, dtype=np.float32)


def _bounds(operator: Operator) -> dict[str, float]:
    activation = operator.options.get("fused_activation_function") or "NONE"
    largest = float(np.finfo(np.float32).max)
    low, high = {
        "RELU": (0.0, largest),
        "RELU6": (0.0, 6.0),
        "RELU_N1_TO_1": (-1.0, 1.0),
    }.get(activation, (-largest, largest))
    return {"min": low, "max": high}
