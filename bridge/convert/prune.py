"""Pruning: which layers, how much, in which pattern; tfmot's masks and schedule do the work."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from bridge.convert.lift.builder import Array
from bridge.convert.options import ConvertOptions
from bridge.convert.quiet import plainly, quantizer_library, quiet, tensorflow
from bridge.convert.train import Fit, Task, fit, split
from bridge.errors import InputError, ProofError

WEIGHTED = ("Conv2D", "DepthwiseConv2D", "Dense", "TransposedConv")


@dataclass(frozen=True)
class Target:
    """What one weighted layer is to reach.

    Attributes:
        name: of the layer.
        kind: its class.
        sparsity: share of zeros; None where it is left out.
        reason: why it is left out.
    """

    name: str
    kind: str
    sparsity: float | None
    reason: str = ""


def weighted_layers(model: Any) -> list[Any]:
    """The layers with weights to prune, in the network's order."""
    return [layer for layer in model.layers if type(layer).__name__ in WEIGHTED]


def kernel_of(layer: Any) -> Array:
    """The weights that pruning is about."""
    return np.asarray(variable_of(layer))


def variable_of(layer: Any) -> Any:
    """The kernel variable."""
    return layer.depthwise_kernel if hasattr(layer, "depthwise_kernel") else layer.kernel


def choose(model: Any, options: ConvertOptions) -> list[Target]:
    """Which layers are pruned, to what share, and why the others are not.

    Left out by default: the first layer where it is a convolution over few channels (few
    weights, much accuracy), the last (it decides the classes), depthwise layers (few weights,
    and no kernel gains from their zeros).

    Raises:
        InputError: ``layer_sparsity`` names a layer that isn't there.
    """
    layers = weighted_layers(model)
    names = [layer.name for layer in layers]
    unknown = sorted(set(options.layer_sparsity) - set(names))
    if unknown:
        raise InputError(
            f"there is no layer {unknown[0]!r} to prune", hint=f"the layers: {', '.join(names)}"
        )
    result = []
    for position, layer in enumerate(layers):
        kind, share = type(layer).__name__, options.target
        own = options.layer_sparsity.get(layer.name)
        reason = ""
        if own is not None:
            share, reason = own, "left out by request" if own == 0 else ""
        elif options.target == 0:
            reason = "nothing is to be pruned"
        elif options.prune_all:
            reason = ""
        elif kind == "DepthwiseConv2D":
            reason = "depthwise: few weights, and zeros in them gain nothing"
        elif len(layers) > 1 and position == len(layers) - 1:
            reason = "the last layer decides between the classes"
        elif len(layers) > 2 and position == 0 and kind == "Conv2D" and _fan_in(layer) <= 75:
            reason = "the first layer: few weights that much depends on"
        if not reason:
            share, reason = _fitting(layer, share, options.pattern)
        result.append(Target(layer.name, kind, None if reason else share, reason))
    return result


def _fan_in(layer: Any) -> int:
    return int(np.prod(kernel_of(layer).shape[:-1]))


def _fitting(layer: Any, share: float, pattern: str) -> tuple[float, str]:
    """The nearest share ≥ the wanted one that a whole number of weights gives."""
    kernel = kernel_of(layer)
    if pattern == "2:4":
        if kernel.shape[-2] % 4:
            return share, f"its {kernel.shape[-2]} input channels are no multiple of 4"
        if type(layer).__name__ == "DepthwiseConv2D":
            return share, "depthwise: it has no neighbouring input channels"
        return 0.5, ""
    if pattern in ("1x4", "4x1"):
        across = kernel.shape[-2] if pattern == "1x4" else kernel.shape[-1]
        if across % 4:
            side = "input" if pattern == "1x4" else "output"
            return share, f"its {across} {side} channels are no multiple of 4"
        groups = kernel.size // 4
        return _above(share, groups), ""
    return _above(share, kernel.size), ""


def _above(share: float, count: int) -> float:
    kept = math.floor(count * (1 - share) + 1e-9)
    return 1.0 - kept / count


def prune(
    model: Any,
    targets: list[Target],
    task: Task | None,
    options: ConvertOptions,
    report: Callable[[str], None],
) -> tuple[Any, Fit | None]:
    """Prune a float model to its targets, with fine-tuning where there is data and epochs.

    Returns:
        a new model of plain layers under the same names, and how training went.
    """
    wanted = {t.name: t.sparsity for t in targets if t.sparsity}
    if not wanted:
        return fresh_copy(model), None
    if options.pattern in ("1x4", "4x1"):
        from bridge.convert.blocks import prune_blocks

        return prune_blocks(model, wanted, task, options, report)
    tfmot = quantizer_library()
    _, keras = tensorflow()
    epochs = options.epochs if task is not None else 0
    steps = 0 if task is None else steps_per_epoch(task, options)
    rise = max(1, math.ceil(epochs * 0.6))

    def wrap(layer: Any) -> Any:
        share = wanted.get(layer.name)
        if share is None:
            return layer.__class__.from_config(layer.get_config())
        copy = layer.__class__.from_config(layer.get_config())
        kind = tfmot.sparsity.keras
        if epochs and options.schedule == "polynomial":
            every = max(1, steps * rise // 20)
            schedule = kind.PolynomialDecay(
                min(0.5, share) * 0.6, share, 0, max(every, steps * rise - steps // 2), 3, every
            )
        else:
            schedule = kind.ConstantSparsity(share, 0, -1, 1)
        more = {"sparsity_m_by_n": (2, 4)} if options.pattern == "2:4" else {}
        return kind.prune_low_magnitude(copy, pruning_schedule=schedule, **more)

    with quiet(), custom_objects():
        wrapped = plainly(keras.models.clone_model)(model, clone_function=wrap)
        _copy_weights(model, wrapped)
    outcome = None
    if epochs and task is not None:
        outcome = fit(
            wrapped,
            task,
            epochs=epochs,
            batch_size=options.batch_size,
            learning_rate=options.learning_rate,
            seed=options.seed,
            report=report,
            callbacks=[tfmot.sparsity.keras.UpdatePruningStep()],
            settled=min(rise + 1, epochs) if options.schedule == "polynomial" else 1,
        )
    with quiet(), custom_objects():
        if not outcome:
            _apply_masks(wrapped)
        stripped = fresh_copy(model, tfmot.sparsity.keras.strip_pruning(wrapped))
        if not outcome and options.pattern == "2:4":  # tfmot's masks of this kind come in training
            _mask_pairs(stripped, wanted)
    finish(stripped, wanted, options.pattern)
    return stripped, outcome


def fresh_copy(model: Any, weights: Any = None) -> Any:
    """A new model of new layers, with a model's structure and (another's) weights by name."""
    _, keras = tensorflow()
    source = model if weights is None else weights
    with custom_objects():
        copy = plainly(keras.models.clone_model)(model)
    for layer in source.layers:
        if layer.weights:
            copy.get_layer(layer.name).set_weights(layer.get_weights())
    return copy


def custom_objects() -> Any:
    """A Keras scope that knows our layers."""
    _, keras = tensorflow()
    from bridge.convert.lift.layers import CUSTOM

    return keras.utils.custom_object_scope(CUSTOM)


def steps_per_epoch(task: Task, options: ConvertOptions) -> int:
    """Optimizer steps of one epoch of fine-tuning."""
    train, _ = split(len(task.inputs[0]))
    return max(1, -(-len(train) // options.batch_size))


def _copy_weights(source: Any, target: Any) -> None:
    """Weights by layer name; wrappers carry theirs inside."""
    inner = {getattr(w, "layer", w).name: getattr(w, "layer", w) for w in target.layers}
    for layer in source.layers:
        if layer.weights:
            inner[layer.name].set_weights(layer.get_weights())
    for wrapper in target.layers:
        if hasattr(wrapper, "pruning_vars"):
            for weight, mask, _ in wrapper.pruning_vars:
                mask.assign(np.ones(weight.shape, np.float32))


def _apply_masks(wrapped: Any) -> None:
    """Prune once without training."""
    tf, _ = tensorflow()
    for wrapper in wrapped.layers:
        if hasattr(wrapper, "pruning_obj"):
            tf.keras.backend.set_value(wrapper.pruning_step, 0)
            wrapper.pruning_obj.conditional_mask_update()
            wrapper.pruning_obj.weight_mask_op()


def _mask_pairs(model: Any, wanted: dict[str, float]) -> None:
    """Of four neighbouring weights keep the two largest."""
    from bridge.convert.blocks import masked

    for layer in weighted_layers(model):
        if wanted.get(layer.name):
            variable = variable_of(layer)
            variable.assign(masked(np.asarray(variable), wanted[layer.name], "2:4"))


def finish(model: Any, wanted: dict[str, float], pattern: str) -> None:
    """Make the share exact (tfmot keeps ties and rounds) and check it.

    Raises:
        ProofError: a layer misses its target or pattern.
    """
    for layer in weighted_layers(model):
        share = wanted.get(layer.name)
        if not share:
            continue
        variable = variable_of(layer)
        kernel = np.asarray(variable).copy()
        if pattern == "unstructured":
            kernel = keep_largest(kernel, share)
            variable.assign(kernel)
        zeros = float((kernel == 0).mean())
        if zeros + 1e-9 < share:
            raise ProofError(
                "pruned to target", f"{zeros:.4f} zeros, wanted {share:.4f}", layer=layer.name
            )


def keep_largest(kernel: Array, share: float) -> Array:
    """Zero the smallest weights until at least ``share`` of them are zero."""
    drop = math.ceil(kernel.size * share - 1e-6)
    order = np.argsort(np.abs(kernel), axis=None, kind="stable")
    result = kernel.copy()
    result.ravel()[order[:drop]] = 0.0
    return result
