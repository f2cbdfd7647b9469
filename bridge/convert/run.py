"""The conversion from end to end: each step ends in a proof against the step before it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from bridge.convert.options import ConvertOptions, ConvertResult, Proof
from bridge.data import Array, Dataset, load
from bridge.errors import DataError

if TYPE_CHECKING:
    from bridge.bundle import BundleWriter
    from bridge.convert.lift.lower import Lifted
    from bridge.convert.source import Source
    from bridge.convert.train import Task
    from bridge.progress import Progress

PROOF_SAMPLES = 32
"""Real samples that the float rungs compare; each is a whole network's worth of numbers."""


@dataclass
class Ladder:
    """What accumulates on the way: proofs and notes, told as they arise."""

    progress: Progress
    proofs: list[Proof]
    notes: list[str]

    def prove(self, *proofs: Proof) -> None:
        """Take up rungs and say them."""
        for proof in proofs:
            self.proofs.append(proof)
            mark = "proved" if proof.passed else "noted"
            place = f" [{proof.layer}]" if proof.layer else ""
            words = f"{mark}: {proof.rung}{place}: {proof.statistic:.3g} {proof.unit}"
            self.progress.note(words + (f" ({proof.detail})" if proof.detail else ""))

    def note(self, text: str) -> None:
        """Take up a sentence for the user and say it."""
        self.notes.append(text)
        self.progress.note(text)


@dataclass(frozen=True)
class Prepared:
    """A network in trainable Keras layers with its data: what pruning starts from.

    Attributes:
        source: where it came from.
        data: the data set, if any was named.
        onnx: the exported network.
        lifted: the float Keras network, proved equal.
        task: what to train for and judge by; None without data.
        calibration: inputs for the int8 ranges, in the Keras layout.
    """

    source: Source
    data: Dataset | None
    onnx: bytes
    lifted: Lifted
    task: Task | None
    calibration: list[Array]


def convert(options: ConvertOptions, bundle: BundleWriter, progress: Progress) -> ConvertResult:
    """Bring a network from PyTorch to a proved int8 .tflite in a bundle.

    Writes ``model.onnx``, ``model_int8.tflite`` and ``samples.npz``; the caller puts the result
    into the manifest and commits the bundle.

    Raises:
        BridgeError: one of :mod:`bridge.errors`; nothing is committed then.
    """
    from bridge.convert import resume
    from bridge.convert.compress import compress
    from bridge.convert.judge import judge

    ladder = Ladder(progress, [], [])
    with progress.stage("load the network and the data"):
        source, data = load_source(options)
    if source.kind == "tflite":
        from bridge.convert.package import package

        return package(source, data, options, bundle, progress)
    ready = prepare(source, data, options, ladder)
    bundle.write("model.onnx", ready.onnx)
    attempt = compress(ready.lifted, ready.task, ready.calibration, options, bundle, ladder)
    result = judge(ready, attempt, options, bundle, ladder)
    resume.forget(bundle)
    return result


def load_source(options: ConvertOptions) -> tuple[Source, Dataset | None]:
    """The network as the user gave it, and its data."""
    from bridge.convert.source import open_source

    source = open_source(options)
    return source, _data(options, source)


def prepare(
    source: Source, data: Dataset | None, options: ConvertOptions, ladder: Ladder
) -> Prepared:
    """Export a network, lift it into trainable Keras layers, prove it, and set up its task."""
    from bridge.convert import train
    from bridge.convert.export import export
    from bridge.convert.quantize import CALIBRATION
    from bridge.convert.source import shapes_of

    if source.remark:
        ladder.note(source.remark)
    shapes = shapes_of(source, data, options)
    if not source.trained and source.kind == "torch":
        _first_training(source, data, options, ladder)
    inputs, real = _proof_inputs(data, shapes, options)
    with ladder.progress.stage("export to ONNX"):
        if source.kind == "onnx":
            onnx_model, reference = source.network, None
        else:
            onnx_model = export(source.network, shapes)
            reference = source.network
    lifted = _lift(onnx_model, reference, inputs, real, options, ladder)
    task = None
    calibration = lifted.to_physical(inputs)
    if data is not None:
        task = train.task_of(lifted, data, options.network_layout, options.max_train)
        calibration = [a[:CALIBRATION] for a in task.inputs]
        if data.task != "none" and task.metric == train.TEACHER:
            ladder.note(
                f"the {data.task} targets of {data.name} don't fit the network's outputs: it is "
                "trained and judged against its own float outputs instead"
            )
    else:
        ladder.note("without --data the int8 ranges come from random inputs: for a trial only")
    onnx = onnx_model.SerializeToString()
    return Prepared(source, data, onnx, lifted, task, calibration)


def _data(options: ConvertOptions, source: Source) -> Dataset | None:
    name = options.data or source.data
    if name is None:
        return None
    _seed(options.seed)
    data = load(name, layout=options.layout)
    if not len(data.train_inputs[0]) or not len(data.test_inputs[0]):
        raise DataError(f"the data set {data.name} is empty", hint="give at least one sample")
    return data


def _seed(seed: int) -> None:
    """Seed what a user's function or a shuffling DataLoader may draw from."""
    import random

    random.seed(seed)
    np.random.seed(seed)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(seed)


def _first_training(
    source: Source, data: Dataset | None, options: ConvertOptions, ladder: Ladder
) -> None:
    from bridge import zoo

    if data is not None and data.task == "classification" and source.name in zoo.names():
        from bridge.convert.first import train_torch

        with ladder.progress.stage(f"train {source.name} on {data.name} (no checkpoint yet)"):
            train_torch(source.network, data, options, ladder.progress.update)
        ladder.note("the float network was trained here: there was no checkpoint")
    else:
        ladder.note(
            "no checkpoint was given (--weights): the network keeps the weights its class "
            "starts with"
        )


def _proof_inputs(
    data: Dataset | None, shapes: Sequence[tuple[int, ...]], options: ConvertOptions
) -> tuple[list[Array], bool]:
    """Samples in the network's layout: real ones where there are any."""
    from bridge.convert.train import network_arrays

    if data is not None:
        chosen = [a[:PROOF_SAMPLES] for a in data.test_inputs]
        return network_arrays(chosen, options.network_layout), True
    draw = np.random.default_rng(options.seed)
    return [draw.normal(size=(PROOF_SAMPLES, *s)).astype(np.float32) for s in shapes], False


def _lift(
    onnx_model: Any,
    reference: Any,
    inputs: list[Array],
    real: bool,
    options: ConvertOptions,
    ladder: Ladder,
) -> Lifted:
    from bridge.convert.export import batch_is_free
    from bridge.convert.lift.lower import lift
    from bridge.convert.prove import one_by_one, prove_lift, run_onnx, run_torch
    from bridge.convert.witness import testify

    with ladder.progress.stage("lift into trainable Keras layers"):
        lifted = lift(onnx_model, network_layout=options.network_layout)
        if not real:
            ladder.note("without --data the proofs use random inputs")
        for note in lifted.notes:
            ladder.note(note)
        free = batch_is_free(onnx_model)
        outputs = None
        if reference is not None:
            torch_run = partial(run_torch, reference)
            outputs = torch_run(inputs) if free else one_by_one(torch_run, inputs)
        ladder.prove(*prove_lift(reference, onnx_model, lifted, inputs, outputs))
    if options.onnx2tf and not free:
        # With a fixed batch onnx2tf would try to download sample pictures.
        ladder.note("the network takes one sample at a time: onnx2tf is not asked")
    elif options.onnx2tf:
        with ladder.progress.stage("ask onnx2tf as a witness"):
            if outputs is not None:
                ladder.prove(testify(onnx_model, inputs, outputs, "PyTorch"))
            else:
                told = run_onnx(onnx_model, inputs)
                ladder.prove(testify(onnx_model, inputs, told, "ONNX Runtime"))
    return lifted
