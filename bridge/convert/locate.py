"""Which layer a failing rung is about: where two stages first differ, with its statistics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bridge.convert.lift.builder import Array
from bridge.convert.lift.lower import Lifted, name_of, to_logical


@dataclass(frozen=True)
class Place:
    """The layer where a difference first exceeds its bound.

    Attributes:
        layer: its name.
        difference: relative to the range of its right output; infinite where it is no number.
        low: lowest value of the right output.
        high: highest value.
        mean: mean difference, wrong minus right.
    """

    layer: str
    difference: float
    low: float
    high: float
    mean: float

    def __str__(self) -> str:
        return (
            f"{self.layer!r} differs by {self.difference:.3g} of its output's range "
            f"{self.low:.3g} … {self.high:.3g}, by {self.mean:.3g} in the mean"
        )


def first_beyond(
    layers: Sequence[str], got: Sequence[Array], wanted: Sequence[Array], bound: float
) -> Place | None:
    """The first of some layers whose output differs by more than a bound, or None."""
    from bridge.convert.prove import relative_difference

    for layer, mine, right in zip(layers, got, wanted, strict=True):
        difference = relative_difference([mine.reshape(right.shape)], [right])
        if difference > bound:
            mean = float((mine.reshape(right.shape) - right).mean())
            return Place(layer, difference, float(right.min()), float(right.max()), mean)
    return None


def in_keras(
    lifted: Lifted, onnx_model: Any, inputs: Sequence[Array], bound: float
) -> Place | None:
    """Where the lifted network leaves ONNX Runtime's results."""
    from bridge.convert.prove import run_keras, run_onnx
    from bridge.convert.quiet import tensorflow

    _, keras = tensorflow()
    known = {o for node in onnx_model.graph.node for o in node.output}
    layers = [
        n
        for n, (value, _) in lifted.made.items()
        if value in known and not isinstance(lifted.model.get_layer(n), keras.layers.InputLayer)
    ]
    if not layers:
        return None
    probe = keras.Model(lifted.model.inputs, [lifted.made[n][1].tensor for n in layers])
    ours = run_keras(probe, lifted.to_physical(inputs))
    theirs = run_onnx(onnx_model, inputs, [lifted.made[n][0] for n in layers])
    logical = [to_logical(lifted.made[n][1], o) for n, o in zip(layers, ours, strict=True)]
    return first_beyond(layers, logical, theirs, bound)


def in_onnx(network: Any, onnx_model: Any, inputs: Sequence[Array], bound: float) -> Place | None:
    """Where ONNX Runtime leaves the PyTorch module's results, among its leaf modules."""
    from bridge.convert.export import batch_is_free
    from bridge.convert.prove import run_onnx

    if not hasattr(network, "named_modules"):
        return None
    if not batch_is_free(onnx_model):
        inputs = [a[:1] for a in inputs]
    values = _values(onnx_model)
    right = {n: o for n, o in _module_outputs(network, inputs).items() if n in values}
    if not right:
        return None
    got = run_onnx(onnx_model, inputs, [values[n] for n in right])
    ours = dict(zip(right, got, strict=True))
    same = [n for n in right if ours[n].size == right[n].size]
    return first_beyond(same, [ours[n] for n in same], [right[n] for n in same], bound)


def _values(onnx_model: Any) -> Mapping[str, str]:
    """Module path → the ONNX value it gives: that of its last node."""
    constants = {i.name for i in onnx_model.graph.initializer}
    return {name_of(n, constants): n.output[0] for n in onnx_model.graph.node if n.input}


def _module_outputs(network: Any, inputs: Sequence[Array]) -> dict[str, Array]:
    """What each leaf module that runs once gives, in the order they run."""
    from bridge.convert.prove import run_torch

    found: dict[str, list[Array]] = {}

    def watch(name: str) -> Any:
        def keep(_: Any, __: Any, output: Any) -> None:
            if hasattr(output, "detach"):
                found.setdefault(name, []).append(np.array(output.detach()))

        return keep

    leaves = [(n, m) for n, m in network.named_modules() if n and not list(m.children())]
    handles = [module.register_forward_hook(watch(name)) for name, module in leaves]
    try:
        run_torch(network, inputs)
    finally:
        for handle in handles:
            handle.remove()
    return {name: outputs[0] for name, outputs in found.items() if len(outputs) == 1}
