"""Give the tensors of a .tflite our layer names: TensorFlow's own tell little.

``main_graph/quant_relu/Relu;main_graph/quant_conv1/BiasAdd;…`` becomes ``conv1``, its weights
(``tfl.pseudo_qconst3``) ``conv1/weight``; outputs get the network's own names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from bridge.errors import DEFECT, ModelError
from bridge.graph import read_tflite
from bridge.graph.model import WEIGHTED, Graph
from bridge.graph.rewrite import pack, unpack


def mentioned(name: str, layers: Sequence[str]) -> list[str]:
    """Which of our layers a TensorFlow tensor name speaks of, in our order."""
    parts = {part for piece in name.split(";") for part in piece.split("/")}
    plain = {part.removeprefix("quant_") for part in parts}
    return [layer for layer in layers if layer in plain]


def assign(
    graph: Graph, layers: Sequence[str], kernels: Mapping[str, int], outputs: Sequence[str]
) -> tuple[dict[int, str], dict[int, str]]:
    """Which layer each operator belongs to.

    Args:
        layers: all Keras layer names, in the network's order.
        kernels: weighted layers and how many weights they have.
        outputs: the layers that make the network's outputs.

    Returns:
        operator index → weighted layer; output tensor index → the last layer fused into it.
    """
    weighted: dict[int, str] = {}
    last: dict[int, str] = {}
    ends = dict(zip(graph.outputs, outputs, strict=True))

    for op in graph.operators:
        for index in op.outputs:
            found = mentioned(graph.tensor(index).name, layers)
            if not found and index in ends:
                found = [ends[index]]
            if found:
                last[index] = found[-1]
            named = [f for f in found if f in kernels]
            if op.kind in WEIGHTED and named and named[-1] not in weighted.values():
                weighted[op.index] = named[-1]
    for op in graph.operators:
        if op.kind not in WEIGHTED or op.index in weighted:
            continue
        tensor = graph.input(op, 1)
        own = mentioned(tensor.name, list(kernels)) if tensor is not None else []
        free = [k for k in kernels if k not in weighted.values()]
        fitting = [k for k in free if tensor is not None and kernels[k] == tensor.elements]
        choice = [k for k in own if k in free] or fitting
        if choice:
            weighted[op.index] = choice[0]
    return weighted, last


def in_our_order(content: bytes) -> bytes:
    """Put inputs (``…in0``) and outputs (``…Call:0``) into the order that their names number."""
    model = unpack(content)
    subgraph = model.subgraphs[0]

    def sorted_by(pattern: str, indices: Any) -> list[int]:
        found = [(re.findall(pattern, _text(subgraph.tensors[i].name)), int(i)) for i in indices]
        if all(numbers for numbers, _ in found):
            return [i for numbers, i in sorted(found, key=lambda pair: int(pair[0][-1]))]
        return [int(i) for i in indices]

    inputs = sorted_by(r"in(\d+)(?::\d+)?$", subgraph.inputs)
    outputs = sorted_by(r":(\d+)$", subgraph.outputs)
    if inputs == [int(i) for i in subgraph.inputs] and outputs == [
        int(i) for i in subgraph.outputs
    ]:
        return content
    subgraph.inputs, subgraph.outputs = inputs, outputs
    return pack(model)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value or "")


def rename(
    content: bytes, tensors: Mapping[int, str], inputs: Sequence[str], outputs: Sequence[str]
) -> bytes:
    """Write new tensor names into a .tflite, keeping its alignment.

    Args:
        tensors: new name by tensor index.
        inputs: names of the network's inputs.
        outputs: and of its outputs.
    """
    model = unpack(content)
    subgraph = model.subgraphs[0]
    names = dict(tensors)
    names.update(zip((int(i) for i in subgraph.inputs), inputs, strict=True))
    names.update(zip((int(i) for i in subgraph.outputs), outputs, strict=True))
    for index, name in names.items():
        subgraph.tensors[index].name = name.encode()
    # What the converter leaves besides the network: a version stamp and a signature by old names.
    model.description = b"tflm-bridge"
    model.signatureDefs = None
    return pack(model)


def with_our_names(
    content: bytes,
    layers: Sequence[str],
    kernels: Mapping[str, int],
    ends: Sequence[str],
    inputs: Sequence[str],
    outputs: Sequence[str],
) -> tuple[bytes, dict[str, str]]:
    """Rename a converted network's tensors.

    Args:
        layers: all Keras layer names, in order.
        kernels: weighted layers and how many weights they have.
        ends: the layers that make the outputs.
        inputs: the network's own names of its inputs.
        outputs: and of its outputs.

    Returns:
        the file, and for each activation's new name the last Keras layer fused into it.

    Raises:
        ModelError: an operator with weights belongs to no layer.
    """
    content = in_our_order(content)
    graph = read_tflite(content)
    weighted, last = assign(graph, layers, kernels, ends)
    tensors: dict[int, str] = {}
    used: set[str] = set(outputs) | set(inputs)
    fused: dict[str, str] = {}

    def fresh(name: str) -> str:
        candidate, n = name, 1
        while candidate in used:
            n += 1
            candidate = f"{name}:{n}"
        used.add(candidate)
        return candidate

    finals = dict(zip(graph.outputs, outputs, strict=True))
    for op in graph.operators:
        layer = weighted.get(op.index)
        if op.kind in WEIGHTED and layer is None and graph.input(op, 1) is not None:
            raise ModelError(
                f"operator {op.kind} {op.name!r} belongs to no layer of the network", hint=DEFECT
            )
        base = layer or (last.get(op.outputs[0]) if op.outputs else None) or op.kind.lower()
        for index in op.outputs:
            tensors[index] = finals.get(index) or fresh(base)
            if index in last:
                fused[tensors[index]] = last[index]
        slots = (
            {1: "weight", 2: "bias"}
            if op.kind != "TRANSPOSE_CONV"
            else {0: "shape", 1: "weight", 3: "bias"}
        )
        for position, index in enumerate(op.inputs):
            if index < 0 or graph.tensor(index).data is None or index in tensors:
                continue
            word = slots.get(position, "constant") if layer else "constant"
            tensors[index] = fresh(f"{base}/{word}")
    return rename(content, tensors, inputs, outputs), fused
