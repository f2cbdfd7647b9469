"""Fold what follows a layer with weights into these weights, before anything is built."""

from __future__ import annotations

import numpy as np

from bridge.convert.lift import weighted
from bridge.convert.lift.builder import Builder, Node
from bridge.convert.lift.values import Value


def fold(b: Builder, nodes: list[Node], outputs: set[str]) -> list[Node]:
    """Fold BatchNormalization, and a bias added after MatMul, into the layer before."""
    users: dict[str, int] = {}
    for node in nodes:
        for name in node.inputs:
            users[name] = users.get(name, 0) + 1
    by_output: dict[str, int] = {}
    result: list[Node] = []
    for node in nodes:
        source = node.inputs[0] if node.inputs else ""
        at = by_output.get(source)
        single = at is not None and users.get(source) == 1 and source not in outputs
        if single and at is not None:
            folded = _absorb(b, result[at], node)
            if folded is not None:
                result[at] = folded
                by_output[folded.outputs[0]] = at
                continue
        for name in node.outputs:
            by_output[name] = len(result)
        result.append(node)
    return result


def _absorb(b: Builder, before: Node, node: Node) -> Node | None:
    """``before`` with ``node`` folded in, or None."""
    if len(before.inputs) < 2 or isinstance(b.env.get(before.inputs[1]), Value):
        return None
    weights = b.env.get(before.inputs[1])
    if not isinstance(weights, np.ndarray) or before.kind not in ("Conv", "Gemm", "MatMul"):
        return None
    constants = [b.env.get(name) for name in node.inputs[1:]]
    if node.kind == "BatchNormalization" and all(isinstance(c, np.ndarray) for c in constants):
        gamma, beta, mean, variance = constants[:4]
        scale, shift = weighted.affine_of(gamma, beta, mean, variance, node)
    elif (
        node.kind == "Add"
        and before.kind == "MatMul"
        and weights.ndim == 2
        and isinstance(constants[0], np.ndarray)
        and constants[0].size in (1, weights.shape[1])
        and (constants[0].size == 1 or constants[0].shape[-1] == weights.shape[1])
    ):
        shift = np.broadcast_to(constants[0].ravel(), (weights.shape[1],))
        scale = np.ones_like(shift)
    else:
        return None
    bias = b.env.get(before.inputs[2]) if len(before.inputs) > 2 and before.inputs[2] else None
    if isinstance(bias, Value):
        return None
    attributes = dict(before.attributes)
    kind = before.kind
    if kind == "MatMul":
        if weights.ndim != 2:
            return None
        kind = "Gemm"
    if kind == "Conv" or attributes.get("transB", 0):
        new = weights * scale.reshape(-1, *[1] * (weights.ndim - 1))
    else:
        new = weights * scale
    names = (f"{before.outputs[0]}.folded.weight", f"{before.outputs[0]}.folded.bias")
    old = np.zeros_like(shift) if bias is None else bias
    b.env[names[0]] = new.astype(np.float32)
    b.env[names[1]] = (old * scale + shift).astype(np.float32)
    return Node(kind, before.name, (before.inputs[0], *names), node.outputs, attributes)
