"""The float baseline: the int8 steps again, with weights dequantized and float32 kernels.

The network's values are the int8 network's own, ``real = scale * (q - zero_point)``, so that the
two differ in arithmetic and storage alone. Input and output stay int8 at the border.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bridge.compile.lower import Target, lower
from bridge.compile.quantization import quantization
from bridge.compile.steps import Step
from bridge.errors import UnsupportedOperator
from bridge.graph import Graph, Tensor
from bridge.graph.model import Array

_KERNELS = {
    "convolve_s8": "convolve_f32",
    "depthwise_convolve_s8": "depthwise_convolve_f32",
    "fully_connected_s8": "fully_connected_f32",
    "max_pool_s8": "max_pool_f32",
    "average_pool_s8": "average_pool_f32",
    "add_s8": "add_f32",
    "pad_s8": "pad_f32",
    "softmax_s8": "softmax_f32",
    "reshape": "reshape",
}


def lower_float(graph: Graph, core: str) -> list[Step]:
    """Every operator as a float32 step.

    Raises:
        UnsupportedOperator: as for int8.
    """
    steps = []
    for operator, step in zip(graph.operators, lower(graph, Target("c-float", core)), strict=True):
        kernel = _KERNELS.get(step.kernel)
        if kernel is None:
            raise UnsupportedOperator(operator.kind, operator.name, hint="leave out engine c-float")
        parameters = dict(step.parameters)
        parameters.update(_bounds(operator.options.get("fused_activation_function", "NONE")))
        if kernel == "pad_f32":
            parameters["value"] = 0.0
        constants: dict[str, Array] = {}
        weights, bias = graph.input(operator, 1), graph.input(operator, 2)
        if "weights" in step.constants and weights is not None:
            constants["weights"] = dequantize(weights)
            if bias is not None:
                constants["bias"] = dequantize(bias)
        plan = replace(
            step.plan,
            kernel=f"snn_{kernel}" if not step.alias else "",
            format="float32" if constants else step.plan.format,
            weight_bytes=sum(int(array.nbytes) for array in constants.values()),
            reason="float baseline",
        )
        steps.append(
            replace(step, kernel=kernel, parameters=parameters, constants=constants, plan=plan)
        )
    return steps


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


def _bounds(activation: str) -> dict[str, float]:
    largest = float(np.finfo(np.float32).max)
    low, high = {
        "RELU": (0.0, largest),
        "RELU6": (0.0, 6.0),
        "RELU_N1_TO_1": (-1.0, 1.0),
    }.get(activation, (-largest, largest))
    return {"min": low, "max": high}
