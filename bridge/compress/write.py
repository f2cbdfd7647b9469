"""A .tflite with DECODE operators, written as small as the schema lets it be.

Each operator that reads an encoded constant gets a DECODE operator of its own just before it: what
DECODE makes lives only until the next operator ends. Its inputs are, for each constant, the encoded
and the ancillary tensor (both plain bytes); its output is a tensor like the constant was, without
values.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np

from bridge.encode.decode_header import Encoded
from bridge.graph.rewrite import pack, schema, unpack

CUSTOM_CODE = b"TFLM_DECODE"
# Written by converters for themselves; nothing on the device reads them.
_PROVENANCE = (b"min_runtime_version", b"CONVERSION_METADATA")


def write_decoded(model: bytes, codings: Mapping[int, Encoded]) -> bytes:
    """Put encoded constants in the place of plain ones.

    Also drops what TFLite Micro doesn't read: empty buffers, provenance, constants' names, and all
    but one of a tensor's zero points where they are equal (its loader repeats a single one).

    Args:
        model: a .tflite with one subgraph.
        codings: tensor index → its encoded values; each read by operators only.
    """
    tree = unpack(model)
    graph = tree.subgraphs[0]
    buffers = _Buffers(tree)
    _tidy(tree, buffers)
    if codings:
        opcode = _decode_opcode(tree, schema())
        _insert(graph, codings, opcode, buffers, schema())
    tree.buffers = buffers.used(graph, tree.metadata or [])
    return pack(tree)


def _insert(
    graph: Any, codings: Mapping[int, Encoded], opcode: int, buffers: _Buffers, schema: Any
) -> None:
    encoded = {i: graph.tensors[i] for i in codings}
    ancillary: dict[int, int] = {}
    originals = {i: copy.copy(tensor) for i, tensor in encoded.items()}
    for index, tensor in encoded.items():
        ancillary[index] = len(graph.tensors)
        graph.tensors.append(_bytes_tensor(codings[index].ancillary, buffers, schema))
        stored = _bytes_tensor(codings[index].stream, buffers, schema)
        vars(tensor).update(vars(stored))
    operators = []
    for operator in graph.operators:
        needed = sorted({int(i) for i in operator.inputs} & set(codings))
        if needed:
            made = {}
            for index in needed:
                made[index] = len(graph.tensors)
                decoded = copy.copy(originals[index])
                decoded.buffer = 0
                graph.tensors.append(decoded)
            decode = schema.OperatorT()
            decode.opcodeIndex = opcode
            decode.inputs = _int32([i for n in needed for i in (n, ancillary[n])])
            decode.outputs = _int32([made[n] for n in needed])
            operators.append(decode)
            operator.inputs = _int32([made.get(int(i), int(i)) for i in operator.inputs])
        operators.append(operator)
    graph.operators = operators


def _bytes_tensor(data: bytes, buffers: _Buffers, schema: Any) -> Any:
    tensor = schema.TensorT()
    tensor.shape = _int32([len(data)])
    tensor.type = schema.TensorType.UINT8
    tensor.buffer = buffers.add(data)
    tensor.name = None
    return tensor


def _decode_opcode(tree: Any, schema: Any) -> int:
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
    code.customCode = CUSTOM_CODE
    code.version = 1
    tree.operatorCodes.append(code)
    return len(tree.operatorCodes) - 1


def _tidy(tree: Any, buffers: _Buffers) -> None:
    for tensor in tree.subgraphs[0].tensors:
        if buffers.size(tensor.buffer):
            tensor.name = None
        else:
            tensor.buffer = 0
        q = tensor.quantization
        if q is not None and q.zeroPoint is not None and len(set(map(int, q.zeroPoint))) == 1:
            q.zeroPoint = np.asarray(q.zeroPoint[:1], np.int64)
    kept = [entry for entry in tree.metadata or [] if entry.name not in _PROVENANCE]
    tree.metadata = kept or None
    tree.metadataBuffer = None
    tree.signatureDefs = None


def _int32(values: list[int]) -> Any:
    return np.array(values, np.int32)


class _Buffers:
    """A model's buffers while it is rewritten: contents once each, unused ones gone at the end."""

    def __init__(self, tree: Any) -> None:
        self._all = list(tree.buffers)
        self._known: dict[bytes, int] = {}

    def size(self, index: int) -> int:
        data = self._all[index].data
        return 0 if data is None else len(data)

    def add(self, data: bytes) -> int:
        if data not in self._known:
            buffer = type(self._all[0])()
            buffer.data = np.frombuffer(data, np.uint8)
            self._known[data] = len(self._all)
            self._all.append(buffer)
        return self._known[data]

    def used(self, graph: Any, metadata: list[Any]) -> list[Any]:
        """The buffers that are still read, renumbered; the first is the empty one."""
        order = {0: 0}
        for holder in (*graph.tensors, *metadata):
            holder.buffer = order.setdefault(int(holder.buffer), len(order))
        return [self._all[old] for old in order]
