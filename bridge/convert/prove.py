"""The ladder of proofs: each stage is held against the one before it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from bridge.convert.lift.builder import Array
from bridge.convert.lift.lower import Lifted, to_logical
from bridge.convert.options import Proof
from bridge.errors import ProofError

FLOAT_BOUND = 1e-5
"""Of the output range; float32 rounding of deep networks stays below."""


def relative_difference(a: Sequence[Array], b: Sequence[Array]) -> float:
    """Largest |a − b| relative to b's range, over all outputs; infinite where not finite."""
    worst = 0.0
    for x, y in zip(a, b, strict=True):
        if x.shape != y.shape:
            return float("inf")
        span = float(y.max() - y.min()) if y.size else 0.0
        scale = max(span, float(np.abs(y).max(initial=0.0)) * 1e-3, 1e-6)
        difference = float(np.abs(x - y).max(initial=0.0))
        worst = max(worst, difference / scale) if np.isfinite(difference) else float("inf")
    return worst


def held(rung: str, statistic: float, bound: float, unit: str, samples: int, **more: Any) -> Proof:
    """A rung that must pass: raises where it doesn't."""
    passed = statistic <= bound
    proof = Proof(rung, passed, statistic, bound, unit, samples, **more)
    if not passed:
        raise ProofError(
            rung,
            f"{statistic:.3g} {unit}, allowed {bound:.3g}, over {samples} samples",
            layer=proof.layer,
            hint=proof.detail
            or "this is a defect of the bridge or of the converter underneath; nothing was written",
        )
    return proof


def run_torch(network: Any, inputs: Sequence[Array]) -> list[Array]:
    """The PyTorch module's (or exported program's) outputs."""
    import torch

    module = network.module() if isinstance(network, torch.export.ExportedProgram) else network
    with torch.no_grad():
        result = module(*[torch.from_numpy(np.ascontiguousarray(a)) for a in inputs])
    return [r.numpy() for r in flat(result)]


def flat(result: Any) -> list[Any]:
    """A module's result as a list, in the exporter's order."""
    if isinstance(result, dict):
        return [r for value in result.values() for r in flat(value)]
    if isinstance(result, (tuple, list)):
        return [r for value in result for r in flat(value)]
    return [result]


def run_onnx(
    model: Any, inputs: Sequence[Array], names: Sequence[str] | None = None
) -> list[Array]:
    """ONNX Runtime's outputs; ``names`` asks for inner values instead."""
    import onnx
    import onnxruntime

    if names is not None:
        model = onnx.ModelProto.FromString(model.SerializeToString())
        own = {o.name for o in model.graph.output}
        model.graph.output.extend(
            onnx.ValueInfoProto(name=name) for name in names if name not in own
        )
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    options.graph_optimization_level = (
        onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        if names is not None
        else onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    )
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    feed = {i.name: a for i, a in zip(session.get_inputs(), inputs, strict=True)}
    return list(session.run(None if names is None else list(names), feed))


def run_keras(model: Any, inputs: Sequence[Array]) -> list[Array]:
    """A Keras model's outputs, physical layout."""
    result = model(list(inputs), training=False)
    return [np.asarray(r) for r in (result if isinstance(result, (tuple, list)) else [result])]


def run_lifted(lifted: Lifted, inputs: Sequence[Array], model: Any = None) -> list[Array]:
    """The lifted network's outputs in ONNX's own order (log-softmax outputs as logarithms)."""
    outputs = run_keras(model or lifted.model, lifted.to_physical(inputs))
    result = []
    for (name, value), output in zip(lifted.outputs.items(), outputs, strict=True):
        logical = to_logical(value, output)
        if name in lifted.log_outputs:
            logical = np.log(np.maximum(logical, np.finfo(np.float32).tiny))
        result.append(logical)
    return result


def first_difference(
    lifted: Lifted, onnx_model: Any, inputs: Sequence[Array], bound: float = FLOAT_BOUND
) -> tuple[str, float]:
    """The first layer whose output differs from ONNX Runtime's by more than a bound.

    Returns:
        its name (empty where none does) and its relative difference.
    """
    from bridge.convert.quiet import tensorflow

    _, keras = tensorflow()
    layers = [n for n in lifted.made if not isinstance(_layer(lifted, n), keras.layers.InputLayer)]
    probe = keras.Model(lifted.model.inputs, [lifted.made[n][1].tensor for n in layers])
    ours = run_keras(probe, lifted.to_physical(inputs))
    known = {o for node in onnx_model.graph.node for o in node.output}
    names = [lifted.made[n][0] for n in layers]
    theirs = dict(
        zip(
            [n for n in names if n in known],
            run_onnx(onnx_model, inputs, [n for n in names if n in known]),
            strict=True,
        )
    )
    for layer, name, value in zip(layers, names, ours, strict=True):
        if name not in theirs:
            continue
        mine = to_logical(lifted.made[layer][1], value)
        difference = relative_difference([mine.reshape(theirs[name].shape)], [theirs[name]])
        if difference > bound:
            return layer, difference
    return "", 0.0


def _layer(lifted: Lifted, name: str) -> Any:
    return lifted.model.get_layer(name)


def prove_lift(
    run_reference: Callable[[Sequence[Array]], list[Array]] | None,
    onnx_model: Any,
    lifted: Lifted,
    inputs: Sequence[Array],
) -> list[Proof]:
    """PyTorch = ONNX Runtime = lifted Keras, on the same samples.

    Raises:
        ProofError: naming the layer where the difference first exceeds the bound.
    """
    unit, count = "of output range", len(inputs[0])
    proofs = []
    onnx_outputs = run_onnx(onnx_model, inputs)
    reference = onnx_outputs
    if run_reference is not None:
        reference = run_reference(inputs)
        statistic = relative_difference(onnx_outputs, reference)
        proofs.append(held("ONNX Runtime = PyTorch", statistic, FLOAT_BOUND, unit, count))
    ours = run_lifted(lifted, inputs)
    statistic = relative_difference(ours, reference)
    layer = ""
    if not statistic <= FLOAT_BOUND:
        layer, _ = first_difference(lifted, onnx_model, inputs)
    against = "PyTorch" if run_reference is not None else "ONNX Runtime"
    detail = ""
    if statistic <= FLOAT_BOUND:
        moved = [float(np.abs(r - r[:1]).max(initial=0.0)) for r in reference]
        if count > 1 and min(moved) == 0.0:
            detail = "an output never changes on these samples, so they prove little about it"
    proofs.append(
        held(
            f"lifted Keras = {against}",
            statistic,
            FLOAT_BOUND,
            unit,
            count,
            layer=layer,
            detail=detail,
        )
    )
    return proofs
