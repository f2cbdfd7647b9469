"""Fine-tuning: targets, a validation split, early stopping and the best epoch's weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bridge.convert.lift.builder import Array
from bridge.convert.lift.lower import Lifted, to_logical
from bridge.convert.prove import run_keras
from bridge.convert.quiet import tensorflow
from bridge.data import Dataset


@dataclass(frozen=True)
class Task:
    """What a network is trained for and judged by, in its Keras layout.

    Attributes:
        metric: ``accuracy``, ``mean squared error`` (to the target) or
            ``mean squared error to the float network``.
        inputs: training inputs, one array per network input.
        targets: one array per output.
        test_inputs: test inputs.
        test_targets: what the test outputs are judged against.
        losses: a Keras loss per output.
        lifted: the float network.
    """

    metric: str
    inputs: list[Array]
    targets: list[Array]
    test_inputs: list[Array]
    test_targets: list[Array]
    losses: list[Any]
    lifted: Lifted

    @property
    def higher_is_better(self) -> bool:
        """Whether a larger metric is the better one."""
        return self.metric == "accuracy"

    def score(self, outputs: Sequence[Array]) -> float:
        """The metric of test outputs in the Keras layout."""
        count = len(outputs[0])
        if self.metric == "accuracy":
            (value,) = self.lifted.outputs.values()
            classes = to_logical(value, outputs[0]).reshape(count, -1).argmax(1)
            return float((classes == self.test_targets[0][:count]).mean())
        errors = [
            np.square(o.astype(np.float64) - t[:count]).mean()
            for o, t in zip(outputs, self.test_targets, strict=True)
        ]
        return float(np.mean(errors))


def network_arrays(arrays: Sequence[Array], layout: str) -> list[Array]:
    """Channels-last data → the layout that the network takes."""
    if layout == "channels-last":
        return list(arrays)
    return [np.ascontiguousarray(np.moveaxis(a, -1, 1)) if a.ndim > 2 else a for a in arrays]


TEACHER = "mean squared error to the float network"
"""The metric where no targets are given, or none that fit."""


def task_of(lifted: Lifted, data: Dataset, layout: str, limit: int | None) -> Task:
    """What to train a lifted network for: the labels, else its own float outputs."""
    tf, keras = tensorflow()
    del tf
    data = data.limited(limit)
    train = lifted.to_physical(network_arrays(data.train_inputs, layout))
    test = lifted.to_physical(network_arrays(data.test_inputs, layout))
    values = list(lifted.outputs.values())
    mse = keras.losses.MeanSquaredError
    classes = values[0].index.size
    if data.task == "classification" and len(values) == 1 and _labels(data) <= {*range(classes)}:
        loss = keras.losses.SparseCategoricalCrossentropy(
            from_logits=not _ends_in_softmax(lifted.model)
        )
        return Task("accuracy", train, [data.y_train], test, [data.y_test], [loss], lifted)
    if data.task in ("reconstruction", "regression") and len(values) == 1:
        targets = []
        for y in (data.y_train, data.y_test):
            logical = network_arrays([y], layout)[0].reshape(len(y), -1)
            if logical.shape[1] != classes:
                break
            physical = np.empty((len(y), classes), np.float32)
            physical[:, values[0].index.ravel()] = logical
            targets.append(physical.reshape(len(y), *values[0].physical))
        if len(targets) == 2:
            name = "mean squared error"
            return Task(name, train, targets[:1], test, targets[1:], [mse()], lifted)
    teacher = [_batched(lifted.model, x) for x in (train, test)]
    return Task(TEACHER, train, teacher[0], test, teacher[1], [mse() for _ in values], lifted)


def _labels(data: Dataset) -> set[int]:
    return {int(label) for label in np.unique(np.concatenate([data.y_train, data.y_test]))}


def _ends_in_softmax(model: Any) -> bool:
    return any(
        type(layer).__name__ == "Softmax" and model.outputs[0] is layer.output
        for layer in model.layers
    )


def _batched(model: Any, inputs: Sequence[Array], size: int = 256) -> list[Array]:
    """A Keras model's outputs for many inputs."""
    parts = [
        run_keras(model, [a[i : i + size] for a in inputs]) for i in range(0, len(inputs[0]), size)
    ]
    return [np.concatenate(p) for p in zip(*parts, strict=True)]


predict = _batched


@dataclass(frozen=True)
class Fit:
    """How one training went.

    Attributes:
        epochs: how many ran.
        best: the epoch whose weights were kept, from 1; 0 where the start was best.
        loss: its validation loss.
    """

    epochs: int
    best: int
    loss: float


def split(count: int) -> tuple[Array, Array]:
    """Which training samples are trained on and which are held out, always the same ones.

    A tenth is held out; too small a set is used for both.
    """
    order = np.random.default_rng(0).permutation(count)
    held_out = max(1, min(count // 10, 2000)) if count > 10 else 0
    return order[held_out:], order[:held_out] if held_out else order


def fit(
    model: Any,
    task: Task,
    *,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    seed: int,
    report: Callable[[str], None],
    callbacks: Sequence[Any] = (),
    settled: int = 0,
    patience: int = 5,
) -> Fit:
    """Train a model of the task's inputs and outputs, keep the best epoch.

    Args:
        epochs: at most.
        settled: epochs before this one don't count for the best (the sparsity still rises).
        patience: stop after this many settled epochs without a better validation loss.
        report: gets one line per epoch.
    """
    _, keras = tensorflow()
    train, check = split(len(task.inputs[0]))

    class Best(keras.callbacks.Callback):  # type: ignore[misc, name-defined]
        """Remember the best settled epoch; stop when none gets better."""

        loss, epoch, weights = float("inf"), 0, None
        ran = 0

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.ran = epoch + 1
            loss = float((logs or {}).get("val_loss", float("inf")))
            report(f"epoch {epoch + 1}/{epochs}, validation loss {loss:.4g}")
            if epoch + 1 < settled:
                return
            if loss < self.loss:
                self.loss, self.epoch, self.weights = loss, epoch + 1, self.model.get_weights()
            elif epoch + 1 - self.epoch >= patience:
                self.model.stop_training = True

    best = Best()
    keras.utils.set_random_seed(seed)
    steps = max(1, -(-len(train) // batch_size))
    rate = keras.optimizers.schedules.CosineDecay(learning_rate, steps * epochs, alpha=0.05)
    model.compile(
        optimizer=keras.optimizers.legacy.Adam(rate),
        loss=task.losses if len(task.losses) > 1 else task.losses[0],
    )

    def part(arrays: Sequence[Array], chosen: Array) -> Any:
        picked = [a[chosen] for a in arrays]
        return picked if len(picked) > 1 else picked[0]

    model.fit(
        part(task.inputs, train),
        part(task.targets, train),
        validation_data=(part(task.inputs, check), part(task.targets, check)),
        batch_size=batch_size,
        epochs=epochs,
        verbose=0,
        callbacks=[*callbacks, best],
    )
    if best.weights is not None:
        model.set_weights(best.weights)
    return Fit(best.ran, best.epoch, best.loss)
