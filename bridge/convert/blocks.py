"""Pruning in blocks of four neighbours, which tfmot knows for matrices only.

tfmot's schedule, masks of our own: after every step the dropped blocks are put back to zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from bridge.convert.lift.builder import Array
from bridge.convert.options import ConvertOptions
from bridge.convert.prune import (
    finish,
    fresh_copy,
    keep_largest,
    kernel_of,
    steps_per_epoch,
    variable_of,
)
from bridge.convert.quiet import quantizer_library, quiet, tensorflow
from bridge.convert.train import Fit, Task, fit


def block_mask(kernel: Array, share: float, pattern: str) -> Array:
    """1 where a block of four neighbours stays; 1x4 runs along input, 4x1 along output channels."""
    axis = -2 if pattern == "1x4" else -1
    moved = np.moveaxis(kernel, axis, -1)
    blocks = np.abs(moved.reshape(*moved.shape[:-1], moved.shape[-1] // 4, 4)).sum(-1)
    drop = math.ceil(blocks.size * share - 1e-6)
    keep = np.ones(blocks.size, np.float32)
    keep[np.argsort(blocks, axis=None, kind="stable")[:drop]] = 0.0
    mask = np.repeat(keep.reshape(blocks.shape), 4, axis=-1)
    return np.ascontiguousarray(np.moveaxis(mask.reshape(moved.shape), -1, axis))


def masked(kernel: Array, share: float, pattern: str) -> Array:
    """A kernel pruned at once, in any pattern but whole filters."""
    if pattern in ("1x4", "4x1"):
        return kernel * block_mask(kernel, share, pattern)
    if pattern != "2:4":
        return keep_largest(kernel, share)
    fours = np.abs(np.moveaxis(kernel, -2, -1)).reshape(-1, 4)
    keep = np.zeros(fours.shape, np.float32)
    np.put_along_axis(keep, np.argsort(-fours, axis=1, kind="stable")[:, :2], 1.0, axis=1)
    moved = keep.reshape(np.moveaxis(kernel, -2, -1).shape)
    pruned: Array = kernel * np.moveaxis(moved, -1, -2)
    return pruned


def prune_blocks(
    model: Any,
    wanted: dict[str, float],
    task: Task | None,
    options: ConvertOptions,
    report: Callable[[str], None],
) -> tuple[Any, Fit | None]:
    """Blocks, which tfmot knows for matrices only: its schedule, masks of our own."""
    tfmot = quantizer_library()
    _, keras = tensorflow()
    with quiet():
        copy = fresh_copy(model)
    layers = {n: copy.get_layer(n) for n in wanted}
    epochs = options.epochs if task is not None else 0
    masks: dict[str, Array] = {}

    def update(shares: dict[str, float]) -> None:
        for name, layer in layers.items():
            masks[name] = block_mask(kernel_of(layer), shares[name], options.pattern)

    def apply() -> None:
        for name, layer in layers.items():
            variable_of(layer).assign(kernel_of(layer) * masks[name])

    outcome = None
    if epochs and task is not None:
        steps = steps_per_epoch(task, options)
        rise = max(1, math.ceil(epochs * 0.6))
        end = max(2, steps * rise - steps // 2)
        every = max(1, end // 20)
        schedules = {
            name: tfmot.sparsity.keras.PolynomialDecay(0.3 * share, share, 0, end, 3, every)
            for name, share in wanted.items()
        }

        class Masks(keras.callbacks.Callback):  # type: ignore[misc, name-defined]
            """Raise the sparsity along the schedule; keep dropped blocks at zero."""

            step = 0

            def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
                if self.step % every == 0 and self.step <= end + every:
                    constant = options.schedule == "constant"
                    step = end if constant else min(self.step, end)
                    update({n: float(schedules[n](step)[1]) for n in wanted})
                apply()
                self.step += 1

        outcome = fit(
            copy,
            task,
            epochs=epochs,
            batch_size=options.batch_size,
            learning_rate=options.learning_rate,
            seed=options.seed,
            report=report,
            callbacks=[Masks()],
            settled=min(rise + 1, epochs),
        )
    update(wanted)
    apply()
    finish(copy, wanted, options.pattern)
    return copy, outcome
