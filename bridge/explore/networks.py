"""Int8 networks of points: prepared once a process, trained once, kept on disk."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bridge.bundle import digest, write_atomic
from bridge.convert.options import ConvertOptions
from bridge.convert.run import Ladder, Prepared
from bridge.data import Array
from bridge.errors import InputError
from bridge.explore.settings import Settings
from bridge.explore.space import Point
from bridge.graph import read_tflite
from bridge.progress import Progress, Silent

JUDGED = 1000
"""Held-out training samples that accuracy is judged on, at most; the test part stays unseen."""

JUDGED_WORK = 500_000_000
"""Multiply-accumulates that judging one network may take in the interpreter on the host."""

EMULATED = 2
"""Samples that run on the emulated core, and must agree with the interpreter byte for byte."""


@dataclass(frozen=True)
class Network:
    """One int8 network.

    Attributes:
        model: the .tflite, as ``convert`` would write it.
        score: the task's metric on held-out samples, in the TFLM interpreter.
        lost: what that is below the float network.
        inputs: int8 samples for the emulated core.
        expected: what the interpreter answers to them.
    """

    model: bytes
    score: float
    lost: float
    inputs: Array
    expected: Array

    @property
    def digest(self) -> str:
        """sha256 of the file."""
        return digest(self.model)


class _Details:
    """What a conversion does, as the running line's detail: its notes would drown the trials."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def note(self, text: str) -> None:
        """Say nothing; convert tells them for the point that is built."""

    def update(self, text: str) -> None:
        """Replace the running line's detail."""
        self._progress.update(text)

    def stage(self, title: str) -> AbstractContextManager[None]:
        """Show the title as the running line's detail."""
        return self._progress.stage(title)


class Workshop:
    """Makes networks. The network is exported, lifted and proved once, when first needed.

    Args:
        settings: of the exploration.
        progress: told what runs.
    """

    def __init__(self, settings: Settings, progress: Progress | None = None) -> None:
        self.settings = settings
        self.progress: Progress = progress or Silent()
        self._ladder = Ladder(_Details(self.progress), [], [])
        self._prepared: Prepared | None = None
        self._judged: Any = None
        self._reference = 0.0

    @property
    def base(self) -> ConvertOptions:
        """What all conversions have in common."""
        return replace(self.settings.base, onnx2tf=False)

    def prepare(self) -> Prepared:
        """The network in trainable Keras layers.

        Raises:
            InputError: a finished .tflite, or no data to judge by.
        """
        if self._prepared is not None:
            return self._prepared
        from bridge.convert import train
        from bridge.convert.run import load_source, prepare

        with self.progress.stage("export and lift the network, once"):
            source, data = load_source(self.base)
            if source.kind == "tflite":
                raise InputError(
                    "a finished .tflite can't be explored: its weights can't be trained",
                    hint="give the network that it was made from",
                )
            ready = prepare(source, data, self.base, self._ladder)
        if ready.task is None:
            raise InputError("an exploration needs data to judge accuracy by", hint="give --data")
        _, held_out = train.split(len(ready.task.inputs[0]))
        count = JUDGED_WORK // max(_macs(ready.lifted.model), 1)
        held_out = held_out[: max(100, min(JUDGED, count))]
        self._judged = replace(
            ready.task,
            test_inputs=[a[held_out] for a in ready.task.inputs],
            test_targets=[a[held_out] for a in ready.task.targets],
        )
        self._reference = self._judged.score(
            train.predict(ready.lifted.model, self._judged.test_inputs)
        )
        self._prepared = ready
        return ready

    @property
    def metric(self) -> str:
        """The task's metric."""
        self.prepare()
        return str(self._judged.metric)

    @property
    def reference(self) -> float:
        """The metric of the float network on the held-out samples."""
        self.prepare()
        return self._reference

    def lost(self, score: float) -> float:
        """What a score is below the float network's; for errors the relative increase."""
        if self._judged.higher_is_better:
            return self._reference - score
        return score / max(self._reference, 1e-9) - 1

    def prunable(self, pattern: str) -> bool:
        """Whether a pattern fits any layer."""
        from bridge.convert.prune import choose

        share = 0.5 if pattern == "2:4" else 0.9
        options = replace(self.base, pattern=pattern, sparsity=share)
        return any(t.sparsity for t in choose(self.prepare().lifted.model, options))

    def rough(self, point: Point) -> Network:
        """The network without fine-tuning: as large and as fast, not as accurate."""
        options = replace(point.options(self.base), epochs=0, quantize="ptq")
        return self._kept(f"untrained-{point.rough}", lambda: self._make(options, None))

    def network(self, point: Point, hopeless: Callable[[float], None]) -> Network:
        """A point's network, trained if it is not there yet.

        Args:
            point: its coding and core don't matter here.
            hopeless: told what the pruned float network lost, before it is quantized; raises
                to give the point up.
        """
        options = point.options(self.base)
        return self._kept(
            point.network, lambda: self._make(options, self._pruned_weights(point, hopeless))
        )

    def _kept(self, name: str, make: Callable[[], Network]) -> Network:
        file = self.settings.networks / f"{name}.npz"
        if file.is_file():
            with np.load(file) as stored:
                return Network(
                    stored["model"].tobytes(),
                    float(stored["score"]),
                    float(stored["lost"]),
                    stored["inputs"],
                    stored["expected"],
                )
        made = make()
        stream = io.BytesIO()
        np.savez(
            stream,
            model=np.frombuffer(made.model, np.uint8),
            score=made.score,
            lost=made.lost,
            inputs=made.inputs,
            expected=made.expected,
        )
        write_atomic(file, stream.getvalue())
        return made

    def _pruned_weights(self, point: Point, hopeless: Callable[[float], None]) -> list[Array]:
        """Weights of the pruned and fine-tuned float network, shared by PTQ and QAT."""
        from bridge.convert import compress, train

        folder = self.settings.networks
        weights, told = folder / f"{point.rough}.float.npz", folder / f"{point.rough}.float.json"
        if not told.is_file():
            ready, options = self.prepare(), point.options(self.base)
            base, targets = compress.pruning_base(ready.lifted, options, self._ladder)
            pruned = compress.prune_float(base, targets, ready.task, options, self._ladder)
            score = self._judged.score(train.predict(pruned, self._judged.test_inputs))
            stream = io.BytesIO()
            np.savez(stream, *[np.asarray(w) for w in pruned.get_weights()])
            write_atomic(weights, stream.getvalue())
            write_atomic(told, json.dumps({"lost": self.lost(score)}))
        hopeless(float(json.loads(told.read_text())["lost"]))
        with np.load(weights) as stored:
            return [stored[f"arr_{i}"] for i in range(len(stored.files))]

    def _make(self, options: ConvertOptions, weights: list[Array] | None) -> Network:
        from bridge.convert import compress, prune, tflm
        from bridge.convert.judge import finished_file

        ready = self.prepare()
        base, targets = compress.pruning_base(ready.lifted, options, self._ladder)
        if weights is None:
            pruned = compress.prune_float(base, targets, ready.task, options, self._ladder)
        else:
            pruned = prune.fresh_copy(base)
            pruned.set_weights(weights)
        raw = compress.quantize_int8(pruned, ready.task, ready.calibration, options, self._ladder)
        model, _ = finished_file(raw, pruned, ready.lifted)
        graph = read_tflite(model)
        inputs = tflm.quantize_inputs(graph, self._judged.test_inputs)
        expected = tflm.run(model, inputs)
        score = self._judged.score(tflm.dequantize_outputs(graph, expected))
        return Network(model, score, self.lost(score), inputs[0][:EMULATED], expected[0][:EMULATED])


def _macs(model: Any) -> int:
    """Multiply-accumulates of one inference, of the weighted layers."""
    from bridge.convert.prune import kernel_of, weighted_layers

    return sum(
        kernel_of(layer).size * int(np.prod(layer.output.shape[1:-1], dtype=int))
        for layer in weighted_layers(model)
    )
