"""What a finished .tflite must and must not hold before it may leave the bridge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bridge.convert.lift.builder import Array
from bridge.convert.options import Proof
from bridge.convert.prove import held
from bridge.errors import ProofError
from bridge.graph import Graph, Operator

_NUMBERS = ("float32", "float16", "float64")


def check_structure(graph: Graph, allowed_transposes: int) -> list[Proof]:
    """No float operator, no litter TRANSPOSE, batch 1, int8 in and out.

    Raises:
        ProofError: naming the operator.
    """
    floats = [op for op in graph.operators if _is_float(graph, op)]
    proofs = [
        held(
            "no float operator",
            len(floats),
            0,
            "operators",
            0,
            layer=floats[0].name if floats else "",
            detail=f"{floats[0].kind} stays float; give int8 a counterpart" if floats else "",
        )
    ]
    moves = [op for op in graph.operators if op.kind == "TRANSPOSE"]
    proofs.append(
        held(
            "no TRANSPOSE",
            len(moves),
            allowed_transposes,
            "operators",
            0,
            layer=moves[0].name if moves else "",
            detail="the network itself permutes here" if allowed_transposes else "",
        )
    )
    ends = [graph.tensor(i) for i in (*graph.inputs, *graph.outputs)]
    wrong = [t for t in ends if t.dtype != "int8" or t.quantization is None]
    batched = [graph.tensor(i) for i in graph.inputs if graph.tensor(i).shape[:1] != (1,)]
    proofs.append(
        held(
            "int8 in and out, batch 1",
            len(wrong) + len(batched),
            0,
            "tensors",
            0,
            layer=(wrong + batched)[0].name if wrong or batched else "",
        )
    )
    return proofs


def _is_float(graph: Graph, op: Operator) -> bool:
    indices = [i for i in (*op.inputs, *op.outputs) if i >= 0]
    return any(graph.tensor(i).dtype in _NUMBERS for i in indices)


def check_zeros(graph: Graph, targets: Mapping[str, float]) -> tuple[list[Proof], dict[str, float]]:
    """Every pruned layer's int8 weight tensor has at least its share of zeros.

    Args:
        targets: share by layer name, of the layers that were pruned.

    Returns:
        the proofs, and every weighted layer's share of zeros by our layer name.

    Raises:
        ProofError: naming the layer; also where a pruned layer can't be found in the file.
    """
    shares = {
        tensor.name.removesuffix("/weight"): float((np.asarray(tensor.data) == 0).mean())
        for _, tensor in graph.weights()
    }
    proofs = []
    for layer, target in targets.items():
        share = shares.get(layer)
        if share is None:
            raise ProofError("int8 zeros", "its weight tensor is not in the .tflite", layer=layer)
        if share + 1e-9 < target:
            raise ProofError(
                "int8 zeros",
                f"{share:.4f} of the weights are zero, wanted {target:.4f}",
                layer=layer,
            )
        proofs.append(
            Proof("int8 zeros", True, share, target, "share of zeros (at least)", 0, layer=layer)
        )
    return proofs, shares


def check_kept(graph: Graph, kernels: Mapping[str, Array]) -> Proof:
    """Every weight that is zero in the pruned float network is zero in the file.

    Args:
        kernels: the float weights by layer name, as Keras lays them out.

    Raises:
        ProofError: naming the layer where zeros came back to life.
    """
    zeros = lost = 0
    place = ""
    for op, tensor in graph.weights():
        layer = tensor.name.removesuffix("/weight")
        kernel = kernels.get(layer)
        if kernel is None or tensor.data is None:
            continue
        dead = _as_tflite(kernel, op.kind) == 0
        revived = int((dead & (np.asarray(tensor.data).reshape(dead.shape) != 0)).sum())
        zeros, lost = zeros + int(dead.sum()), lost + revived
        place = place or (layer if revived else "")
    detail = f"{zeros:,} zeros, each at its place" if not lost else ""
    return held(
        "zeros of pruned Keras in int8", lost, 0, "zeros lost", 0, layer=place, detail=detail
    )


def _as_tflite(kernel: Array, kind: str) -> Array:
    """Keras weights in the order of a TFLite operator's weight tensor."""
    if kind == "FULLY_CONNECTED":
        return kernel.T
    if kind == "DEPTHWISE_CONV_2D":  # [height, width, in, multiplier] → [1, height, width, out]
        return kernel.reshape(1, *kernel.shape[:2], -1)
    if kind == "TRANSPOSE_CONV":  # [height, width, out, in] → [out, height, width, in]
        return kernel.transpose(2, 0, 1, 3)
    return kernel.transpose(3, 0, 1, 2)


def check_outputs(graph: Graph, outputs: Sequence[Array]) -> list[str]:
    """Sentences about outputs that never change or mostly sit at the ends of int8."""
    notes = []
    for index, array in zip(graph.outputs, outputs, strict=True):
        name = graph.tensor(index).name
        if len(array) > 1 and np.all(array == array[:1]):
            notes.append(
                f"output {name!r} is constant on the test samples: calibration data and network "
                "don't fit each other"
            )
            continue
        ends = float(((array == -128) | (array == 127)).mean())
        q: Any = graph.tensor(index).quantization
        softmax = q is not None and abs(q.scale - 1 / 256) < 1e-6
        if ends > 0.3 and not softmax:
            notes.append(
                f"output {name!r} sits at the ends of its int8 range for {ends:.0%} of its values"
            )
    return notes
