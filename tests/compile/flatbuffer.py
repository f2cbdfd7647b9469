"""Networks written operator by operator, with any quantization: what no converter would write."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

_TYPES = {"float32": 0, "int32": 2, "int8": 9}


@dataclass
class Value:
    """A tensor: an activation, or a constant where data is given."""

    shape: tuple[int, ...]
    scale: float | np.ndarray | None = None
    zero: int = 0
    dtype: str = "int8"
    data: np.ndarray | None = None
    axis: int = 0


def integers(values: Any) -> Value:
    """A constant of sizes, axes or places."""
    data = np.asarray(values, np.int32)
    return Value(data.shape, dtype="int32", data=data)


@dataclass
class Call:
    """An operator with its tensors; None for an input that is left out."""

    kind: str
    inputs: list[Value | None]
    outputs: list[Value]
    table: str = ""
    options: dict[str, Any] = field(default_factory=dict)


def network(calls: list[Call]) -> bytes:
    """The calls side by side in one .tflite: every activation is an input or output of it."""
    import flatbuffers
    from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

    model, graph = schema.ModelT(), schema.SubGraphT()
    model.version, model.description = 3, b"calls"
    model.buffers, model.operatorCodes, model.subgraphs = [schema.BufferT()], [], [graph]
    graph.tensors, graph.operators, graph.inputs, graph.outputs = [], [], [], []
    codes: dict[str, int] = {}

    def tensor(value: Value | None) -> int:
        if value is None:
            return -1
        made = schema.TensorT()
        made.shape, made.type, made.buffer = list(value.shape), _TYPES[value.dtype], 0
        made.name = f"tensor{len(graph.tensors)}".encode()
        if value.scale is not None:
            scales = np.atleast_1d(value.scale).astype(np.float32)
            made.quantization = schema.QuantizationParametersT()
            made.quantization.scale = scales.tolist()
            made.quantization.zeroPoint = [value.zero] * len(scales)
            made.quantization.quantizedDimension = value.axis
        if value.data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(value.data).tobytes(), np.uint8)
            made.buffer = len(model.buffers)
            model.buffers.append(buffer)
        graph.tensors.append(made)
        return len(graph.tensors) - 1

    for call in calls:
        if call.kind not in codes:
            code = schema.OperatorCodeT()
            code.builtinCode = getattr(schema.BuiltinOperator, call.kind)
            code.deprecatedBuiltinCode, code.version = min(code.builtinCode, 127), 1
            codes[call.kind] = len(model.operatorCodes)
            model.operatorCodes.append(code)
        operator = schema.OperatorT()
        operator.opcodeIndex = codes[call.kind]
        operator.inputs = [tensor(value) for value in call.inputs]
        operator.outputs = [tensor(value) for value in call.outputs]
        if call.table:
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, call.table)
            operator.builtinOptions = getattr(schema, f"{call.table}T")()
            for name, value in call.options.items():
                assert hasattr(operator.builtinOptions, name), name
                setattr(operator.builtinOptions, name, value)
        graph.inputs += [
            index
            for index, value in zip(operator.inputs, call.inputs, strict=True)
            if value is not None and value.data is None
        ]
        graph.outputs += operator.outputs
        graph.operators.append(operator)
    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())
