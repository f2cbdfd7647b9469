"""The ladder of proofs: each stage is held against the one before it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from bridge.convert import locate
from bridge.convert.export import batch_is_free
from bridge.convert.lift.builder import Array
from bridge.convert.lift.lower import Lifted, to_logical
from bridge.convert.options import Proof
from bridge.errors import DEFECT, ProofError

FLOAT_BOUND = 1e-5
"""Of the output range."""

WIDEST_BOUND = 1e-3
"""However badly a network rounds by itself, nothing beyond this passes."""


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


def held(
    rung: str,
    statistic: float,
    bound: float,
    unit: str,
    samples: int,
    *,
    place: object = "",
    **more: Any,
) -> Proof:
    """A rung that must pass: raises where it doesn't.

    Args:
        place: statistics of the layer where it fails, for the error.
    """
    passed = statistic <= bound
    proof = Proof(rung, passed, statistic, bound, unit, samples, **more)
    if not passed:
        raise ProofError(
            rung,
            f"{statistic:.3g} {unit}, allowed {bound:.3g}, over {samples} samples"
            + (f"; {place}" if place else ""),
            layer=proof.layer,
            hint=proof.detail or DEFECT,
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
    wanted = None if names is None else list(names)

    def run(arrays: Sequence[Array]) -> list[Array]:
        feed = {i.name: a for i, a in zip(session.get_inputs(), arrays, strict=True)}
        return list(session.run(wanted, feed))

    return run(inputs) if batch_is_free(model) else one_by_one(run, inputs)


def one_by_one(
    run: Callable[[Sequence[Array]], list[Array]], inputs: Sequence[Array]
) -> list[Array]:
    """Run a network that takes a single sample for each of many, and join what comes out."""
    parts = [run([a[i : i + 1] for a in inputs]) for i in range(len(inputs[0]))]
    return [
        np.stack([o.reshape(o.shape[1:] if o.shape[:1] == (1,) else o.shape) for o in column])
        for column in zip(*parts, strict=True)
    ]


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


def own_rounding(network: Any, inputs: Sequence[Array]) -> float:
    """How far a network's float32 outputs are from its float64 ones, of the output range.

    Infinite where it can't be run in float64.
    """
    import copy

    import torch

    if isinstance(network, torch.export.ExportedProgram):
        return float("inf")
    single = run_torch(network, inputs)
    try:
        double = run_torch(copy.deepcopy(network).double(), [a.astype(np.float64) for a in inputs])
    except (RuntimeError, TypeError):
        return float("inf")
    return relative_difference([s.astype(np.float64) for s in single], double)


def widened(statistic: float, rounding: Callable[[], float] | None) -> tuple[float, str]:
    """The bound of a float rung, and why it is wider than usual.

    Deep networks with narrow outputs round by more than 1e-5 of their range in float32 itself.
    Where a rung misses the usual bound, that rounding is measured and eight times it allowed.
    """
    if statistic <= FLOAT_BOUND or rounding is None:
        return FLOAT_BOUND, ""
    own = rounding()
    if not FLOAT_BOUND / 8 < own <= WIDEST_BOUND / 8:
        return FLOAT_BOUND, ""
    return 8 * own, f"8 × the network's own float32 rounding, {own:.2g} against float64"


def prove_lift(
    network: Any,
    onnx_model: Any,
    lifted: Lifted,
    inputs: Sequence[Array],
    reference: Sequence[Array] | None = None,
) -> list[Proof]:
    """PyTorch = ONNX Runtime = lifted Keras, on the same samples.

    Args:
        network: the PyTorch module or exported program; None compares with ONNX Runtime only.
        reference: its outputs, where they are known already.

    Raises:
        ProofError: naming the layer where the difference first exceeds the bound.
    """
    unit, count = "of output range", len(inputs[0])
    proofs = []
    onnx_outputs = run_onnx(onnx_model, inputs)
    rounding = None
    against = "ONNX Runtime"
    if network is None:
        reference = onnx_outputs
    else:
        against = "PyTorch"
        if reference is None:
            reference = run_torch(network, inputs)
        if batch_is_free(onnx_model):
            rounding = partial(own_rounding, network, inputs)
        statistic = relative_difference(onnx_outputs, reference)
        bound, why = widened(statistic, rounding)
        failed = None if statistic <= bound else locate.in_onnx(network, onnx_model, inputs, bound)
        proofs.append(
            _held_at(failed, "ONNX Runtime = PyTorch", statistic, bound, unit, count, detail=why)
        )
    statistic = relative_difference(run_lifted(lifted, inputs), reference)
    bound, detail = widened(statistic, rounding)
    failed = None
    if not statistic <= bound:
        failed = locate.in_keras(lifted, onnx_model, inputs, bound)
    elif count > 1 and min(float(np.abs(r - r[:1]).max(initial=0.0)) for r in reference) == 0.0:
        detail = "an output never changes on these samples, so they prove little about it"
    rung = f"lifted Keras = {against}"
    proofs.append(_held_at(failed, rung, statistic, bound, unit, count, detail=detail))
    return proofs


def _held_at(failed: locate.Place | None, *rung: Any, detail: str) -> Proof:
    """:func:`held`, with the layer that it fails at."""
    layer = failed.layer if failed else ""
    return held(*rung, place=failed or "", layer=layer, detail=detail)
