"""Prune and quantize, once or in search of the highest sparsity that accuracy allows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bridge.convert import filters, names, prune, qat, quantize, resume, tflm, train
from bridge.convert.options import ConvertOptions
from bridge.convert.prove import FLOAT_BOUND, held, relative_difference
from bridge.data import Array
from bridge.errors import ModelError
from bridge.graph import read_tflite

if TYPE_CHECKING:
    from bridge.bundle import BundleWriter
    from bridge.convert.lift.lower import Lifted
    from bridge.convert.run import Ladder
    from bridge.convert.train import Task

SEARCH_STEPS = 5


@dataclass(frozen=True)
class Attempt:
    """One pruned and quantized network.

    Attributes:
        pruned: the float Keras model, pruned; its weights are the trained ones.
        targets: what each weighted layer was to reach.
        model: the int8 file as TFLite's converter wrote it.
        options: what it was made with.
    """

    pruned: Any
    targets: list[prune.Target]
    model: bytes
    options: ConvertOptions


def compress(
    lifted: Lifted,
    task: Task | None,
    calibration: Sequence[Array],
    options: ConvertOptions,
    bundle: BundleWriter,
    ladder: Ladder,
) -> Attempt:
    """Prune and quantize a lifted network as the options say.

    Raises:
        ModelError: no sparsity keeps the accuracy that was asked for.
    """
    targets = prune.choose(lifted.model, options)
    if any(target.sparsity for target in targets):
        _tell_gains(lifted.model, targets, options, ladder)
    for target in targets:
        if target.reason and options.target:
            ladder.note(f"{target.name} stays dense: {target.reason}")
    if options.max_accuracy_drop is None or task is None:
        if options.max_accuracy_drop is not None:
            ladder.note("--max-accuracy-drop needs --data; pruned to --sparsity instead")
        return _attempt(lifted, task, calibration, options, bundle, ladder)
    return _search(lifted, task, calibration, options, bundle, ladder)


def _tell_gains(
    model: Any, targets: list[prune.Target], options: ConvertOptions, ladder: Ladder
) -> None:
    from bridge.convert.expected import expected, expected_smaller

    if options.pattern == "filter":
        _, kept = filters.choose_filters(model, targets)
        gains = expected_smaller(model, filters.shrink(model, kept), options.core)
    else:
        gains = expected(model, targets, options.pattern, options.core)
    for gain in gains:
        ladder.note(f"{gain} on {options.core} (modelled)")
    told = {gain.name for gain in gains}
    for target in targets:
        if target.sparsity and target.name not in told and options.pattern != "filter":
            ladder.note(
                f"{target.name} at {target.sparsity:.2f}: expect no gain, {target.kind} has dense "
                "kernels alone; its zeros pack well in a compressed file"
            )


def _search(
    lifted: Lifted,
    task: Task,
    calibration: Sequence[Array],
    options: ConvertOptions,
    bundle: BundleWriter,
    ladder: Ladder,
) -> Attempt:
    """Bisect the sparsity; accuracy is judged on held-out training samples, in TFLM."""
    assert options.max_accuracy_drop is not None
    _, held_out = train.split(len(task.inputs[0]))
    held_out = held_out[:500]
    judged = replace(
        task,
        test_inputs=[a[held_out] for a in task.inputs],
        test_targets=[a[held_out] for a in task.targets],
    )
    reference = judged.score(train.predict(lifted.model, judged.test_inputs))
    best: Attempt | None = None
    low, high = 0.0, options.target
    tried = options.target
    for step in range(SEARCH_STEPS):
        attempt = _attempt(
            lifted, task, calibration, replace(options, sparsity=tried), bundle, ladder
        )
        score = judged.score(run_int8(attempt.model, lifted, judged.test_inputs))
        lost = reference - score if task.higher_is_better else score / max(reference, 1e-9) - 1
        kept = lost <= options.max_accuracy_drop
        ladder.note(
            f"sparsity {tried:.3f}: {task.metric} {score:.4f} against {reference:.4f} on "
            f"{len(held_out)} held-out samples: {'kept' if kept else 'too much lost'}"
        )
        if kept:
            best, low = attempt, tried
            if tried == options.target:
                break
        else:
            high = tried
        if tried == 0.0:  # nothing is left to try
            break
        last = step == SEARCH_STEPS - 2 and best is None
        tried = 0.0 if last or options.pattern == "2:4" else round((low + high) / 2, 3)
    if best is None:
        raise ModelError(
            f"no sparsity keeps the {task.metric} within {options.max_accuracy_drop}: even "
            "without pruning int8 loses more",
            hint="allow more, train longer (--epochs), or use --quantize qat",
        )
    return best


def run_int8(model: bytes, lifted: Lifted, inputs: Sequence[Array]) -> list[Array]:
    """Float outputs of an int8 file in TFLM, in the Keras layout."""
    content = names.in_our_order(model)
    graph = read_tflite(content)
    outputs = tflm.run(content, tflm.quantize_inputs(graph, inputs))
    real = tflm.dequantize_outputs(graph, outputs)
    shapes = [value.physical for value in lifted.outputs.values()]
    return [o.reshape(len(o), *s) for o, s in zip(real, shapes, strict=True)]


def _attempt(
    lifted: Lifted,
    task: Task | None,
    calibration: Sequence[Array],
    options: ConvertOptions,
    bundle: BundleWriter,
    ladder: Ladder,
) -> Attempt:
    base, targets = pruning_base(lifted, options, ladder, calibration)
    at, start = f"at-{options.target:g}", resume.basis(lifted.model, task)
    earlier = resume.taken_up(bundle, f"prune-{at}", start)
    if earlier is None:
        pruned = prune_float(base, targets, task, options, ladder)
        resume.keep(bundle, f"prune-{at}", resume.weights_of(pruned), start)
    else:
        pruned = resume.with_weights(base, earlier)
        ladder.progress.note("pruning was finished before: taken up")
    earlier = resume.taken_up(bundle, f"quantize-{at}", start)
    if earlier is None:
        model = quantize_int8(pruned, task, calibration, options, ladder)
        # Quantization-aware training goes on with the pruned weights.
        arrays = {**resume.weights_of(pruned), "int8": np.frombuffer(model, np.uint8)}
        resume.keep(bundle, f"quantize-{at}", arrays, start)
    else:
        model = earlier["int8"].tobytes()
        pruned = resume.with_weights(base, earlier)
        ladder.progress.note("quantization was finished before: taken up")
    return Attempt(pruned, targets, model, options)


def pruning_base(
    lifted: Lifted, options: ConvertOptions, ladder: Ladder, inputs: Sequence[Array] = ()
) -> tuple[Any, list[prune.Target]]:
    """The float model that pruning starts from, and what each layer is to reach.

    Whole filters are taken out here, so that the model is already the smaller one; it is proved
    to be the network with those filters at zero, on some of the inputs where any are given.
    """
    targets = prune.choose(lifted.model, options)
    if options.pattern != "filter":
        return lifted.model, targets
    targets, kept = filters.choose_filters(lifted.model, targets)
    for target in targets:
        if target.name in kept:
            ladder.note(f"{target.name}: {target.reason}")
    smaller = filters.shrink(lifted.model, kept)
    whole = filters.silenced(lifted.model, kept) if kept and inputs else None
    if whole is not None:
        few = [a[:32] for a in inputs]
        difference = relative_difference(train.predict(smaller, few), train.predict(whole, few))
        unit = "of output range"
        rung = "pruned Keras = lifted Keras with those filters at zero"
        ladder.prove(held(rung, difference, FLOAT_BOUND, unit, len(few[0])))
    return smaller, targets


def prune_float(
    base: Any,
    targets: list[prune.Target],
    task: Task | None,
    options: ConvertOptions,
    ladder: Ladder,
) -> Any:
    """A pruned float model, fine-tuned where there is data and epochs."""
    with ladder.progress.stage("prune"):
        if options.pattern == "filter":
            outcome = None
            if task is not None and options.epochs and base is not None:
                outcome = train.fit(
                    base,
                    task,
                    epochs=options.epochs,
                    batch_size=options.batch_size,
                    learning_rate=options.learning_rate,
                    seed=options.seed,
                    report=ladder.progress.update,
                )
            pruned = prune.fresh_copy(base)
        else:
            pruned, outcome = prune.prune(base, targets, task, options, ladder.progress.update)
        if outcome is not None:
            ladder.note(f"pruned: kept epoch {outcome.best} of {outcome.epochs}")
    return pruned


def quantize_int8(
    pruned: Any,
    task: Task | None,
    calibration: Sequence[Array],
    options: ConvertOptions,
    ladder: Ladder,
) -> bytes:
    """The int8 file of a pruned float model, as TFLite's converter writes it."""
    way = options.quantize
    blocked = qat.refusal(pruned)
    if way == "qat" and (task is None or options.epochs == 0):
        ladder.note("quantization-aware training needs data and epochs; after training instead")
        way = "ptq"
    elif way == "qat" and blocked:
        ladder.note(
            f"{blocked} can't be trained quantized as TFLite computes it; quantized after "
            "training instead"
        )
        way = "ptq"
    with ladder.progress.stage(f"quantize to int8 ({way})"):
        if way == "qat" and task is not None:
            outcome = quantize.train_quantized(pruned, task, options, ladder.progress.update)
            ladder.note(f"quantized training: kept epoch {outcome.best} of {outcome.epochs}")
        if options.clusters:
            from bridge.convert.cluster import cluster

            # Last, since quantized training would move the values apart again.
            fitted = cluster(pruned, task, options, ladder.progress.update)
            kept = "" if fitted is None else f", kept epoch {fitted.best} of {fitted.epochs}"
            ladder.note(f"at most {options.clusters} distinct values a weight tensor{kept}")
        candidates = quantize.candidates(pruned, calibration, trained=way == "qat")
        best = max(candidates, key=lambda c: c.snr_db)
        told = ", ".join(f"{c.name} {c.snr_db:.1f} dB" for c in candidates)
        ladder.note(f"int8 ranges from {best.name}: signal to noise at the outputs {told}")
        return best.model
