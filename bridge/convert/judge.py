"""The last rungs: the finished file in TFLM, its accuracy, its test vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bridge.bundle import MODEL
from bridge.convert import check, tflm
from bridge.convert.operators import check_operators
from bridge.convert.options import ConvertOptions, ConvertResult, Fidelity, LayerReport, Proof
from bridge.convert.prove import held
from bridge.data import Array
from bridge.graph import Graph, read_tflite
from bridge.samples import FILE as SAMPLES
from bridge.samples import StoredSamples, samples_file

if TYPE_CHECKING:
    from bridge.bundle import BundleWriter
    from bridge.convert.compress import Attempt
    from bridge.convert.lift.lower import Lifted
    from bridge.convert.run import Ladder, Prepared
    from bridge.convert.train import Task

WORK_BUDGET = 2_000_000_000
"""Multiply-accumulates that judging may take in TFLM's reference kernels on the host."""


def judge(
    ready: Prepared,
    attempt: Attempt,
    options: ConvertOptions,
    bundle: BundleWriter,
    ladder: Ladder,
) -> ConvertResult:
    """Hold the file against everything before it and write the bundle's entries.

    Raises:
        ProofError: the file breaks a rule or a pruned layer lost its zeros.
    """
    from bridge.convert.fidelity import compare
    from bridge.convert.prune import kernel_of, weighted_layers

    data, task, lifted = ready.data, ready.task, ready.lifted
    pruned, targets = attempt.pruned, attempt.targets
    with ladder.progress.stage("prove the finished file in TFLM"):
        model, fused = finished_file(attempt.model, pruned, lifted)
        graph = read_tflite(model, name=ready.source.name)
        checked = check_operators(graph)
        ladder.prove(Proof("operators TFLM registers", True, 0, 0, "unknown", checked))
        ladder.prove(*check.check_structure(graph, len(lifted.transposes)))
        wanted = {t.name: t.sparsity for t in targets if t.sparsity}
        ladder.proofs.extend(_pruned_zeros(pruned, wanted))
        zeros, shares = check.check_zeros(graph, wanted)
        kernels = {layer.name: kernel_of(layer) for layer in weighted_layers(pruned)}
        ladder.prove(check.check_kept(graph, kernels))
        if zeros:
            worst = min(zeros, key=lambda p: p.statistic - p.bound)
            ladder.proofs.extend(z for z in zeros if z is not worst)
            ladder.prove(worst)
        layers = layer_reports(pruned, targets, shares)
        floats = _test_inputs(task, ready.calibration, options, sum(r.macs for r in layers))
        inputs = tflm.quantize_inputs(graph, floats)
        expected = tflm.run(model, inputs)
        for note in check.check_outputs(graph, expected):
            ladder.note(note)
        metrics = _metrics(task, lifted, pruned, graph, floats, expected)
        fidelity = compare(model, graph, pruned, fused, floats)
        ladder.prove(_agreement(pruned, graph, floats, expected, fidelity))
    labels = None
    if task is not None and data is not None and task.metric == "accuracy":
        labels = data.y_test[: len(inputs[0])].astype(np.int64)
    bundle.write(MODEL, model)
    samples = StoredSamples(tuple(inputs), labels, tuple(expected))
    bundle.write(SAMPLES, samples_file(samples.first(options.samples)))
    return ConvertResult(
        metrics, tuple(ladder.proofs), layers, fidelity, tuple(ladder.notes), io_of(graph, lifted)
    )


def finished_file(model: bytes, pruned: Any, lifted: Lifted) -> tuple[bytes, dict[str, str]]:
    """The file as users get it: our names, inputs and outputs in the network's order.

    Returns:
        it, and for each activation's name the last Keras layer fused into it.
    """
    from bridge.convert.names import with_our_names
    from bridge.convert.prune import kernel_of, weighted_layers

    return with_our_names(
        model,
        [layer.name for layer in pruned.layers],
        {layer.name: kernel_of(layer).size for layer in weighted_layers(pruned)},
        pruned.output_names,
        list(lifted.inputs),
        list(lifted.outputs),
    )


def _pruned_zeros(pruned: Any, wanted: Mapping[str, float]) -> list[Proof]:
    """Every pruned layer's float weights have their share of zeros (training asserted it)."""
    from bridge.convert.prune import kernel_of

    return [
        Proof(
            "pruned Keras zeros",
            True,
            float((kernel_of(pruned.get_layer(name)) == 0).mean()),
            share,
            "share of zeros (at least)",
            0,
            layer=name,
        )
        for name, share in wanted.items()
    ]


def _test_inputs(
    task: Task | None, calibration: Sequence[Array], options: ConvertOptions, macs: int
) -> list[Array]:
    """As many test samples as the budget allows, at least ``options.samples``."""
    count = max(options.samples, min(2000, WORK_BUDGET // max(macs, 1)))
    return [a[:count] for a in (task.test_inputs if task is not None else calibration)]


def _metrics(
    task: Task | None,
    lifted: Lifted,
    pruned: Any,
    graph: Graph,
    floats: Sequence[Array],
    expected: Sequence[Array],
) -> dict[str, Any]:
    """The task's metric of each stage, on the same samples."""
    from bridge.convert.train import predict

    if task is None:
        return {}
    return {
        "metric": task.metric,
        "samples": len(floats[0]),
        "float": task.score(predict(lifted.model, floats)),
        "pruned": task.score(predict(pruned, floats)),
        "int8": task.score(tflm.dequantize_outputs(graph, expected)),
    }


FOLLOWS = 0.5
"""Quantization noise over signal at an output, at most: 6 dB. Beyond it int8 is another network."""


def _agreement(
    pruned: Any,
    graph: Graph,
    floats: Sequence[Array],
    expected: Sequence[Array],
    fidelity: Sequence[Fidelity],
) -> Proof:
    """int8 on TFLM follows the pruned float network; names the layer where it stops to.

    Noise within one step of the output's own int8 scale always passes: a nearly constant output
    has no signal to be held against.
    """
    from bridge.convert.train import predict

    reference = predict(pruned, floats)
    worst, allowed = 0.0, FOLLOWS
    ours = tflm.dequantize_outputs(graph, expected)
    for index, got, want in zip(graph.outputs, ours, reference, strict=True):
        q = graph.tensor(index).quantization
        noise = float(np.sqrt(np.square(got.reshape(want.shape) - want).mean()))
        signal = max(float(np.std(want)), 1e-12)
        bound = max(FOLLOWS, q.scale / signal) if q is not None else FOLLOWS
        if noise / signal / bound >= worst / allowed:
            worst, allowed = noise / signal, bound
    failed = worst > allowed
    lost = [f for f in fidelity if failed and f.snr_db < -20 * np.log10(FOLLOWS)]
    return held(
        "int8 on TFLM follows pruned Keras",
        min(worst, 1e9),
        min(allowed, 1e9),
        "noise / signal (rms)",
        len(floats[0]),
        layer=lost[0].name if lost else "",
        place=lost[0] if lost else "",
        detail="calibrate with data like the real one, or use --quantize qat" if failed else "",
    )


def layer_reports(
    pruned: Any, targets: Sequence[Any], shares: dict[str, float]
) -> tuple[LayerReport, ...]:
    """Every weighted layer of the finished network."""
    from bridge.convert.prune import kernel_of, weighted_layers

    by_name = {t.name: t for t in targets}
    reports = []
    for layer in weighted_layers(pruned):
        kernel = kernel_of(layer)
        target = by_name[layer.name]
        places = int(np.prod(layer.output.shape[1:-1], dtype=int)) if kernel.ndim == 4 else 1
        if type(layer).__name__ == "TransposedConv":
            places = int(np.prod(layer.input.shape[1:3], dtype=int))
        reports.append(
            LayerReport(
                layer.name,
                target.kind,
                int(kernel.size),
                target.sparsity,
                shares.get(layer.name, float((kernel == 0).mean())),
                target.reason,
                int(kernel.size) * places,
            )
        )
    return tuple(reports)


def io_of(graph: Graph, lifted: Lifted | None) -> dict[str, Any]:
    """Name, shape, dtype, scale, zero point and layout of every input and output."""

    def describe(index: int, name: str, order: str) -> dict[str, Any]:
        tensor = graph.tensor(index)
        q = tensor.quantization
        return {
            "name": name or tensor.name,
            "shape": list(tensor.shape),
            "dtype": tensor.dtype,
            "scale": q.scale if q else None,
            "zero_point": q.zero_point if q else None,
            "layout": order,
        }

    result: dict[str, Any] = {}
    for key, indices in (("inputs", graph.inputs), ("outputs", graph.outputs)):
        names = list(getattr(lifted, key)) if lifted is not None else [""] * len(indices)
        result[key] = [
            describe(i, n, "channels-last" if len(graph.tensor(i).shape) > 2 else "flat")
            for i, n in zip(indices, names, strict=True)
        ]
    return result
