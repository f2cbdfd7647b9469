"""Read a .tflite flatbuffer into a :class:`Graph`.

The schema classes come from the TFLite Micro wheel
(tensorflow/compiler/mlir/lite/schema/schema.fbs, generated), so no TensorFlow is imported.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from bridge.errors import BridgeError, InputError, ModelError
from bridge.graph.model import Array, Graph, Operator, Quantization, Tensor
from bridge.graph.rewrite import schema

# TensorType of the schema → numpy name. INT4 and others stay out: no kernel here takes them.
_DTYPES = {
    0: "float32",
    1: "float16",
    2: "int32",
    3: "uint8",
    4: "int64",
    6: "bool",
    7: "int16",
    9: "int8",
    10: "float64",
    15: "uint32",
    16: "uint16",
}


@cache
def _enum_names(enum: str) -> dict[int, str]:
    values = vars(getattr(schema(), enum))
    return {value: name for name, value in values.items() if isinstance(value, int)}


# Fields of option tables that hold an enum, and the enum.
_ENUM_FIELDS = {
    "padding": "Padding",
    "fusedActivationFunction": "ActivationFunctionType",
    "weightsFormat": "FullyConnectedOptionsWeightsFormat",
    "mode": "MirrorPadMode",
}


def read_tflite(source: Path | bytes, *, name: str = "") -> Graph:
    """Read a TFLite model with one subgraph and static shapes.

    Args:
        source: the file, or its bytes.
        name: the graph's name; the file's stem where left out.

    Raises:
        InputError: the file is missing or is no TFLite flatbuffer.
        ModelError: it has several subgraphs, dynamic shapes, sparse-encoded tensors, weights
            outside the file, or a tensor type that no kernel here takes.
    """
    if isinstance(source, Path):
        name = name or source.stem
        try:
            data = source.read_bytes()
        except OSError as error:
            raise InputError(
                f"can't read {source}: {error.strerror}", hint="check the path"
            ) from None
    else:
        data = source
    label = str(source) if isinstance(source, Path) else (name or "the model")
    if len(data) < 8 or data[4:8] != b"TFL3":
        raise InputError(f"{label} is not a TFLite flatbuffer", hint="give a .tflite file")
    try:
        model = schema().ModelT.InitFromPackedBuf(data, 0)
        return _sound(_graph(model, name or "model", label))
    except BridgeError:
        raise
    except Exception as error:  # offsets, indices and enums of a damaged file lead anywhere
        raise InputError(
            f"{label} is a damaged TFLite flatbuffer ({type(error).__name__}: {error})",
            hint="write the file again; it may have been cut short",
        ) from None


def _sound(graph: Graph) -> Graph:
    """The graph, once all that it refers to is there: the interpreter would crash on less."""
    known = range(len(graph.tensors))
    ends = {*graph.inputs, *graph.outputs}
    inner = {i for op in graph.operators for i in (*op.inputs, *op.outputs) if i != -1}
    lost = sorted(index for index in ends | inner if index not in known)
    if lost or not graph.inputs or not graph.outputs:
        what = f"tensor {lost[0]} is missing" if lost else "no inputs or no outputs"
        raise ValueError(what)
    return graph


def _graph(model: Any, name: str, label: str) -> Graph:
    subgraphs = model.subgraphs or []
    if len(subgraphs) != 1:
        raise ModelError(
            f"{label} has {len(subgraphs)} subgraphs; exactly one is supported",
            hint="convert without control flow (if, while) and with one signature",
        )
    subgraph = subgraphs[0]
    tensors = tuple(
        _tensor(model, index, tensor, label) for index, tensor in enumerate(subgraph.tensors)
    )
    operators = tuple(
        _operator(model, index, operator, tensors)
        for index, operator in enumerate(subgraph.operators or [])
    )
    return Graph(
        name=name,
        tensors=tensors,
        operators=operators,
        inputs=tuple(int(i) for i in subgraph.inputs),
        outputs=tuple(int(i) for i in subgraph.outputs),
    )


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value or "")


def _tensor(model: Any, index: int, tensor: Any, label: str) -> Tensor:
    name = _text(tensor.name)
    if tensor.sparsity is not None:
        raise ModelError(
            f"tensor {name!r} in {label} is sparse-encoded, which TFLite Micro would misread",
            hint="convert without the sparsity optimization; zeros then stay plain zeros",
        )
    shape = tuple(int(d) for d in (tensor.shape if tensor.shape is not None else []))
    signature = tensor.shapeSignature
    if signature is not None and any(int(d) < 0 for d in signature):
        raise ModelError(
            f"tensor {name!r} in {label} has a dynamic shape {[int(d) for d in signature]}",
            hint="convert with the batch fixed to 1",
        )
    if tensor.type not in _DTYPES:
        kind = _enum_names("TensorType").get(tensor.type, str(tensor.type))
        raise ModelError(
            f"tensor {name!r} in {label} has type {kind}, which is not supported",
            hint="quantize the network fully to int8",
        )
    dtype = _DTYPES[tensor.type]
    return Tensor(
        index=index,
        name=name,
        shape=shape,
        dtype=dtype,
        quantization=_quantization(tensor.quantization),
        data=_constant(model, tensor, name, shape, dtype, label),
    )


def _quantization(value: Any) -> Quantization | None:
    if value is None or value.scale is None or len(value.scale) == 0:
        return None
    scales = tuple(float(s) for s in value.scale)
    zeros = value.zeroPoint if value.zeroPoint is not None else [0] * len(scales)
    return Quantization(scales, tuple(int(z) for z in zeros), int(value.quantizedDimension))


def _constant(
    model: Any, tensor: Any, name: str, shape: tuple[int, ...], dtype: str, label: str
) -> Array | None:
    buffer = model.buffers[tensor.buffer]
    if getattr(buffer, "offset", 0) > 1:
        raise ModelError(
            f"the values of {name!r} in {label} are stored outside the flatbuffer, "
            "where TFLite Micro doesn't look",
            hint="write the model with all buffers inside the file",
        )
    if tensor.buffer == 0 or buffer.data is None or len(buffer.data) == 0:
        return None
    raw = np.asarray(buffer.data, dtype=np.uint8).tobytes()
    wanted = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    if len(raw) != wanted:
        raise ModelError(
            f"tensor {name!r} in {label} has {len(raw)} bytes instead of {wanted}",
            hint="write the file again; it is damaged or packed in a way that TFLM can't read",
        )
    values = np.frombuffer(raw, dtype=dtype).reshape(shape)
    values.setflags(write=False)
    return values


def _operator(model: Any, index: int, operator: Any, tensors: tuple[Tensor, ...]) -> Operator:
    code = model.operatorCodes[operator.opcodeIndex]
    builtin = max(code.builtinCode, code.deprecatedBuiltinCode)
    kind = _enum_names("BuiltinOperator").get(builtin, f"BUILTIN_{builtin}")
    if kind == "CUSTOM":
        kind = f"CUSTOM:{_text(code.customCode)}"
    inputs = tuple(int(i) for i in (operator.inputs if operator.inputs is not None else []))
    outputs = tuple(int(i) for i in operator.outputs)
    return Operator(
        index=index,
        kind=kind,
        version=int(code.version),
        inputs=inputs,
        outputs=outputs,
        options=_options(operator.builtinOptions),
        name=tensors[outputs[0]].name if outputs else f"operator {index}",
    )


def _options(table: Any) -> dict[str, Any]:
    """The fields of an options table, in snake case, enums by name, arrays as tuples."""
    if table is None:
        return {}
    result: dict[str, Any] = {}
    for field, value in vars(table).items():
        if field in _ENUM_FIELDS and isinstance(value, int):
            value = _enum_names(_ENUM_FIELDS[field])[value]
        elif isinstance(value, (np.ndarray, list)):
            value = tuple(v.item() if hasattr(v, "item") else v for v in value)
        result[re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", field).lower()] = value
    return result
