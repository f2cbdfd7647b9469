"""The finished file, judged where it will run: the real TFLM interpreter on the host."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bridge.convert.lift.builder import Array
from bridge.convert.quiet import quiet
from bridge.errors import ModelError
from bridge.graph import Graph, Quantization


def interpreter(model: bytes, *, preserve: bool = False) -> Any:
    """TFLM's interpreter with an arena that grows until the network fits.

    Raises:
        ModelError: TFLM refuses the file; with its own words.
    """
    from tflite_micro.python.tflite_micro import runtime

    config = runtime.InterpreterConfig
    size, last = max(1 << 18, len(model) * 2), ""
    while size <= 1 << 30:
        try:
            with quiet():
                return runtime.Interpreter.from_bytes(
                    model,
                    arena_size=size,
                    intrepreter_config=config.kPreserveAllTensors
                    if preserve
                    else config.kAllocationRecording,
                )
        except Exception as error:
            last = str(error.__dict__.get("bridge_noise", "")) or str(error)
            if "arena" not in last.lower() and "allocate" not in last.lower():
                break
            size *= 4
    lines = [line for line in last.strip().splitlines() if line.strip()]
    raise ModelError(
        f"TFLite Micro refuses the model: {lines[0][:200] if lines else 'no reason given'}",
        hint="the operator or version it names is missing on the device",
    )


def run(model: bytes, inputs: Sequence[Array]) -> list[Array]:
    """Every output for every input.

    Args:
        model: an int8 .tflite.
        inputs: int8 [N, …] per input.

    Returns:
        one int8 array [N, …] per output.
    """
    from bridge.graph import read_tflite

    graph = read_tflite(model)
    engine = interpreter(model)
    results: list[list[Array]] = [[] for _ in graph.outputs]
    for i in range(len(inputs[0])):
        for position, array in enumerate(inputs):
            engine.set_input(np.ascontiguousarray(array[i : i + 1]), position)
        engine.invoke()
        for position, result in enumerate(results):
            result.append(np.array(engine.get_output(position)))
    shapes = [graph.tensor(i).shape[1:] for i in graph.outputs]
    return [
        np.concatenate(r).reshape(len(inputs[0]), *s) for r, s in zip(results, shapes, strict=True)
    ]


def quantize_inputs(graph: Graph, inputs: Sequence[Array]) -> list[Array]:
    """Float inputs → int8, as the device must do it: round half away from zero, then clamp."""
    result = []
    for index, array in zip(graph.inputs, inputs, strict=True):
        q = _quantization(graph, index)
        scaled = array.astype(np.float32) / np.float32(q.scale)
        rounded = np.trunc(scaled + np.copysign(np.float32(0.5), scaled)) + q.zero_point
        result.append(np.clip(rounded, -128, 127).astype(np.int8))
    return result


def dequantize_outputs(graph: Graph, outputs: Sequence[Array]) -> list[Array]:
    """int8 outputs → float32."""
    result = []
    for index, array in zip(graph.outputs, outputs, strict=True):
        q = _quantization(graph, index)
        result.append(((array.astype(np.int32) - q.zero_point) * q.scale).astype(np.float32))
    return result


def _quantization(graph: Graph, index: int) -> Quantization:
    tensor = graph.tensor(index)
    if tensor.quantization is None:
        raise ModelError(
            f"{tensor.name!r}, an input or output of {graph.name}, has no quantization",
            hint="quantize the network fully, with int8 inputs and outputs",
        )
    return tensor.quantization
